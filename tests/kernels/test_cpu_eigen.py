"""Rows of eigen-analysis in single precision are those in double, degenerate tensors included.

Against the reference: test_cpu_hash.py, through the features.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers.patterns import random_fields

from napari_mrisr.kernels import cpu_eigen


def analyzed(tensor, smooth, kind, i=0, j=0, start=0, size=None):
    size = size or smooth.shape[2] - 2 - start
    rows = [np.full((n, size), np.nan, kind) for n in (3, 4, 2)]
    cpu_eigen.analyze_row(tensor, cpu_eigen.trace_of(tensor), smooth, i, j, start, False, *rows)
    return rows


def test_trace(rng):
    tensor = rng.normal(size=(6, 3, 4, 5)).astype(np.float32)
    expected = np.trace(tensor[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]].astype(np.float64))
    np.testing.assert_allclose(cpu_eigen.trace_of(tensor), expected, atol=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e-10, 1e6])
def test_single_precision_is_that_of_double(rng, size):
    tensor, smooth = random_fields(rng, (3, 3, 400))
    values, direction, shape = analyzed(tensor * np.float32(size), smooth, np.float32)
    expected, line, numbers = analyzed(tensor * np.float32(size), smooth, np.float64)
    np.testing.assert_allclose(values / expected[0], expected / expected[0], atol=5e-6)
    clear = (np.abs(numbers[0]) > 1e-4) & (expected[1] < 0.95 * expected[0])
    assert clear.mean() > 0.8
    np.testing.assert_allclose(direction[:3, clear], line[:3, clear], atol=1e-4)
    np.testing.assert_allclose(shape[:, clear], numbers[:, clear], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    "values", [(0, 0, 0), (1, 1, 1), (1, 1, 0), (1, 1, 0.3), (1, 1 - 1e-7, 0.5), (1, 0, 0)]
)
def test_degenerate_tensors_have_a_direction(rng, kind, values):
    smooth = np.zeros((3, 3, 12), np.float32)
    for _ in range(20):
        rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        matrix = (rotation * values) @ rotation.T
        parts = matrix[[0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]].astype(np.float32)
        tensor = np.ascontiguousarray(np.broadcast_to(parts[:, None, None, None], (6, 3, 3, 12)))
        found, direction, _ = analyzed(tensor, smooth, kind)
        # Two equal large ones: a root of what rounding leaves of zero.
        atol = 3e-4 if kind is np.float32 else 2e-6
        np.testing.assert_allclose(found[:, 0], values, atol=atol)
        v = direction[:3, 4].astype(np.float64)
        np.testing.assert_allclose(np.linalg.norm(v), 1.0, atol=1e-5)
        np.testing.assert_allclose(
            parts[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]] @ v, v * values[0], atol=6e-4
        )


def test_a_voxel_does_not_depend_on_its_row(rng):
    """Vectors and rests of rows, and rows that begin elsewhere, give the same bits."""
    tensor, smooth = random_fields(rng, (5, 4, 45))
    whole = analyzed(tensor, smooth, np.float32, 2, 1)
    for start, size in [(0, 1), (3, 8), (11, 17), (42, 1)]:
        for part, row in zip(
            analyzed(tensor, smooth, np.float32, 2, 1, start, size), whole, strict=True
        ):
            np.testing.assert_array_equal(part, row[:, start : start + size])
