"""`model.json` of the Android demo (schema `edgekd.app/1`): what an app needs to know of the model that it carries.

`android_demo/core` reads the same keys: see Model.java there.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from edgekd.bundle import FileRecord, Temperature
from edgekd.preprocess import Finite, InputContract
from edgekd.section import Section

SCHEMA: Final = "edgekd.app/1"
MODEL, DESCRIPTION = "model.tflite", "model.json"  # file names in the app's assets
NOTICE = (
    "Research demonstration, not a medical device. It has seen no patients of yours, knows only the classes listed, and "
    "answers with one of them whatever it is shown."
)

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class ModelFile(FileRecord):
    """The model's file in the assets."""

    file: str = MODEL


class UnsureBelow(Section):
    """Answers of less than `confidence` are shown as "not sure", and why."""

    confidence: Share
    rule: str
    split: Literal["val"] = "val"
    images: int
    share: Share  # of the split's images that are below
    accuracy_below: Share | None
    accuracy_above: Share | None


class AppHeatmap(Section):
    """The model's second output [1, height, width, K] float32: what each place adds to each class, in logits."""

    height: int = Field(ge=1)
    width: int = Field(ge=1)


class AppConformal(Section):
    """Which classes an answer may be: those with 1 - p at most `quantile`; of new images a share `alpha` at most should be none
    of them. None of the classes, or all, is "not sure", in place of `unsure_below`.
    """

    alpha: float = Field(gt=0, lt=1)
    quantile: Share


class AppGolden(Section):
    """Golden vectors: image files and their hashes, the hashes of the decoded RGB bytes and of the input tensors [S, S, 3]
    uint8 that they must give to the bit, the probabilities [G][K] to expect within `tolerance` (absolute).
    """

    images: tuple[str, ...] = Field(min_length=1)
    images_sha256: tuple[Sha256, ...]
    decoded_sha256: tuple[Sha256, ...]
    pixels_sha256: tuple[Sha256, ...]
    probs: tuple[tuple[Finite, ...], ...]
    tolerance: float = Field(gt=0, lt=1)


class Sample(Section):
    """A generated picture to try the model with; `label` is what it was drawn as, "" where none is known."""

    file: str
    title: str
    label: str = ""


class Origin(Section):
    """Where the model comes from. Accuracy is that of this very file on the bundle's validation split."""

    bundle: str
    manifest_sha256: Sha256
    source: str  # float, qat, or the method of post-training quantization
    network: str
    parameters: int
    macs: int
    val_images: int
    val_accuracy: Share
    edgekd: str


class AppModel(Section):
    """Everything about the embedded model except the bytes of its files."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Literal["edgekd.app/1"] = Field(SCHEMA, alias="schema")
    name: str
    format: str
    label_names: tuple[str, ...]
    display_names: tuple[str, ...] | None = None  # of the labels, for people; None in a description of an older version
    input: InputContract
    io: Literal["uint8", "int8"]
    calibration_temperature: Temperature
    model: ModelFile
    unsure_below: UnsureBelow
    conformal: AppConformal | None = None  # None where the bundle has no record of it
    heatmap: AppHeatmap | None = None  # None for a file without
    golden: AppGolden
    samples: tuple[Sample, ...]
    origin: Origin
    licence: str
    notice: str = NOTICE
