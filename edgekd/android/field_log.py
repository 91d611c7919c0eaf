"""The field log of the Android demo: answers that its user marked right or wrong, as CSV. FieldLog.java writes the same.

A row is one answer: no image, but the hash of its file. `probs` is a JSON object from label to probability, in the order of
the model's labels; `set` a JSON list of the labels that may be right, empty where the model has no record of sets. Text that a
spreadsheet would take for a formula has an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, model_validator

from edgekd.android.app_model import Sha256, Share
from edgekd.errors import EdgekdError, several
from edgekd.section import Section, validate

COLUMNS: Final = (
    "time",
    "model",
    "model_sha256",
    "image_sha256",
    "probs",
    "answer",
    "set",
    "unsure",
    "mark",
    "true_label",
)
MAX_BYTES = 64 * 2**20
MAX_ROWS = 100_000
WITHDRAWN = "withdrawn"
SUM_TOLERANCE = 1e-3  # of probabilities, which are rounded to float32
Text = Annotated[str, Field(max_length=1000)]


class Entry(Section):
    """One answer and its mark: whether `answer`, the most probable class, is what the image shows."""

    time: AwareDatetime
    model: Text
    model_sha256: Sha256
    image_sha256: Sha256
    probs: dict[str, Share] = Field(min_length=2)
    answer: Text
    set: tuple[str, ...] | None  # None: the model has no record of sets
    unsure: bool  # whether the app said "not sure"
    mark: Literal["right", "wrong", "withdrawn"]
    true_label: Text  # "" where nobody said

    @model_validator(mode="after")
    def _agree(self) -> Entry:
        total = math.fsum(self.probs.values())
        if abs(total - 1) > SUM_TOLERANCE:
            raise ValueError(f"probs: expected a sum of 1, found {total:.6g}")
        if self.answer != max(self.probs, key=lambda label: self.probs[label]):
            raise ValueError(f"answer: expected the most probable class, found {self.answer!r}")
        for name in (*(self.set or ()), *filter(None, [self.true_label])):
            if name not in self.probs:
                raise ValueError(f"expected labels of probs, found {name!r}")
        if self.set and len(set(self.set)) < len(self.set):
            raise ValueError("set: expected each label once")
        wanted = {"right": self.true_label == self.answer, "wrong": self.true_label != self.answer}
        if not wanted.get(self.mark, not self.true_label):
            raise ValueError(
                f"true_label: {self.true_label!r} contradicts the answer {self.answer!r} marked {self.mark}"
            )
        return self


@dataclass(frozen=True)
class FieldLog:
    """The marks that hold, by model: of several of one image the last. `replaced` counts those that no longer do."""

    by_model: dict[str, list[Entry]]  # by sha256 of the model's file
    replaced: int


def read(path: str | Path) -> FieldLog:
    """The log in a CSV file that the app shared.

    Raises: EdgekdError for a file that is missing, too large or no CSV of these columns; for rows that are wrong one error
    that lists them, each with its line and reason.
    """
    latest: dict[tuple[str, str], Entry] = {}
    labels: dict[str, list[str]] = {}
    problems, rows = [], 0
    for line, values in _rows(Path(path)):
        rows += 1
        try:
            entry = _entry(values)
            known = labels.setdefault(entry.model_sha256, list(entry.probs))
            if list(entry.probs) != known:
                raise EdgekdError("probs: other labels than in the first row of this model")
        except EdgekdError as e:
            problems.append(f"line {line}: {' '.join(str(e).split())}")
            continue
        key = entry.model_sha256, entry.image_sha256
        latest.pop(key, None)
        latest[key] = entry
    if problems:
        raise several(str(path), problems, "share the log again from the app, or take these rows out")
    held = [entry for entry in latest.values() if entry.mark != WITHDRAWN]
    if not held:
        raise EdgekdError(str(path), "answers that are marked right or wrong", "none")
    by_model: dict[str, list[Entry]] = {}
    for entry in held:
        by_model.setdefault(entry.model_sha256, []).append(entry)
    return FieldLog(by_model, rows - len(held))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number of the last line, and values, of each row below the header."""
    where = str(path)
    try:
        if not path.is_file():
            raise EdgekdError(where, "a field log that the app shared (CSV)", "no such file")
        if path.stat().st_size > MAX_BYTES:
            raise EdgekdError(where, f"at most {MAX_BYTES} bytes", f"{path.stat().st_size} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as e:
        raise EdgekdError(where, "UTF-8 text that can be read", str(e)) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise EdgekdError(where, f"the columns {','.join(COLUMNS)}", ",".join(header)[:200] or "nothing")
        for number, values in enumerate(reader):
            if number >= MAX_ROWS:
                raise EdgekdError(where, f"at most {MAX_ROWS} rows", "more")
            yield reader.line_num, values
    except csv.Error as e:
        raise EdgekdError(f"{where}, line {reader.line_num}", "CSV", str(e)) from None


def _entry(values: list[str]) -> Entry:
    if len(values) != len(COLUMNS):
        raise EdgekdError(f"{len(COLUMNS)} columns expected, found {len(values)}")
    found: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    for name in ("model", "answer", "true_label"):
        found[name] = found[name].removeprefix("'")
    if found["unsure"] not in ("yes", "no"):
        raise EdgekdError(f"unsure: expected yes or no, found {found['unsure'][:80]!r}")
    found["unsure"] = found["unsure"] == "yes"
    found["probs"] = _json("probs", found["probs"])
    found["set"] = _json("set", found["set"]) if found["set"] else None
    return validate(Entry, found, "row", from_json=True)


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError) as e:
        raise EdgekdError(f"{name}: expected JSON, found {text[:80]!r} ({e})") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a label twice")
    return found
