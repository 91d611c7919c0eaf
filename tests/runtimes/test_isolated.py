"""The child process: it answers as the session would, and its death is an error and nothing more."""

import importlib
import time

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.runtimes import find, isolated, tflite
from edgekd.runtimes.isolated import Isolated
from edgekd.runtimes.sessions import BATCH


@pytest.fixture
def path(int8_graph, facts, tmp_path):
    target = tmp_path / "tiny.tflite"
    tflite.write(int8_graph, tflite.FORMATS[2], facts, target)
    return target


def test_it_answers_as_the_session_does(path, pixels):
    with Isolated() as child:
        child.load("tflite-int8", path, threads=2)
        assert child.describe()["runtime"] == "LiteRT"
        assert child.describe()["threads"] == 2
        assert np.array_equal(child.probs(pixels), tflite.load(path).probs(pixels))
        child.load("tflite-int8", path, keep=True)
        assert child.codes(pixels[:1])["stem"].dtype == np.int8


@pytest.fixture
def asked(monkeypatch):
    """How many images each request of a child held, and the limit of each."""
    images, limits, ask, timer = [], [], Isolated._ask, isolated.threading.Timer

    def count(child, header, pixels):
        images.append(0 if pixels is None else len(pixels))
        return ask(child, header, pixels)

    def watch(limit_s, kill):
        limits.append(limit_s)
        return timer(limit_s, kill)

    monkeypatch.setattr(Isolated, "_ask", count)
    monkeypatch.setattr(isolated.threading, "Timer", watch)
    return images, limits


@pytest.mark.parametrize("name", ["tflite-int8", "onnx-int8", "openvino-int8"])
def test_images_go_in_batches_each_with_its_own_limit_and_give_the_same(
    name, int8_graph, facts, pixels, tmp_path, asked
):
    format, module = find(name)
    target = tmp_path / f"tiny{format.suffixes[0]}"
    module.write(int8_graph, format, facts, target)
    many = np.concatenate([pixels, pixels[::-1], pixels[:5]])
    with Isolated(limit_s=77.0) as child:
        found = child.load(name, target).probs(many)
    images, limits = asked
    assert images[0] == 0  # the loading
    assert sum(images) == len(many) > 3 * BATCH
    assert max(images) == BATCH
    assert limits == [77.0] * len(images)
    one_by_one = module.load(target, 1)
    assert np.array_equal(found, np.concatenate([one_by_one.probs(image[None]) for image in many]))


def test_values_of_tensors_go_in_batches_too(path, pixels, asked):
    with Isolated() as child:
        found = child.load("tflite-int8", path, keep=True).codes(pixels)
    assert max(asked[0]) == BATCH < len(pixels)
    whole = tflite.load(path, keep=True).codes(pixels)
    assert found.keys() == whole.keys()
    assert all(np.array_equal(found[name], whole[name]) for name in whole)


def test_errors_come_through_and_the_child_lives_on(path, pixels, tmp_path):
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(path.read_bytes()[:500])
    with Isolated() as child:
        with pytest.raises(EdgekdError, match=r"bad\.tflite"):
            child.load("tflite-int8", bad)
        child.load("tflite-int8", path)
        with pytest.raises(EdgekdError, match="uint8"):
            child.probs(pixels[:, :3])
        assert child.probs(pixels).shape == (12, 3)


def test_what_is_no_probability_is_refused(path, pixels, monkeypatch):
    for wrong in ([[np.nan, 0.5, 0.5]], [[2.0, -1.0, 0.0]], [[0.5, 0.1, 0.1]], [1.0]):
        answer = {"ok": True}, {"result": np.array(wrong, np.float32)}
        with Isolated() as child, monkeypatch.context() as patch:
            child.load("tflite-int8", path)
            patch.setattr(child, "_ask", lambda *_, answer=answer: answer)
            with pytest.raises(EdgekdError, match=r"tiny\.tflite[\s\S]*sum to 1"):
                child.probs(pixels)


def crash(monkeypatch, code):
    """Make the child run `code` instead of the worker."""
    import subprocess
    import sys

    real = subprocess.Popen
    monkeypatch.setattr(
        isolated.subprocess, "Popen", lambda command, **options: real([sys.executable, "-c", code], **options)
    )


def test_a_crash_is_named(path, monkeypatch):
    crash(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with Isolated() as child, pytest.raises(EdgekdError, match=r"crashed \(SIGSEGV\)"):
        child.load("tflite-int8", path)


def test_a_hang_ends(path, monkeypatch):
    crash(monkeypatch, "import time; time.sleep(100)")
    begin = time.monotonic()
    with Isolated(limit_s=0.5) as child, pytest.raises(EdgekdError, match="no answer within"):
        child.load("tflite-int8", path)
    assert time.monotonic() - begin < 60  # it did end, long before the sleep


@pytest.mark.parametrize("answer", ["b'not a frame\\n'", 'b\'{"arrays": {"x": 99}, "ok": true}\\nxx\'', "b'[]\\n'"])
def test_nonsense_from_the_child_is_an_error(path, monkeypatch, answer):
    crash(monkeypatch, f"import sys; sys.stdout.buffer.write({answer}); sys.stdout.flush()")
    with Isolated() as child, pytest.raises(EdgekdError):
        child.load("tflite-int8", path)


def test_a_batch_that_hangs_is_killed_after_its_own_limit(path, pixels, monkeypatch):
    answers = """
import sys, time
import numpy as np
from edgekd.runtimes.worker import receive, send
for turn in range(2):  # the loading and the first batch
    _, arrays = receive(sys.stdin.buffer)
    rows = len(arrays["pixels"]) if arrays else 0
    send(sys.stdout.buffer, {"ok": True, "describe": {}}, {"result": np.full((rows, 4), 0.25, np.float32)})
receive(sys.stdin.buffer)
time.sleep(600)
"""
    crash(monkeypatch, answers)
    with Isolated() as child:
        child.load("tflite-int8", path)
        assert child.probs(pixels[:BATCH]).shape == (BATCH, 4)
        process, child.limit_s = child._process, 0.5
        with pytest.raises(EdgekdError, match="no answer within"):
            child.probs(pixels)
        assert process.poll() is not None


def test_a_grandchild_that_holds_the_pipes_does_not_keep_us_waiting(path, monkeypatch):
    code = "import subprocess, sys; subprocess.Popen(['sleep', '600']); sys.stdin.readline()"
    crash(monkeypatch, code)
    begin = time.monotonic()
    with Isolated(limit_s=2.0) as child, pytest.raises(EdgekdError, match="no answer within"):
        child.load("tflite-int8", path)
    assert time.monotonic() - begin < 60  # long before the grandchild's end


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_no_runtime_tells_its_maker_what_it_runs(float_graph, facts, pixels, tmp_path, monkeypatch, name):
    """Both keep what they are about to send, or an identifier, in the home folder."""
    runtime = importlib.import_module(f"edgekd.runtimes.{name}")
    home = tmp_path / "home"
    home.mkdir()
    target = tmp_path / f"tiny{runtime.FORMATS[0].suffixes[0]}"
    runtime.write(float_graph, runtime.FORMATS[0], facts, target)
    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(home))
    with Isolated() as child:
        child.load(name, target)
        child.probs(pixels)
    assert list(home.rglob("*")) == []
