"""The gain over tricubic in each bucket, against numpy and whole runs."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import GeometryError
from napari_mrisr.inspection import bucket_map, measure_gain, stage_input
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed

SHAPE = (20, 22, 24)


@pytest.fixture
def lr():
    x, y, z = patterns.steps(SHAPE, (10, 11, 12))
    rng = np.random.default_rng(0)
    ball = (x**2 + y**2 + z**2 < 64) * (0.6 + 0.3 * rng.random(SHAPE))
    return patterns.as_volume(ball)


def truth_of(lr):
    grid = lr.grid.upsampled((2, 2, 2))
    whole = Region.whole(grid.shape)
    near = get_method("tricubic", (2, 2, 2)).compute(lr, whole)
    noise = np.random.default_rng(1).normal(0, 0.02, grid.shape)
    return Volume(lr.window.from_unit((near + noise).astype(np.float32)), grid)


@pytest.mark.parametrize("number", [0, 1])
def test_errors_of_each_bucket(lr, number):
    bank, truth = patterns.planted_bank(), truth_of(lr)
    source = stage_input(lr, bank, number)
    buckets = bucket_map(source)
    found = measure_gain(source, buckets, truth, threads=2)
    fine, head = buckets, source.head()
    if number == 0:
        fine, head = (a.repeat(2, 0).repeat(2, 1).repeat(2, 2) for a in (buckets, head))
    whole = Region.whole(truth.grid.shape)
    wanted = lr.window.to_unit(truth.data)
    for method, errors in (
        (get_method("tricubic", (2, 2, 2)), found.tricubic),
        (Hashed(bank), found.hashed),
    ):
        rest = method.compute(lr, whole).astype(float) - wanted
        for bucket in np.unique(fine[head])[::5]:
            chosen = head & (fine == bucket)
            assert found.voxels[bucket] == chosen.sum()
            assert errors[bucket] == pytest.approx(np.sqrt((rest[chosen] ** 2).mean()), rel=1e-3)
    assert found.voxels.sum() == head.sum() > 5000
    ratio = found.tricubic / np.where(found.hashed > 0, found.hashed, np.nan)
    np.testing.assert_allclose(found.gain, 20 * np.log10(ratio))
    assert np.isnan(found.gain[found.voxels == 0]).all()
    # The truth is tricubic and a little noise, so random filters can only lose.
    assert np.nanmean(found.gain) < -1


def test_a_truth_elsewhere_is_refused(lr):
    source = stage_input(lr, patterns.planted_bank(), 0)
    buckets = bucket_map(source)
    with pytest.raises(GeometryError, match="is not the upsampled one"):
        measure_gain(source, buckets, lr)
    moved = truth_of(lr)
    affine = moved.grid.affine.copy()
    affine[0, 3] += 1.0
    with pytest.raises(GeometryError, match="choose the layer"):
        measure_gain(source, buckets, Volume(moved.data, Grid(moved.grid.shape, affine)))
