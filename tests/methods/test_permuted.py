"""A bank fits every order of its factors; the result is that of the permuted volume."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from helpers.host_machine import HostMachine

from napari_mrisr.core.axes import axes_between, inverse, permute_data, permute_volume
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Grid, Origin, Region, Volume
from napari_mrisr.errors import BankError
from napari_mrisr.methods import get_method, on_device
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.methods.permuted import Permuted, hashed_with
from napari_mrisr.run.preview import Band
from napari_mrisr.run.upscale import UpscaleParameters, run_method, upscale
from napari_mrisr.trust import trust_maps

ORDERS = list(itertools.permutations(range(3)))
SCALES = sorted(set(itertools.permutations((1, 2, 3)))) + [(3, 1, 1), (1, 3, 1)]


@pytest.fixture
def volume():
    data = np.random.default_rng(3).random((9, 10, 11)).astype(np.float32) * 500
    affine = np.diag([1.0, 1.5, 2.0, 1.0])
    affine[:3, 3] = (5, -3, 2)
    return Volume(data, Grid(data.shape, affine))


@pytest.fixture
def bank_of(make_bank):
    def bank(scale):
        factors = tuple(sorted(scale))
        return make_bank(factors, ("cell", "voxel"))

    return bank


@pytest.mark.parametrize("scale", SCALES)
def test_the_result_is_that_of_the_permuted_volume(volume, bank_of, scale):
    bank = bank_of(scale)
    axes = axes_between(scale, bank.scale)
    found = run_method(hashed_with(bank, scale), volume, threads=2)
    expected = run_method(Hashed(bank), permute_volume(volume, axes))
    np.testing.assert_array_equal(found.data, permute_data(expected.data, inverse(axes)))
    np.testing.assert_allclose(found.grid.affine, volume.grid.upsampled(scale).affine)
    assert found.grid.shape == tuple(n * s for n, s in zip(volume.grid.shape, scale, strict=True))


@pytest.mark.parametrize("scale", [(3, 1, 2), (2, 1, 1)])
def test_preview_and_device_give_the_same(volume, bank_of, scale):
    method = hashed_with(bank_of(scale), scale)
    whole = run_method(method, volume).data
    for axis in range(3):
        planes = Band(method, volume.normalized(), axis).planes(6, 8, ThreadPool(2))
        np.testing.assert_array_equal(planes, whole.take(range(6, 8), axis))
    machine = HostMachine()
    on_device.try_out(method, machine)
    tasks = set()
    progress = Progress()
    progress.show = lambda state: tasks.add(state.task)
    volume = replace(volume, origin=Origin("scan.nii", ("S", "R", "P")))  # axes z, x, y
    found = on_device.run(method, volume, machine, progress)
    z, x, y = (scale[2], scale[0], scale[1])
    assert tasks == {f"hashed {z}x{x}x{y} on {machine.name}"}
    np.testing.assert_allclose(found, whole, atol=0.1)


def test_a_region_of_the_result_is_that_of_the_whole(volume, bank_of):
    method = hashed_with(bank_of((3, 2, 1)), (3, 2, 1))
    lr = volume.normalized()
    region = Region((4, 3, 2), (15, 13, 9))
    whole = run_method(method, volume).data
    found = lr.window.from_unit(method.compute(lr, region))
    np.testing.assert_array_equal(found, whole[region.slices])


def test_upscale_takes_a_bank_file_in_any_order(volume, bank_of, tmp_path):
    path = tmp_path / "thick.safetensors"
    bank_of((1, 1, 3)).save(path)
    for scale in ((3, 1, 1), (1, 3, 1), (1, 1, 3)):
        method = get_method("hashed", scale, str(path))
        assert method.scale == scale
        assert isinstance(method.method, Permuted) is (scale != (1, 1, 3))
        result = upscale(volume, UpscaleParameters(scale, bank=str(path)))
        assert result.history["bank"] == "thick"
    with pytest.raises(BankError, match="made for scale 1x1x3"):
        get_method("hashed", (2, 2, 2), str(path))


def test_trust_maps_follow_the_axes(volume, bank_of):
    bank, scale = bank_of((1, 1, 2)), (2, 1, 1)
    result = run_method(hashed_with(bank, scale), volume)
    maps = trust_maps(volume, result, bank)
    axes = axes_between(scale, bank.scale)
    turned = trust_maps(permute_volume(volume, axes), permute_volume(result, axes), bank)
    assert maps.support.grid.shape == result.grid.shape
    np.testing.assert_allclose(maps.support.grid.affine, result.grid.affine)
    np.testing.assert_array_equal(maps.support.data, permute_data(turned.support.data, axes))
    np.testing.assert_array_equal(
        maps.consistency.data, permute_data(turned.consistency.data, inverse(axes))
    )


def test_the_permutation_moves_as_few_axes_as_possible():
    assert axes_between((3, 1, 1), (1, 1, 3)) == (2, 1, 0)
    assert axes_between((1, 3, 1), (1, 1, 3)) == (0, 2, 1)
    assert axes_between((2, 2, 2), (2, 2, 2)) == (0, 1, 2)
    assert axes_between((2, 2, 3), (2, 2, 2)) is None
    assert all(inverse(inverse(axes)) == axes for axes in ORDERS)
