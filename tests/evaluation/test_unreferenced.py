"""Width of edges and stripes between slices: planted ones come back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.evaluation.unreferenced import edge_width, stripes


@pytest.mark.parametrize("sigma", [1.0, 2.0])
@pytest.mark.parametrize("size", [(1.0, 1.0, 1.0), (0.5, 1.0, 0.8)])
def test_an_edge_of_known_width(sigma, size):
    shape = (64, 20, 24)
    index = np.indices(shape) * np.array(size)[:, None, None, None]
    normal = np.array([0.8, 0.6, 0.0])
    distance = np.tensordot(normal, index, 1)
    distance -= distance.mean()
    data = 100.0 * special.ndtr(distance / sigma)
    volume = Volume(data.astype(np.float32), Grid(shape, np.diag([*size, 1.0])))
    # 10 to 90 % of an error function are 2.563 standard deviations.
    assert edge_width(volume) == pytest.approx(2.563 * sigma, rel=0.12)


def test_no_edges_have_no_width():
    assert np.isnan(edge_width(Volume(np.ones((9, 8, 7), np.float32), Grid((9, 8, 7), np.eye(4)))))


@pytest.mark.parametrize("axis", [0, 2])
def test_planted_stripes_are_measured(axis, rng):
    shape = [48, 48, 48]
    data = 1.0 + 0.01 * rng.normal(size=shape)
    place = np.arange(48).reshape([-1 if a == axis else 1 for a in range(3)])
    striped = data + 0.05 * np.sin(2 * np.pi * 12 * place / 48)
    grid = Grid((48, 48, 48), np.eye(4))
    volume = Volume(striped.astype(np.float32), grid)
    window = volume.normalized().window
    expected = 100 * 0.05 / (window.high - window.low)
    assert stripes(volume, axis, 12) == pytest.approx(expected, rel=0.05)
    assert stripes(volume, 1, 12) < 0.1 * expected


def test_too_many_slices_are_refused():
    volume = Volume(np.ones((9, 9, 48), np.float32), Grid((9, 9, 48), np.eye(4)))
    with pytest.raises(ParameterError, match="give 6 to 20"):
        stripes(volume, 2, 24)
