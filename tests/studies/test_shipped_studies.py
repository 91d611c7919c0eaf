"""The studies that travel with edgekd start as they are where what they name lies."""

from pathlib import Path

import pytest

from edgekd.studies import plan, running, schema

ROOT = Path(__file__).parents[2]
STUDIES = sorted((*(ROOT / "benchmarks/studies").glob("*.toml"), *(ROOT / "models/studies").glob("*.toml")))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_it_starts_beside_links_to_data_and_weights(path, shared, tmp_path, monkeypatch):
    for name in ("data", "weights"):
        (tmp_path / name).symlink_to(shared / name)
    monkeypatch.chdir(tmp_path)
    study = schema.load(path)
    cells = plan.cells(study)
    running.check_cells(cells)
    assert study.name == path.stem
    assert study.control == "control"
    assert len(cells) == study.folds * len(study.seeds) * len(study.variants)
    top = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert f"python -m edgekd.study {path.relative_to(ROOT).as_posix()}" in top
    for r in {cell.recipe.model_copy(update={"seed": 0}).model_dump_json(): cell.recipe for cell in cells}.values():
        assert all(outside in top for outside in (r.data.path, r.teacher.weights, r.student.weights))
