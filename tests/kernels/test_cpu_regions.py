"""Sums over a region, against scikit-image and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from napari_mrisr.kernels.cpu_regions import (
    COUNT,
    SimilaritySum,
    add_gradients,
    add_moments,
    empty_moments,
)

SHAPE = (25, 17, 13)


@pytest.fixture
def images(rng):
    """A truth and two images that differ from it, far from zero."""
    truth = 5000.0 + 30.0 * rng.standard_normal(SHAPE)
    noise = rng.standard_normal((2, *SHAPE)) * np.array([5.0, 60.0])[:, None, None, None]
    return np.stack([truth, truth + noise[0], truth + noise[1]]).astype(np.float32)


def ssim_map(truth, image, data_range):
    return structural_similarity(
        truth.astype(float),
        image.astype(float),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=data_range,
        full=True,
    )


def test_the_similarity_of_a_box_is_scikit_image_s(images):
    similar = SimilaritySum(np.ones(SHAPE, bool), 2, 90.0)
    similar.add(images)
    for place in (0, 1):
        expected, _ = ssim_map(images[0], images[1 + place], 90.0)
        assert similar.counts[place] == 15 * 7 * 3
        assert similar.sums[place] / similar.counts[place] == pytest.approx(expected, abs=1e-9)


def test_planes_may_come_in_any_portions(images, rng):
    mask = rng.random(SHAPE) > 0.6
    whole = SimilaritySum(mask, 2, 90.0)
    whole.add(images)
    parts = SimilaritySum(mask, 2, 90.0)
    for start, stop in ((0, 1), (1, 14), (14, 16), (16, 25)):
        parts.add(images[:, start:stop])
    assert np.array_equal(whole.sums, parts.sums)
    inner = np.zeros(SHAPE, bool)
    inner[5:-5, 5:-5, 5:-5] = mask[5:-5, 5:-5, 5:-5]
    _, full = ssim_map(images[0], images[2], 90.0)
    assert parts.counts[1] == inner.sum()
    assert parts.sums[1] == pytest.approx(full[inner].sum(), abs=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_window_with_a_missing_value_is_left_out(images, value):
    images[1, 9, 6, 6] = value
    similar = SimilaritySum(np.ones(SHAPE, bool), 2, 90.0)
    similar.add(images)
    _, full = ssim_map(images[0], np.nan_to_num(images[1], posinf=0.0), 90.0)
    known = full[5:-5, 5:-5, 5:-5].copy()
    # Every window over y and z reaches the voxel; along x those around plane 9 do.
    reached = np.zeros(known.shape, bool)
    reached[: 9 + 5 + 1 - 5, :7, :3] = True
    assert similar.counts.tolist() == [(~reached).sum(), known.size]
    assert similar.sums[0] == pytest.approx(known[~reached].sum(), abs=1e-9)


def test_a_box_smaller_than_the_window_is_refused():
    with pytest.raises(ValueError, match="smaller than the window"):
        SimilaritySum(np.ones((30, 10, 30), bool), 1, 1.0)


def test_moments_are_numpy_s(images, rng):
    mask = rng.random(SHAPE) > 0.3
    sums = empty_moments(3)
    for part in (slice(0, 8), slice(8, 25)):
        add_moments(images[:, part].copy(), mask[part], np.full(3, 4900.0), sums)
    for image, row in zip(images.astype(float), sums, strict=True):
        value, error = image[mask], (image - images[0])[mask]
        expected = [
            mask.sum(),
            (value - 4900).sum(),
            ((value - 4900) ** 2).sum(),
            error.sum(),
            (error**2).sum(),
            np.abs(error).sum(),
            value.min(),
            value.max(),
        ]
        assert row == pytest.approx(expected, rel=1e-10, abs=1e-6)


def test_what_is_not_finite_does_not_count(images):
    images[0, 3, 3, 3] = np.inf
    images[1, 3, 3, 3] = np.inf  # inf - inf is no error of 0
    images[1, 4, 4, 4] = np.nan
    sums = empty_moments(3)
    add_moments(images, np.ones(SHAPE, bool), np.zeros(3), sums)
    everything = np.prod(SHAPE)
    assert sums[:, COUNT].tolist() == [everything - 1, everything - 2, everything - 1]
    assert np.isfinite(sums).all()


def test_gradients_are_numpy_s(images, rng):
    mask = rng.random(SHAPE) > 0.3
    step = np.array([0.7, 1.1, 2.3])
    sums = np.zeros(3)
    add_gradients(images[0], mask, step, sums)
    inner = (slice(1, -1),) * 3
    parts = np.gradient(images[0].astype(float), *step)
    size = np.sqrt(sum(part**2 for part in parts))
    kept = mask[inner]
    expected = [kept.sum(), size[inner][kept].sum(), images[0].astype(float)[inner][kept].sum()]
    assert sums == pytest.approx(expected, rel=1e-10)
