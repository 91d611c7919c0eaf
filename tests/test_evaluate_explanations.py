"""evaluate --faithfulness on a committed bundle and a few phantoms: the document, the tables, and going on after a kill."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd import evaluate
from edgekd.data.phantom import LABEL_NAMES, phantom
from edgekd.errors import EdgekdError
from edgekd.explainers import find
from edgekd.measures import explanations
from edgekd.measures.explanations import Explainer, Picture, Record, Subject, measure
from edgekd.measures.faithfulness import CURVES, auc
from edgekd.measures.intervals import mean_interval
from edgekd.measures.trust import Trust, summary

MODEL = Path(__file__).parents[1] / "models/mri4p-mobilenetv2"


class Brightness:
    """Answers class 1 by the brightness of the left half; counts pictures."""

    def __init__(self):
        self.asked = 0

    def probs(self, pixels):
        self.asked += len(pixels)
        bright = (pixels[:, :, :8] / 255).mean((1, 2, 3)).astype(np.float32)
        return np.stack([1 - bright, bright], 1)


def pictures(count=3):
    found = []
    for index in range(count):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:, :8] = 255 - index
        mask = np.arange(16) < 8 + np.zeros((16, 1))
        found.append(Picture(f"{index}", pixels, 1 if index else 0, mask if index < 2 else None))
    return found


def measured(session, known=None, identity="a", steps=8):
    method = find("occlusion")
    explainer = Explainer(method, method.kind(colour=(0, 0, 0)))
    parts = measure([Subject("net", session, identity)], [explainer], pictures(), known or {}, steps)
    return [record for part in parts for record in part]


def test_records_of_a_network_that_is_known():
    found = {(r.picture, r.method): r for r in measured(Brightness())}
    assert {method for name, method in found if name == "0"} == {"occlusion", "random", "brightest", "centre"}
    assert {method for name, method in found if name == "2"} == {"occlusion", "random"}  # no true region
    record = found["0", "occlusion"]
    assert (record.target, record.is_right) == (1, False)
    assert record.region.pointing == record.region.rank == 1
    assert record.region.mass == pytest.approx(17 / 18)  # squares of 3 px reach over the edge
    # The white half goes first: brightness falls evenly to 0 in half the steps.
    assert record.curves["deletion_to_black"] == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0, 0, 0, 0])
    assert found["0", "brightest"].curves == {}


def test_what_is_known_is_not_measured_again():
    first = Brightness()
    known = {record.key: record for record in measured(first)}
    again = Brightness()
    assert measured(again, known) == list(known.values())
    assert again.asked == 3  # the answers alone
    for changed in ({"identity": "b"}, {"steps": 4}):
        other = Brightness()
        measured(other, known, **changed)
        assert other.asked > 100


def test_the_summary_by_hand():
    def record(network, method, picture, value, is_right=True):
        curves = dict.fromkeys(CURVES, (value, value, value))
        region = {"pointing": value, "mass": value, "rank": value, "share": 0.1}
        return Record(
            key=f"{network} {method} {picture}",
            network=network,
            method=method,
            picture=picture,
            target=0,
            is_right=is_right,
            curves=curves,
            region=region,
        )

    values = {("float", "rise"): (0.9, 0.7), ("float", "random"): (0.5, 0.4), ("file", "rise"): (0.8, 0.5)}
    values["file", "random"] = (0.5, 0.4)
    found = [
        record(*where, name, v, name == "a") for where, vs in values.items() for name, v in zip("ab", vs, strict=True)
    ]
    result = summary(found, "bundle", {"a": "p", "b": "q"})
    assert (result.images, result.groups) == (2, 2)
    rise = result.rows[0]
    assert rise.curves["insertion"].auc.mean == pytest.approx(0.8)
    assert rise.curves["insertion"].better.mean == pytest.approx(0.35)
    assert rise.curves["insertion"].beats_chance
    assert rise.curves["deletion"].better.mean == pytest.approx(-0.35)
    assert not rise.curves["deletion"].beats_chance
    assert (rise.regions, rise.localisation["mass"].mean) == (1, pytest.approx(0.9))
    low, high = rise.localisation["mass"].interval  # of one picture, which says next to nothing
    assert low < 0.2
    assert high == pytest.approx(1, abs=0.01)
    change = next(c for c in result.drift if c.method == "rise")
    assert change.curves["insertion"].mean == pytest.approx(-0.15)
    assert change.curves["insertion"].interval == pytest.approx((-0.2, -0.1))
    one = summary(found, "bundle", {"a": "p", "b": "p"})
    assert one.rows[0].curves["insertion"].auc.interval == pytest.approx((0.8, 0.8))  # one patient: nothing to draw


def test_an_interval_of_means_draws_whole_groups():
    values = np.random.default_rng(0).normal(size=400)
    low, high = mean_interval(values)
    half = 1.96 * values.std() / 20  # the normal approximation
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    doubled = mean_interval(np.repeat(values, 2), np.repeat(np.arange(400), 2))
    assert doubled == pytest.approx((low, high), abs=0.01)  # twice the same patients tell nothing more


@pytest.fixture
def folder(tmp_path):
    for index in range(4):
        path = tmp_path / "images" / LABEL_NAMES[index] / f"{index}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(phantom(5, index, 64).image).save(path)
    return tmp_path


def test_shuffled_weights_are_the_same_numbers_elsewhere(folder):
    import torch

    from edgekd.bundle import Bundle
    from edgekd.measures.sanity import randomised
    from edgekd.networks import from_bundle

    network = from_bundle(Bundle.open(MODEL))
    found = randomised(network)
    for (name, a), b in zip(network.named_parameters(), found.parameters(), strict=True):
        assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)
        assert torch.equal(a, b) == (a.ndim < 2), name
    assert all(torch.equal(a, b) for a, b in zip(network.buffers(), found.buffers(), strict=True))


def test_maps_of_randomised_weights_differ_and_those_of_the_picture_alone_do_not(folder, capsys):
    from edgekd.measures.sanity import sanity

    method = find("occlusion")

    class Alike:
        name, reads_network = "alike", False
        explain = staticmethod(lambda session, pixels, target, options: pixels.mean(2))

    def both(method, options=None):
        return Explainer(method, options), Explainer(method, options)

    bright, other = Brightness(), Brightness()
    other.probs = lambda pixels: np.full((len(pixels), 2), 0.5, np.float32) + [[0.1, -0.1]] * pixels[:, 0, 0, :1] / 255
    pairs = [both(Alike), both(method, method.kind(colour=(0, 0, 0)))]
    found = [one for part in sanity(pairs, (bright, other), pictures()) for one in part]
    by_method = {name: [one.correlation for one in found if one.method == name] for name in ("alike", "occlusion")}
    assert by_method["alike"] == pytest.approx([1, 1, 1])
    assert len(by_method["occlusion"]) == 3
    assert max(by_method["occlusion"]) < 0.5

    line = [str(MODEL), "--data", str(folder / "images"), "--images", "1", "--out", str(folder / "out")]
    evaluate.main([*line, "--faithfulness", "--sanity", "--method", "gradcam"])
    (row,) = json.loads((folder / "out/faithfulness.json").read_text())["sanity"]
    assert (row["method"], row["images"]) == ("gradcam", 1)
    assert abs(row["correlation"]["mean"]) < 0.9
    assert "shuffled weights" in capsys.readouterr().out
    with pytest.raises(EdgekdError, match="--faithfulness with them"):
        evaluate.main([*line, "--sanity"])


def test_the_command_writes_goes_on_and_refuses(folder, capsys):
    out = folder / "out"
    line = [str(MODEL), "--data", str(folder / "images"), "--format", "tflite-int8", "--out", str(out)]
    evaluate.main([*line, "--faithfulness", "--images", "1"])
    text = (out / "faithfulness.json").read_text()
    found = Trust.model_validate_json(text)
    assert found.images == 1
    assert [(row.network, row.method) for row in found.rows] == [
        ("float", "occlusion"),
        ("float", "random"),
        ("tflite-int8", "occlusion"),
        ("tflite-int8", "random"),
    ]
    assert {change.method for change in found.drift} == {"occlusion", "random"}
    records = explanations.read(out / "faithfulness.jsonl")
    (record,) = (r for r in records.values() if (r.network, r.method) == ("float", "occlusion"))
    assert found.rows[0].curves["insertion"].auc.mean == pytest.approx(auc(np.array(record.curves["insertion"])))
    with Image.open(out / "faithfulness.png") as picture:
        assert picture.width > 1000
    assert "change of areas from float" in capsys.readouterr().out
    lines = (out / "faithfulness.jsonl").read_text()
    (out / "faithfulness.jsonl").write_text(lines[: lines.rindex('"curves"')])  # killed while it wrote the last one
    evaluate.main([*line, "--faithfulness", "--images", "1", "--resume"])
    assert json.loads((out / "faithfulness.json").read_text()) == json.loads(text)
    assert explanations.read(out / "faithfulness.jsonl") == records


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "rise"], "--faithfulness"),
        (["--faithfulness", "--method", "ryse"], "did you mean 'rise'"),
        (["--faithfulness", "--images", "0"], "1 or more"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, tmp_path):
    with pytest.raises(EdgekdError, match=message):
        evaluate.main([str(MODEL), *arguments, "--out", str(tmp_path)])
