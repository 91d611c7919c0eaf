"""Runs of a study spread over a Ray cluster. Where a worker dies, its run goes on elsewhere from its last epoch.

The cluster is the one that RAY_ADDRESS names, else this machine's cores. All of it has to see the folder that the command runs
in, the study's and the cache: that is looked at before anything starts. Tasks are told of by text alone: the study as JSON.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgekd import __version__
from edgekd.errors import EdgekdError, several
from edgekd.files import write_atomic
from edgekd.reports import screen
from edgekd.reports.study_progress import StudyProgress
from edgekd.section import validate
from edgekd.studies import plan, running
from edgekd.studies.result import RunRecord
from edgekd.studies.running import Keep, Place
from edgekd.studies.schema import Study

RETRIES = 5  # of a run whose worker died
Task = tuple[str, str, int, str]  # working folder, study as JSON, number of the cell, the study's folder


@contextlib.contextmanager
def connected() -> Iterator[Any]:
    """Ray, connected to the cluster.

    Raises: EdgekdError if there is none at RAY_ADDRESS.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    address = os.environ.get("RAY_ADDRESS")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as e:
        raise EdgekdError(
            f"RAY_ADDRESS {address}", "a Ray cluster", " ".join(str(e).split()), "ray start --head"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def run_all(study: Study, found: Sequence[Place], progress: StudyProgress, keep: Keep) -> list[RunRecord]:
    """Run what is missing; one record for each place.

    Raises: EdgekdError if a machine of the cluster does not see the folders, or has another version of edgekd.
    """
    with connected() as ray:
        out = found[0].prepared.folder.resolve()
        check_shared(ray, [out, *{Path(place.cell.recipe.cache).resolve() for place in found}])
        made = running.recorded(found)
        finished, waiting = _start(ray, study, found, out)
        for number, record in finished.items():
            made[number] = record
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            number, is_teacher = waiting.pop(done)
            if is_teacher:
                _tell_of_teacher(ray, done, found[number], progress)
            else:
                made[number] = _told(ray, done, found[number], progress)
                keep(made)
    return made


def _start(
    ray: Any, study: Study, found: Sequence[Place], out: Path
) -> tuple[dict[int, RunRecord], dict[Any, tuple[int, bool]]]:
    """Records of what is finished already, and tasks of all else, each with its place's number and if it is a teacher's."""
    has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
    remote = ray.remote(num_cpus=1, num_gpus=int(has_gpu), max_retries=RETRIES)
    teach, learn = remote(train_teacher), remote(train_student)
    records, waiting, teachers = dict[int, RunRecord](), dict[Any, tuple[int, bool]](), dict[Path, Any]()
    text = study.model_dump_json(by_alias=True)
    for number, place in enumerate(found):
        task = (str(Path.cwd()), text, number, str(out))
        record, folder = _finished(place), place.teacher_folder
        if record:
            records[number] = record
            continue
        if folder is not None and folder not in teachers:
            teachers[folder] = teach.remote(task)
            waiting[teachers[folder]] = number, True
        waiting[learn.remote(task, teachers[folder] if folder else "")] = number, False
    return records, waiting


def _tell_of_teacher(ray: Any, task: Any, place: Place, progress: StudyProgress) -> None:
    try:
        why = ray.get(task)
    except ray.exceptions.RayError as e:
        why = running.reason(e)
    if why:
        progress.failed(running.teacher_key(place), why)
    elif teacher := place.finished_teacher():
        progress.finished(running.teacher_key(place), teacher.manifest.training_seconds)


def _finished(place: Place) -> RunRecord | None:
    with contextlib.suppress(EdgekdError):  # a damaged bundle is told by the task
        return place.finished_record()
    return None


def _told(ray: Any, task: Any, place: Place, progress: StudyProgress) -> RunRecord:
    """What a task that ended says, or that its worker died once too often."""
    cell = place.cell
    try:
        record = validate(RunRecord, json.loads(ray.get(task)), str(cell), from_json=True)
    except ray.exceptions.RayError as e:
        record = running.unanswered(cell, running.reason(e))
    if record.reason:
        progress.failed(str(cell), record.reason)
    else:
        progress.finished(str(cell), record.seconds)
    return record


def train_teacher(task: Task) -> str:
    """In a worker: train the teacher of a cell; gives why it failed, or nothing."""
    try:
        _place(task).teacher()
    except Exception as e:
        return f"its teacher: {running.reason(e)}"
    return ""


def train_student(task: Task, failed: str) -> str:
    """In a worker: run a cell, whose teacher is there unless it `failed`; gives its record as JSON."""
    place = _place(task)
    if failed:
        return running.unanswered(place.cell, failed).model_dump_json()
    try:
        made, teacher = place.student()
    except Exception as e:
        return running.unanswered(place.cell, running.reason(e)).model_dump_json()
    return running.record(place, made, teacher).model_dump_json()


def _place(task: Task) -> Place:
    from edgekd.training import distributed

    folder, text, number, out = task
    os.chdir(folder)
    cell = plan.cells(validate(Study, json.loads(text), "study", from_json=True))[number]
    return running.places([cell], Path(out), distributed.start(), screen.console(quiet=True))[0]


def check_shared(ray: Any, folders: Sequence[Path]) -> None:
    """Find out whether every machine of the cluster sees the same folders, with the same edgekd.

    Raises: EdgekdError that names each that does not.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    token = f".{uuid.uuid4().hex}.shared"
    marks = [folder / token for folder in folders]
    try:
        for mark in marks:
            write_atomic(mark, token)
        names, tasks = [], []
        for node in (node for node in ray.nodes() if node["Alive"]):
            where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            look = ray.remote(num_cpus=0, scheduling_strategy=where)(seen)
            names.append(node["NodeManagerAddress"])
            tasks.append(look.remote(str(Path.cwd()), [str(mark) for mark in marks], __version__))
        problems = [f"{name}: {text}" for name, text in zip(names, ray.get(tasks), strict=True) if text]
    finally:
        for mark in marks:
            mark.unlink(missing_ok=True)
    if problems:
        todo = "mount the folders under the same paths on every machine, with one version of edgekd"
        raise several("machines of the cluster", problems, todo)


def seen(folder: str, marks: Sequence[str], version: str) -> str:
    """In a worker: what is missing here, or nothing."""
    missing = [path for path in (folder, *marks) if not Path(path).exists()]
    if missing:
        return f"does not see {', '.join(str(Path(path).parent) if path in marks else path for path in missing)}"
    return "" if version == __version__ else f"has edgekd {__version__}, not {version}"
