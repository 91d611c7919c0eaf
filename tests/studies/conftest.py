"""Studies so small that each run takes a second, and results made by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from edgekd.studies import plan, schema
from edgekd.studies.result import ImageRecord, Result, RunRecord
from edgekd.studies.schema import Study

TINY = """
name = "tiny"
folds = 2
seeds = {seeds}
[overrides]
cache = "{cache}"
data.options = {{ train = 40, val = 0, test = 8, size = 32 }}
data.validation_fraction = 0.25
input.size = 32
teacher.options = {{ backbone = "mobilenetv2_035", depth = 1, dim = 32, heads = 2, hidden = 16 }}
teacher.training = {{ epochs = 2, batch_size = 8 }}
student.width = 0.35
training = {{ epochs = 2, batch_size = 8 }}
distillation.losses = {{ kd = 1.0 }}
[variants.kd]
[variants.control]
control = true
"""


@pytest.fixture
def study_killed_at(killed_at):
    """A function that runs `edgekd.study` until a call of a function kills it, if ever."""

    def run(place: str, calls: int, *arguments: str) -> SimpleNamespace:
        return killed_at("study", place, calls, arguments)

    return run


@pytest.fixture
def write_study(tmp_path: Path):
    """A function that writes the tiny study, with other seeds or further text, and gives its path."""

    def write(seeds: str = "[0]", more: str = "", cache: str = "cache") -> Path:
        path = tmp_path / "study.toml"
        path.write_text(TINY.format(seeds=seeds, cache=tmp_path / cache) + more)
        return path

    return write


@pytest.fixture
def run_study(tmp_path: Path):
    """A function that runs a study in this process and gives its result."""
    from edgekd import study as command
    from edgekd.reports import screen

    def run(path: Path, out: str = "out", trains: bool = True) -> Result:
        study = schema.load(path)
        return command.run(study, plan.cells(study), tmp_path / out, screen.console(), trains)

    return run


@pytest.fixture
def by_hand():
    """A function that makes a result of two classes: for each variant and seed right (1) and wrong (0) answers."""

    def make(
        right: dict[str, dict[int, list[int | None]]],
        groups: list[int | None],
        labels: list[int] | None = None,
        name: str = "hand",
    ) -> Result:
        labels = labels or [i % 2 for i in range(len(groups))]
        seeds = tuple(next(iter(right.values())))
        variants = {v: {"control": True} if v == "control" else {} for v in right}
        runs = []
        for variant, by_seed in right.items():
            for seed, told in by_seed.items():
                images = [i for i, r in enumerate(told) if r is not None]
                answers = [labels[i] if told[i] else 1 - labels[i] for i in images]
                logits = tuple((0.0, 2.0) if a else (2.0, 0.0) for a in answers)
                why = "" if images else "it fell"
                runs.append(
                    RunRecord(
                        variant=variant, fold=0, seed=seed, images=tuple(images), logits=logits, reason=why, seconds=4.0
                    )
                )
        images = tuple(ImageRecord(name=f"i{i}", label=labels[i], group=g) for i, g in enumerate(groups))
        study = Study(name=name, variants=variants, seeds=seeds, folds=2)
        return Result(edgekd="0", study=study, label_names=("a", "b"), images=images, runs=tuple(runs))

    return make
