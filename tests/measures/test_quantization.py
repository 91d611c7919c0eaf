"""Float, post-training and quantization-aware answers compared: whole groups where these are known."""

import numpy as np
import pytest

from edgekd.measures.quantization import compare

PATIENTS, SLICES = 40, 5
GROUPS = [f"p{i}" for i in np.repeat(np.arange(PATIENTS), SLICES)]
LABELS = np.tile(np.arange(PATIENTS) % 2, (SLICES, 1)).T.ravel()


def logits(wrong, noise=0):
    """Right in all images but those of the first `wrong` patients."""
    found = np.random.default_rng(noise).normal(0, 0.3, (len(LABELS), 2))
    found[np.arange(len(LABELS)), np.where(np.arange(len(LABELS)) < wrong * SLICES, 1 - LABELS, LABELS)] += 4
    return found


def document(groups):
    wrong = {"float": 2, "ptq": 5, "qat": 2}
    answers = {name: {"val": logits(4, 1), "test": logits(n)} for name, n in wrong.items()}
    return compare(answers, {"val": LABELS, "test": LABELS}, groups)


def test_three_patients_with_fifteen_slices_are_no_significant_gain():
    by_image, by_group = document(None), document(GROUPS)
    assert by_image["qat_against_ptq"]["mcnemar_p"] == pytest.approx(2 * 0.5**15)
    assert by_image["qat_against_ptq"]["p"] == by_image["qat_against_ptq"]["mcnemar_p"]
    assert by_image["qat_against_ptq"]["groups"] is None
    assert "better than" in by_image["verdict"]
    assert by_group["qat_against_ptq"]["p"] == pytest.approx(2 / 8)
    assert by_group["qat_against_ptq"]["groups"] == PATIENTS
    assert by_group["drift"]["ptq"]["p"] == pytest.approx(2 / 8)
    assert by_group["verdict"].startswith("quantization-aware training is no measurable gain")
    assert "p = 0.250 by 40 groups, McNemar p = 0.000, 200 images" in by_group["verdict"]


def test_the_interval_of_a_gain_is_wider_by_group():
    found = [document(groups)["qat_against_ptq"] for groups in (None, GROUPS)]
    assert found[0]["accuracy_change_pp"] == found[1]["accuracy_change_pp"] == pytest.approx(100 * 3 / PATIENTS)
    by_image, by_group = (high - low for low, high in (f["interval_pp"] for f in found))
    assert by_group / by_image == pytest.approx(np.sqrt(SLICES), rel=0.15)  # as if there were a fifth of the images
