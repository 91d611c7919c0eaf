"""A finished run as it travels in this folder: without what can be made again.

    python models/ship.py runs/mri4p-mobilenetv2 models/mri4p-mobilenetv2

Left out are teachers, control and states of training, the files of all formats but `tflite-int8` (their records stay, so
that files written again are known by their hashes), and the graph of post-training quantization where no file is of it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from edgekd import command
from edgekd.bundle import ARTEFACTS, MANIFEST, Bundle
from edgekd.errors import EdgekdError

KEPT = "tflite-int8"


def ship(run: Path, folder: Path) -> Bundle:
    """Copy the bundle in `run` into `folder`, whose earlier content goes.

    Raises: EdgekdError for a run without the int8 file.
    """
    bundle = Bundle.open(run)
    records, quantization = bundle.manifest.artefacts, bundle.manifest.quantization
    if KEPT not in records or quantization is None:
        todo = f"python -m edgekd.export {run} --format all"
        raise EdgekdError(str(run), f"a student with its {KEPT}", "none", todo)
    left = {f"{ARTEFACTS}/{name}" for form, record in records.items() if form != KEPT for name in record.files}
    if all(record.source != f"ptq-{quantization.control}" for record in records.values()):
        left.add(quantization.control_graph)
        quantization = quantization.model_copy(update={"control_graph": ""})
    left &= bundle.manifest.files.keys()
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    for name in (MANIFEST, *bundle.manifest.files):
        (temporary / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run / name, temporary / name)
    Bundle.open(temporary).without(left, quantization=quantization)
    for name in left:
        (temporary / name).unlink()
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return Bundle.open(folder)


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path, help="a finished run")
    arguments.add_argument("folder", type=Path, help="where it goes")
    args = arguments.parse_args()
    shipped = ship(args.run, args.folder)
    size = sum(record.size_bytes for record in shipped.manifest.files.values())
    print(f"{shipped.folder}: {len(shipped.manifest.files)} files, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    command.run(lambda _: main())
