"""From pairs to clusters: images that are joined, directly or through others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def components(count: int, pairs: Array) -> Array:
    """Component [count] of each of `count` things that `pairs` [M, 2] join; numbered by their first member."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if count == 0:
        return np.zeros(0, np.int64)
    ones = np.ones(len(pairs), np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, found = connected_components(graph, directed=False)
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def chains(keys: Sequence[object]) -> Array:
    """Pairs [M, 2] that join things of equal key one after the other; a key of None joins nothing."""
    last: dict[object, int] = {}
    pairs = []
    for index, key in enumerate(keys):
        if key is None:
            continue
        if key in last:
            pairs.append((last[key], index))
        last[key] = index
    return np.array(pairs, np.int64).reshape(-1, 2)


def members(component: Array) -> list[Array]:
    """The members of each component, in order."""
    order = np.argsort(component, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(component[order])) + 1) if len(component) else []
