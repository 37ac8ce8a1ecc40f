from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import VolumeError
from napari_mrisr.explain.edge import find_edge

SHAPE = (24, 28, 32)


def block(at=None) -> Volume:
    """Return a block-shaped head, brighter up to ``at`` along x."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    data = 60.0 * (np.maximum(np.maximum(abs(x), abs(y)), abs(z)) < 0.9)
    data += np.random.default_rng(0).normal(0, 0.5, SHAPE) * (data > 0)
    if at is not None:
        data[: at + 1] += 40.0 * (data[: at + 1] > 30)
    return Volume(ndimage.gaussian_filter(data, 0.5).astype(np.float32), Grid(SHAPE, np.eye(4)))


def test_finds_the_planted_edge():
    voxel = find_edge(block(at=13), (2, 1, 3))
    assert 13 <= voxel[0] // 2 <= 14
    # In the central half of the head.
    assert 7 <= voxel[1] < 21
    assert 8 <= voxel[2] // 3 < 24


def test_prefers_voxels_with_a_large_interpolation_error():
    volume, scale = block(at=13), (2, 2, 2)
    truth = np.zeros([2 * n for n in SHAPE], np.float32)
    guess = truth.copy()
    wrong = (27, 29, 33)
    guess[wrong] = 1.0
    assert find_edge(volume, scale, truth, guess) == wrong


def test_a_volume_without_edges_is_refused():
    data = np.full(SHAPE, 7.0, np.float32)
    data[0, 0, 0] = 8.0
    with pytest.raises(VolumeError, match="no edge"):
        find_edge(Volume(data, Grid(SHAPE, np.eye(4))), (2, 2, 2))
