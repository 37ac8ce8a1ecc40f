"""The structure tensor against scipy's filters, and any region against the whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_mrisr.core.volume import Region
from napari_mrisr.errors import MrisrError
from napari_mrisr.operators.gradients import Window, mirrored_box, tensor_box

WINDOWS = [Window(2.0, 4), Window(1.0, 2), Window(1.2, 3), Window(0.8, 1)]


def expected_tensor(volume, window):
    """Central differences of the mirrored volume, products, Gaussian blur; no border."""
    volume = volume.astype(np.float64)
    gradient = [
        ndimage.correlate1d(volume, [-0.5, 0.0, 0.5], axis=axis, mode="mirror") for axis in range(3)
    ]
    blurred = [
        ndimage.gaussian_filter(a * b, window.sigma, mode="mirror", radius=window.radius)
        for a, b in itertools.combinations_with_replacement(gradient, 2)
    ]
    smooth = ndimage.gaussian_filter(volume, window.sigma, mode="mirror", radius=window.radius)
    return np.stack(blurred), smooth


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("shape", [(13, 17, 11), (5, 30, 8), (2, 3, 4), (1, 6, 2)])
def test_tensor_is_scipys(rng, window, shape):
    volume = rng.random(shape, np.float32)
    tensor, smooth = tensor_box(volume, (0, 0, 0), shape, Region.whole(shape), window)
    assert tensor.dtype == smooth.dtype == np.float32
    assert tensor.shape == (6, *(n + 2 for n in shape))
    expected, expected_smooth = expected_tensor(volume, window)
    inner = np.s_[..., 1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(tensor[inner], expected, atol=1e-6)
    np.testing.assert_allclose(smooth[inner], expected_smooth, atol=1e-6)
    # The border is the neighbors', mirrored where the volume ends.
    mirrored = [np.array([1 if n > 1 else 0, *range(n), n - 2 if n > 1 else 0]) for n in shape]
    np.testing.assert_allclose(smooth, expected_smooth[np.ix_(*mirrored)], atol=1e-6)
    np.testing.assert_allclose(tensor[3], expected[3][np.ix_(*mirrored)], atol=1e-6)


def test_radius_of_the_window_is_that_of_the_paper():
    """Window of 9³ for σ 2: truncated at four voxels."""
    taps = Window(2.0, 4).taps()
    assert taps.shape == (9,)
    np.testing.assert_allclose(taps.sum(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(taps[0] / taps[4], np.exp(-0.5 * 4.0), rtol=1e-6)
    assert Window(2.0, 4).reach == (6, 6, 6)


def test_a_tilted_plane_has_its_own_gradient():
    x, y, z = np.meshgrid(*map(np.arange, (20, 21, 22)), indexing="ij")
    plane = (0.02 * x - 0.03 * y + 0.05 * z).astype(np.float32)
    region = Region((8, 9, 10), (10, 12, 14))
    tensor, smooth = tensor_box(plane, (0, 0, 0), plane.shape, region, Window(1.5, 3))
    for value, component in zip([4, -6, 10, 9, -15, 25], tensor, strict=True):
        np.testing.assert_allclose(component, value * 1e-4, atol=1e-8)
    np.testing.assert_allclose(smooth[1:-1, 1:-1, 1:-1], plane[region.slices], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_region_is_the_whole_bit_for_bit(data):
    shape = tuple(data.draw(st.integers(1, 20)) for _ in range(3))
    window = data.draw(st.sampled_from(WINDOWS))
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    stops = [data.draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    region = Region(tuple(starts), tuple(stops))
    volume = np.random.default_rng(data.draw(st.integers(0, 9))).random(shape, np.float32)
    tensor, smooth = tensor_box(volume, (0, 0, 0), shape, Region.whole(shape), window)
    # Only the reach around the region is given, as far as the volume goes.
    corner = tuple(max(0, a - r) for a, r in zip(starts, window.reach, strict=True))
    end = [min(n, b + r) for n, b, r in zip(shape, stops, window.reach, strict=True)]
    box = volume[tuple(slice(a, b) for a, b in zip(corner, end, strict=True))]
    part_tensor, part_smooth = tensor_box(box, corner, shape, region, window)
    # The whole has the region's border too, where the region does not end at the volume.
    where = tuple(slice(a, b + 2) for a, b in zip(starts, stops, strict=True))
    np.testing.assert_array_equal(part_tensor, tensor[(slice(None), *where)])
    np.testing.assert_array_equal(part_smooth, smooth[where])


@pytest.mark.parametrize("shape", [(6, 7, 8), (1, 2, 3)])
def test_mirrored_box_is_numpys_reflect(rng, shape):
    volume = rng.random(shape, np.float32)
    padded = np.pad(volume, [(3, 4)] * 3, mode="reflect")
    spans = [(-3, n + 4) for n in shape]
    np.testing.assert_array_equal(mirrored_box(volume, (0, 0, 0), shape, spans), padded)
    inside = [(0, n) for n in shape]
    np.testing.assert_array_equal(mirrored_box(volume, (0, 0, 0), shape, inside), volume)


def test_mirrored_box_of_a_part():
    volume = np.arange(6 * 7 * 8, dtype=np.float32).reshape(6, 7, 8)
    part = volume[2:, :, 1:6]
    box = mirrored_box(part, (2, 0, 1), volume.shape, [(3, 8), (-1, 3), (2, 5)])
    padded = np.pad(volume, 2, mode="reflect")
    np.testing.assert_array_equal(box, padded[5:10, 1:5, 4:7])
    assert box.flags.c_contiguous


@pytest.mark.parametrize(("sigma", "radius"), [(0.0, 2), (-1.0, 2), (np.nan, 2), (1.0, -1)])
def test_impossible_windows_are_refused(sigma, radius):
    with pytest.raises(MrisrError, match=r"window: sigma .*, radius .*; "):
        Window(sigma, radius)


@pytest.mark.parametrize("span", [(0, 2), (5, 6), (9, 14)])
def test_axes_that_lie_swapped_give_the_same_bits(rng, span):
    data = rng.random((13, 40, 14)).astype(np.float32)
    region = Region((2, 0, span[0]), (9, 40, span[1]))
    window = Window(1.1, 3)
    expected = tensor_box(data, (0, 0, 0), data.shape, region, window)
    found = tensor_box(data, (0, 0, 0), data.shape, region, window, True)
    for result, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.swapaxes(result, -1, -2), right)
