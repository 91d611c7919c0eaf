"""For Keras users: `Distiller` teaches a Keras student, `to_bundle` makes it a bundle that every command takes.

Keras 3 is needed, on the tensorflow or the torch backend (`KERAS_BACKEND`). Reading images and making a bundle need the extra
`train` too.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from edgekd import extras

if TYPE_CHECKING:
    from edgekd.keras.bundling import to_bundle
    from edgekd.keras.distiller import Distiller
    from edgekd.keras.images import Images, read_images

__all__ = ["Distiller", "Images", "read_images", "to_bundle"]
_HOMES = {"Distiller": "distiller", "Images": "images", "read_images": "images", "to_bundle": "bundling"}
_TRAIN = tuple(extras.EXTRAS["train"])
_NEEDS = {"distiller": ("keras",), "images": _TRAIN, "bundling": ("keras", *_TRAIN)}


def __getattr__(name: str) -> Any:
    """What the package gives, imported when it is asked for.

    Raises: EdgekdError that names all packages which are missing for it.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    packages = _NEEDS[_HOMES[name]]
    extras.need(f"edgekd.keras.{name}", "keras" if packages == ("keras",) else "train", packages)
    try:
        if "keras" in _NEEDS[_HOMES[name]]:
            importlib.import_module("keras")
        _without_triton()  # before torch is imported
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as e:  # Keras without its backend
        raise extras.explained(e, f"edgekd.keras.{name}") or e from None


def _without_triton() -> None:
    """Let torch do without triton, whose library ends the process (SIGSEGV) where tensorflow's is loaded already."""
    modules: dict[str, Any] = sys.modules
    if "tensorflow" in modules:
        modules.setdefault("triton", None)
