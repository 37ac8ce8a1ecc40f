"""Neighbors of the plane on screen."""

from __future__ import annotations

import pytest

from napari_mrisr.viewer.ahead import planes_beside


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ((2, 9), [11, 12, 13, 9]),  # upward
        ((2, 40), [9, 8, 7, 11]),  # downward
        ((2, 10), [11, 9, 12, 8]),  # nobody has moved
        ((0, 9), [11, 9, 12, 8]),  # along another axis
    ],
)
def test_in_the_direction_of_the_last_move_first(before, expected):
    assert planes_beside((2, 10), before, 50) == [(2, index) for index in expected]


def test_none_beyond_the_volume():
    assert planes_beside((1, 0), (1, 0), 2) == [(1, 1)]
    assert planes_beside((1, 4), (1, 3), 5) == [(1, 3)]
