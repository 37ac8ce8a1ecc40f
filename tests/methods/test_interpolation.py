"""The methods without learning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.transform import resize

from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.methods import get_method

NAMES = ["nearest", "linear", "tricubic", "quadratic", "lanczos", "zero-fill", "zero-fill:hann"]


def volume_of(shape, seed=0):
    data = np.random.default_rng(seed).random(shape, np.float32)
    return Volume(data, Grid(shape, np.diag([1.0, 1.5, 3.0, 1.0])))


def whole(method, volume):
    region = Region.whole(volume.grid.upsampled(method.scale).shape)
    return method.compute(volume, region)


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 3, 4), (5, 1, 1)])
def test_tricubic_is_resize_with_its_clip(scale):
    volume = volume_of((9, 7, 8))
    shape = volume.grid.upsampled(scale).shape
    expected = resize(volume.data.astype(np.float64), shape, order=3, anti_aliasing=False)
    result = whole(get_method("tricubic", scale), volume)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    # The clip does something here: the spline overshoots.
    assert result.min() == volume.data.min() or result.max() == volume.data.max()


def test_clip_is_that_of_the_whole_input_in_every_region():
    """A step: a region beside it must know the range beyond."""
    data = np.zeros((10, 11, 12), np.float32)
    data[5:] = 1.0
    volume = Volume(data, Grid(data.shape, np.eye(4)))
    for name in ("tricubic", "quadratic"):
        result = get_method(name, (2, 2, 2)).compute(volume, Region((9, 0, 0), (10, 3, 3)))
        assert result.min() >= 0.0
        high = get_method(name, (2, 2, 2)).compute(volume, Region((12, 0, 0), (14, 3, 3)))
        assert high.max() <= 1.0


def test_nearest_repeats():
    volume = volume_of((3, 4, 5))
    result = whole(get_method("nearest", (1, 2, 3)), volume)
    np.testing.assert_array_equal(result, volume.data.repeat(2, axis=1).repeat(3, axis=2))


def test_quadratic_is_the_papers_zoom():
    volume = volume_of((6, 7, 8))
    expected = ndimage.zoom(volume.data.astype(np.float64), 2, order=2, prefilter=False)
    result = whole(get_method("quadratic", (2, 2, 2)), volume)
    np.testing.assert_allclose(result, expected, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_region_is_the_whole_bit_for_bit_and_needs_its_halo_only(name, data):
    shape = tuple(data.draw(st.integers(1, 24)) for _ in range(3))
    scale = tuple(data.draw(st.integers(1, 4)) for _ in range(3))
    volume, method = volume_of(shape, data.draw(st.integers(0, 9))), get_method(name, scale)
    fine = volume.grid.upsampled(scale).shape
    starts = tuple(data.draw(st.integers(0, n - 1)) for n in fine)
    stops = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(starts, fine, strict=True))
    region = Region(starts, stops)
    expected = whole(method, volume)[region.slices]
    np.testing.assert_array_equal(method.compute(volume, region), expected)
    # Anything else beyond the halo, of the same range: the same bits.
    near = tuple(
        slice(max(0, a // s - h), -(-b // s) + h)
        for a, b, s, h in zip(starts, stops, scale, method.halo, strict=True)
    )
    other = np.full(shape, 0.5, np.float32)
    other[near] = volume.data[near]
    changed = Volume(other, volume.grid)
    changed.__dict__["extrema"] = volume.extrema
    np.testing.assert_array_equal(method.compute(changed, region), expected)


@pytest.mark.parametrize("name", NAMES)
def test_name_scale_and_provenance(name):
    method = get_method(name, (1, 2, 3))
    assert (method.name, method.scale) == (name, (1, 2, 3))
    assert method.provenance() == {"method": name}
    assert method.halo[0] == 0
    assert (method.halo[1] == 0) == (name == "nearest")


@pytest.mark.parametrize("name", NAMES)
def test_a_bank_is_refused(name):
    with pytest.raises(ParameterError) as caught:
        get_method(name, (2, 2, 2), "default-2x")
    method = name.partition(":")[0]
    assert str(caught.value) == (
        f"bank: 'default-2x' given with method {method}; leave it out, or use hashed"
    )
