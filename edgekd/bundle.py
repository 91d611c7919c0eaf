"""The bundle: one folder that each stage opens, checks and enriches. `manifest.json` is written last, atomically.

A bundle is trusted only after `Bundle.open` has compared every file with its hash. Weights are safetensors; nothing in
a bundle is ever unpickled or evaluated.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from edgekd import __version__
from edgekd.errors import EdgekdError
from edgekd.files import inside, sha256_file, write_atomic
from edgekd.preprocess import InputContract
from edgekd.section import Section, validate

SCHEMA: Final = "edgekd.bundle/1"
MANIFEST = "manifest.json"
MAKING = "python -m edgekd.distill"  # what makes a bundle
CARD = "README.md"  # the model card
WEIGHTS = "weights.safetensors"  # of the float network, by torch's names
FLOAT_GRAPH = "graph.json"  # of the float network, where it can be lowered; its weights are those of WEIGHTS
ARTEFACTS = "artefacts"  # the folder of exported files
MAX_MANIFEST_BYTES = 4 * 2**20  # a manifest is a few KiB; more is not one of ours
PACKAGES = ("torch", "timm", "numpy", "pillow", "safetensors")


Role = Literal["teacher", "student", "control"]
Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]
DisplayNames = dict[str, Annotated[str, Field(min_length=1, max_length=200)]]


class FileRecord(Section):
    """Size and hash of one file of the bundle."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class NetworkRecord(Section):
    """What the network is, enough to build it again, and its real cost; one of `keras` is built from its graph."""

    network: str
    framework: Literal["torch", "keras"] = "torch"  # that it was trained in
    width: float = Field(1.0, gt=0, le=4)
    options: dict[str, Any] = {}
    parameters: int
    macs: int  # multiply-accumulates of one image


class TeacherRecord(NetworkRecord):
    """The teacher that a student learnt from."""

    weights_sha256: str


class QuantizationRecord(Section):
    """The int8 graphs of a student: the shipped one, and post-training quantization beside it as the control."""

    scheme: Literal["static_wi8_ai8"] = "static_wi8_ai8"
    method: Literal["qat", "minmax", "percentile", "mse"]
    graph: str  # file in the bundle
    control: str = ""  # method of post-training quantization
    control_graph: str = ""
    representative_sha256: str  # of the listing of the images that set the ranges
    representative_images: int
    verdict: str = ""  # what the paired test of the shipped graph against the control says
    training_seconds: float = 0.0


class ConformalRecord(Section):
    """Which classes a file's answer may be: those with 1 - p at most `quantile`; see `measures.selective`.

    Fitted on `drawn` validation images, one of each group if `by_group`: of new images a share `alpha` at most should have a
    set that misses the right class.
    """

    alpha: float = Field(gt=0, lt=1)
    quantile: float = Field(ge=0, le=1)
    drawn: int
    by_group: bool


class HeatmapRecord(Section):
    """The heat map that a file has as its second output, or can have (`export --heatmap`), as it was verified.

    All else that the artefact's record says holds of the file with the map and without it, as their probabilities have the
    same bytes.
    """

    is_in_file: bool  # whether the artefact's `files` have it
    other_files: dict[str, FileRecord] = Field(min_length=1)  # the same without it, or with it
    scale: float | None = Field(None, gt=0, allow_inf_nan=False)  # of the map's int8 codes; None in float files
    zero_point: int | None = Field(None, ge=-128, le=127)
    range: Literal["", "training", "bounds"] = ""  # what set the scale: training images, or all that is possible
    largest_difference: float  # from NumPy's, in logits
    # Spearman's, of the float network's map with the file's, of the float network's answer: mean and 5th percentile over so
    # many validation images; None where it was made without images.
    rank_correlation: float | None = None
    rank_correlation_low: float | None = None
    rank_images: int = 0


class ArtefactRecord(Section):
    """A verified file of the bundle, and what its verification measured.

    The files themselves need not travel with the bundle: written again from the same graph they have the same hashes, and
    what was measured then holds.
    """

    scheme: Literal["fp32", "fp16", "static_wi8_ai8"]
    source: str  # of what it was written: float, qat, ptq-METHOD, or a generic converter
    instead_of: dict[str, tuple[str, ...]] = {}  # sources that came first, and why the file of each was rejected
    io: Literal["uint8", "int8"] = "uint8"
    files: dict[str, FileRecord] = Field(min_length=1)  # the first is the one to load
    report: str = ""  # JSON file in the bundle: parity, flips, golden probabilities, runtime
    calibration_temperature: Temperature
    val_accuracy: float
    val_images: int
    drift_pp: float  # accuracy on validation against the float student
    drift_interval_pp: tuple[float, float] | None = None  # 95 %
    flips: int
    groups: int | None = None  # of the validation images, where they are known
    p: float | None = None  # of the drift, by group; None in a record of an older version, which tested by image alone
    mcnemar_p: float
    # On validation, where the temperature was fitted: before with temperature 1, after it in-sample. A test split's ECE is
    # measured by evaluate and benchmark.
    ece_before: float
    ece: float
    nll_before: float
    nll: float
    top1_agreement: float  # with the reference
    conformal: ConformalRecord | None = None  # None in a record of an older version
    heatmap: HeatmapRecord | None = None  # None where a file with a heat map was never made

    @property
    def has_heatmap(self) -> bool:
        """Whether the bundle's file has its own heat map."""
        return self.heatmap is not None and self.heatmap.is_in_file


class Manifest(Section):
    """Everything about a bundle except the bytes of its files."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Literal["edgekd.bundle/1"] = Field(SCHEMA, alias="schema")
    role: Role
    name: str
    label_names: tuple[str, ...]
    display_names: DisplayNames = {}  # of labels that are no words for people: notumor -> no tumour
    input: InputContract
    network: NetworkRecord
    teacher: TeacherRecord | None = None
    kd_temperature: float | None = None
    calibration_temperature: dict[str, Temperature] = {}  # artefact -> T; "torch" is the float network itself
    quantization: QuantizationRecord | None = None
    artefacts: dict[str, ArtefactRecord] = {}  # by format
    split_hashes: dict[
        str, str
    ] = {}  # train, val, test, and unlabelled where there are such images -> sha256 of the listing
    pixels_sha256: str = ""
    seed: int = 0
    training_seconds: float = 0.0
    recipe: dict[str, Any] = {}
    versions: dict[str, str] = {}
    licence: str = ""
    files: dict[str, FileRecord] = {}

    @model_validator(mode="after")
    def _names_of_labels(self) -> Manifest:
        unknown = self.display_names.keys() - set(self.label_names)
        if unknown:
            raise ValueError(f"display_names of no label: {', '.join(sorted(unknown))}")
        return self

    @property
    def readable_names(self) -> tuple[str, ...]:
        """The label names as people read them: as `display_names` says, else with spaces for underscores and hyphens."""
        return tuple(self.display_names.get(name) or readable(name) for name in self.label_names)

    @property
    def temperature(self) -> float:
        """The calibration temperature of the float network.

        Raises: EdgekdError for a manifest without it.
        """
        if "torch" not in self.calibration_temperature:
            raise EdgekdError(f"bundle {self.name}", "a calibration temperature of the float network", "none")
        return self.calibration_temperature["torch"]


def readable(label_name: str) -> str:
    """A label without a name of its own for people: underscores and hyphens are spaces."""
    return " ".join(label_name.replace("_", " ").replace("-", " ").split()) or label_name


@dataclass(frozen=True)
class Bundle:
    """An opened bundle whose files have the hashes that its manifest names."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path, made_by: str = MAKING) -> Bundle:
        """Read and check a bundle; `made_by` is the command that the error for a missing one tells.

        Raises: EdgekdError for no manifest, an unknown schema or key, a file that is missing, changed or outside.
        """
        folder = Path(folder)
        manifest = read_manifest(folder, made_by)
        for name, record in manifest.files.items():
            _check(folder, name, record)
        return cls(folder, manifest)

    def file(self, name: str) -> Path:
        """The path of one file that the manifest lists."""
        if name not in self.manifest.files:
            raise EdgekdError(f"{self.folder / MANIFEST}", f"a file {name!r} in the bundle", "it is not listed")
        return inside(self.folder, name)

    def enriched(self, names: Iterable[str] = (), **fields: Any) -> Bundle:
        """The same bundle with further (or replaced) files and changed manifest fields, written to disk."""
        changed = self.manifest.model_copy(update=fields)
        return write(self.folder, changed, [*changed.files, *names])

    def without(self, names: Iterable[str], **fields: Any) -> Bundle:
        """The same bundle with fewer files and changed manifest fields, written to disk; the files stay where they are."""
        names = set(names)
        changed = self.manifest.model_copy(update=fields)
        return write(self.folder, changed, [n for n in changed.files if n not in names])

    def without_artefacts(self, formats: Iterable[str], names: Iterable[str] = (), **fields: Any) -> Bundle:
        """As `without`, for the records of some formats and all their files."""
        formats, records = set(formats), self.manifest.artefacts
        files = [f"{ARTEFACTS}/{name}" for format in formats for name in records[format].files]
        reports = [records[format].report for format in formats]
        kept = {format: record for format, record in records.items() if format not in formats}
        return self.without([*files, *reports, *names], artefacts=kept, **fields)


def write(folder: str | Path, manifest: Manifest, names: Iterable[str]) -> Bundle:
    """Hash the named files, which lie in `folder` already, and write the manifest as the last act."""
    folder = Path(folder)
    files = {}
    for name in sorted(set(names)):
        path = inside(folder, name)
        files[name] = FileRecord(sha256=sha256_file(path), size_bytes=path.stat().st_size)
    manifest = manifest.model_copy(update={"files": files})
    text = json.dumps(manifest.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False)
    write_atomic(folder / MANIFEST, text + "\n")
    return Bundle(folder, manifest)


def read_manifest(folder: Path, made_by: str = MAKING) -> Manifest:
    """The manifest alone, its files unchecked."""
    path = folder / MANIFEST
    if not path.is_file():
        raise EdgekdError(str(folder), "a bundle (a folder with manifest.json)", "no manifest.json there", made_by)
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise EdgekdError(str(path), f"at most {MAX_MANIFEST_BYTES} bytes", f"{path.stat().st_size} bytes")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as e:
        raise EdgekdError(str(path), "JSON text", str(e)) from None
    found = values.get("schema") if isinstance(values, dict) else None
    if found != SCHEMA:
        todo = "make the bundle again, or use the edgekd version that wrote it"
        raise EdgekdError(str(path), f"schema {SCHEMA!r}", repr(found), todo)
    return validate(Manifest, values, str(path), from_json=True)


def _check(folder: Path, name: str, record: FileRecord) -> None:
    path = inside(folder, name)
    todo = "restore the file or make the bundle again"
    if not path.is_file():
        raise EdgekdError(str(path), "a file that the manifest lists", "missing", todo)
    if path.stat().st_size != record.size_bytes:
        raise EdgekdError(str(path), f"{record.size_bytes} bytes", f"{path.stat().st_size} bytes", todo)
    found = sha256_file(path)
    if found != record.sha256:
        raise EdgekdError(str(path), f"sha256 {record.sha256}", f"sha256 {found}: the file was changed", todo)


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, for the manifest."""
    found = {"edgekd": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
