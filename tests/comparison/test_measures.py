"""Measuring a region slab by slab."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_mrisr.comparison import measures
from napari_mrisr.comparison.measures import measure_region, sharpness
from napari_mrisr.comparison.resample import reader
from napari_mrisr.comparison.roi import LabelRoi
from napari_mrisr.core.volume import Grid, Volume

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
    readers = [reader(volume, volumes[0]) for volume in volumes]
    whole = measure_region(readers, selection, 200.0), sharpness(volumes[1], selection)
    monkeypatch.setattr(measures, "_SLAB_VOXELS", planes * 18 * 23)
    found = measure_region(readers, selection, 200.0), sharpness(volumes[1], selection)
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
    found = measure_region([reader(Volume(data, GRID), volumes[0])], selection, None)[0]
    part = data[12:26, 2:16, 3:20].astype(float)
    assert (found.voxels, found.missing) == (part.size, 1)
    assert found.mean == pytest.approx(part.mean())
    assert found.sd == pytest.approx(part.std(ddof=1))


def test_the_sd_of_a_large_constant_is_zero_exactly():
    data = np.full(SHAPE, 123456.789, np.float32)
    data[0, 0, 0] = np.nan
    volume = Volume(data, GRID)
    selection = LabelRoi("l", np.ones(SHAPE, bool), GRID).select(GRID)
    found = measure_region([reader(volume, volume)], selection, None)[0]
    assert found.constant
    assert found.sd == 0.0
    assert math.isnan(found.ssim)


def test_a_small_sd_on_a_large_mean_keeps_its_digits(rng):
    data = (1e6 + rng.integers(0, 3, SHAPE)).astype(np.float32)
    volume = Volume(data, GRID)
    selection = LabelRoi("l", np.ones(SHAPE, bool), GRID).select(GRID)
    found = measure_region([reader(volume, volume)], selection, None)[0]
    assert found.sd == pytest.approx(data.astype(float).std(ddof=1), rel=1e-9)


def test_nothing_known_is_nan(volumes, selection):
    empty = Volume(np.full(SHAPE, np.nan, np.float32), GRID)
    found = measure_region([reader(v, v) for v in (volumes[0], empty)], selection, 200.0)[1]
    assert (found.voxels, found.missing, found.windows) == (0, selection.count, 0)
    assert math.isnan(found.mean)
    assert math.isnan(found.ssim)
