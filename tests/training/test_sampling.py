"""Samples: the right voxels, as the method will see them."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from helpers.scans import SHAPES
from helpers.training import batches, prepare_pair, small_preset
from scipy import ndimage

from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import FilterBank, Stage, StageSpec
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.operators.gradients import Window
from napari_mrisr.training import sampling, train
from napari_mrisr.training.finish import solved_stage
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import StagePlan, TrainParameters
from napari_mrisr.training.sampling import ONE_THREAD, Pair, find_samples

# Sharpened targets


def test_a_bank_learns_the_sharpened_operator(rng):
    """The truth is the interpolation itself, so the mask alone is left for the filters to learn."""
    amount, sigma, shape = 1.4, 0.45, (18, 16, 20)
    parameters = TrainParameters(sharpen=(amount, sigma))
    spec = HashSpec(Window(1.0, 2), {"elevation": (25.0,)}, "cube")
    plan = StagePlan(StageSpec("voxel", spec, 5), ridge=1e-3)
    before = FilterBank((2, 2, 2), "standard", "tricubic", ())
    lows = [Volume(rng.random(shape).astype(np.float32), Grid(shape, np.eye(4))) for _ in range(2)]
    images = [sampling.run_stages(low, before, ONE_THREAD) for low in lows]
    pair = Pair(images[0], lows[0], np.ones(images[0].shape, bool), 0)
    stage = solved_stage(plan, sums_of(pair, plan, before, parameters))
    found = sampling.run_stages(lows[1], replace(before, stages=(stage,)), ONE_THREAD)
    gauss = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2)
    blurred = images[1].astype(float)
    for axis in range(3):
        blurred = ndimage.convolve1d(blurred, gauss / gauss.sum(), axis)
    expected = images[1] + amount * (images[1] - blurred)
    expected = np.maximum(expected, lows[1].data.min())  # results are not darker than the scan
    inner = (slice(3, -3),) * 3
    changed = np.abs(expected - images[1])[inner].mean()
    assert np.abs(found - expected)[inner].mean() < 0.01 * changed


# What is left out


@pytest.fixture
def pair(scans):
    return prepare_pair(scans[0], TrainParameters())


def sums_of(pair, plan, before, parameters=None):
    scale = before.scale
    equations = NormalEquations.empty(
        plan.spec.hash.filter_count, plan.spec.taps, plan.spec.outputs(scale)
    )
    found = find_samples(pair, plan, before, parameters or TrainParameters(scale))
    for batch in batches(found):
        equations.add(*batch)
    return equations


@pytest.mark.parametrize("grid", ["cell", "voxel"])
def test_voxels_outside_the_mask_do_not_count(pair, make_bank, grid):
    """Other truth outside gives the same sums; other truth inside does not."""
    plan = small_preset("default", (2, 2, 2)).stages[grid == "voxel"]
    before = replace(make_bank(grids=("cell",)), stages=())
    expected = sums_of(pair, plan, before)
    assert expected.count.sum() > 1000
    tissue = pair.mask & (pair.truth != 0)
    rng = np.random.default_rng(0)
    # Not on empty voxels: these would no longer be empty, and their rim tissue.
    poison = np.where(tissue | (pair.truth == 0), pair.truth, rng.random(pair.truth.shape))
    other = sums_of(replace(pair, truth=poison.astype(np.float32)), plan, before)
    for name, tensor in expected.tensors().items():
        np.testing.assert_array_equal(other.tensors()[name], tensor, err_msg=name)
    middle = tuple(n // 2 for n in pair.truth.shape)
    changed = pair.truth.copy()
    changed[middle] += 0.5
    assert sums_of(replace(pair, truth=changed), plan, before).energy.sum() != expected.energy.sum()


@pytest.mark.parametrize("grid", ["cell", "voxel"])
def test_rim_of_masked_voxels_does_not_count(pair, make_bank, grid):
    """Targets next to empty voxels do not matter."""
    plan = small_preset("default", (2, 2, 2)).stages[grid == "voxel"]
    before = replace(make_bank(grids=("cell",)), stages=())
    expected = sums_of(pair, plan, before)
    empty = pair.truth == 0
    rim = ndimage.binary_dilation(empty) & ~empty
    assert rim.sum() > 1000
    poison = np.where(rim, np.float32(0.9), pair.truth)
    other = sums_of(replace(pair, truth=poison), plan, before)
    for name, tensor in expected.tensors().items():
        np.testing.assert_array_equal(other.tensors()[name], tensor, err_msg=name)


def made_up_pair(mask=None, empty=None, shape=(24, 28, 20), scale=(2, 2, 2)):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 1.0, shape).astype(np.float32)
    if empty is not None:
        truth[empty] = 0.0
    small = truth.reshape(12, 2, 14, 2, 10, 2).mean(axis=(1, 3, 5))
    lr = Volume(small, Grid(small.shape, np.eye(4)))
    whole = np.ones(shape, bool) if mask is None else mask
    return Pair(truth, lr, whole, 1)


def test_usable_voxels_of_a_small_example():
    cell, voxel = (plan.spec for plan in small_preset("default", (2, 2, 2)).stages)
    # Without any mask: all but half a patch at the border.
    everything = sampling._usable(made_up_pair(), cell, (12, 14, 10), ONE_THREAD)
    np.testing.assert_array_equal(np.argwhere(everything).min(axis=0), [1, 1, 1])
    np.testing.assert_array_equal(np.argwhere(everything).max(axis=0), [10, 12, 8])
    # A mask from x = 8: its first voxel is rim, so the first whole cell is the fifth.
    mask = np.zeros((24, 28, 20), bool)
    mask[8:] = True
    usable = sampling._usable(made_up_pair(mask), cell, (12, 14, 10), ONE_THREAD)
    assert np.argwhere(usable).min(axis=0)[0] == 5
    usable = sampling._usable(made_up_pair(mask), voxel, (24, 28, 20), ONE_THREAD)
    assert np.argwhere(usable).min(axis=0)[0] == 9
    # One empty voxel: its cell, and those next to it.
    usable = sampling._usable(made_up_pair(empty=(10, 14, 9)), cell, (12, 14, 10), ONE_THREAD)
    assert not usable[5, 7, 4]
    assert not usable[4, 7, 4]  # voxel 9 is next to the empty one
    assert usable[6, 7, 4]
    # Empty low-resolution voxels: two cells around.
    usable = sampling._usable(
        made_up_pair(empty=np.s_[10:12, 14:16, 8:10]), voxel, (24, 28, 20), ONE_THREAD
    )
    assert not usable[14, 14, 8]
    assert usable[16, 14, 8]


def test_flat_voxels_are_no_samples(scans, make_bank):
    pair = prepare_pair(scans[0], TrainParameters())
    truth = np.full_like(pair.truth, 0.5)
    lr = replace(pair.lr, data=np.full_like(pair.lr.data, 0.5))
    flat = replace(pair, truth=truth, lr=lr, mask=np.ones_like(pair.mask))
    before = replace(make_bank(grids=("cell",)), stages=())
    for plan in small_preset("default", (2, 2, 2)).stages:
        assert find_samples(flat, plan, before, TrainParameters()).count == 0


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 1, 2)])
@pytest.mark.parametrize("number", [0, 1])
def test_samples_are_those_that_the_method_filters(scans, scale, number):
    """The prediction for a sample equals the change of its voxel by the method."""
    parameters = TrainParameters(scale)
    pair, preset = prepare_pair(scans[1], parameters), small_preset("default", scale)
    plan, before = preset.stages[number], FilterBank(scale, "standard", preset.start, ())
    spec, rng = plan.spec, np.random.default_rng(0)
    outputs = spec.outputs(scale)
    weights = rng.normal(0, 0.05, (spec.hash.filter_count, spec.taps, outputs)).astype(np.float32)
    rest = np.zeros(spec.hash.bucket_count, np.float32)
    stage = Stage(spec, weights, rest.astype(np.int64), rest, rest)
    whole = Region.whole(pair.truth.shape)
    method = Hashed(replace(before, stages=(stage,)))
    # Truth = what the method makes (before its clip at zero): then the error is nothing.
    image = Hashed(before).run(pair.lr, whole, 0)
    predicted = method.run(pair.lr, whole, 1)
    assert np.abs(predicted - image).max() > 0.01
    kept = predicted > 0
    exact = replace(pair, truth=np.where(kept, predicted, 0.0))
    worst, samples = 0.0, 0
    found = find_samples(exact, replace(plan, samples=None), before, parameters)
    for bucket, patches, targets in batches(found):
        worst = max(worst, float(np.abs(patches @ weights[bucket] - targets).max()))
        samples += len(patches)
    assert samples > 1000
    assert worst < 1e-4


def test_samples_are_limited_and_reproducible(pair, make_bank):
    before = replace(make_bank(grids=("cell",)), stages=())
    plan = replace(small_preset("default", (2, 2, 2)).stages[1], samples=1234)
    first, again = (find_samples(pair, plan, before, TrainParameters()) for _ in range(2))
    assert 1000 < first.count <= 1234
    for name in ("source", "target", "base", "goal", "element", "ends"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_pair_is_clipped_normalized_and_cropped(scans):
    pair = prepare_pair(scans[3], TrainParameters((4, 1, 5)))
    assert pair.truth.shape == (40, 38, 30)
    assert pair.lr.data.shape == (10, 38, 6)
    assert (pair.truth.min(), pair.truth.max()) == (0.0, 1.0)
    top = np.percentile(nib.load(scans[3]).get_fdata()[:40, :, :30], 99.9)
    np.testing.assert_allclose(pair.lr.window.high, top, rtol=1e-5)


def test_interpolated_axes_are_thinned(scans, tmp_path, monkeypatch):
    parameters = TrainParameters(thin=(("sub-2*", (1, 2, 1)),))
    pair = prepare_pair(scans[1], parameters)
    assert pair.truth.shape == (38, 20, 46)  # every second of 42, and a multiple of two
    assert prepare_pair(scans[0], parameters).truth.shape == SHAPES[0]
    report = train(scans[:2], tmp_path / "a.safetensors", parameters)
    volumes = report.bank.provenance["volumes"]
    assert [v.get("thinned") for v in volumes] == [None, "1x2x1"]
