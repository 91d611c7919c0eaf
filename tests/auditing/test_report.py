"""audit.json: what is written is read again; what is not as expected is one error."""

import json

import pytest
from PIL import ImageOps

from edgekd.auditing.report import Audit
from edgekd.errors import EdgekdError


@pytest.fixture
def written(save, slices, examine, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "empty.png").write_bytes(b"")
    images = {
        "train/a/1.png": slices[0],
        'train/b/ü\'"schema_":.png': slices[4],
        "test/a/1.png": ImageOps.mirror(slices[0]),
    }
    audit, _ = examine(save(images))
    audit.save(tmp_path / "out")
    return audit, tmp_path / "out" / "audit.json"


def test_round_trip(written):
    audit, path = written
    assert Audit.load(path) == audit
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["schema"] == "edgekd.audit/2"
    assert stored["settings"]["duplicate"] == 0.94
    pair = stored["pairs"][0]
    assert pair["kind"] == "mirrored"
    assert {pair["a"]["split"], pair["b"]["split"]} == {"train", "test"}


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values | {"schema": "edgekd.audit/1"},
        lambda values: values | {"suprise": 1},
        lambda values: {key: value for key, value in values.items() if key != "counts"},
        lambda values: values | {"pairs": [{"kind": "near"}]},
    ],
)
def test_unknown_schemas_keys_and_gaps_are_refused(written, change):
    _, path = written
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    with pytest.raises(EdgekdError, match=r"audit\.json"):
        Audit.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_what_is_no_report_is_one_error(tmp_path, content):
    (tmp_path / "audit.json").write_bytes(content)
    with pytest.raises(EdgekdError):
        Audit.load(tmp_path / "audit.json")
    with pytest.raises(EdgekdError):
        Audit.load(tmp_path / "missing.json")
