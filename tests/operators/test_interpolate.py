"""Interpolation against scikit-image and scipy, and any region against the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.transform import resize

from napari_mrisr.core.volume import Region
from napari_mrisr.operators import interpolate

SCALES = [(2, 2, 2), (3, 3, 3), (4, 4, 4), (1, 1, 4), (1, 5, 1), (6, 1, 2), (7, 8, 1), (1, 1, 1)]
UPSAMPLERS = {
    "tricubic": interpolate.tricubic,
    "nearest": interpolate.nearest,
    "quadratic": interpolate.quadratic,
}


def random_volume(shape, seed=1):
    return np.random.default_rng(seed).random(shape, np.float32)


def upsampled(shape, scale):
    return tuple(n * s for n, s in zip(shape, scale, strict=True))


@st.composite
def regions(draw, shape):
    spans = []
    for n in shape:
        start = draw(st.integers(0, n - 1))
        spans.append((start, draw(st.integers(start + 1, n))))
    (a, d), (b, e), (c, f) = spans
    return Region((a, b, c), (d, e, f))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", [(13, 17, 11), (5, 30, 8), (40, 3, 4), (2, 6, 1), (1, 2, 3)])
def test_tricubic_is_resize(shape, scale):
    array = random_volume(shape)
    expected = resize(
        array.astype(np.float64),
        upsampled(shape, scale),
        order=3,
        mode="reflect",
        clip=False,
        anti_aliasing=False,
    )
    result = interpolate.tricubic(array, scale)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_tricubic_keeps_the_field_of_view():
    """A ramp in mm stays that ramp at the new voxels' centers."""
    ramp = np.arange(60, dtype=np.float32)[None, :, None] * np.ones((2, 1, 3), np.float32)
    fine = interpolate.tricubic(ramp, (1, 4, 1))
    expected = (np.arange(240) + 0.5) / 4 - 0.5
    # Away from the edges, where mirroring bends the ramp.
    np.testing.assert_allclose(fine[1, 64:-64, 2], expected[64:-64], atol=1e-3)
    np.testing.assert_allclose(fine[:, 64:-64].mean(), expected[64:-64].mean(), atol=1e-4)


def test_axis_of_factor_one_is_left_alone():
    array = random_volume((6, 7, 8))
    np.testing.assert_array_equal(interpolate.tricubic(array, (1, 1, 1)), array)
    np.testing.assert_array_equal(interpolate.quadratic(array, (1, 1, 1)), array)
    both = interpolate.tricubic(array, (1, 3, 1))
    one = interpolate.tricubic(array[4:5, :, 2:3], (1, 3, 1))
    np.testing.assert_array_equal(both[4, :, 2], one[0, :, 0])


@pytest.mark.parametrize("scale", SCALES)
def test_nearest_is_repeat(scale):
    array = random_volume((3, 5, 4))
    expected = array
    for axis, factor in enumerate(scale):
        expected = np.repeat(expected, factor, axis)
    np.testing.assert_array_equal(interpolate.nearest(array, scale), expected)


@pytest.mark.parametrize("scale", [(2, 2, 2), (3, 3, 3), (4, 2, 3), (8, 5, 7)])
@pytest.mark.parametrize("shape", [(13, 7, 10), (3, 30, 4), (2, 3, 9)])
def test_quadratic_is_zoom_without_prefilter(shape, scale):
    array = random_volume(shape)
    expected = ndimage.zoom(array.astype(np.float64), scale, order=2, prefilter=False)
    result = interpolate.quadratic(array, scale)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, atol=2e-6)


@pytest.mark.parametrize(("n", "n_out"), [(320, 160), (28, 14), (29, 87), (30, 60)])
def test_a_row_of_zeros_makes_no_wide_band(rng, n, n_out):
    """As scipy's rounding leaves at the end of the first three."""
    operator = interpolate.quadratic_operator(n, n_out)
    assert operator.taps.shape == (n_out, 3)
    line = rng.random(n, dtype=np.float32)
    expected = ndimage.zoom(line, n_out / n, order=2, prefilter=False)
    assert (expected[-1] == 0) == (n != 30)
    found = operator.apply(line[:, None, None], 0)[:, 0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert operator.rows(n_out - 2, n_out).reads[0] >= n - 4


@pytest.mark.parametrize("name", UPSAMPLERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_region_is_the_whole_bit_for_bit(name, data):
    shape = tuple(data.draw(st.integers(1, 19)) for _ in range(3))
    scale = tuple(data.draw(st.integers(1, 5)) for _ in range(3))
    region = data.draw(regions(upsampled(shape, scale)))
    array = random_volume(shape, data.draw(st.integers(0, 9)))
    whole = UPSAMPLERS[name](array, scale)
    part = UPSAMPLERS[name](array, scale, region)
    assert part.flags.c_contiguous
    np.testing.assert_array_equal(part, whole[region.slices])


@pytest.mark.parametrize(
    ("name", "halo"), [("tricubic", interpolate.TRICUBIC_HALO), ("nearest", 0)]
)
def test_no_more_than_the_halo_is_read(name, halo):
    """Voxels beyond the halo may have any value."""
    array = random_volume((40, 41, 42))
    scale = (2, 3, 1)
    region = Region((30, 45, 19), (37, 60, 22))
    before = UPSAMPLERS[name](array, scale, region)
    reached = np.zeros(array.shape, bool)
    reached[
        tuple(
            slice(a // s - halo, -(-b // s) + halo)
            for a, b, s in zip(region.start, region.stop, scale, strict=True)
        )
    ] = True
    poisoned = np.where(reached, array, np.float32(1e6))
    np.testing.assert_array_equal(UPSAMPLERS[name](poisoned, scale, region), before)


@given(st.integers(1, 9), st.integers(0, 40))
def test_mirror_index_is_numpys_reflect(n, beyond):
    line = np.arange(n)
    expected = np.pad(line, beyond, mode="reflect") if n > 1 else np.zeros(1 + 2 * beyond)
    result = interpolate.mirror_index(np.arange(-beyond, n + beyond), n)
    np.testing.assert_array_equal(result, expected)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(-12, 12))
def test_folded_taps_see_the_mirrored_line(n, width, first):
    """A row of taps anywhere equals the same taps on a line mirrored far enough."""
    rng = np.random.default_rng(n * 100 + width)
    line, taps = rng.random(n), rng.random((1, width))
    # Rows begin and end beside the line at most, as all of ours do.
    first = int(np.clip(first, 1 - width, n - 1))
    operator = interpolate.operator_from_taps(np.array([first]), taps, n)
    mirrored = np.pad(line, 24, mode="reflect") if n > 1 else np.repeat(line, 49)
    expected = taps[0] @ mirrored[24 + first : 24 + first + width]
    result = operator.apply(line.astype(np.float32)[None, None], 2)
    np.testing.assert_allclose(result[0, 0, 0], expected, rtol=1e-5)
    low, high = operator.reads
    assert low >= 0
    assert high <= n


def test_prefilter_makes_the_spline_interpolate():
    """Coefficients, then the spline at the samples: the samples again."""
    for n in (1, 2, 3, 7, 40):
        line = random_volume((1, 1, n))
        coefficients = interpolate.prefilter_operator(n).apply(line, 2)
        samples = interpolate.spline_operator(n, 1).apply(coefficients, 2)
        np.testing.assert_allclose(samples, line, atol=1e-5)
    np.testing.assert_allclose(interpolate.prefilter_taps().sum(), 1.0)


def test_cubic_weights_are_a_partition_of_one():
    offset = np.linspace(0, 1, 11)[:, None] - np.arange(-1, 3)
    weights = interpolate.cubic_weights(offset)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights[0], [1 / 6, 4 / 6, 1 / 6, 0], atol=1e-12)
    assert (interpolate.cubic_weights(np.array([2.0, -2.5, 9.0])) == 0).all()


@pytest.mark.parametrize("scale", [(1, 1, 4.8), (1.3, 2.5, 9.9), (1, 3, 1.04)])
def test_factors_that_are_not_whole_agree_with_scikit_image(scale):
    from skimage.transform import resize

    array = np.random.default_rng(5).random((14, 13, 12)).astype(np.float32)
    shape = interpolate.upsampled_shape(array, scale)
    assert shape == tuple(round(n * s) for n, s in zip(array.shape, scale, strict=True))
    found = interpolate.tricubic(array, scale)
    expected = resize(
        array.astype(float), shape, order=3, mode="reflect", clip=False, anti_aliasing=False
    )
    assert found.shape == shape
    inside = tuple(slice(3 * round(s), -3 * round(s)) for s in scale)
    np.testing.assert_allclose(found[inside], expected[inside], atol=3e-3)
    near = interpolate.nearest(array, scale)
    index = [
        np.floor((np.arange(m) + 0.5) * n / m).astype(int)
        for n, m in zip(array.shape, shape, strict=True)
    ]
    np.testing.assert_array_equal(near, array[np.ix_(*index)])
