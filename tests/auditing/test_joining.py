"""Chains and clusters."""

import numpy as np

from edgekd.auditing.joining import chains, components, members


def test_components_are_numbered_by_their_first_member():
    assert components(6, np.array([[1, 4], [4, 2], [5, 3]])).tolist() == [0, 1, 1, 2, 1, 2]
    assert components(3, np.zeros((0, 2), np.int64)).tolist() == [0, 1, 2]
    assert components(0, np.zeros((0, 2), np.int64)).tolist() == []


def test_chains_join_equal_keys_and_leave_none_alone():
    assert chains(["a", None, "b", "a", None, "a"]).tolist() == [[0, 3], [3, 5]]
    assert chains([]).shape == (0, 2)


def test_members_keep_their_order():
    assert [m.tolist() for m in members(np.array([0, 1, 0, 2, 1]))] == [[0, 2], [1, 4], [3]]
    assert members(np.zeros(0, np.int64)) == []
