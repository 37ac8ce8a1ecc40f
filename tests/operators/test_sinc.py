"""Linear, windowed sinc and zero filling, against SciPy and the FFT."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft, ndimage

from napari_mrisr.operators.degrade import Degradation
from napari_mrisr.operators.sinc import (
    interpolated,
    lanczos_operator,
    linear_operator,
    truncation_operator,
    zero_fill_operator,
)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).random(shape, np.float32)


@pytest.mark.parametrize(("n", "n_out"), [(7, 14), (8, 19), (6, 25)])
def test_linear_is_that_of_scipy_with_mirrored_edges(n, n_out):
    line = random(n, 1, 1)
    at = (np.arange(n_out) + 0.5) * n / n_out - 0.5
    expected = ndimage.map_coordinates(line[:, 0, 0], [at], order=1, mode="mirror")
    found = linear_operator(n, n_out).apply(line, 0)[:, 0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("n", "n_out"), [(8, 24), (9, 27), (8, 21), (9, 14)])
def test_zero_filling_is_that_of_the_fft(n, n_out):
    """Pad the spectrum with zeros, and move the samples by half a voxel of each grid."""
    line = random(n).astype(np.float64)
    spectrum = fft.rfft(line)
    if n % 2 == 0:
        spectrum[-1] *= 0.5  # half of the Nyquist frequency lies on either side
    shift = np.arange(spectrum.size) * (n / n_out - 1.0) / 2.0
    spectrum *= np.exp(2j * np.pi * shift / n)
    if n % 2 == 0:
        # On both sides of a real signal the shifted Nyquist frequency keeps its cosine.
        assert spectrum.size <= n_out // 2
    padded = np.zeros(n_out // 2 + 1, complex)
    padded[: spectrum.size] = spectrum
    expected = fft.irfft(padded, n_out) * (n_out / n)
    found = zero_fill_operator(n, n_out).dense(n) @ line
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("window", ["none", "hann", "hamming", "tukey"])
@pytest.mark.parametrize(("n", "n_out"), [(24, 8), (27, 9), (24, 3)])
def test_truncation_is_the_degradation_kspace(n, n_out, window):
    array = random(n, 5, 1)
    degradation = Degradation("kspace", apodization=window)
    expected = degradation.apply(array, (n // n_out, 1, 1))
    found = truncation_operator(n, n_out, window).apply(array, 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_zero_filling_undoes_the_truncation_of_a_band_limited_line():
    coarse = random(9)
    fine = zero_fill_operator(9, 31).dense(9) @ coarse
    np.testing.assert_allclose(truncation_operator(31, 9).dense(31) @ fine, coarse, atol=1e-6)


def test_a_window_rings_less():
    step = np.repeat([0.0, 1.0], 16)
    matrices = [zero_fill_operator(32, 128, w).dense(32) for w in ("none", "tukey", "hann")]
    plain, tukey, hann = ((matrix @ step).max() - 1.0 for matrix in matrices)
    assert plain > tukey > 3 * hann


@pytest.mark.parametrize("operator", [linear_operator, lanczos_operator, zero_fill_operator])
def test_constants_stay(operator):
    np.testing.assert_allclose(operator(7, 17).dense(7).sum(axis=1), 1.0, atol=1e-6)


def test_lanczos_is_exact_at_voxels_and_close_to_a_slow_sine():
    np.testing.assert_allclose(lanczos_operator(9, 27).dense(9)[1::3], np.eye(9), atol=1e-6)
    n, n_out = 60, 210
    at = (np.arange(n_out) + 0.5) * n / n_out - 0.5
    found = lanczos_operator(n, n_out).dense(n) @ np.cos(np.pi * np.arange(n) / 10)
    assert np.abs(found - np.cos(np.pi * at / 10))[20:-20].max() < 0.01


def test_axes_of_factor_1_are_left_alone():
    array = random(5, 6, 7)
    found = interpolated(linear_operator, array, (1, 1, 2.5))
    assert found.shape == (5, 6, 18)
    np.testing.assert_array_equal(found, linear_operator(7, 18).apply(array, 2))
