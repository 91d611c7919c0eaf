"""What each extra of `pip install "edgekd[…]"` brings, and one error, before any work, for all that is missing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from edgekd.errors import EdgekdError, missing_package

AUDIT = {"scipy": "scipy", "jinja2": "jinja2"}
EXPORT = {
    "ai_edge_litert": "ai-edge-litert",
    "flatbuffers": "flatbuffers",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
}
TRAIN = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "tensorboard": "tensorboard",
}
CONVERT = {
    "litert_torch": "litert-torch",
    "ai_edge_quantizer": "ai-edge-quantizer",
    "tensorflow": "tensorflow",
    "tf_keras": "tf-keras",
    "onnx2tf": "onnx2tf",
    "onnx_graphsurgeon": "onnx-graphsurgeon",
    "sng4onnx": "sng4onnx",
    "psutil": "psutil",
}
KERAS = {"keras": "keras", "tensorflow": "tensorflow"}
EXTRAS = {  # extra -> package as imported -> as installed; pyproject.toml says the same
    "audit": AUDIT,
    "export": AUDIT | EXPORT,
    "train": AUDIT | TRAIN,
    "explain": AUDIT | EXPORT | {"skimage": "scikit-image"},
    "medical": {"h5py": "h5py", "pydicom": "pydicom", "nibabel": "nibabel"},
    "keras": KERAS,
    "cluster": AUDIT | TRAIN | {"ray": "ray"},
    "nncf": AUDIT | EXPORT | {"nncf": "nncf"},
    "convert": AUDIT | EXPORT | TRAIN | CONVERT,
}


def need(where: str, extra: str, packages: Iterable[str] | None = None) -> None:
    """Refuse to begin what would end at a missing package; `packages`, as imported, are all of the extra by default.

    A package that `extra` does not bring is looked for in the others.
    Raises: EdgekdError that names all missing packages, and the command that installs them.
    """
    wanted = EXTRAS[extra] if packages is None else packages
    if missing := [name for name in dict.fromkeys(wanted) if find_spec(name) is None]:
        raise _missing(where, extra, missing)


def _missing(where: str, extra: str, packages: Iterable[str]) -> EdgekdError:
    names, homes = [], []
    for package in packages:
        home = next((e for e in (extra, *EXTRAS) if package in EXTRAS.get(e, ())), extra)
        homes.append(home)
        names.append(EXTRAS.get(home, {}).get(package, package))
    least = [e for e in dict.fromkeys(homes) if not any(_is_within(e, other) for other in homes)]
    return missing_package(names, ",".join(least), where)


def _is_within(extra: str, other: str) -> bool:
    return EXTRAS.get(extra, {}).keys() < EXTRAS.get(other, {}).keys()


def explained(error: ImportError, where: str = "what was asked for") -> EdgekdError | None:
    """The error for an import that failed deep inside `where`; None for a fault of edgekd itself."""
    package = (error.name or "").partition(".")[0]
    if package == "edgekd":
        return None
    known = any(package in names for names in EXTRAS.values())
    if known and isinstance(error, ModuleNotFoundError) and find_spec(package) is None:
        return _missing(where, "", [package])
    return EdgekdError("an installed package", "to be imported", str(error), "install it again, in a fresh environment")
