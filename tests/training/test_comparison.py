"""What the distillation gained, by group where the bundles hold groups."""

from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgekd.training.comparison import paired

LABELS = np.zeros(12, np.int64)
GROUPS = np.array([0] * 5 + [1] * 4 + [2, 3, 4])


def bundle(path, wrong, temperature=1.0, **tensors):
    logits = np.tile(np.array([[2.0, 0.0]], np.float32), (12, 1))
    logits[wrong] = logits[wrong, ::-1]
    save_file({"logits": logits, "labels": LABELS} | tensors, path)
    manifest = SimpleNamespace(calibration_temperature={"torch": temperature})
    return SimpleNamespace(file=lambda name: path, manifest=manifest)


@pytest.mark.parametrize("older", [False, True])
def test_the_gain_is_tested_by_group(tmp_path, older):
    control = bundle(tmp_path / "a", list(range(9)), **({} if older else {"groups": GROUPS}))
    student = bundle(tmp_path / "b", [], groups=GROUPS)
    gain = paired(control, student)
    assert gain.accuracy_change_pp == pytest.approx(75)
    assert (gain.groups, gain.p) == (5, pytest.approx(2 / 4))  # two patients, both better
    assert gain.mcnemar_p == pytest.approx(2 * 0.5**9)


def test_bundles_without_groups_are_tested_by_image(tmp_path):
    gain = paired(bundle(tmp_path / "a", list(range(9))), bundle(tmp_path / "b", []))
    assert (gain.groups, gain.p) == (None, pytest.approx(2 * 0.5**9))


def test_other_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="different images"):
        paired(bundle(tmp_path / "a", []), bundle(tmp_path / "b", [], labels=1 - LABELS))


def test_nll_is_that_of_calibrated_answers(tmp_path):
    gain = paired(bundle(tmp_path / "a", [], 2.0), bundle(tmp_path / "b", [], 0.5))
    assert gain.accuracy_change_pp == 0
    assert gain.nll_change == pytest.approx(np.log1p(np.exp(-4)) - np.log1p(np.exp(-1)))
