"""The command that ranks candidates for a teacher: a table, a file, and one error for what cannot be."""

import json
from pathlib import Path

import pytest
from PIL import Image

from edgekd import rank
from edgekd.bundle import NetworkRecord
from edgekd.data import phantom
from edgekd.errors import EdgekdError
from edgekd.ranking import candidates, timing
from edgekd.ranking.result import CandidateRecord, Ranking
from edgekd.reports import ranking as report
from edgekd.reports import screen
from edgekd.section import validate

BUNDLE = Path(__file__).parents[1] / "models" / "mri4p-mobilenetv2"


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder of pictures of the bundle's classes; runs go beside it."""
    monkeypatch.chdir(tmp_path)
    for index in range(16):
        path = Path("images") / phantom.LABEL_NAMES[index % 4] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(phantom.phantom(0, index, 64).image).save(path)
    return "images"


def ranked(images, *arguments):
    rank.main(["--teacher", str(BUNDLE), "--data", images, "--images", "4", *arguments])
    (path,) = Path("runs/ranking").rglob("ranking.json")
    return validate(Ranking, json.loads(path.read_text()), "ranking", from_json=True)


def test_the_table_has_scores_beside_costs(images, capsys, monkeypatch):
    monkeypatch.setattr(timing, "ROUNDS", 2)
    found = ranked(
        images,
        "--candidates",
        "mobilenetv2:0.35@64,mobilenetv3_small_050@64",
        "--candidates",
        "mobilenetv2",
        "--draws",
        "2",
    )
    records = {record.candidate: record for record in found.candidates}
    assert [r.candidate for r in found.candidates] == sorted(records, key=lambda name: -records[name].score)
    # The teacher's own architecture from the same draw is the teacher.
    assert found.candidates[0].candidate == "mobilenetv2"
    assert records["mobilenetv2"].scores == (0.0, 0.0)
    assert records["mobilenetv2"].network.parameters == found.teacher.parameters == 2_228_996
    small = records["mobilenetv2:0.35@64"]
    assert small.score < 0
    assert [len(times) for times in small.latency_ms] == [timing.IMAGES] * 2
    assert 0 < small.median_ms < records["mobilenetv2"].median_ms  # 12 times the pixels at 3 times the width
    other = records["mobilenetv3_small_050@64"]
    assert (other.median_ms, len(other.scores)) == (None, 2)
    shown = capsys.readouterr().out
    assert "no int8 file of mobilenetv3_small_050@64: network MobileNetV3 cannot be lowered" in shown
    for record in records.values():
        (line,) = (line for line in shown.splitlines() if line.strip().startswith(record.candidate + " "))
        assert f"{record.score:z.4f}" in line
        assert line.rstrip().endswith("-" if record.median_ms is None else f"{record.median_ms:.2f}")


def test_times_that_differ_between_rounds_are_told(capsys):
    network = NetworkRecord(network="mobilenetv2", parameters=1, macs=1)
    facts = {"network": network, "input_size": 32, "relation": (-0.1, -0.3), "semantic": (-0.2, -0.2)}
    steady = CandidateRecord(candidate="steady", latency_ms=((1.0, 1.1, 9.0), (1.0, 1.2, 1.2)), **facts)
    unsteady = CandidateRecord(candidate="unsteady", latency_ms=((1.0, 1.0, 1.0), (1.4, 1.4, 1.4)), **facts)
    none = CandidateRecord(candidate="none", reason="not timed", **facts)
    assert [round(r.spread, 3) for r in (steady, unsteady, none)] == [0.091, 0.4, 0.0]
    assert (steady.median_ms, unsteady.median_ms, none.median_ms) == (pytest.approx(1.15), 1.2, None)
    assert steady.score == pytest.approx(-0.4)
    ranking = Ranking(
        edgekd="0",
        bundle="b",
        teacher=network,
        label_names=("a", "b"),
        images_sha256="0",
        images=8,
        seed=0,
        candidates=(steady, unsteady, none),
    )
    report.show(ranking, screen.console())
    shown = capsys.readouterr().out
    assert "times of unsteady differ between rounds by more than 25%" in shown
    assert "-0.4000 (-0.5000 to -0.3000)" in shown


def test_the_same_seed_ranks_alike_and_another_draws_anew(images):
    asked = ("--candidates", "mobilenetv2:0.1@32,mobilenetv2:0.2@32", "--draws", "1", "--no-latency")
    first = ranked(images, *asked)
    assert ranked(images, *asked) == first
    assert {r.reason for r in first.candidates} == {"not timed"}
    other = ranked(images, *asked, "--seed", "1")
    assert {r.score for r in other.candidates}.isdisjoint(r.score for r in first.candidates)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--candidates", "mobilenetv2"], "two networks or more"),
        (["--candidates", "mobilenetv2:0.5,mobilenet_v2"], "did you mean"),
        (["--candidates", "mobilenetv2:0.5:2,resnet10t"], r"NETWORK\[:WIDTH\]\[@SIZE\]"),
        (["--candidates", "mobilenetv2:0.5.1,resnet10t"], "a number"),
        (["--candidates", "mobilenetv2:9,resnet10t"], "width"),
        (["--candidates", "mobilenetv2@8,resnet10t"], "size"),
        (["--candidates", "resnet10t:0.5,mobilenetv2"], "no multiplier"),
        (["--candidates", "mobilenetv2,resnet10t", "--draws", "0"], "1 or more"),
        (["--candidates", "mobilenetv2,resnet10t", "--teacher", "nowhere"], "a bundle"),
    ],
)
def test_what_cannot_be_ranked_is_one_error(images, arguments, message):
    with pytest.raises(EdgekdError, match=message):
        rank.main(["--teacher", str(BUNDLE), "--data", images, *arguments])
    assert not list(Path().rglob("ranking.json"))


def test_candidates_are_read_as_typed():
    found = candidates.parse(["mobilenetv2:0.5@160, resnet10t", "efficientnet_lite0:1.25"], 96)
    assert [(c.text, c.settings.network, c.settings.width, c.size) for c in found] == [
        ("mobilenetv2:0.5@160", "mobilenetv2", 0.5, 160),
        ("resnet10t", "resnet10t", 1.0, 96),
        ("efficientnet_lite0:1.25", "efficientnet_lite0", 1.25, 96),
    ]
