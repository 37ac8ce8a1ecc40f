"""A box stands in for the whole, and says no where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.core.volume import BoxArray, Grid, Region
from napari_mrisr.streaming.lazy import LazyVolume


def test_boxes_inside_and_outside(rng):
    whole = rng.random((9, 8, 7), dtype=np.float32)
    asked = []

    def missing(region):
        asked.append(region)
        return whole[region.slices]

    lazy = BoxArray(whole[2:6, 1:8, 3:5].copy(), (2, 1, 3), whole.shape, missing)
    np.testing.assert_array_equal(lazy[2:6, 1:8, 3:5], whole[2:6, 1:8, 3:5])
    np.testing.assert_array_equal(lazy[3:4, 5:8, 4:5], whole[3:4, 5:8, 4:5])
    assert asked == []
    for index in (np.s_[1:6, 1:8, 3:5], np.s_[2:7, 1:8, 3:5], np.s_[2:6, :, 3:4]):
        np.testing.assert_array_equal(lazy[index], whole[index])
    assert asked[0] == Region((1, 1, 3), (6, 8, 5))
    assert len(asked) == 3


def test_it_is_no_array():
    lazy = BoxArray(np.zeros((2, 2, 2), np.float32), (0, 0, 0), (4, 4, 4))
    with pytest.raises(TypeError, match="only a box"):
        np.asarray(lazy)
    with pytest.raises(IndexError):
        lazy[0:3, 0:1, 0:1]


def test_extremes_are_given():
    lazy = BoxArray(np.zeros((2, 2, 2), np.float32), (0, 0, 0), (4, 4, 4))
    volume = LazyVolume(lazy, Grid((4, 4, 4), np.eye(4)), bounds=(np.float32(-1), np.float32(3)))
    assert volume.extrema == (-1, 3)
    assert volume.data is lazy
