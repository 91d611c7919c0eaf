"""Decoded images in their cache: complete or not there, whatever is killed, broken or done twice at once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.data import pixels as module
from edgekd.data.dataset import Dataset, Sample
from edgekd.data.pixels import Pixels
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.preprocess import InputContract, to_pixels
from edgekd.recipe import InputRecipe

GEOMETRY = InputRecipe(size=16)


class Source:
    """Images whose grey is their number; counts what is opened, and refuses `broken` numbers."""

    def __init__(self, count: int, broken=()) -> None:
        self.broken, self.opened, self.count = set(broken), 0, count

    def dataset(self) -> Dataset:
        samples = (Sample(f"{i:03d}", i % 2, "train", fingerprint="1") for i in range(self.count))
        return Dataset(("a", "b"), tuple(samples), self.open)

    def open(self, sample: Sample) -> Image.Image:
        self.opened += 1
        if int(sample.name) in self.broken:
            raise CorruptImage(sample.name, "an image", "it is broken")
        return picture(sample)


def picture(sample: Sample) -> Image.Image:
    ramp = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30) + int(sample.name)
    return Image.fromarray(ramp.astype(np.uint8)).convert("RGB")


def expected(samples) -> np.ndarray:
    return np.stack([to_pixels(picture(s), GEOMETRY) for s in samples])


def files(cache: Path) -> list[str]:
    return sorted(p.suffix for p in (cache / "pixels").iterdir())


def test_pixels_are_those_of_the_images_in_order(tmp_path):
    source, told = Source(300), []  # more than one piece of work
    data = source.dataset()
    found = Pixels.of(data, GEOMETRY, tmp_path, 0, lambda done, total: told.append((done, total)))
    assert found.dataset.samples == data.samples
    assert isinstance(found.array, np.memmap)
    assert not found.array.flags.writeable
    np.testing.assert_array_equal(found.array, expected(data.samples))
    assert told == [(i, 300) for i in range(1, 301)]
    assert found.corrupt == ()


def test_a_second_run_decodes_nothing(tmp_path):
    source = Source(5, broken=[2])
    first = Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0.5)
    source.opened = 0
    again = Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0.5)
    assert source.opened == 1  # the broken image, which might have been mended
    assert again.sha256 == first.sha256
    assert again.corrupt == first.corrupt
    np.testing.assert_array_equal(again.array, first.array)


def test_what_another_version_decoded_is_decoded_anew(tmp_path, monkeypatch):
    source = Source(5)
    Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0)
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0)
    assert source.opened == 10


def test_an_image_has_its_id_in_every_order_and_under_every_name_and_no_other_has_it(tmp_path):
    data = Source(6, broken=[4]).dataset()
    found = Pixels.of(data, GEOMETRY, tmp_path, 0.5)
    pictures = [data.open_image(s) for s in found.dataset.samples]
    digests = [hashlib.sha256(repr(p.size).encode() + p.tobytes()).digest() for p in pictures]
    assert [int(i).to_bytes(8, "big") for i in found.ids] == [d[:8] for d in digests]
    assert len(set(found.ids)) == 5
    larger = Pixels.of(data, GEOMETRY.model_copy(update={"size": 2 * GEOMETRY.size}), tmp_path, 0.5)
    assert np.array_equal(larger.ids, found.ids)  # a teacher's larger view of a picture is a view of the same picture
    moved = data.with_samples(replace(s, split="val", label=1 - s.label) for s in reversed(data.samples))
    assert np.array_equal(Pixels.of(moved, GEOMETRY, tmp_path, 0.5).ids, found.ids[::-1])


def test_corrupt_images_are_left_out_and_recorded(tmp_path):
    found = Pixels.of(Source(6, broken=[0, 3]).dataset(), GEOMETRY, tmp_path, 0.34)
    assert [s.name for s in found.dataset.samples] == ["001", "002", "004", "005"]
    assert found.corrupt == (("000", "it is broken"), ("003", "it is broken"))
    assert found.array.shape == (4, 16, 16, 3)
    np.testing.assert_array_equal(found.array, expected(found.dataset.samples))


def test_too_many_corrupt_images_stop_the_run_and_are_listed(tmp_path):
    source = Source(40, broken=range(15))
    for _ in range(2):  # decoded, and found decoded
        with pytest.raises(EdgekdError) as raised:
            Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0.1)
        text = str(raised.value)
        assert "15 of 40 images cannot be read" in text
        assert "data.max_corrupt" in text
        assert [line for line in text.splitlines() if line.startswith("  - ")] == [
            f"  - {i:03d}: it is broken" for i in range(10)
        ]
        assert "… and 5 more" in text


def test_the_limit_is_met_exactly(tmp_path):
    assert len(Pixels.of(Source(100, broken=[7]).dataset(), GEOMETRY, tmp_path, 0.01).corrupt) == 1
    with pytest.raises(EdgekdError):
        Pixels.of(Source(99, broken=[7]).dataset(), GEOMETRY, tmp_path, 0.01)
    with pytest.raises(EdgekdError):
        Pixels.of(Source(50, broken=[7]).dataset(), GEOMETRY, tmp_path, 0.0)


def test_an_image_that_was_mended_is_read_again(tmp_path):
    source = Source(4, broken=[1])
    assert len(Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0.5).array) == 3
    source.broken.clear()
    found = Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0)
    np.testing.assert_array_equal(found.array, expected(source.dataset().samples))


CHANGES = {
    "size": lambda data: (data, InputRecipe(size=17)),
    "fit": lambda data: (data, InputRecipe(size=16, fit="crop")),
    "crop_fraction": lambda data: (data, InputRecipe(size=16, crop_fraction=0.9)),
    "kernel": lambda data: (data, InputRecipe(size=16, kernel="bicubic")),
    "content": lambda data: (data.with_samples(replace(s, fingerprint="2") for s in data.samples), GEOMETRY),
    "label": lambda data: (data.with_samples(replace(s, label=1 - s.label) for s in data.samples), GEOMETRY),
    "order": lambda data: (data.with_samples(reversed(data.samples)), GEOMETRY),
    "subset": lambda data: (data.with_samples(data.samples[1:]), GEOMETRY),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_makes_other_pixels_is_decoded_anew(tmp_path, what):
    source = Source(4)
    Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0)
    source.opened = 0
    data, geometry = CHANGES[what](source.dataset())
    found = Pixels.of(data, geometry, tmp_path, 0)
    assert source.opened == len(data.samples)
    assert found.array.shape[1] == geometry.size


def test_what_does_not_is_not(tmp_path):
    source = Source(4)
    first = Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0)
    source.opened = 0
    data = source.dataset()
    moved = data.with_samples(replace(s, split="val", group="p") for s in data.samples)
    contract = InputContract(size=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    found = Pixels.of(moved, contract, tmp_path, 0)
    assert source.opened == 0
    assert found.sha256 == first.sha256
    assert {s.split for s in found.dataset.samples} == {"val"}


def test_the_hash_covers_names_labels_and_pixels(tmp_path):
    data = Source(4).dataset()
    hashes = {Pixels.of(data, GEOMETRY, tmp_path / "a", 0).sha256}
    for n, what in enumerate(("label", "order", "subset", "size")):
        hashes.add(Pixels.of(*CHANGES[what](data), tmp_path / str(n), 0).sha256)
    renamed = data.with_samples([replace(data.samples[0], name="0000"), *data.samples[1:]])
    hashes.add(Pixels.of(renamed, GEOMETRY, tmp_path / "b", 0).sha256)
    assert len(hashes) == 6
    assert Pixels.of(data, GEOMETRY, tmp_path / "c", 0).sha256 in hashes  # the same for the same images, anywhere


def test_no_images_and_no_room_are_errors(tmp_path, monkeypatch):
    with pytest.raises(EdgekdError, match="none"):
        Pixels.of(Source(0).dataset(), GEOMETRY, tmp_path, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgekdError, match="room for decoded images"):
        Pixels.of(Source(2).dataset(), GEOMETRY, tmp_path / "file", 0)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "posix_fallocate", full)
    with pytest.raises(EdgekdError, match="No space left"):
        Pixels.of(Source(2).dataset(), GEOMETRY, tmp_path / "full", 0)
    assert files(tmp_path / "full") == [".lock"]


def test_all_images_corrupt_within_the_limit(tmp_path):
    found = Pixels.of(Source(2, broken=[0, 1]).dataset(), GEOMETRY, tmp_path, 1.0)
    assert found.array.shape == (0, 16, 16, 3)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, BrokenPipeError])
def test_an_exception_of_others_passes_and_leaves_no_file_behind(tmp_path, kind):
    def stop(done: int, total: int) -> None:
        raise kind

    with pytest.raises(kind):
        Pixels.of(Source(4).dataset(), GEOMETRY, tmp_path, 0, stop)
    assert files(tmp_path) == [".lock"]


VICTIM = """
import sys, time
from pathlib import Path
import numpy as np
from PIL import Image
from edgekd.data.dataset import Dataset, Sample
from edgekd.data.pixels import Pixels
from edgekd.recipe import InputRecipe

def open_image(sample):
    if int(sample.name) == 300:
        print("half", flush=True)
    if int(sample.name) >= 300:
        time.sleep(60)
    return Image.new("RGB", (4, 4), (1, 2, 3))  # not what the test's own source gives

samples = tuple(Sample(f"{i:03d}", i % 2, "train", fingerprint="1") for i in range(400))
Pixels.of(Dataset(("a", "b"), samples, open_image), InputRecipe(size=16), Path(sys.argv[1]), 0)
"""


def test_a_kill_half_way_leaves_nothing_that_counts(tmp_path):
    with subprocess.Popen([sys.executable, "-c", VICTIM, str(tmp_path)], stdout=subprocess.PIPE, text=True) as victim:
        try:
            assert victim.stdout.readline() == "half\n"
            waiting = threading.Thread(target=Pixels.of, args=(Source(400).dataset(), GEOMETRY, tmp_path, 0))
            waiting.start()  # waits for the lock
            time.sleep(0.3)
            assert waiting.is_alive()
            assert files(tmp_path) == [".lock", ".tmp"]
        finally:
            os.kill(victim.pid, signal.SIGKILL)
    waiting.join(60)
    assert files(tmp_path) == [".json", ".lock", ".npy"]
    source = Source(400)
    found = Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0)
    assert source.opened == 0  # what the waiting run wrote counts
    np.testing.assert_array_equal(found.array, expected(found.dataset.samples))


def test_an_array_without_its_facts_does_not_count(tmp_path):
    source = Source(4)
    Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0)
    (facts,) = (tmp_path / "pixels").glob("*.json")
    assert set(json.loads(facts.read_text())) == {"corrupt", "ids", "sha256"}
    facts.unlink()
    (array,) = (tmp_path / "pixels").glob("*.npy")
    array.write_bytes(b"half an array")
    found = Pixels.of(source.dataset(), GEOMETRY, tmp_path, 0)
    np.testing.assert_array_equal(found.array, expected(found.dataset.samples))


def test_two_at_once_decode_once(tmp_path):
    sources = [Source(60) for _ in range(4)]
    found = [None] * 4

    def work(i: int) -> None:
        found[i] = Pixels.of(sources[i].dataset(), GEOMETRY, tmp_path, 0)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(s.opened for s in sources) == [0, 0, 0, 60]
    for one in found:
        np.testing.assert_array_equal(one.array, expected(one.dataset.samples))
