"""The studies that travel with edgekd start as they are where what they name lies."""

from pathlib import Path

import pytest

from edgekd.reports import study
from edgekd.studies import plan, running, schema
from edgekd.studies import result as results
from edgekd.studies.table import with_table

ROOT = Path(__file__).parents[2]
LACKING = {  # runs of stored studies that are still to come
    "mri4p-students": [("kd-deit-tiny-40", 1, "not run yet")],
    "mri4p-mobilenetv2": [("kd", fold, "not run yet") for fold in (3, 4)],
    "mri4p-mobilenetv2-small": [("kd", 0, "not run yet")],
}
STUDIES = sorted((*(ROOT / "benchmarks/studies").glob("*.toml"), *(ROOT / "models/studies").glob("*.toml")))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_it_starts_beside_links_to_data_and_weights(path, shared, tmp_path, monkeypatch):
    for name in ("data", "weights"):
        (tmp_path / name).symlink_to(shared / name)
    monkeypatch.chdir(tmp_path)
    asked = schema.load(path)
    cells = plan.cells(asked)
    running.check_cells(cells)
    assert asked.name == path.stem
    assert asked.control == "control"
    assert len(cells) == asked.folds * len(asked.seeds) * len(asked.variants)
    top = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert f"python -m edgekd.study {path.relative_to(ROOT).as_posix()}" in top
    for r in {cell.recipe.model_copy(update={"seed": 0}).model_dump_json(): cell.recipe for cell in cells}.values():
        assert all(outside in top for outside in (r.data.path, r.teacher.weights, r.student.weights))


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks/results").glob("study_*.json")), ids=lambda path: path.stem)
def test_a_stored_table_is_that_of_its_answers(path):
    found = results.load(path)
    assert path.stem == f"study_{found.study.name}"
    stored = path.with_suffix(".md").read_text(encoding="utf-8")
    assert stored == study.markdown(with_table(found)) == study.markdown(found)
    lacking = [(run.variant, run.fold, run.reason) for run in found.runs if run.reason]
    assert lacking == LACKING.get(found.study.name, [])
