"""What an export needs to be installed, asked before any work: here, and in the environment of a generic converter."""

from __future__ import annotations

from collections.abc import Iterable

from edgekd import extras
from edgekd.conversion.isolated import PACKAGES, confirm_packages, is_elsewhere
from edgekd.runtimes import find

VERIFYING = ("safetensors", "scipy", "sklearn")  # packages, as imported
NETWORK = ("torch", "torchvision", "timm")


def confirm(names: Iterable[str], ptq: str | None, via: str | None, onnx: str | None) -> None:
    """Refuse to begin an export to the formats `names` with the command's options of the same names.

    Raises: EdgekdError for an unknown format, or packages that are missing.
    """
    wanted = [package for name in names for package in find(name)[0].packages] + [*VERIFYING]
    if ptq == "nncf":
        wanted.append("nncf")
    elif ptq or via:
        wanted += NETWORK
    workers = [worker for option, worker in ((via, "litert_torch"), (onnx, "onnx2tf")) if option]
    wanted += [package for worker in workers if not is_elsewhere() for package in PACKAGES[worker]]
    extras.need("the command export", "export", wanted)
    for worker in workers:
        confirm_packages(worker)
