"""Slices of any thickness and distance, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate
from skimage.transform import resize

from napari_mrisr.errors import ParameterError
from napari_mrisr.operators.degrade import profile_operator
from napari_mrisr.operators.interpolate import prefilter_operator
from napari_mrisr.operators.slices import (
    consistency_operators,
    correction_operator,
    legendre_basis,
    positions,
    resample_operator,
    slice_operator,
    slice_projection,
)


@pytest.mark.parametrize(("profile", "fwhm"), [("boxcar", 1.0), ("boxcar", 0.8), ("gaussian", 1.2)])
def test_whole_distances_are_those_of_the_degradation(profile, fwhm):
    found = slice_operator(24, 6, profile, fwhm).dense(24)
    np.testing.assert_allclose(found, profile_operator(24, 4, profile, fwhm).dense(24), atol=1e-6)


def test_a_boxcar_of_any_distance_is_the_integral_over_its_width():
    """An independent integral over voxels taken as steps."""
    line = np.random.default_rng(3).random(31)
    found = slice_operator(31, 9, "boxcar", 0.7).apply(line.astype(np.float32)[None, None], 2)
    distance = 31 / 9
    for k in range(1, 8):
        low, high = ((k + 0.5) + side * 0.35 for side in (-1, 1))
        edges = [low * distance, *np.arange(np.ceil(low * distance), high * distance)]
        parts = zip(edges, [*edges[1:], high * distance], strict=True)
        total = sum(
            integrate.quad(lambda x: line[int(x)], a + 1e-9, b - 1e-9)[0] for a, b in parts if b > a
        )
        assert found[0, 0, k] == pytest.approx(total / (0.7 * distance), abs=1e-5)


def test_a_constant_stays_constant():
    for operator in (slice_operator(31, 9, "gaussian", 1.3), resample_operator(9, 31)):
        np.testing.assert_allclose(operator.taps.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("n_out", [23, 29, 60])
def test_resampling_equals_scikit_image(n_out):
    line = np.random.default_rng(0).random((17, 3, 2)).astype(np.float32)
    coefficients = prefilter_operator(17).apply(line, 0)
    found = resample_operator(17, n_out).apply(coefficients, 0)
    expected = resize(line, (n_out, 3, 2), order=3, mode="reflect", anti_aliasing=False, clip=False)
    # The two mirror about different points, so the ends are left out.
    inner = slice(n_out // 3, -(n_out // 3))
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-3)


def test_the_field_of_view_is_kept():
    for n, n_out in ((9, 31), (31, 9)):
        found = positions(n, n_out)
        step = n / n_out
        assert found[0] - step / 2 == pytest.approx(-0.5)
        assert found[-1] + step / 2 == pytest.approx(n - 0.5)


def test_corrections_are_legendre_series_of_the_nearest_slice():
    n, n_out, order = 7, 25, 5
    rng = np.random.default_rng(1)
    coefficients = rng.normal(size=(n, order))
    flat = coefficients.reshape(1, 1, -1).astype(np.float32)
    found = correction_operator(n, n_out, order).apply(flat, 2)[0, 0]
    nearest, _ = legendre_basis(n, n_out, order)
    for j, position in enumerate(positions(n, n_out)):
        offset = 2 * (position - nearest[j])
        assert abs(offset) <= 1 + 1e-9
        expected = np.polynomial.legendre.Legendre(coefficients[nearest[j]])(offset)
        assert found[j] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("n", "n_out"), [(12, 48), (11, 37), (30, 55)])
@pytest.mark.parametrize(("profile", "fwhm"), [("boxcar", 1.0), ("boxcar", 0.8), ("gaussian", 1.2)])
def test_consistent_volumes_degrade_to_the_measured_slices(n, n_out, profile, fwhm):
    rng = np.random.default_rng(2)
    guess = rng.random((3, 2, n_out)).astype(np.float32)
    slices = rng.random((3, 2, n)).astype(np.float32)
    degrade, spread = consistency_operators(n, n_out, profile, fwhm)
    consistent = guess + spread.apply(slices - degrade.apply(guess, 2), 2)
    np.testing.assert_allclose(degrade.apply(consistent, 2), slices, atol=1e-5)


def test_slices_too_wide_to_invert_are_refused():
    with pytest.raises(ParameterError, match="2 times as wide as their distance"):
        consistency_operators(20, 80, "boxcar", 2.0)


@pytest.mark.parametrize(("n", "n_out", "fwhm"), [(9, 36, 1.0), (11, 27, 1.3), (8, 59, 0.7)])
def test_any_correction_fits_the_slices_after_its_projection(n, n_out, fwhm):
    """D (C (y + e) + B c) = y for random c, and e of the docstring."""
    rng, order = np.random.default_rng(6), 5
    measured = rng.random((2, 3, n)).astype(np.float32)
    coefficients = rng.normal(0, 0.2, (2, 3, n * order)).astype(np.float32)
    projection = slice_projection(n, n_out, order, fwhm)
    base = projection.sharpen.apply(measured, 2) - projection.hide.apply(coefficients, 2)
    spline = prefilter_operator(n).apply(base, 2)
    found = resample_operator(n, n_out).apply(spline, 2)
    found += correction_operator(n, n_out, order).apply(coefficients, 2)
    again = slice_operator(n_out, n, "boxcar", fwhm).apply(found, 2)
    np.testing.assert_allclose(again, measured, atol=1e-5)
