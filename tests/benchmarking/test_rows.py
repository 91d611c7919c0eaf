"""A row's drift, by the groups of the images that the row answered, and what the way from their files changed."""

import numpy as np
import pytest

from edgekd.benchmarking.jobs import Entry, SentFile
from edgekd.benchmarking.rows import from_files, with_drift
from edgekd.benchmarking.subject import Images
from edgekd.bundle import FileRecord
from edgekd.devices.document import FromFile
from edgekd.reports.benchmark import from_files as words


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


def test_the_first_step_that_gives_other_bytes_is_to_blame(hand_made):
    """Of six files: alike, decoded otherwise twice (one answer changes), resized otherwise (it changes), not decoded, alike."""
    h = hand_made
    truth = h.truth()[1]
    indices = tuple(range(0, 60, 2))
    probs = np.array(truth[list(indices)], np.float32)
    sent = [SentFile(row, None, FileRecord(sha256="0" * 64, size_bytes=1), "0" * 64) for row in (0, 4, 8, 20, 30, 58)]
    kinds = [(True, True), (False, False), (False, False), (True, False), (False, False), (True, True)]
    other = [False, False, True, True, False, False]
    found = []
    for file, (decoded, pixels), is_other in zip(sent, kinds, other, strict=True):
        row = truth[file.row]
        answer = np.roll(row, 1) if is_other else row
        found.append(FromFile(decoded_equal=decoded, pixels_equal=pixels, probs=tuple(map(float, answer))))
    found[4] = FromFile(decoded_equal=False, pixels_equal=False, probs=(), problem="files/30.jpg: it is damaged")
    told = from_files(Entry("pixel", None, 1, indices, "key", tuple(sent)), found, probs)
    assert told.rows == (0, 4, 8, 20, 30, 58)
    assert (told.not_decoded, told.decoded_differ, told.pixels_differ) == (1, 2, 1)
    assert (told.decoder_answers, told.resize_answers, told.kernel_answers) == (1, 1, None)
    changes = [np.abs(np.roll(truth[row], 1) - truth[row]).max() for row in (8, 20)]
    assert told.largest_change == pytest.approx(max(changes), rel=1e-6)

    facts = h.report([h.row("pixel", "tflite", h.hardware())]).data
    row = h.row("pixel", "tflite", h.hardware(), truth[: len(indices)])
    numerics = row.numerics.model_copy(update={"indices": indices, "from_files": told})
    flipped = probs.copy()
    flipped[[0, 1]] = np.roll(flipped[[0, 1]], 1, axis=1)  # images 0, which has a file, and 2
    images = Images(facts, np.zeros((h.IMAGES, 1, 1, 3), np.uint8), "", None)
    told = with_drift(row.model_copy(update={"numerics": numerics}), flipped, truth, images).numerics.from_files
    assert told.kernel_answers == 1
    assert words(told).startswith(
        "6 images answered from their files: decoded otherwise 2 (1 other answer), resized otherwise 1 (1 other answer), "
        "kernels 1 other answer, not decoded 1; a probability changes by "
    )
