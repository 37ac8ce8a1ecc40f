"""Brain mask and three classes: known ones come back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import VolumeError
from napari_mrisr.scan.tissue import brain_mask, segment, white_is_bright

SHAPE, SIZE = (64, 72, 60), (1.5, 1.3, 1.6)
T1W, T2W = (0.2, 0.5, 0.8), (0.9, 0.45, 0.25)


@pytest.fixture(scope="module")
def radius():
    axes = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SIZE, strict=True)], indexing="ij"
    )
    return np.sqrt(sum(a**2 for a in axes))


def labels(radius):
    """Fluid in a ventricle and around, white matter, gray matter."""
    return np.select([radius < 8, radius < 26, radius < 33, radius < 35], [1, 3, 2, 1], 0)


def painted(radius, levels, rng, skull=False):
    image = np.array([0.0, *levels])[labels(radius)]
    if skull:
        image += 0.03 * np.abs(rng.normal(size=SHAPE))  # noise of the air
        image[(radius > 38) & (radius < 42)] = 0.95  # scalp, and dark bone below it
    return ndimage.gaussian_filter(image, 0.4)


@pytest.mark.parametrize("levels", [T1W, T2W])
def test_classes_come_back_in_their_order(radius, rng, levels):
    image = np.array([0.0, *levels])[labels(radius)] + 0.04 * rng.normal(size=SHAPE)
    brain = labels(radius) > 0
    bright = white_is_bright(image, brain)
    assert bright == (levels is T1W)
    found = segment(image, brain, bright_white=bright)
    assert np.mean(found[brain] == labels(radius)[brain]) > 0.99
    assert not found[~brain].any()


def test_the_unit_of_a_result_does_not_shift_its_classes(radius):
    image = np.array([0.0, *T1W])[labels(radius)]
    brain = labels(radius) > 0
    a = segment(image, brain, bright_white=True)
    b = segment(0.9 * image + 0.05, brain, bright_white=True)
    np.testing.assert_array_equal(a, b)


def test_classes_are_a_fixed_point_of_k_means(radius, rng):
    image = painted(radius, (0.35, 0.5, 0.75), rng) + 0.05 * rng.normal(size=SHAPE)
    brain = labels(radius) > 0
    found = segment(image, brain, bright_white=True)
    values = np.clip(image[brain], 0, 1)
    means = [values[found[brain] == k].mean() for k in (1, 2, 3)]
    nearest = np.abs(values[:, None] - means).argmin(axis=1) + 1
    np.testing.assert_array_equal(nearest, found[brain])


def test_a_stripped_brain_is_all_that_is_not_zero(radius):
    image = np.array([0.0, *T1W])[labels(radius)]
    found = brain_mask(image, SIZE, Progress())
    assert np.mean(found != (labels(radius) > 0)) < 0.002


def test_skull_and_scalp_are_cut_off(radius, rng):
    found = brain_mask(painted(radius, T1W, rng, skull=True), SIZE, Progress())
    assert found[radius < 32].mean() > 0.99
    assert not found[radius > 38].any()


def test_nothing_is_no_brain():
    flat = np.zeros((9, 8, 7))
    assert not brain_mask(flat, (1.0, 1.0, 1.0), Progress()).any()
    with pytest.raises(VolumeError, match="1 different intensities"):
        segment(flat, np.ones((9, 8, 7), bool), bright_white=True)
