"""Jobs: what a device gets for one artefact, one number of threads and one round."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from edgekd.benchmarking.subject import Artefact, Images, evenly, golden
from edgekd.bundle import Bundle, FileRecord
from edgekd.devices import Device, Parcel, software
from edgekd.devices.document import Golden, Job, Test, TestFiles, Timing
from edgekd.errors import CorruptImage
from edgekd.files import sha256_file
from edgekd.preprocess import InputContract, decode, to_pixels

GOLDEN, TEST = "golden.npy", "test.npy"
ABOUT = {"description", "limit_s"}  # of a device: changes no result


@dataclass(frozen=True)
class SentFile:
    """The file of a test image that a device decodes itself: the row of its tensor, and what decoding has to give."""

    row: int
    path: Path
    record: FileRecord
    decoded_sha256: str

    @property
    def name(self) -> str:
        """In the job's folder."""
        return f"files/{self.row}{self.path.suffix.lower()}"


@dataclass(frozen=True)
class Entry:
    """A row to be measured: an artefact on a device with a number of threads."""

    device: str
    artefact: Artefact
    threads: int
    indices: tuple[int, ...]  # of the images to answer
    key: str
    files: tuple[SentFile, ...] = ()
    software: Mapping[str, str] = field(
        default_factory=dict
    )  # versions that decide its numbers, as the device told them

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.device}: {self.artefact.format}, {threads}"


@dataclass(frozen=True)
class Workshop:
    """Makes parcels; holds the files that all jobs share, in `folder`."""

    bundle: Bundle
    images: Images | None  # None: golden images alone
    timing: Timing
    folder: Path
    shared: dict[str, Path]  # name in the job's folder -> file
    records: dict[str, FileRecord]
    decoded_sha256: tuple[str, ...]

    @classmethod
    def open(cls, bundle: Bundle, images: Images | None, timing: Timing, folder: Path) -> Workshop:
        """Write the golden tensors and the test images, where there are any, into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        pixels, _, paths = golden(bundle)
        np.save(folder / GOLDEN, pixels, allow_pickle=False)
        shared = {GOLDEN: folder / GOLDEN}
        if images is not None:
            np.save(folder / TEST, images.pixels, allow_pickle=False)
            shared[TEST] = folder / TEST
        shared |= {f"golden/{p.name}": p for p in paths}
        decoded = tuple(hashlib.sha256(decode(p).tobytes()).hexdigest() for p in paths)
        return cls(bundle, images, timing, folder, shared, {n: record(p) for n, p in shared.items()}, decoded)

    def entries(
        self, name: str, device: Device, artefacts: list[Artefact], threads: tuple[int, ...]
    ) -> Iterator[Entry]:
        """The rows that a connected device owes: what it does not refuse, for as many threads as it has cores."""
        options = device.options
        counts = [t for t in threads or options.threads or (1, 2, 4) if device.cores is None or t <= device.cores]
        indices = tuple(evenly(len(self.images.pixels), options.images)) if self.images else ()
        files = self._files(indices, options.files)
        for artefact in artefacts:
            for count in counts or [1]:
                wanted = not options.formats or artefact.format in options.formats
                if wanted and not device.refuses(artefact.format, count):
                    versions = software.of_runtime(device.software, artefact.runtime)
                    yield self._keyed(Entry(name, artefact, count, indices, "", files, versions), device)

    def _files(self, indices: tuple[int, ...], count: int) -> tuple[SentFile, ...]:
        """Evenly chosen files of the images to answer; only such whose tensor is made of the file and nothing else."""
        found: list[SentFile] = []
        images = self.images
        if images is None or not count:
            return ()
        for i in evenly(len(indices), count):
            row = indices[i]
            path = images.file(row)
            if path and (image := _image_of(path, images.pixels[row], self.bundle.manifest.input)):
                found.append(SentFile(row, path, record(path), hashlib.sha256(image.tobytes()).hexdigest()))
        return tuple(found)

    def _keyed(self, entry: Entry, device: Device) -> Entry:
        """Whatever changes a result changes the key, so that `--resume` takes up nothing that is out of date."""
        decides = [
            [
                entry.device,
                device.options.model_dump(mode="json", exclude=ABOUT),
                device.provenance,
                entry.threads,
                entry.indices,
                [(file.row, file.record.sha256) for file in entry.files],
            ],
            [
                entry.artefact.format,
                entry.artefact.record.model_dump(mode="json"),
                entry.artefact.golden_probs.tolist(),
                entry.artefact.tolerance,
            ],
            [self.records[name].sha256 for name in sorted(self.records)],
            [self._timing(device, 0).model_dump(), device.program, sorted(entry.software.items())],
        ]
        return replace(entry, key=hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16])

    def parcel(self, entry: Entry, round: int, device: Device) -> Parcel:
        """The job of one round; only the first asks for answers, as they are the same in each."""
        artefact, manifest = entry.artefact, self.bundle.manifest
        shared = {name: path for name, path in self.shared.items() if round == 0 or name != TEST}
        files = entry.files if round == 0 else ()
        job = Job(
            key=entry.key,
            round=round,
            provenance=device.provenance,
            format=artefact.format,
            runtime=artefact.runtime,
            files=artefact.record.files
            | {name: self.records[name] for name in shared}
            | {f.name: f.record for f in files},
            input=manifest.input,
            label_names=manifest.label_names,
            io=artefact.record.io,
            calibration_temperature=artefact.record.calibration_temperature,
            golden=self._golden(artefact),
            test=_test(entry) if round == 0 and self.images else None,
            timing=self._timing(device, round) if device.provenance == "hardware" else None,
            threads=entry.threads,
        )
        return Parcel(job, artefact.files | shared | {f.name: f.path for f in files})

    def _golden(self, artefact: Artefact) -> Golden:
        return Golden(
            images=tuple(name for name in self.shared if name.startswith("golden/")),
            decoded_sha256=self.decoded_sha256,
            pixels=GOLDEN,
            probs=tuple(tuple(row) for row in artefact.golden_probs.tolist()),
            tolerance=artefact.tolerance,
        )

    def _timing(self, device: Device, round: int) -> Timing:
        """The device says how long it warms up; long runs are made once."""
        once = {} if round == 0 else {"sustained_s": 0.0, "fps": ()}
        return self.timing.model_copy(update={"warmup_s": device.options.warmup_s} | once)


def _image_of(path: Path, pixels: np.ndarray, contract: InputContract) -> Image.Image | None:
    """The file's image; None if it is none, or not what the pixels [S, S, 3] were made of."""
    try:
        image = decode(path)
        return image if np.array_equal(to_pixels(image, contract), pixels) else None
    except CorruptImage:
        return None


def _test(entry: Entry) -> Test:
    files = entry.files
    sent = TestFiles(
        images=tuple(f.name for f in files),
        rows=tuple(f.row for f in files),
        decoded_sha256=tuple(f.decoded_sha256 for f in files),
    )
    return Test(pixels=TEST, indices=entry.indices, files=sent if files else None)


def record(path: Path) -> FileRecord:
    """Hash and size of a file."""
    return FileRecord(sha256=sha256_file(path), size_bytes=path.stat().st_size)
