"""What tables and sentences say of paired tests, with groups and without."""

from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from edgekd.bundle import ArtefactRecord, FileRecord
from edgekd.measures.drift import drift
from edgekd.reports import card, comparison, export, quantization
from edgekd.reports.significance import by_group

RECORD = {
    "scheme": "fp32",
    "source": "float",
    "files": {"x.onnx": FileRecord(sha256="0" * 64, size_bytes=1_000_000)},
    "calibration_temperature": 1.0,
    "val_accuracy": 0.9,
    "val_images": 200,
    "drift_pp": -1.5,
    "flips": 3,
    "mcnemar_p": 0.25,
    "ece_before": 0.03,
    "ece": 0.02,
    "nll_before": 0.3,
    "nll": 0.2,
    "top1_agreement": 1.0,
}
NEW = {"drift_interval_pp": (-3.96, 0.0), "groups": 40, "p": 0.5}


def screen(width=80):
    return Console(width=width, record=True)


def gain(groups, better=7, patients=10):
    labels = np.zeros(100, int)
    answers = np.eye(2)[np.where(np.arange(100) < better * 10, 1, 0)]
    ids = [f"p{i // (100 // patients)}" for i in range(100)] if groups else None
    return drift(answers, np.eye(2)[labels], labels, ids)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            gain(True),
            "p = 0.016 by 10 groups, McNemar p = 0.000, 100 images; 70 answers differ (significant; it takes 6 groups",
        ),
        (
            gain(True, 5),
            "p = 0.062 by 10 groups, McNemar p = 0.000, 100 images; 50 answers differ (not significant; it takes",
        ),
        (gain(True, 7, 5), "(not significant; so few of them cannot show that anything is)"),
        (
            gain(False),
            "McNemar p = 0.000, 100 images; 70 answers differ (significant; on so many at least 6.00 pp could be)",
        ),
    ],
)
def test_the_gain_in_a_sentence(found, words, monkeypatch):
    monkeypatch.setattr(comparison, "show_comparison", lambda *_: None)
    console, student = screen(), SimpleNamespace(images=100)
    comparison.show({}, {"student": student}, found, console)
    text = console.export_text().replace("\n", " ")
    assert words in text
    assert f"{found.accuracy_change_pp:+.2f} pp [" in text
    assert f"NLL {found.nll_change:+.4f} [" in text
    assert ("by 10 groups" in text) == (found.groups == 10)


@pytest.mark.parametrize("groups", [True, False])
def test_the_table_of_quantization_has_both_tests_where_groups_are_known(groups):
    found = gain(groups).facts | {"flips": [1, 2]}
    scores = {"images": 100, "accuracy": 0.9, "accuracy_interval": (0.8, 0.95), "ece": 0.02, "ece_noise_floor": 0.01}
    document = {
        "networks": dict.fromkeys(("float", "ptq", "qat"), scores),
        "drift": {"ptq": found, "qat": found},
        "qat_against_ptq": found,
        "ptq_method": "mse",
        "verdict": "as it is",
    }
    console = screen()
    quantization.show(document, console)
    text = console.export_text()
    assert text.count("0.000") == 2  # McNemar's
    assert text.count("0.016") == (2 if groups else 0)
    assert ("p by" in text) is groups
    assert "McNemar" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(("extra", "cell"), [(NEW, "0.500"), ({}, "–"), ({"p": 0.25}, "–")])
def test_a_record_of_an_older_version_has_no_p_by_group(extra, cell):
    record = ArtefactRecord(**RECORD | extra)
    assert by_group(record) == cell
    outcome = SimpleNamespace(format="onnx", record=record, seconds=1.0)
    console = screen(120)
    console.print(export.table([outcome]))
    text = console.export_text()
    assert "0.250" in text
    assert ("p by" in text) == ("0.500" in text) == (cell == "0.500")


def test_the_card_has_change_interval_and_both_tests():
    records = {"onnx": ArtefactRecord(**RECORD | NEW), "tflite": ArtefactRecord(**RECORD)}
    text = card._int8(SimpleNamespace(artefacts=records, quantization=None))
    assert "| onnx | float | 1.00 | -1.50 pp [-4.0, 0.0] | 3 | 0.500 | 0.250 |" in text
    assert "| tflite | float | 1.00 | -1.50 pp | 3 | – | 0.250 |" in text
    lengths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(lengths) == 1
