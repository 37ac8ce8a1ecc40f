"""Filtering voxels by rows agrees with the reference."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.bank.hashing import ELEMENTS, element_offsets
from napari_mrisr.kernels import cpu_voxels, reference

TABLE = np.array(ELEMENTS)


def random_bank(rng, shape, width, filters=5):
    """A padded source, buckets (one of them without a filter), elements and weights."""
    source = rng.normal(0.4, 0.3, [n + width - 1 for n in shape]).astype(np.float32)
    bucket = rng.integers(0, filters + 1, shape).astype(np.int32)
    element = rng.integers(0, 48, shape).astype(np.uint8)
    weights = rng.normal(0, 1 / width**1.5, (filters, width**3)).astype(np.float32)
    return source, bucket, element, weights


def by_reference(source, bucket, element, weights, width, centered):
    strides = (source.shape[1] * source.shape[2], source.shape[2], 1)
    offsets = element_offsets(width, strides)
    return reference.filter_voxels(source, bucket, element, offsets, weights, centered)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("width", [1, 3, 5, 7, 9, 11])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 2, 19), (4, 1, 1)])
def test_filter_voxels(rng, centered, width, shape):
    source, bucket, element, weights = random_bank(rng, shape, width)
    rows = cpu_voxels.filter_rows(weights, width)
    result = cpu_voxels.filter_voxels(source, bucket, element, TABLE, rows, centered)
    expected = by_reference(source, bucket, element, weights, width, centered)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=3e-6)
    assert not result[bucket == 5].any()


@pytest.mark.parametrize("element", range(48))
def test_each_symmetry(rng, element):
    source, bucket, _, weights = random_bank(rng, (2, 3, 4), 5)
    elements = np.full(bucket.shape, element, np.uint8)
    rows = cpu_voxels.filter_rows(weights, 5)
    result = cpu_voxels.filter_voxels(source, bucket, elements, TABLE, rows, True)
    expected = by_reference(source, bucket, elements, weights, 5, True)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=3e-6)


def test_filters_and_their_mirror_images(rng):
    weights = rng.normal(size=(3, 125)).astype(np.float32)
    rows = cpu_voxels.filter_rows(weights, 5)
    assert rows.shape == (6, 25, 8)
    assert not rows[:, :, 5:].any()
    np.testing.assert_array_equal(rows[2, :, :5], weights[1].reshape(25, 5))
    np.testing.assert_array_equal(rows[3, :, :5], weights[1].reshape(25, 5)[:, ::-1])


@pytest.mark.parametrize("width", [3, 5])
def test_filtered_voxels_do_not_depend_on_the_region(rng, width):
    source, bucket, element, weights = random_bank(rng, (4, 5, 23), width)
    rows = cpu_voxels.filter_rows(weights, width)
    whole = cpu_voxels.filter_voxels(source, bucket, element, TABLE, rows, True)
    for start, stop in [(0, 1), (3, 11), (20, 23)]:
        box = np.s_[1:3, :, start:stop]
        part = source[1 : 3 + width - 1, :, start : stop + width - 1]
        result = cpu_voxels.filter_voxels(
            np.ascontiguousarray(part), bucket[box], element[box], TABLE, rows, True
        )
        np.testing.assert_array_equal(result, whole[box])
