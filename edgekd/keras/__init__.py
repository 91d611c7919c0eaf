"""For Keras users: `Distiller` teaches a Keras student.

Keras 3 is needed, on the tensorflow or the torch backend (`KERAS_BACKEND`).
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from edgekd import extras

if TYPE_CHECKING:
    from edgekd.keras.distiller import Distiller

__all__ = ["Distiller"]
_HOMES = {"Distiller": "distiller"}
_BRINGS = {"distiller": ("keras",)}


def __getattr__(name: str) -> Any:
    """What the package gives, imported when it is asked for.

    Raises: EdgekdError that names all packages which are missing for it.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    extras.need(f"edgekd.keras.{name}", "keras", _BRINGS[_HOMES[name]])
    try:
        found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as e:  # Keras without its backend
        raise extras.explained(e, f"edgekd.keras.{name}") or e from None
    _without_triton()
    return found


def _without_triton() -> None:
    """Let torch do without triton, whose library ends the process (SIGSEGV) where tensorflow's is loaded already."""
    modules: dict[str, Any] = sys.modules
    if "tensorflow" in modules:
        modules.setdefault("triton", None)
