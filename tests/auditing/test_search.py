"""The search: finds what comparing all pairs finds, under every view, with far fewer pairs."""

import numpy as np

from edgekd.auditing.descriptors import coarse, thumbnails
from edgekd.auditing.search import LEAST, candidates, coarse_similarity
from edgekd.auditing.views import VIEWS


def described(images):
    thumbs = np.stack([thumbnails(image) for image in images], 1)
    return np.stack([coarse(frame) for frame in thumbs])


def test_every_view_of_an_image_is_a_candidate(slices):
    turned = [view.turn(slices[i]) for i, view in enumerate(VIEWS)]
    pairs = {tuple(pair) for pair in candidates(described([*slices, *turned]), 16).tolist()}
    assert all((i, len(slices) + i) in pairs for i in range(len(VIEWS)))


def test_candidates_are_ordered_unique_and_few(slices):
    waves = described(slices)
    pairs = candidates(waves, 4)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs) <= 4 * 4 * len(slices)
    assert (coarse_similarity(waves, pairs) >= LEAST).all()


def test_nothing_to_search():
    for count in (0, 1, 3):
        assert candidates(np.zeros((2, count, 12, 12), np.float32), 16).shape == (0, 2)
