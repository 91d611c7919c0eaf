"""Which pairs are worth a closer look: neighbours in a k-d tree of short vectors, far fewer than all pairs.

A k-d tree is the measured choice: in 16 dimensions and within a small radius it is as quick as the approximate graphs of
faiss, usearch and hnswlib at these sizes, finds every neighbour that there is, and comes with SciPy.
"""

from __future__ import annotations

import numpy as np

from edgekd.auditing.descriptors import flip_invariant
from edgekd.auditing.views import SIGNS

DIMENSIONS = 16
RADIUS = 0.5  # of vectors of norm 1; copies lie within 0.3
LEAST = 0.75  # coarse similarity from which on a pair is compared in full; similar pairs lie above 0.81
BATCH = 16384  # pairs

Array = np.ndarray


def candidates(coarse: Array, neighbours: int) -> Array:
    """Pairs [M, 2] of indices, i < j, sorted: those among the nearest `neighbours` of each other under some view.

    `coarse` is [2, N, W, W] (whole image, content box). Images without structure (norm 0) have no neighbours.
    """
    found = [_near(frame, neighbours) for frame in coarse]
    pairs = np.unique(np.concatenate(found), axis=0)
    kept = [
        batch[coarse_similarity(coarse, batch) >= LEAST]
        for batch in (pairs[begin : begin + BATCH] for begin in range(0, len(pairs), BATCH))
    ]
    return np.concatenate(kept) if kept else pairs


def _near(waves: Array, neighbours: int) -> Array:
    """Pairs whose flip-invariant vectors are neighbours, with the axes as they are or swapped."""
    from scipy.spatial import cKDTree

    usable = np.flatnonzero((waves != 0).any((1, 2)))
    if len(usable) < 2:
        return np.zeros((0, 2), np.int64)
    plain, turned = flip_invariant(waves[usable]), flip_invariant(np.swapaxes(waves[usable], 1, 2))
    mean = plain.mean(0)
    # Projecting onto the directions in which the images differ most never lengthens a distance, so none is missed.
    _, directions = np.linalg.eigh((plain - mean).T @ (plain - mean))
    basis = directions[:, ::-1][:, :DIMENSIONS]
    tree = cKDTree((plain - mean) @ basis)
    pairs = []
    for vectors in (plain, turned):
        query = (vectors - mean) @ basis
        _, index = tree.query(query, k=neighbours + 1, distance_upper_bound=RADIUS, workers=-1)
        row, column = np.nonzero(index < len(usable))  # what is missing has the index N
        pairs.append(np.stack([usable[row], usable[index[row, column]]], 1))
    both = np.concatenate(pairs)
    return np.sort(both[both[:, 0] != both[:, 1]], 1)


def coarse_similarity(coarse: Array, pairs: Array) -> Array:
    """Best cosine [M] of the low waves of pairs [M, 2] over both frames and all eight views."""
    best = np.full(len(pairs), -1, np.float32)
    for frame in coarse:
        a, b = frame[pairs[:, 0]], frame[pairs[:, 1]]
        for other in (b, np.swapaxes(b, 1, 2)):
            product = a * other
            dots = [product[:, y::2, x::2].sum((1, 2)) for y, x in ((0, 0), (0, 1), (1, 0), (1, 1))]
            best = np.maximum(best, (np.stack(dots, 1) @ SIGNS.T).max(1))
    return best
