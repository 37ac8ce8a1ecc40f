"""Intrinsics: tiles of products for vectors of every size, and turned patches."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from napari_mrisr.kernels.tile import COLUMNS, LANES, TALL, tile_of, turn

ROOM, SAMPLES = 7, 5
AHEAD = np.zeros(ROOM, np.int64)


def panels_of(values, lanes):
    """Samples × values in panels with room for more; what is in that room must not matter."""
    samples, width = values.shape
    panels = np.full((width // lanes, ROOM, lanes), np.nan, np.float32)
    panels[:, :samples] = values.reshape(samples, -1, lanes).transpose(1, 0, 2)
    return panels


@pytest.mark.parametrize("tall", [1, 2, 3])
@pytest.mark.parametrize(("lanes", "columns"), [(4, 4), (8, 4), (16, 8)])
def test_a_tile_adds_its_products_and_no_others(rng, tall, lanes, columns):
    tile = tile_of(tall, lanes, columns)

    @numba.njit
    def call(panels, panel, column, samples, sums, ahead, place):
        tile(panels, panel, column, samples, sums, ahead, place)

    values = rng.normal(size=(SAMPLES, 4 * lanes)).astype(np.float32)
    before = rng.normal(size=(3 * columns, 4 * lanes)).astype(np.float32)
    sums, panel, column = before.copy(), 4 - tall, 2 * columns
    call(panels_of(values, lanes), panel, column, SAMPLES, sums, AHEAD, 1)
    expected = before.astype(np.float64)
    products = values[:, column : column + columns].astype(np.float64).T @ values
    expected[column : column + columns, panel * lanes :] += products[:, panel * lanes :]
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-5)


def test_tiles_fit_into_vectors():
    assert LANES % COLUMNS == 0
    assert TALL == 3


def test_turn_takes_a_value_a_step(rng):
    @numba.njit
    def call(source, corner, steps, less, panels, sample):
        turn(source, corner, steps, less, panels, sample)

    source = rng.normal(size=500).astype(np.float32)
    steps = rng.integers(0, 400, 3 * LANES).astype(np.uint32)
    panels = np.full((4, ROOM, LANES), 9.0, np.float32)
    call(source, np.uint64(77), steps, np.float32(0.25), panels, 2)
    np.testing.assert_array_equal(panels[:3, 2].ravel(), source[77 + steps] - np.float32(0.25))
    panels[:3, 2] = 9.0
    assert (panels == 9.0).all()
