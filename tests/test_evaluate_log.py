"""evaluate --log: the CSV of the Android demo's field log, and whatever else may stand in one."""

import csv
import json

import numpy as np
import pytest

from edgekd import evaluate
from edgekd.android import field_log
from edgekd.errors import EdgekdError

MODEL, OTHER = "a" * 64, "b" * 64
GOOD = {
    "time": "2026-03-01T10:20:30Z",
    "model": "mri4",
    "model_sha256": MODEL,
    "image_sha256": "0" * 64,
    "probs": '{"glioma":0.7,"no_tumor":0.2,"pituitary":0.1}',
    "answer": "glioma",
    "set": '["glioma","no_tumor"]',
    "unsure": "no",
    "mark": "right",
    "true_label": "glioma",
}


def rows(*changes):
    """Good rows of different images, each with changes."""
    return [GOOD | {"image_sha256": f"{i:064x}"} | change for i, change in enumerate(changes)]


@pytest.fixture
def write(tmp_path):
    def write(found, name="log.csv"):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, field_log.COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(found)
        return tmp_path / name

    return write


def test_accuracy_per_model_with_intervals(write, capsys):
    wrong = {"mark": "wrong", "true_label": "no_tumor"}
    other = {"model_sha256": OTHER, "model": "[bold]x", "probs": '{"x":0.1,"y":0.9}', "answer": "y", "set": ""}
    path = write(rows({}, {}, {}, wrong, {"unsure": "yes"}, other | {"true_label": "y"}))
    evaluate.main(["--log", str(path)])
    shown = capsys.readouterr().out
    assert "mri4 aaaaaaaaaaaa: 5 marked images" in shown
    assert "80.00 % [28.36, 99.49], 4 of 5" in shown  # Clopper and Pearson's, by a table of theirs
    assert "20.00 % [0.51, 71.64], 1 of 5" in shown
    assert "[bold]x bbbbbbbbbbbb: 1 marked images" in shown
    assert "100.00 % [2.50, 100.00], 1 of 1" in shown
    assert "ECE" in shown


def test_of_several_marks_of_one_image_the_last_holds(write, capsys):
    found = rows({}, {}, {})
    again = found[0] | {"mark": "wrong", "true_label": ""}
    withdrawn = found[1] | {"mark": "withdrawn", "true_label": ""}
    log = field_log.read(write([*found, again, withdrawn]))
    assert [(e.image_sha256[-1], e.mark) for e in log.by_model[MODEL]] == [("2", "right"), ("0", "wrong")]
    assert log.replaced == 3
    evaluate.main(["--log", str(write([*found, again, withdrawn]))])
    assert "rows that do not count: 3" in capsys.readouterr().out


def test_text_that_a_spreadsheet_would_run_comes_back_as_it_was(write):
    probs = json.dumps({"=1+1": 0.6, "'quoted": 0.4})
    odd = {
        "model": "'=HYPERLINK(1)",
        "probs": probs,
        "answer": "'=1+1",
        "true_label": "''quoted",
        "mark": "wrong",
        "set": "",
    }
    (entry,) = field_log.read(write(rows(odd))).by_model[MODEL]
    assert (entry.model, entry.answer, entry.true_label) == ("=HYPERLINK(1)", "=1+1", "'quoted")


BAD = {
    "an unknown mark": ({"mark": "maybe"}, "mark: input should be 'right', 'wrong' or 'withdrawn'"),
    "no time": ({"time": "yesterday"}, "time: "),
    "a time without zone": ({"time": "2026-03-01T10:20:30"}, "time: input should have timezone"),
    "a short hash": ({"model_sha256": "abc"}, "model_sha256: "),
    "capital digits": ({"image_sha256": "A" * 64}, "image_sha256: "),
    "no JSON": ({"probs": "glioma=0.7"}, "probs: expected JSON"),
    "NaN": ({"probs": '{"glioma":NaN,"x":0.3}'}, "NaN is no number"),
    "infinity": ({"probs": '{"glioma":1e999,"x":0.3}'}, "probs"),
    "a list": ({"probs": "[0.7, 0.3]"}, "probs: input should be an object"),
    "one class": ({"probs": '{"glioma":1.0}'}, "probs: "),
    "a label twice": ({"probs": '{"glioma":0.7,"glioma":0.3}'}, "a label twice"),
    "a sum of 2": ({"probs": '{"glioma":1.0,"no_tumor":1.0}'}, "a sum of 1"),
    "below 0": ({"probs": '{"glioma":1.1,"no_tumor":-0.1}'}, "less than or equal to 1"),
    "deep": ({"probs": "[" * 50_000}, "probs: expected JSON"),
    "another answer": ({"answer": "pituitary"}, "answer: expected the most probable class"),
    "a set of others": ({"set": '["melanoma"]'}, "expected labels of probs, found 'melanoma'"),
    "a set of twins": ({"set": '["glioma","glioma"]'}, "each label once"),
    "a set that is none": ({"set": "{}"}, "set: "),
    "unsure perhaps": ({"unsure": "perhaps"}, "unsure: expected yes or no"),
    "right, but another": ({"true_label": "no_tumor"}, "contradicts the answer 'glioma' marked right"),
    "right, but unknown": ({"true_label": ""}, "contradicts"),
    "wrong, but the same": ({"mark": "wrong"}, "contradicts"),
    "withdrawn, but known": ({"mark": "withdrawn"}, "contradicts"),
    "an unknown class": ({"mark": "wrong", "true_label": "melanoma"}, "expected labels of probs"),
    "a lone surrogate": ({"probs": '{"\\ud800":0.7,"x":0.3}', "answer": "x"}, "line 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_named_with_its_reason(write, case):
    change, message = BAD[case]
    with pytest.raises(EdgekdError) as error:
        field_log.read(write(rows({}, change)))
    assert "line 3: " in str(error.value)
    assert message in str(error.value)
    assert "1 problem" in str(error.value)
    assert len(str(error.value)) < 1500


def test_all_bad_rows_are_told_at_once(write):
    with pytest.raises(EdgekdError, match=r"30 problems[\s\S]*line 2[\s\S]*and 20 more"):
        field_log.read(write(rows(*[{"mark": ""}] * 30)))


def test_other_labels_of_the_same_model(write):
    with pytest.raises(EdgekdError, match="other labels than in the first row"):
        field_log.read(write(rows({}, {"probs": '{"glioma":0.7,"pituitary":0.3}', "set": ""})))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the columns time,model"),
        (b"a,b\n1,2\n", "the columns time,model"),
        (b"\xff\xfe\x00", "UTF-8 text"),
        (b"PK\x03\x04", "the columns time,model"),
        ((",".join(field_log.COLUMNS) + '\n"unfinished').encode(), "line 2"),
        ((",".join(field_log.COLUMNS) + "\n1,2\n").encode(), "10 columns expected, found 2"),
        ((",".join(field_log.COLUMNS) + "\n").encode(), "answers that are marked"),
        ((",".join(field_log.COLUMNS) + "\n" + "x" * (csv.field_size_limit() + 1)).encode(), "field larger than"),
        ((",".join(field_log.COLUMNS) + "\n\0\n").encode(), "columns expected"),
    ],
)
def test_what_is_no_log(tmp_path, content, message):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(EdgekdError, match=message):
        field_log.read(tmp_path / "log.csv")


def test_limits(write, monkeypatch, tmp_path):
    path = write(rows({}, {}, {}))
    monkeypatch.setattr(field_log, "MAX_ROWS", 2)
    with pytest.raises(EdgekdError, match="at most 2 rows"):
        field_log.read(path)
    monkeypatch.setattr(field_log, "MAX_BYTES", 100)
    with pytest.raises(EdgekdError, match="at most 100 bytes"):
        field_log.read(path)
    for none in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(EdgekdError, match="no such file"):
            field_log.read(none)


def test_a_log_that_a_spreadsheet_saved_is_read(write):
    path = write(rows({}, {}))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(field_log.read(path).by_model[MODEL]) == 2


def test_arguments_about_images_are_refused(write):
    with pytest.raises(EdgekdError, match=r"no argument about images[\s\S]*found:    --format, --tta"):
        evaluate.main(["--log", str(write(rows({}))), "--format", "tflite-int8", "--tta"])
    with pytest.raises(EdgekdError, match="found:    some/bundle"):
        evaluate.main(["some/bundle", "--log", str(write(rows({})))])


def test_damaged_logs_end_in_scores_or_in_one_error(write, tmp_path, capsys):
    content, rng = (
        write(rows({}, {"mark": "wrong", "true_label": ""}, {"unsure": "yes"})).read_bytes(),
        np.random.default_rng(3),
    )
    messages = []
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 6)):
            changed[place] = rng.choice(list(b'",\n\r\0{}[]:0e-\xff')) if rng.random() < 0.5 else rng.integers(256)
        (tmp_path / "damaged.csv").write_bytes(
            bytes(changed[: rng.integers(len(content))] if rng.random() < 0.2 else changed)
        )
        try:
            evaluate.main(["--log", str(tmp_path / "damaged.csv")])
        except EdgekdError as e:
            messages.append(str(e))
    capsys.readouterr()
    assert 0 < len(messages) < 150
    assert all("damaged.csv" in message for message in messages)
