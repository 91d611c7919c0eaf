"""Running a study, one run after another. What is finished is read, what was interrupted goes on, and a failure is a row.

A run is finished where its bundle is there, or its answers in the study's study.json, which is written after each run: the
bundles may be removed, and a study that was begun on one machine goes on on another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from safetensors import safe_open

from edgekd import __version__
from edgekd.bundle import MANIFEST, Bundle
from edgekd.data.dataset import Sample, groups_of
from edgekd.errors import EdgekdError, several
from edgekd.files import held
from edgekd.measures.evaluation import Evaluation
from edgekd.measures.intervals import members
from edgekd.reports import screen
from edgekd.reports.progress import Screen
from edgekd.reports.study_progress import Step, StudyProgress
from edgekd.studies.plan import Cell
from edgekd.studies.result import NAME, ImageRecord, Result, RunRecord, load
from edgekd.studies.schema import Study
from edgekd.training import check, fine_tuning, finish, identity, run, stages, teachers
from edgekd.training.distributed import Processes
from edgekd.training.run import Run

RUNS, TEACHERS = "runs", "teachers"  # folders of a study
NOT_RUN = "not run yet"  # the reason why a run has no answers so far
LETTERS = 16  # of an identity, as a folder's name
Keep = Callable[[Sequence[RunRecord]], None]  # told of all records so far, one for each place, when a run has ended


@dataclass(frozen=True)
class Place:
    """A cell with its images, and where its teacher goes; `teacher_run` is the run as the teacher is trained in it.

    `asked` is what decides its answers, known before any teacher is there; `recorded` are the answers if study.json has them.
    """

    cell: Cell
    prepared: Run
    teacher_run: Run
    teacher_folder: Path | None
    asked: str
    recorded: RunRecord | None = None

    def folder(self, teacher: Bundle | None) -> Path:
        """Where the cell's bundle goes: what decides it, its teacher included, is its name."""
        return self.prepared.folder / RUNS / stages.student_named(self.prepared, teacher)[:LETTERS]

    def teacher(self, shown: Callable[[Console, str, int], Screen] = Screen) -> Bundle | None:
        """The teacher, trained if it is not there yet."""
        if self.teacher_folder is None:
            return None
        members = self.prepared.folder / TEACHERS / teachers.MEMBERS  # of all committees: one network may be in several
        return teachers.teacher(replace(self.teacher_run, shown=shown), self.teacher_folder, members)

    def student(self, shown: Callable[[Console, str, int], Screen] = Screen) -> tuple[Bundle, Bundle | None]:
        """The cell's bundle, trained if it is not there yet, and its teacher, which is."""
        teacher = self.teacher()
        return stages.student(replace(self.prepared, shown=shown), teacher, self.folder(teacher)), teacher

    def finished_teacher(self) -> Bundle | None:
        """The teacher if it is there already."""
        folder, settings = self.teacher_folder, self.cell.recipe.teacher
        if folder is None or not (settings.bundle or (folder / MANIFEST).exists()):
            return None
        return self.teacher()

    def finished(self) -> Bundle | None:
        """The cell's bundle if it is there already."""
        teacher = self.finished_teacher()
        if self.cell.is_taught and teacher is None:
            return None
        folder, named = self.folder(teacher), stages.student_named(self.prepared, teacher)
        return Bundle.open(folder) if finish.is_finished(folder, named) else None

    def seconds(self) -> float | None:
        """How long the cell's training took, if it is finished."""
        if self.recorded:
            return self.recorded.seconds
        with contextlib.suppress(EdgekdError):  # a damaged bundle is told when its turn comes
            bundle = self.finished()
            return bundle.manifest.training_seconds if bundle else None
        return None

    def finished_record(self) -> RunRecord | None:
        """The cell's answers if they are there already."""
        if self.recorded:
            return self.recorded
        bundle = self.finished()
        return record(self, bundle, self.finished_teacher()) if bundle else None


@contextlib.contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Hold a study's folder; the lock ends with the process.

    Raises: EdgekdError if another process holds it, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            is_held = stack.enter_context(held(out / ".lock", wait=False))
        except OSError as e:
            raise EdgekdError(str(out), "a folder that can be written", str(e)) from None
        if not is_held:
            todo = "wait for it, or give --out DIR for another folder"
            raise EdgekdError(str(out), "a study that no one else runs", "another process does", todo)
        yield


def check_cells(cells: Sequence[Cell]) -> None:
    """Find the mistakes of every variant that would else show after hours.

    Raises: EdgekdError that names the variant.
    """
    first = {cell.variant: cell for cell in reversed(cells)}
    problems = []
    for name, cell in reversed(first.items()):
        try:
            check.recipe(cell.recipe) if cell.is_taught else check.student(cell.recipe)
        except EdgekdError as e:
            problems.append(f"variants.{name}: {e}")
    if problems:
        raise several("study", problems)


def places(cells: Sequence[Cell], out: Path, processes: Processes, console: Console) -> list[Place]:
    """The cells with their images; says what the set is once.

    Raises: EdgekdError for a set that cannot be read or dealt to the folds, or too few images for a batch.
    """
    quiet, found, earlier = screen.console(quiet=True), list[Place](), _earlier(out)
    for number, cell in enumerate(cells):
        prepared = replace(run.prepare(cell.recipe, out, processes, quiet if number else console), console=quiet)
        check.batches(prepared, taught=cell.is_taught)
        seed = {"seed": cell.teacher_seed, "split_seed": cell.recipe.dealing_seed}
        teacher_run = replace(prepared, recipe=cell.recipe.model_copy(update=seed))
        taught_by = teachers.teacher_named(teacher_run) if cell.is_taught else None
        folder = out / TEACHERS / taught_by[:LETTERS] if taught_by else None
        place = Place(cell, prepared, teacher_run, folder, _asked(prepared, taught_by))
        found.append(replace(place, recorded=_recalled(place, earlier)))
    return found


def _asked(prepared: Run, taught_by: str | None) -> str:
    told = identity.of_distillation(prepared.recipe.distillation) if taught_by else None
    facts = [stages.student_named(prepared, None), told, taught_by]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _earlier(out: Path) -> Result | None:
    """The study's result so far."""
    with contextlib.suppress(EdgekdError):  # none yet, or an older version's: its bundles are there
        return load(out / NAME)
    return None


def _recalled(place: Place, earlier: Result | None) -> RunRecord | None:
    """The answers to what a place asks, as an earlier result has them."""
    found = [run for run in earlier.runs if run.asked == place.asked and run.images] if earlier else []
    if not earlier or not found:
        return None
    index = {name: i for i, name in enumerate(_names(place))}
    images = tuple(index[earlier.images[i].name] for i in found[0].images)
    return found[0].model_copy(update={"variant": place.cell.variant, "images": images})


def steps(found: Sequence[Place]) -> list[Step]:
    """Every training of the study once, in order: teachers before those whom they teach."""
    made, counted = dict[str, Step](), set[tuple[int, int, str]]()
    for place in found:
        r, seconds = place.cell.recipe, place.seconds()
        if place.teacher_folder is not None and not place.recorded:
            key, epochs = teacher_key(place), 0
            for member in r.teacher.sections.values():
                which = (place.cell.fold, place.cell.teacher_seed, member.model_dump_json(exclude={"weight"}))
                if not (member.bundle or member.checkpoint or which in counted):
                    epochs += fine_tuning.total_epochs(member.training)
                counted.add(which)
            made.setdefault(key, Step(key, "teacher", epochs, is_done=(place.teacher_folder / MANIFEST).exists()))
        epochs = fine_tuning.total_epochs(r.training)
        is_done = seconds is not None
        made[str(place.cell)] = Step(str(place.cell), place.cell.variant, epochs, is_done, seconds or 0.0)
    return list(made.values())


def teacher_key(place: Place) -> str:
    """The name of the step that trains a place's teacher."""
    assert place.teacher_folder is not None
    return f"teacher {place.teacher_folder.name[:8]}, fold {place.cell.fold}"


def run_all(found: Sequence[Place], progress: StudyProgress, keep: Keep) -> list[RunRecord]:
    """Run what is missing; one record for each place."""
    failed: dict[Path, str] = {}
    made = recorded(found)
    for number, place in enumerate(found):
        if not place.recorded:
            made[number] = _run(place, progress, failed)
            keep(made)
    return made


def recorded(found: Sequence[Place]) -> list[RunRecord]:
    """One record for each place, of what study.json has already."""
    return [place.recorded or unanswered(place.cell, NOT_RUN) for place in found]


def _run(place: Place, progress: StudyProgress, failed: dict[Path, str]) -> RunRecord:
    """One run; `failed` holds why teachers failed, so that none is trained in vain again for every student."""
    cell, folder = place.cell, place.teacher_folder
    try:
        if folder is not None:
            if folder in failed:
                progress.failed(str(cell), failed[folder])
                return unanswered(cell, failed[folder])
            try:
                with progress.step(teacher_key(place)):
                    place.teacher(progress.shown)
            except Exception as e:
                failed[folder] = f"its teacher: {reason(e)}"
                raise
        with progress.step(str(cell)):
            made, teacher = place.student(progress.shown)
    except Exception as e:
        why = failed.get(folder, reason(e)) if folder else reason(e)
        progress.failed(str(cell), why)
        return unanswered(cell, why)
    return record(place, made, teacher)


def unanswered(cell: Cell, why: str) -> RunRecord:
    """The record of a run without answers."""
    return RunRecord(variant=cell.variant, fold=cell.fold, seed=cell.seed, reason=why)


def reason(error: Exception) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, EdgekdError) else f"{type(error).__name__}: {text}"


def records(found: Sequence[Place]) -> list[RunRecord]:
    """One record for each place, of what is there already."""
    return [place.finished_record() or unanswered(place.cell, NOT_RUN) for place in found]


def record(place: Place, made: Bundle, teacher: Bundle | None) -> RunRecord:
    """What a finished run answers; images are counted by their names' order until `result` numbers them."""
    cell, out = place.cell, place.prepared.folder
    index = {name: i for i, name in enumerate(_names(place))}
    with safe_open(made.file("evaluation/test.safetensors"), framework="np") as file:
        names, logits = file.metadata()["names"], file.get_tensor("logits")
    return RunRecord(
        variant=cell.variant,
        fold=cell.fold,
        seed=cell.seed,
        asked=place.asked,
        folder=made.folder.relative_to(out).as_posix(),
        teacher=_below(out, teacher),
        seconds=made.manifest.training_seconds,
        teacher_accuracy=_accuracy(teacher, made) if teacher else None,
        calibration_temperature=made.manifest.temperature,
        images=tuple(index[name] for name in json.loads(names)),
        logits=tuple(tuple(float(f"{v:.9g}") for v in row) for row in np.asarray(logits, np.float32)),
    )


def _accuracy(teacher: Bundle, student: Bundle) -> float | None:
    """The teacher's, if it was evaluated on the student's test images."""
    if teacher.manifest.split_hashes.get("test") != student.manifest.split_hashes["test"]:
        return None
    return Evaluation.load(teacher.file("evaluation/test.json")).accuracy


def _below(out: Path, bundle: Bundle | None) -> str:
    with contextlib.suppress(ValueError):
        return bundle.folder.relative_to(out).as_posix() if bundle else ""
    return ""


def _names(place: Place) -> list[str]:
    """Of all images of the set: the same in every fold, whichever images have lost their labels there."""
    return sorted(sample.name for sample in place.prepared.pixels.dataset.samples)


def _answered(found: Sequence[Place]) -> list[Sample]:
    """The images that the study's runs answer: of the test split of a fold that runs, or of the recipe's own."""
    tested = {s.name: s for place in found for s in place.prepared.pixels.dataset.split("test")}
    return [tested[s.name] for s in found[0].prepared.pixels.dataset.samples if s.name in tested]


def result(study: Study, found: Sequence[Place], runs: Sequence[RunRecord]) -> Result:
    """The study's answers, without the table."""
    samples, names = _answered(found), _names(found[0])
    numbered = {sample.name: i for i, sample in enumerate(samples)}
    groups = groups_of(samples)
    numbers = members(groups, len(samples)).tolist() if groups else [None] * len(samples)
    return Result(
        edgekd=__version__,
        study=study,
        label_names=found[0].prepared.label_names,
        images=tuple(
            ImageRecord(name=s.name, label=s.label, group=number) for s, number in zip(samples, numbers, strict=True)
        ),
        runs=tuple(run.model_copy(update={"images": tuple(numbered[names[i]] for i in run.images)}) for run in runs),
    )
