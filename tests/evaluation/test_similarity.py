"""VIF, HFEN, GMSD and multi-scale SSIM against closed forms and plain implementations."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scans import head
from scipy import ndimage, signal
from skimage.metrics import structural_similarity

from napari_mrisr.errors import ParameterError
from napari_mrisr.evaluation.similarity import (
    gradient_deviation,
    high_frequency_error,
    multiscale_ssim,
    visual_information,
)

SHAPE = (40, 36, 44)


@pytest.fixture(scope="module")
def truth():
    return head(3, SHAPE).astype(np.float64) / 900.0


@pytest.fixture(scope="module")
def blurred(truth):
    return ndimage.gaussian_filter(truth, 1.0)


def test_equal_images_are_perfect(truth):
    assert visual_information(truth, truth, data_range=1.0) == pytest.approx(1.0, abs=1e-6)
    assert high_frequency_error(truth, truth) == 0.0
    assert gradient_deviation(truth, truth, data_range=1.0) == 0.0
    assert multiscale_ssim(truth, truth, data_range=1.0) == pytest.approx(1.0)


def test_the_unit_does_not_matter(truth, blurred):
    a, b = 250.0 * truth, 250.0 * blurred
    for metric in (visual_information, gradient_deviation, multiscale_ssim):
        expected = metric(truth, blurred, data_range=1.0)
        assert metric(a, b, data_range=250.0) == pytest.approx(expected, rel=1e-6)
    assert high_frequency_error(a, b) == pytest.approx(high_frequency_error(truth, blurred))


def test_vif_of_one_scale_by_a_plain_convolution(truth, blurred):
    """17 voxels have room for the window of the first scale only."""
    x, y = truth[8:25, 8:26, 8:27], blurred[8:25, 8:26, 8:27]
    taps = signal.windows.gaussian(17, 17 / 5)
    window = taps[:, None, None] * taps[:, None] * taps
    window /= window.sum()

    def mean(array):
        return signal.convolve(array, window, mode="valid")

    vx, vy = mean(x * x) - mean(x) ** 2, mean(y * y) - mean(y) ** 2
    gain = np.maximum((mean(x * y) - mean(x) * mean(y)) / vx, 0)
    left = vy - gain**2 * vx
    noise = 2 / 255**2
    expected = np.log2(1 + gain**2 * vx / (left + noise)).sum() / np.log2(1 + vx / noise).sum()
    assert visual_information(x, y, data_range=1.0) == pytest.approx(expected, rel=1e-4)
    assert 0.1 < expected < 0.9


def test_more_contrast_than_the_truth_is_above_one(truth):
    assert visual_information(truth, 1.5 * truth, data_range=1.0) > 1.0
    assert visual_information(truth, np.ones_like(truth), data_range=1.0) == pytest.approx(
        0, abs=1e-3
    )


def test_hfen_of_a_scaled_image_is_the_difference(truth):
    assert high_frequency_error(truth, 0.7 * truth) == pytest.approx(0.3)
    assert high_frequency_error(truth, truth + 5.0) == pytest.approx(0.0, abs=1e-9)
    inside = truth > 0.2
    assert high_frequency_error(truth, np.where(inside, truth, 0.0), mask=inside) > 0


def test_gmsd_by_plain_convolutions(truth, blurred):
    def gradient(array):
        x, y, z = (n // 2 for n in array.shape)
        small = array.reshape(x, 2, y, 2, z, 2).mean(axis=(1, 3, 5))
        parts = []
        for axis in range(3):
            taps = [np.ones(3) / 3] * 3
            taps[axis] = np.array([1.0, 0.0, -1.0])
            kernel = taps[0][:, None, None] * taps[1][:, None] * taps[2]
            parts.append(ndimage.convolve(small, kernel, mode="mirror"))
        return np.sqrt(np.sum(np.square(parts), axis=0))

    a, b = gradient(truth), gradient(blurred)
    c = 170 / 255**2
    expected = np.std((2 * a * b + c) / (a**2 + b**2 + c))
    assert gradient_deviation(truth, blurred, data_range=1.0) == pytest.approx(expected)


def test_multiscale_ssim_of_one_scale_is_the_ssim(truth, blurred):
    x, y = truth[9:29, 8:28, 9:29], blurred[9:29, 8:28, 9:29]
    expected = structural_similarity(
        x, y, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert multiscale_ssim(x, y, data_range=1.0) == pytest.approx(expected)


def test_multiscale_ssim_of_two_scales(truth, blurred):
    """Contrast and structure of the fine scale by uniform arithmetic, SSIM of the coarse one."""
    found = multiscale_ssim(truth, blurred, data_range=1.0)

    def window(array):
        return ndimage.gaussian_filter(array, 1.5, truncate=3.5)[5:-5, 5:-5, 5:-5]

    mx, my = window(truth), window(blurred)
    cov = window(truth * blurred) - mx * my
    vx, vy = window(truth**2) - mx**2, window(blurred**2) - my**2
    fine = np.mean((2 * cov + 0.0009) / (vx + vy + 0.0009))
    halves = [a.reshape(20, 2, 18, 2, 22, 2).mean(axis=(1, 3, 5)) for a in (truth, blurred)]
    coarse = structural_similarity(
        *halves, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    weights = np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
    assert found == pytest.approx(fine ** weights[0] * coarse ** weights[1])


def test_undefined_values_are_nan_and_wrong_input_is_refused(truth):
    flat = np.ones((20, 20, 20))
    assert np.isnan(visual_information(flat, flat, data_range=1.0))
    assert np.isnan(high_frequency_error(flat, flat))
    assert np.isnan(multiscale_ssim(flat[:8], flat[:8], data_range=1.0))
    with pytest.raises(ParameterError, match="one shape"):
        high_frequency_error(truth, truth[1:])
    with pytest.raises(ParameterError, match="data range"):
        visual_information(truth, truth, data_range=0.0)


@pytest.fixture(scope="module")
def plane():
    """A textured disk on black, so that ways to pad do not matter, and a blurred one."""
    x, y = np.meshgrid(np.arange(176) - 80.0, np.arange(192) - 101.0, indexing="ij")
    texture = ndimage.gaussian_filter(np.random.default_rng(4).normal(size=x.shape), 1.2)
    sharp = np.clip(0.5 + texture, 0, 1) * (x**2 / 60**2 + y**2 / 70**2 < 1)
    return sharp, np.clip(ndimage.gaussian_filter(sharp, 1.0) * 0.9 + 0.02 * (sharp > 0), 0, 1)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (visual_information, "vif_p"),
        (gradient_deviation, "gmsd"),
        (multiscale_ssim, "multi_scale_ssim"),
    ],
)
def test_a_slice_has_the_value_of_another_implementation(plane, ours, theirs):
    piq = pytest.importorskip("piq", reason="piq needs PyTorch")
    import torch

    truth, image = (torch.from_numpy(a)[None, None] for a in plane)
    expected = float(getattr(piq, theirs)(image, truth, data_range=1.0))
    assert ours(*plane, data_range=1.0) == pytest.approx(expected, rel=1e-4)
    assert 0.02 < expected < 0.99


def test_hfen_of_a_slice_by_a_rotationally_symmetric_kernel(plane):
    """15 × 15 taps of the closed form, as in the paper."""
    square = np.add.outer(np.arange(-7, 8) ** 2, np.arange(-7, 8) ** 2)
    kernel = (square / 2.25 - 2.0) * np.exp(-square / 4.5)
    kernel -= kernel.mean()
    truth, image = plane
    found = [ndimage.convolve(a, kernel) for a in (truth, image - truth)]
    expected = np.linalg.norm(found[1]) / np.linalg.norm(found[0])
    assert high_frequency_error(truth, image) == pytest.approx(expected, rel=0.02)
