"""Numbers of a region; sampling at a reference; nesting grids."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison import measures
from napari_mrisr.comparison.measures import (
    SAME_VOXELS,
    TRILINEAR,
    measure_region,
    nesting,
    sampler_of,
    sharpness,
)
from napari_mrisr.comparison.roi import LabelRoi
from napari_mrisr.comparison.slices import values_at
from napari_mrisr.core.volume import Grid, Region, Volume

SHAPE = (29, 18, 23)
GRID = Grid(SHAPE, np.diag([0.8, 1.1, 1.7, 1.0]))


@pytest.fixture
def volumes(rng):
    truth = rng.normal(500, 30, SHAPE).astype(np.float32)
    return [Volume(truth, GRID), Volume(truth + rng.normal(3, 9, SHAPE).astype(np.float32), GRID)]


@pytest.fixture
def selection(rng):
    return LabelRoi("l", rng.random(SHAPE) > 0.4, GRID).select(GRID)


@pytest.mark.parametrize("planes", [1, 2, 7])
def test_slabs_do_not_change_the_numbers(volumes, selection, planes, monkeypatch):
    samplers = [sampler_of(volume, volumes[0]) for volume in volumes]
    whole = measure_region(samplers, selection, 200.0), sharpness(volumes[1], selection)
    monkeypatch.setattr(measures, "_SLAB_VOXELS", planes * 18 * 23)
    found = measure_region(samplers, selection, 200.0), sharpness(volumes[1], selection)
    for before, after in zip(whole[0], found[0], strict=True):
        assert vars(after) == pytest.approx(vars(before), rel=1e-12, nan_ok=True)
    assert found[1] == pytest.approx(whole[1], rel=1e-12)
    assert found[0][1].windows == whole[0][1].windows > 100


def test_a_mask_that_begins_late_and_a_truth_that_begins_with_nan(volumes, monkeypatch):
    monkeypatch.setattr(measures, "_SLAB_VOXELS", 18 * 23)
    mask = np.zeros(SHAPE, bool)
    mask[0, 0, 0] = mask[12:26, 2:16, 3:20] = True
    data = volumes[0].data.copy()
    data[0, 0, 0] = np.nan
    selection = LabelRoi("l", mask, GRID).select(GRID)
    found = measure_region([sampler_of(Volume(data, GRID), volumes[0])], selection, None)[0]
    part = data[12:26, 2:16, 3:20].astype(float)
    assert (found.voxels, found.missing) == (part.size, 1)
    assert found.mean == pytest.approx(part.mean())
    assert found.sd == pytest.approx(part.std(ddof=1))


def test_the_sd_of_a_large_constant_is_zero_exactly():
    data = np.full(SHAPE, 123456.789, np.float32)
    data[0, 0, 0] = np.nan
    volume = Volume(data, GRID)
    selection = LabelRoi("l", np.ones(SHAPE, bool), GRID).select(GRID)
    found = measure_region([sampler_of(volume, volume)], selection, None)[0]
    assert found.constant
    assert found.sd == 0.0
    assert math.isnan(found.ssim)


def test_a_small_sd_on_a_large_mean_keeps_its_digits(rng):
    data = (1e6 + rng.integers(0, 3, SHAPE)).astype(np.float32)
    volume = Volume(data, GRID)
    selection = LabelRoi("l", np.ones(SHAPE, bool), GRID).select(GRID)
    found = measure_region([sampler_of(volume, volume)], selection, None)[0]
    assert found.sd == pytest.approx(data.astype(float).std(ddof=1), rel=1e-9)


def test_nothing_known_is_nan(volumes, selection):
    empty = Volume(np.full(SHAPE, np.nan, np.float32), GRID)
    found = measure_region([sampler_of(v, v) for v in (volumes[0], empty)], selection, 200.0)[1]
    assert (found.voxels, found.missing, found.windows) == (0, selection.count, 0)
    assert math.isnan(found.mean)
    assert math.isnan(found.ssim)


TURN = Rotation.from_euler("xyz", [12, -8, 20], degrees=True).as_matrix()


def volume_on(matrix, shape, rng):
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = -matrix @ ((np.array(shape) - 1) / 2)
    return Volume(rng.normal(100, 20, shape).astype(np.float32), Grid(shape, affine))


@pytest.fixture
def reference(rng):
    return volume_on(np.diag([1.0, 1.2, 0.8]), (17, 15, 19), rng)


@pytest.mark.parametrize(
    "matrix", [np.diag([2.0, 2.4, 3.1]), np.diag([-1.1, 1.3, -0.9]), TURN @ np.diag([1.1, 1, 1.4])]
)
def test_other_voxels_are_interpolated_and_nan_outside(reference, matrix, rng):
    other = volume_on(matrix, (7, 9, 6), rng)
    found = sampler_of(other, reference)
    assert found.method == TRILINEAR
    region = Region((2, 0, 5), (16, 13, 19))
    index = np.moveaxis(np.indices(reference.grid.shape)[(slice(None), *region.slices)], 0, -1)
    expected = values_at(other, apply_affine(reference.grid.affine, index), order=1)
    values = found.read(region)
    assert values.dtype == np.float32
    assert values == pytest.approx(expected, rel=1e-5, nan_ok=True)
    assert np.isnan(values).any()
    assert np.isfinite(values).sum() > 200


def test_the_same_voxels_are_not_copied(reference, rng):
    other = Volume(rng.random(reference.grid.shape).astype(np.float32), reference.grid)
    found = sampler_of(other, reference)
    assert found.method == SAME_VOXELS
    assert np.shares_memory(found.read(Region((1, 2, 3), (5, 6, 7))), other.data)


AFFINE = np.eye(4)
AFFINE[:3, :3] = TURN @ np.diag([0.8, 0.9, 1.1])
AFFINE[:3, 3] = 4.0, -30.0, 12.0
FINE = Grid((25, 24, 19), AFFINE)


@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 2, 2), (3, 1, 4)])
def test_a_degraded_grid_nests_by_its_scale(scale):
    shape = tuple(n // s * s for n, s in zip(FINE.shape, scale, strict=True))
    whole = FINE.cropped((0, 0, 0), shape)
    assert nesting(FINE, whole.degraded(scale)) == scale


def moved(grid, by):
    affine = grid.affine.copy()
    affine[:3, 3] += by
    return Grid(grid.shape, affine)


def test_grids_that_do_not_nest():
    lr = FINE.cropped((0, 0, 0), (24, 24, 18)).degraded((2, 2, 2))
    assert nesting(FINE, moved(lr, (0, 0.005, 0))) == (2, 2, 2)
    assert nesting(FINE, moved(lr, (0, 0.1, 0))) is None
    assert nesting(FINE, lr.cropped((0, 0, 0), (11, 12, 9))) is None
    assert nesting(lr, FINE) is None
    askew = Grid(lr.shape, np.diag([1.6, 1.8, 2.2, 1.0]))
    assert nesting(FINE, askew) is None
    stretched = lr.affine.copy()
    stretched[:3, 0] *= 1.3
    assert nesting(FINE, Grid(lr.shape, stretched)) is None
