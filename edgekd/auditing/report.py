"""audit.json: everything that the audit found and decided, in a versioned schema."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from edgekd.auditing.troubles import Trouble
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.recipe import AuditRecipe
from edgekd.section import Section

SCHEMA: Final = "edgekd.audit/2"
NAME = "audit.json"


class Picture(Section):
    """One image of a pair. `label` is "" of an unlabelled one; `group` is the source's, "" where it knows none."""

    path: str
    label: str
    split: str
    group: str


class Pair(Section):
    """Two images that agree. `kind` is exact, similar, or the view under which `b` agrees with `a` (`views.VIEWS`).

    `similarity` is at most 1. `view` says the same in words, `frame` what was compared, `edits` how the files differ.
    """

    kind: str
    a: Picture
    b: Picture
    similarity: float
    view: str
    frame: str
    edits: tuple[str, ...] = ()

    @property
    def across_splits(self) -> bool:
        """Whether the two are in different splits."""
        return bool(self.a.split and self.b.split) and self.a.split != self.b.split

    @property
    def two_labels(self) -> bool:
        """Whether the two are labelled differently."""
        return bool(self.a.label and self.b.label) and self.a.label != self.b.label

    @property
    def two_groups(self) -> bool:
        """Whether the two belong to different groups of the source."""
        return bool(self.a.group and self.b.group) and self.a.group != self.b.group


class Leak(Section):
    """How many of the `images` of `split` are copies of images of the split `other`, by the view of the closest copy."""

    split: str
    other: str
    images: int
    leaked: int
    by_kind: dict[str, int]

    @property
    def mirrored(self) -> int:
        """Leaked images that agree only when they are flipped or turned."""
        return sum(count for kind, count in self.by_kind.items() if kind not in ("exact", "near", "joined"))


class Straddling(Section):
    """A group of the source that lies in several splits: split -> images."""

    group: str
    splits: dict[str, int]


class ClassCount(Section):
    """Readable images of one label ("": unlabelled) in one split ("": the source has no splits)."""

    split: str
    label: str
    images: int


class Removed(Section):
    """An image that the clean split leaves out. `kept` is the copy that stays, "" if none does."""

    path: str
    reason: str
    kept: str = ""


class Moved(Section):
    """An image that the clean split puts into another split, because the rest of its group lies there."""

    path: str
    before: str
    after: str


class Clean(Section):
    """The clean split: what is kept of which class, removed and moved; `file` is "" where none could be written."""

    file: str
    kept: tuple[ClassCount, ...]
    removed: tuple[Removed, ...]
    moved: tuple[Moved, ...]
    estimated_groups: int  # 0: the source names a group for every image
    largest_estimated_group: int  # images
    estimated_groups_used: bool
    notes: tuple[str, ...] = ()


class Counts(Section):
    """How many. `pictures` are distinct ones: copies count once. Pairs `similar` lie between the two thresholds.

    `two_labels` and `two_groups` are pairs of copies; `groups` those of the source, `without_group` images that have none;
    `unlabelled` images that have no label.
    """

    listed: int
    readable: int
    ignored: int
    pictures: int
    pairs_compared: int
    pairs: dict[str, int]
    two_labels: int
    two_groups: int
    groups: int
    without_group: int
    unlabelled: int = 0


class Audit(Section):
    """The whole report. `line` are the pairs nearest to the threshold `duplicate`, above and below it."""

    schema_: Literal["edgekd.audit/2"] = SCHEMA
    edgekd: str
    data: str
    settings: AuditRecipe
    counts: Counts
    classes: tuple[ClassCount, ...]
    troubles: tuple[Trouble, ...]
    leaks: tuple[Leak, ...]
    straddling: tuple[Straddling, ...]
    pairs: tuple[Pair, ...]  # copies, the most similar first
    related: tuple[Pair, ...]  # pairs across splits that are similar, no copies
    line: tuple[Pair, ...]
    clean: Clean
    seconds: dict[str, float]

    @property
    def leaks_at_all(self) -> bool:
        """Whether a copy or a group lies in two splits: what `--strict` refuses."""
        return bool(self.leaks or self.straddling)

    def save(self, folder: Path) -> None:
        """Write audit.json."""
        text = self.model_dump_json(indent=1)
        write_atomic(folder / NAME, text.replace('"schema_":', '"schema":', 1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Audit:
        """Read audit.json.

        Raises: EdgekdError if it is missing, of another schema or not as expected.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            return cls.model_validate_json(text.replace('"schema":', '"schema_":', 1))
        except (OSError, UnicodeDecodeError) as e:
            raise EdgekdError(str(path), "an audit report", str(e)) from None
        except ValidationError as e:
            first = e.errors()[0]
            found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise EdgekdError(str(path), f"an audit report of schema {SCHEMA}", found) from None
