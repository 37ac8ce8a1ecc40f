"""Predictors of the expected error: bucket, gradient strength and detail per voxel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.predictors import at_cells, before_last, change_of, predict_from
from napari_mrisr.core.volume import Region


def test_predictors_equal_plain_numpy(make_bank, rng):
    """Bucket of the hash, strength by scipy, detail of the cell."""
    bank = make_bank((2, 2, 2), ("cell", "voxel"))
    shape = (18, 16, 20)
    image = rng.random(shape).astype(np.float32)
    detail = rng.random((9, 8, 10)).astype(np.float32)
    whole = Region.whole(shape)
    found = predict_from(bank, image, (0, 0, 0), shape, detail, whole)
    spec: HashSpec = bank.stages[-1].spec.hash
    expected, _ = spec.hash_box(image, (0, 0, 0), shape, whole)
    np.testing.assert_array_equal(found.bucket, expected)
    energy = sum(np.gradient(image.astype(np.float64), axis=axis) ** 2 for axis in range(3))
    for axis in range(3):
        energy = ndimage.correlate1d(energy, spec.window.taps().astype(float), axis=axis)
    r = spec.window.reach[0]
    inner = (slice(r, -r),) * 3
    assert found.strength[inner].size > 0
    np.testing.assert_allclose(found.strength[inner], np.sqrt(energy)[inner], rtol=1e-4)
    np.testing.assert_array_equal(found.detail, detail.repeat(2, 0).repeat(2, 1).repeat(2, 2))


def test_predictors_of_a_region_are_those_of_the_volume(make_bank, rng):
    bank = make_bank((2, 2, 2), ("cell", "voxel"))
    shape, box = (16, 14, 18), Region((3, 2, 5), (9, 11, 12))
    image, detail = rng.random(shape).astype(np.float32), rng.random((8, 7, 9)).astype(np.float32)
    whole = predict_from(bank, image, (0, 0, 0), shape, detail, Region.whole(shape))
    part = predict_from(bank, image, (0, 0, 0), shape, detail, box)
    for name in ("bucket", "strength", "detail"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[box.slices])


def test_predictors_of_a_stage_of_cells_are_those_of_the_low_resolution_voxel(make_bank, rng):
    """Planted: every output voxel has the bucket and strength of its cell, in any region."""
    bank = make_bank((3, 3, 3), ("cell",), anchors="tensor")
    lr, detail = (rng.random((11, 10, 12)).astype(np.float32) for _ in range(2))
    box = Region((4, 2, 5), (25, 22, 32))
    found = predict_from(bank, lr, (0, 0, 0), lr.shape, detail, box)
    spec: HashSpec = bank.stages[-1].spec.hash
    bucket, _ = spec.hash_box(lr, (0, 0, 0), lr.shape, Region.whole(lr.shape))
    energy = sum(np.gradient(lr.astype(np.float64), axis=axis) ** 2 for axis in range(3))
    for axis in range(3):
        energy = ndimage.correlate1d(energy, spec.window.taps().astype(float), axis=axis)
    assert len(set(bucket.ravel())) > 3
    for ours, cells in ((found.bucket, bucket), (found.detail, detail)):
        np.testing.assert_array_equal(ours, np.kron(cells, np.ones((3, 3, 3)))[box.slices])
    inner = Region((9, 9, 9), (24, 21, 27))  # edges are mirrored in another way
    strength = np.kron(np.sqrt(energy), np.ones((3, 3, 3)))[inner.slices]
    shifted = tuple(
        slice(a - c, b - c) for a, b, c in zip(inner.start, inner.stop, box.start, strict=True)
    )
    np.testing.assert_allclose(found.strength[shifted], strength, rtol=1e-4)


def test_before_last_leaves_out_the_last_stage(make_bank):
    bank = make_bank((2, 2, 2), ("cell", "voxel"))
    assert before_last(bank).stages == bank.stages[:1]
    assert replace(bank, stages=bank.stages[:1]).scale == before_last(bank).scale


def test_change_is_the_local_root_mean_square_of_what_was_added():
    start = np.zeros((9, 9, 24), np.float32)
    result = start.copy()
    result[4, 4, 12] = 3.0
    found = change_of(result, start, (1, 1, 4))
    sigma = np.array([1, 1, 2.0])
    assert found[4, 4, 12] == pytest.approx(3.0 / np.sqrt((2 * np.pi) ** 1.5 * sigma.prod()), 0.02)
    assert found[4, 4, 14] > found[6, 4, 12]
    np.testing.assert_allclose(change_of(start + 2.0, start, (1, 1, 4)), 2.0, rtol=1e-5)


def test_cells_of_a_scale_that_is_not_whole():
    lr = np.arange(5, dtype=np.float32)[None, None]
    found = at_cells(lr, (1, 1, 12 / 5), Region.whole((1, 1, 12)))[0, 0]
    np.testing.assert_array_equal(found, np.floor((np.arange(12) + 0.5) * 5 / 12))
