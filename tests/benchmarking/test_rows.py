"""A row's drift: the images that the row answered, by their groups."""

import numpy as np
import pytest

from edgekd.benchmarking.rows import with_drift
from edgekd.benchmarking.subject import Images


@pytest.mark.parametrize("count", [200, 60])
def test_drift_is_tested_by_the_groups_of_the_answered_images(hand_made, count):
    h = hand_made
    wrong = h.answers(8)
    at = np.flatnonzero((wrong != h.answers()).any(1))
    assert at.max() < 60
    groups = tuple(f"p{0 if i in at[:4] else 1 if i in at else 2 + i % 9}" for i in range(h.IMAGES))
    row = h.row("local", "tflite-int8", h.hardware(), wrong[:count])
    facts = h.report([row]).data.model_copy(update={"groups": groups})
    images = Images(facts, np.zeros((h.IMAGES, 1, 1, 3), np.uint8), "", None)
    found = with_drift(row, wrong[:count], h.truth()[1], images).numerics.drift
    assert (found.images, found.groups) == (count, 11)
    assert found.p == pytest.approx(2 / 4)
    assert found.mcnemar_p == pytest.approx(2 * 0.5**8)
    assert found.interval_pp[0] < found.accuracy_change_pp < found.interval_pp[1]
    without = Images(facts.model_copy(update={"groups": None}), images.pixels, "", None)
    assert with_drift(row, wrong[:count], h.truth()[1], without).numerics.drift.p == found.mcnemar_p
