"""The hashed method: any region, known filters, halo, headroom, tiny volumes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.banks import KINDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import FilterBank, Stage, StageSpec
from napari_mrisr.bank.symmetries import ELEMENTS
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.methods import get_method, hashed
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.operators.gradients import Window

checks = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def volume_of(shape, seed=0, high=1.0):
    data = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 0.7, mode="mirror")
    data -= data.min()
    return Volume((high * data / max(data.max(), 1e-9)).astype(np.float32), Grid(shape, np.eye(4)))


def fine_shape(volume, scale):
    return volume.grid.upsampled(scale).shape


def whole(method, volume):
    return method.compute(volume, Region.whole(fine_shape(volume, method.scale)))


def tricubic(volume, scale):
    return whole(get_method("tricubic", scale), volume)


def draw_region(data, shape):
    starts = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stops = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True))
    return Region(starts, stops)


def one_stage(spec, weights, scale=(2, 2, 2)):
    """A bank of one stage with the same filter in every bucket."""
    filters = np.broadcast_to(weights, (spec.hash.filter_count, spec.taps, spec.outputs(scale)))
    rest = np.zeros(spec.hash.bucket_count)
    stage = Stage(spec, np.ascontiguousarray(filters, np.float32), rest.astype(int), rest, rest)
    return Hashed(FilterBank(scale, "standard", "tricubic", (stage,)))


# Any region


@pytest.mark.parametrize("kind", KINDS)
@checks
@given(data=st.data())
def test_region_is_the_whole_bit_for_bit(make_bank, kind, data):
    method = Hashed(make_bank(**KINDS[kind]))
    shape = tuple(data.draw(st.integers(2, 13)) for _ in range(3))
    high = data.draw(st.sampled_from([1.0, 1.6]))
    volume = volume_of(shape, data.draw(st.integers(0, 5)), high)
    region = draw_region(data, fine_shape(volume, method.scale))
    part = method.compute(volume, region)
    assert part.dtype == np.float32
    assert part.flags.c_contiguous
    np.testing.assert_array_equal(part, whole(method, volume)[region.slices])


@pytest.mark.parametrize("kind", KINDS)
def test_one_voxel_thick_regions_everywhere(make_bank, kind):
    """The preview's planes, through every slice of every axis."""
    method = Hashed(make_bank(**KINDS[kind]))
    volume = volume_of((7, 9, 8))
    shape = fine_shape(volume, method.scale)
    result = whole(method, volume)
    for axis, n in enumerate(shape):
        for at in range(n):
            start, stop = [0, 0, 0], list(shape)
            start[axis], stop[axis] = at, at + 1
            region = Region(tuple(start), tuple(stop))
            np.testing.assert_array_equal(
                method.compute(volume, region), result[region.slices], err_msg=f"{axis} {at}"
            )


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "paper"])
@checks
@given(data=st.data())
def test_the_halo_is_enough(make_bank, kind, data):
    """A volume cropped to the region and its halo gives the same bits inside."""
    method = Hashed(make_bank(**KINDS[kind]))
    # Long axes, so that the halo often ends inside.
    volume = volume_of((70, 40, 50), data.draw(st.integers(0, 2)))
    size = [data.draw(st.integers(1, 4)) for _ in range(3)]
    shape = fine_shape(volume, method.scale)
    start = tuple(data.draw(st.integers(0, n - s)) for n, s in zip(shape, size, strict=True))
    stop = tuple(a + s for a, s in zip(start, size, strict=True))
    corner, end = [], []
    for a, b, s, h, n in zip(
        start, stop, method.scale, method.halo, volume.grid.shape, strict=True
    ):
        corner.append(max(0, a // s - h))
        end.append(min(n, -(-b // s) + h))
    crop = volume.cropped(tuple(corner), tuple(b - a for a, b in zip(corner, end, strict=True)))
    crop.__dict__["extrema"] = volume.extrema  # the clip is that of the whole volume
    moved = [c * s for c, s in zip(corner, method.scale, strict=True)]
    inside = Region(
        tuple(a - m for a, m in zip(start, moved, strict=True)),
        tuple(b - m for b, m in zip(stop, moved, strict=True)),
    )
    expected = method.compute(volume, Region(start, stop))
    np.testing.assert_array_equal(method.compute(crop, inside), expected)


def test_the_halo_of_a_quadratic_start_is_enough(make_bank):
    """Quadratic positions drift with the volume, so poison beyond the halo instead of cropping."""
    method = Hashed(make_bank(**KINDS["paper"]))
    volume = volume_of((40, 41, 42))
    region = Region((40, 1, 60), (43, 4, 62))
    near = tuple(
        slice(max(0, a // 2 - h), -(-b // 2) + h)
        for a, b, h in zip(region.start, region.stop, method.halo, strict=True)
    )
    other = np.full(volume.data.shape, 0.3, np.float32)
    other[near] = volume.data[near]
    changed = Volume(other, volume.grid)
    changed.__dict__["extrema"] = volume.extrema
    np.testing.assert_array_equal(method.compute(changed, region), method.compute(volume, region))


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 3, 4), (4, 2, 3), (3, 4, 2), (1, 2, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_tiny_volumes(make_bank, kind, shape):
    method = Hashed(make_bank(**KINDS[kind]))
    volume = volume_of(shape)
    result = whole(method, volume)
    assert result.shape == fine_shape(volume, method.scale)
    assert np.isfinite(result).all()
    region = Region((0, 0, 0), (1, 1, 1))
    np.testing.assert_array_equal(method.compute(volume, region), result[:1, :1, :1])


# Known answers


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "paper"])
def test_filters_of_nothing_leave_tricubic(make_bank, kind):
    method = Hashed(make_bank(**KINDS[kind], size=0.0))
    volume = volume_of((9, 7, 8))
    np.testing.assert_array_equal(whole(method, volume), tricubic(volume, method.scale))


def test_an_untouched_paper_bank_leaves_the_quadratic_start(make_bank):
    method = Hashed(make_bank(**KINDS["paper"], size=0.0))
    volume = volume_of((9, 7, 8))
    expected = whole(get_method("quadratic", (2, 2, 2)), volume)
    np.testing.assert_allclose(whole(method, volume), expected, rtol=1e-6)


@pytest.mark.parametrize("tap", range(0, 27, 4))
def test_a_filter_that_passes_one_neighbor(tap):
    """Without symmetry: the upsampled volume moved by a voxel, mirrored at its edges."""
    weights = np.zeros((27, 1))
    weights[tap] = 1.0
    method = one_stage(StageSpec("voxel", HashSpec(Window(1.0, 2)), 3, residual=False), weights)
    volume = volume_of((5, 7, 6))
    step = np.array(np.unravel_index(tap, (3, 3, 3))) - 1
    padded = np.pad(tricubic(volume, (2, 2, 2)), 1, mode="reflect")
    expected = padded[
        tuple(slice(1 + s, n - 1 + s) for s, n in zip(step, padded.shape, strict=True))
    ]
    np.testing.assert_array_equal(whole(method, volume), expected)


def test_residual_filters_see_differences_and_are_added():
    weights = np.zeros((27, 1))
    weights[14] = 0.5  # the next voxel along z
    weights[13] = 7.0  # the center, which is no difference
    method = one_stage(StageSpec("voxel", HashSpec(Window(1.0, 2)), 3), weights)
    volume = volume_of((5, 7, 6))
    start = tricubic(volume, (2, 2, 2))
    ahead = np.pad(start, 1, mode="reflect")[1:-1, 1:-1, 2:]
    expected = np.maximum(start + 0.5 * (ahead - start), volume.data.min())
    np.testing.assert_allclose(whole(method, volume), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 2, 3)])
def test_a_cell_filter_writes_each_output_to_its_place(scale):
    """Without symmetry: neighbor t's difference goes to phase q, and to no other."""
    outputs = int(np.prod(scale))
    weights = np.zeros((27, outputs))
    tap, phase = 16, outputs - 1  # the neighbor at (0, +1, 0) less the center
    weights[tap, phase] = 0.25
    spec = StageSpec("cell", HashSpec(Window(1.0, 2)), 3)
    volume = volume_of((6, 5, 7))
    result = whole(one_stage(spec, weights, scale), volume)
    ahead = np.pad(volume.data, 1, mode="reflect")[1:-1, 2:, 1:-1]
    expected = tricubic(volume, scale).astype(np.float64)
    last = tuple(slice(s - 1, None, s) for s in scale)
    expected[last] += 0.25 * (ahead - volume.data)
    np.testing.assert_allclose(result, np.maximum(expected, volume.data.min()), atol=1e-6)


def same_inside(a, b, scale):
    """Share of voxels that agree, but for the outer two cells.

    At the edges, which are mirrored, the gradient across is zero: a tie, which
    the order of the axes decides.
    """
    inner = tuple(slice(2 * s, -2 * s) for s in scale)
    return float((np.abs(a - b) < 1e-4)[inner].mean())


@pytest.mark.parametrize("kind", ["cube 2x", "cube 3x, wide", "cells last"])
def test_turning_the_volume_turns_the_result(make_bank, kind):
    """All of the cube's symmetries: hash, patch, phases and places together."""
    method = Hashed(make_bank(**KINDS[kind]))
    volume = volume_of((9, 9, 9), seed=4)
    result = whole(method, volume)
    for permutation, signs in ELEMENTS:
        flipped = [axis for axis in range(3) if signs[axis] < 0]
        data = np.flip(np.transpose(volume.data, permutation), flipped)
        turned = whole(method, Volume(data, volume.grid))
        expected = np.flip(np.transpose(result, permutation), flipped)
        assert same_inside(turned, expected, method.scale) > 0.999


def test_flipping_the_volume_flips_the_result(make_bank):
    method = Hashed(make_bank(**KINDS["flips 1x1x4"]))
    volume = volume_of((9, 8, 7), seed=4)
    result = whole(method, volume)
    for _, signs in ELEMENTS[:8]:
        flipped = [axis for axis in range(3) if signs[axis] < 0]
        turned = whole(method, Volume(np.flip(volume.data, flipped), volume.grid))
        assert same_inside(turned, np.flip(result, flipped), method.scale) > 0.999


def test_swapping_x_and_y_swaps_the_result(make_bank):
    """The 16 symmetries of thick slices; patch and window are flatter than wide."""
    method = Hashed(make_bank(**KINDS["plane 1x1x4"]))
    volume = volume_of((11, 11, 9), seed=4)
    result = whole(method, volume)
    for permutation, signs in ELEMENTS:
        if permutation[2] == 2:
            flipped = [axis for axis in range(3) if signs[axis] < 0]
            data = np.flip(np.transpose(volume.data, permutation), flipped)
            turned = whole(method, Volume(data, volume.grid))
            expected = np.flip(np.transpose(result, permutation), flipped)
            assert same_inside(turned, expected, method.scale) > 0.999


def test_flat_voxels_are_left_as_they_are(make_bank):
    """Their bucket has no filter."""
    data = np.full((14, 12, 13), 0.5, np.float32)
    data[:4] = np.random.default_rng(0).random((4, 12, 13), np.float32)
    volume = Volume(data, Grid(data.shape, np.eye(4)))
    result = whole(Hashed(make_bank()), volume)
    start = tricubic(volume, (2, 2, 2))
    np.testing.assert_array_equal(result[-10:], start[-10:])
    assert (result[:8] != start[:8]).mean() > 0.9


# Limits


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "paper"])
def test_above_the_clip_hashed_is_never_below_tricubic(make_bank, kind):
    """A bright vessel keeps its brightness."""
    bank = make_bank(**KINDS[kind], size=1.0)
    # Filters that only take away, so that the floor is what is tested.
    stages = tuple(dataclasses.replace(s, weights=-np.abs(s.weights)) for s in bank.stages)
    method = Hashed(dataclasses.replace(bank, stages=stages))
    volume = volume_of((9, 7, 8), high=2.5)
    result, start = whole(method, volume), tricubic(volume, method.scale)
    bright = start > 1.0
    assert bright.sum() > 50
    assert (result[bright] >= start[bright]).all()
    assert (result[~bright] < start[~bright]).mean() > 0.2


def test_below_the_clip_there_is_no_floor_but_the_minimum(make_bank):
    method = Hashed(make_bank(size=5.0))
    volume = volume_of((9, 7, 8))
    result = whole(method, volume)
    start = tricubic(volume, (2, 2, 2))
    assert result.min() == volume.data.min() == 0.0
    assert (result < start).mean() > 0.2
    assert (result > start).mean() > 0.2


@pytest.mark.parametrize("value", [0.0, 0.7, 1.3])
def test_constant_volumes_stay_constant(make_bank, value):
    for kind in ("cube 2x", "flips 1x1x4"):
        method = Hashed(make_bank(**KINDS[kind]))
        volume = Volume(np.full((4, 5, 6), value, np.float32), Grid((4, 5, 6), np.eye(4)))
        np.testing.assert_allclose(whole(method, volume), value, rtol=1e-6)


def test_negative_minimum_is_kept(make_bank):
    volume = volume_of((6, 7, 8))
    shifted = Volume(volume.data - 0.4, volume.grid)
    result = whole(Hashed(make_bank()), shifted)
    assert result.min() < 0.0
    assert result.min() >= shifted.data.min()


# What it says of itself


def test_stages_run_one_after_the_other(make_bank):
    bank = make_bank()
    first = dataclasses.replace(bank, stages=bank.stages[:1])
    volume = volume_of((6, 7, 5))
    region = Region.whole((12, 14, 10))
    np.testing.assert_array_equal(
        Hashed(bank).run(volume, region, 1), Hashed(first).compute(volume, region)
    )
    np.testing.assert_array_equal(
        Hashed(bank).run(volume, region, 2), Hashed(bank).compute(volume, region)
    )


class Observer:
    """An image of zeros that notes which boxes of it are read."""

    def __init__(self):
        self.read = []

    def __getitem__(self, slices):
        self.read.append(slices)
        return np.zeros([s.stop - s.start for s in slices], np.float32)


def test_a_pass_reads_what_it_needs_and_no_more(make_bank):
    method = Hashed(make_bank((3, 3, 3), ("cell", "voxel", "voxel"), width=5))
    lr = volume_of((11, 13, 14)).normalized()
    shape = (33, 39, 42)
    for number in (1, 2, 3):
        for region in (Region((1, 17, 20), (2, 19, 21)), Region((15, 30, 0), (33, 31, 42))):
            image, needed = Observer(), method.needs(number, region, shape)
            method.compute_pass(number, lr, image, region)
            start = [min(box[a].start for box in image.read) for a in range(3)]
            stop = [max(box[a].stop for box in image.read) for a in range(3)]
            assert (tuple(start), tuple(stop)) == (needed.start, needed.stop)


def test_halo_counts_voxel_stages_in_low_resolution_voxels(make_bank):
    # Window of radius 2: reach 4 a stage; tricubic needs 12.
    assert Hashed(make_bank((2, 2, 2), ("voxel", "voxel"))).halo == (17, 17, 17)
    assert Hashed(make_bank((1, 1, 4), ("cell", "voxel"))).halo == (17, 17, 14)
    assert Hashed(make_bank((2, 2, 2), ("cell",))).halo == (13, 13, 13)


def test_provenance(make_bank):
    assert Hashed(make_bank()).provenance() == {
        "method": "hashed",
        "bank": "random",
        "bank_preset": "default",
        "degradation_assumed": "standard",
    }


@pytest.mark.parametrize("background", [0.0, 0.3])
def test_what_is_passed_over_would_not_have_changed(monkeypatch, rng, background):
    """A small bright body in an even background: skipping the rest gives the same bits."""
    method = get_method("hashed", (2, 2, 2))
    data = np.full((11, 23, 30), background, np.float32)
    data[3:8, 6:13, 9:17] += rng.uniform(0.2, 0.7, (5, 7, 8)).astype(np.float32)
    lr = Volume(data, Grid(data.shape, np.eye(4)))
    region = Region((0, 0, 0), (22, 46, 60))
    seen = []
    find = hashed._busy
    monkeypatch.setattr(hashed, "_busy", lambda *a: seen.append((a[-1], find(*a))) or seen[-1][1])
    result = method.compute(lr, region)
    sizes = [(np.prod(part.shape), np.prod(box.shape) if box else 0) for part, box in seen]
    whole, looked_at = np.sum(sizes, axis=0)
    assert 0 < looked_at < 0.8 * whole
    monkeypatch.setattr(hashed, "_busy", lambda *a: a[-1])
    np.testing.assert_array_equal(result, method.compute(lr, region))
