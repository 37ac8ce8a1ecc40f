"""Sorting samples by bucket, and gathering their patches as the reference does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mrisr.bank.symmetries import element_offsets, phase_offsets
from napari_mrisr.kernels import cpu_samples, reference

SHAPE = (19, 23, 17)


@pytest.mark.parametrize("width", [3, 5, 7])
@pytest.mark.parametrize("centered", [False, True])
def test_patches_are_those_of_the_reference(rng, width, centered):
    r, n = width // 2, 200
    source = rng.normal(1, 0.3, SHAPE).astype(np.float32)
    x, y, z = (rng.integers(r, size - r, n) for size in SHAPE)
    base = (x * SHAPE[1] + y) * SHAPE[2] + z
    element = rng.integers(0, 48, n).astype(np.uint8)
    offsets = element_offsets((width,) * 3, (SHAPE[1] * SHAPE[2], SHAPE[2], 1))
    found = np.empty((n, width**3), np.float32)
    cpu_samples.gather(source, base, element, offsets, centered, found)
    expected = reference.gather(source, base, element, offsets, centered)
    np.testing.assert_array_equal(found, expected)


def test_neighbors_are_not_read(rng):
    """Patches at the first and last voxels; all other voxels are NaN."""
    source = np.full(SHAPE, np.nan, np.float32)
    source[:3, :3, :3] = source[-3:, -3:, -3:] = rng.normal(size=(3, 3, 3))
    first = (SHAPE[1] + 1) * SHAPE[2] + 1
    base = np.array([first, source.size - 1 - first])
    offsets = element_offsets((3,) * 3, (SHAPE[1] * SHAPE[2], SHAPE[2], 1))
    found = np.empty((2, 27), np.float32)
    cpu_samples.gather(source, base, np.array([7, 40], np.uint8), offsets, False, found)
    assert np.isfinite(found).all()


def test_targets_of_a_cell_are_its_block():
    target = np.arange(192, dtype=np.float32).reshape(4, 6, 8)
    places = phase_offsets((2, 2, 2)) @ np.array([48, 8, 1])
    found = np.empty((3, 8), np.float32)
    goal = np.full(3, 2 * 48 + 4 * 8 + 6)
    elements = np.array([0, 13, 47], np.uint8)
    cpu_samples.gather(target, goal, elements, places, False, found)
    np.testing.assert_array_equal(found[0], target[2:4, 4:6, 6:8].ravel())
    np.testing.assert_array_equal(np.sort(found[1:]), np.sort(found[[0, 0]]))


@settings(deadline=None, max_examples=50)
@given(buckets=st.lists(st.integers(0, 9), max_size=60), count=st.integers(1, 10))
def test_sorting_is_a_stable_argsort_of_the_buckets_below_count(buckets, count):
    found = np.array(buckets, np.int32)
    order, ends = cpu_samples.sort_by_bucket(found, count)
    wanted = np.argsort(found, kind="stable")
    wanted = wanted[found[wanted] < count]
    np.testing.assert_array_equal(order, wanted)
    np.testing.assert_array_equal(ends, np.searchsorted(found[wanted], np.arange(count + 1)))
