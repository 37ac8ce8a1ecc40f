"""Pixels of a plane against scipy, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from napari_mrisr.kernels.pixels import sample_pixels


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("shape", [(7, 5, 9), (2, 6, 3), (1, 4, 5), (5, 1, 1)])
def test_pixels_are_scipy_s_inside_and_nan_outside(rng, shape, order):
    data = rng.normal(0, 1, shape).astype(np.float32)
    across, upward = rng.uniform(-0.6, 0.6, (2, 3))
    # The middle pixel lies near the middle of the volume.
    start = (np.array(shape) - 1) / 2 + rng.uniform(-0.4, 0.4, 3) - 5 * across - 6 * upward
    made = sample_pixels(data, start, across, upward, (13, 11), order)
    rows, columns = np.indices((13, 11))
    index = start + columns[..., None] * across + rows[..., None] * upward
    inside = ((index > -0.5) & (index < np.array(shape) - 0.5)).all(axis=-1)
    expected = map_coordinates(
        data.astype(float), np.moveaxis(index, -1, 0), order=order, mode="nearest"
    )
    assert inside.any()
    assert not inside.all()
    np.testing.assert_allclose(made, np.where(inside, expected, np.nan), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", [0, 1])
def test_positions_an_ulp_off_the_border_count_as_on_it(order):
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    step = np.array([0.0, 1.0, 0.0])
    for start, known in (([-0.5 - 1e-9, 0, 0], True), ([1.5 - 1e-9, 0, 0], False)):
        made = sample_pixels(data, np.array(start), step, step, (1, 1), order)
        assert np.isfinite(made[0, 0]) == known
