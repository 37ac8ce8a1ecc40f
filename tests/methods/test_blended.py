"""Census blending: the filtered image counts where its structure is the interpolation's."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from helpers.banks import KINDS
from scipy import ndimage

import napari_mrisr as sr
from napari_mrisr.core.complex_volume import ComplexVolume
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.methods import get_method, pass_regions
from napari_mrisr.methods.blended import Blended, agreement
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.methods.resampled import bank_of
from napari_mrisr.run.upscale import run_method

SHAPE = (7, 9, 8)


def volume_of(shape=SHAPE, high=1.0, seed=0):
    data = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 0.7)
    data -= data.min()
    return Volume((high * data / data.max()).astype(np.float32), Grid(shape, np.eye(4)))


def whole(method, volume):
    return method.compute(volume, Region.whole(volume.grid.upsampled(method.scale).shape))


def start_of(method, volume):
    """The interpolation alone."""
    return whole(Hashed(dataclasses.replace(method.bank, stages=())), volume)


def census(image, at):
    """One bit per neighbor, by plain indexing."""
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]
    near = [tuple(a + s for a, s in zip(at, step, strict=True)) for step in steps]
    return [bool(image[n] > image[at]) for n in near]


def test_the_weight_is_the_share_of_equal_bits(rng):
    first, second = rng.random((2, 6, 5, 7)).astype(np.float32)
    found = agreement(first, second)
    assert found.shape == (4, 3, 5)
    for at in np.ndindex(found.shape):
        center = tuple(n + 1 for n in at)
        bits = census(first, center), census(second, center)
        changed = sum(a != b for a, b in zip(*bits, strict=True))
        assert found[at] == pytest.approx(1.0 - changed / 26)


def test_equal_images_stay_as_they_are(make_bank):
    """A bank whose filters change nothing gives the interpolation, bit for bit."""
    method = Hashed(make_bank(**KINDS["cube 2x"], size=0.0))
    volume = volume_of()
    np.testing.assert_array_equal(whole(Blended(method), volume), start_of(method, volume))


def test_filters_that_keep_the_order_of_neighbors_count_fully(make_bank):
    """The paper's kind of filter, a gain of the voxel: no comparison changes."""
    bank = make_bank(**KINDS["paper"], size=0.0)
    (stage,) = bank.stages
    bank = dataclasses.replace(
        bank, stages=(dataclasses.replace(stage, weights=stage.weights * 2),)
    )
    method, volume = Hashed(bank), volume_of()
    found = whole(Blended(method), volume)
    np.testing.assert_array_equal(found, whole(method, volume))
    assert found.max() > 1.5


def test_where_structure_disagrees_the_interpolation_is_taken(make_bank):
    """Filters that turn bright into dark, on a ramp without plateaus."""
    bank = make_bank(scale=(2, 2, 2), grids=("voxel",), symmetry="none", residual=False, size=0.0)
    (stage,) = bank.stages
    negative = dataclasses.replace(stage, weights=stage.weights * -1)
    method = Hashed(dataclasses.replace(bank, stages=(negative,)))
    x, y, z = np.indices(SHAPE)
    ramp = ((x + 0.3 * y + 0.09 * z) / 10).astype(np.float32)
    ramp[0, 0, 0] = -2.0  # results are not darker than the darkest voxel
    volume = Volume(ramp, Grid(SHAPE, np.eye(4)))
    inner = (slice(7, -3),) * 3
    start = start_of(method, volume)[inner]
    assert (whole(method, volume)[inner] < 0).all()
    np.testing.assert_allclose(whole(Blended(method), volume)[inner], start, rtol=1e-6)


@pytest.mark.parametrize("kind", ["cube 2x", "plane 1x1x4", "two voxel stages", "cells last"])
def test_any_region_in_any_way_is_that_of_the_whole(make_bank, kind, rng):
    method, lr = Blended(Hashed(make_bank(**KINDS[kind]))), volume_of(high=1.3)
    expected = whole(method, lr)
    assert np.abs(expected - whole(method.method, lr)).max() > 1e-3
    for _ in range(8):
        ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in expected.shape]
        region = Region(tuple(int(a) for a, _ in ends), tuple(int(b) for _, b in ends))
        np.testing.assert_array_equal(method.compute(lr, region), expected[region.slices])
        image = np.full(expected.shape, np.nan, np.float32)
        for number, box in enumerate(pass_regions(method, region, expected.shape)):
            previous, image = image, np.full_like(image, np.nan)
            image[box.slices] = method.compute_pass(number, lr, previous, box)
        np.testing.assert_array_equal(image[region.slices], expected[region.slices])


def test_a_region_reads_no_further_than_the_halo(make_bank):
    method = Blended(Hashed(make_bank(**KINDS["two voxel stages"])))
    lr, z = volume_of((9, 9, 60)), method.halo[2]
    region = Region((4, 3, 90), (6, 5, 93))
    near = lr.data.copy()
    near[..., : 30 - z] = near[..., 31 + z :] = 0.5
    changed = Volume(near, lr.grid)
    changed.__dict__["extrema"] = lr.extrema
    np.testing.assert_array_equal(method.compute(changed, region), method.compute(lr, region))


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 3.3, 1)])
def test_a_whole_run_is_blended_consistent_and_says_so(scale):
    method, volume = get_method("hashed:blend", scale), volume_of((11, 10, 12), 900.0)
    result = run_method(method, volume, threads=2)
    assert result.history["method"] == method.name == "hashed:blend"
    assert "changed bits" in result.history["blending"]
    assert "measured" in result.history["data_consistency"]
    assert bank_of(method) is bank_of(get_method("hashed", scale))
    plain = run_method(get_method("hashed", scale), volume)
    assert np.abs(result.data - plain.data).max() > 1.0
    louder = Volume(volume.data * 8, volume.grid)
    np.testing.assert_array_equal(run_method(method, louder).data, result.data * 8)


def test_both_parts_of_a_complex_scan_have_the_weights_of_the_magnitude(make_bank, rng):
    """With the magnitude held, sums of parts give sums of results."""
    method, region = Blended(Hashed(make_bank(**KINDS["cube 2x"]))), Region((3, 2, 4), (14, 17, 15))
    magnitude = volume_of()
    one, _ = ComplexVolume(magnitude, Volume(np.zeros_like(magnitude.data), magnitude.grid)).parts()
    noise = rng.normal(size=SHAPE).astype(np.float32)
    other = dataclasses.replace(one, data=noise)
    both = dataclasses.replace(one, data=one.data - 2 * noise)
    results = [method.compute(part, region) for part in (one, other, both)]
    np.testing.assert_allclose(results[2], results[0] - 2 * results[1], atol=2e-4)


@pytest.mark.parametrize("name", ["hashed:mix", "anchored:mix"])
def test_other_options_are_refused(name):
    with pytest.raises(ParameterError, match="'mix' of learned filters; use blend"):
        sr.get_method(name, (2, 2, 2))


def test_anchored_filters_are_blended_too():
    assert get_method("anchored:blend", (2, 2, 2)).name == "anchored:blend"
