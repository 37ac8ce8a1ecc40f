"""Banded matrices along axes against the reference and against one another."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.kernels import cpu_rows, reference

ORDERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "sliced": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
}


def random_array(rng, shape):
    return rng.normal(0.4, 0.3, shape).astype(np.float32)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(7, 5, 9), (4, 17, 33), (9, 6, 1), (1, 4, 8), (5, 1, 16)])
def test_apply_rows(rng, order, axis, shape):
    array = ORDERS[order](random_array(rng, shape))
    width = min(3, shape[axis])
    first = rng.integers(0, shape[axis] - width + 1, 11)
    taps = random_array(rng, (11, width))
    result = cpu_rows.apply_rows(array, first, taps, axis)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(
        result, reference.apply_rows(array, first, taps, axis), rtol=1e-5, atol=1e-6
    )


def test_apply_rows_is_the_matrix_product(rng):
    """The reference too is held against something else: a dense matrix."""
    array, first, taps = random_array(rng, (6, 5, 4)), np.array([3, 0, 2]), rng.random((3, 2))
    matrix = np.zeros((3, 5))
    for row, (start, weights) in enumerate(zip(first, taps, strict=True)):
        matrix[row, start : start + 2] = weights
    expected = np.einsum("mj,ijk->imk", matrix, array)
    result = reference.apply_rows(array, first, taps.astype(np.float32), 1)
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-7)


def test_rows_do_not_depend_on_their_neighbors(rng):
    """The same voxels alone or within a larger array: the same bits."""
    array, first = random_array(rng, (5, 6, 41)), np.arange(9) % 3
    for axis in range(3):
        taps = random_array(rng, (9, 3))
        whole = cpu_rows.apply_rows(array, first, taps, axis)
        rows = cpu_rows.apply_rows(array, first[4:5], taps[4:5], axis)
        np.testing.assert_array_equal(rows, np.take(whole, [4], axis))
    taps = random_array(rng, (9, 3))
    whole = cpu_rows.apply_rows(array, first, taps, 0)
    for start in range(0, 40, 7):
        part = cpu_rows.apply_rows(array[:, :, start : start + 5], first, taps, 0)
        np.testing.assert_array_equal(part, whole[:, :, start : start + 5])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_run_of_equal_rows(rng, axis):
    """As in a blur: rows alike but for the edges; whole, in parts and against the reference."""
    shape = [4, 5, 6]
    shape[axis] = 50
    array = random_array(rng, shape)
    first = np.clip(np.arange(50) - 2, 0, 45)
    taps = np.tile(random_array(rng, 5), (50, 1))
    taps[:2], taps[-2:] = random_array(rng, (2, 5)), random_array(rng, (2, 5))
    whole = cpu_rows.apply_rows(array, first, taps, axis)
    expected = reference.apply_rows(array, first, taps, axis)
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-6)
    for start, stop in [(0, 50), (0, 3), (1, 30), (17, 18), (20, 41), (44, 50)]:
        part = cpu_rows.apply_rows(array, first[start:stop], taps[start:stop], axis)
        np.testing.assert_array_equal(part, np.take(whole, range(start, stop), axis))


def test_short_lines_along_z_give_the_bits_of_long_ones(rng):
    array, first, taps = random_array(rng, (3, 40, 50)), np.arange(46), random_array(rng, (46, 5))
    whole = cpu_rows.apply_rows(array, first, taps, 2)
    for start, stop in [(0, 1), (20, 31)]:
        part = cpu_rows.apply_rows(array, first[start:stop], taps[start:stop], 2)
        assert part.flags.c_contiguous
        np.testing.assert_array_equal(part, whole[:, :, start:stop])


@pytest.mark.parametrize("shape", [(7, 9, 80), (4, 5, 6), (3, 12, 75)])
def test_three_axes_at_once_are_one_after_the_other(rng, shape):
    array = ORDERS["sliced"](random_array(rng, shape))
    rows = []
    for n, width in zip(shape, (3, 2, 4), strict=True):
        first = np.clip(np.arange(n + 2) - 1, 0, n - width)
        rows.append((first, np.tile(random_array(rng, width), (n + 2, 1))))
    expected = array
    for axis, (first, taps) in enumerate(rows):
        expected = cpu_rows.apply_rows(expected, first, taps, axis)
    out = np.empty(expected.shape, np.float32)
    cpu_rows.RowsXYZ(rows).apply(array, out)
    np.testing.assert_array_equal(out, expected)
    lying = np.empty(np.array(expected.shape)[[0, 2, 1]], np.float32)
    cpu_rows.RowsXYZ(rows, swapped=True).apply(array.transpose(0, 2, 1), lying)
    np.testing.assert_array_equal(lying.transpose(0, 2, 1), expected)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 200])
def test_long_rows_and_their_rests(rng, count):
    """Every length of row that a block of vectors, single vectors and scalars make up."""
    array, first = random_array(rng, (4, 1, count)), np.array([0, 1])
    taps = random_array(rng, (2, 3))
    result = cpu_rows.apply_rows(array, first, taps, 0)
    np.testing.assert_allclose(
        result, reference.apply_rows(array, first, taps, 0), rtol=1e-5, atol=1e-6
    )
    single = cpu_rows.apply_rows(array[:, :, -1:], first, taps, 0)
    np.testing.assert_array_equal(single, result[:, :, -1:])
