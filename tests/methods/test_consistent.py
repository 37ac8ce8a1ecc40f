"""Data consistency: the result, degraded again, equals the measured slices."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.banks import KINDS
from helpers.host_machine import HostMachine
from scipy import ndimage

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.slices import with_slice_thickness
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.methods import get_method, on_device
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.resampled import bank_of
from napari_mrisr.operators.degrade import degrade, get_degradation
from napari_mrisr.operators.slices import slice_operator
from napari_mrisr.run.preview import Band
from napari_mrisr.run.upscale import run_method

PROFILES = ("slice-profile:boxcar:1", "slice-profile:boxcar:0.8", "slice-profile:gaussian:1.2")
SCALES = ((1, 1, 4), (4, 1, 1), (1, 4, 1), (1, 1, 3.3))


def volume_of(shape=(13, 12, 14), seed=0):
    """Intensities far above the minimum, which lies in one corner."""
    data = np.random.default_rng(seed).random(shape).astype(np.float32) * 100 + 500
    data[0, 0, 0] = 0.0
    return Volume(data, Grid(shape, np.eye(4)))


@pytest.fixture
def method(make_bank, tmp_path):
    def method(scale, profile=PROFILES[0]):
        bank = make_bank(**KINDS["plane 1x1x4"], degradation=profile)
        path = tmp_path / "bank.safetensors"
        bank.save(path)
        return get_method("hashed", scale, str(path))

    return method


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("scale", SCALES)
def test_degraded_again_it_equals_the_measured_slices(method, scale, profile):
    volume = volume_of()
    result = run_method(method(scale, profile), volume, threads=2)
    kind = get_degradation(profile)
    axis = int(np.argmax(scale))
    n, m = volume.grid.shape[axis], result.grid.shape[axis]
    again = slice_operator(m, n, kind.profile, kind.fwhm).apply(result.data, axis)
    if scale[axis] == 4:
        np.testing.assert_allclose(again, degrade(result, scale, kind).data, rtol=1e-5)
    away = np.abs(again - volume.data)[2:, 2:, 2:]  # the minimum limits its neighbors
    assert away.max() < 1e-5 * 600 + 1e-3
    assert result.data.min() >= 0.0
    assert result.history["data_consistency"] == "with the measured slices"


@pytest.mark.parametrize("scale", SCALES)
def test_regions_previews_and_the_device_give_the_whole(method, scale):
    chosen, volume = method(scale), volume_of((9, 23, 21))
    whole = run_method(chosen, volume, threads=2).data
    lr = volume.normalized()
    for region in (Region((4, 3, 2), (8, 20, 19)), Region((0, 22, 20), (9, 23, 21))):
        found = lr.window.from_unit(chosen.compute(lr, region))
        np.testing.assert_array_equal(found, whole[region.slices])
    for axis in range(3):
        planes = Band(chosen, lr, axis).planes(6, 8, ThreadPool(2))
        np.testing.assert_array_equal(planes, whole.take(range(6, 8), axis))
    if scale == (1, 1, 3.3):
        return  # resampled results have no kernels on a device
    machine = HostMachine()
    on_device.try_out(chosen, machine)
    found = on_device.run(chosen, volume, machine, Progress())
    assert (np.abs(found - whole) < 0.1).mean() > 0.99


def test_the_halo_is_enough(method):
    chosen, volume = method((1, 1, 4)), volume_of((20, 20, 110)).normalized()
    z = chosen.halo[2]
    assert z < 40
    crop = volume.cropped((0, 0, 55 - z), (20, 20, 2 * z + 1))
    crop.__dict__["extrema"] = volume.extrema
    found = chosen.compute(crop, Region((9, 9, 4 * z), (11, 11, 4 * z + 4)))
    expected = chosen.compute(volume, Region((9, 9, 220), (11, 11, 224)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_any_method_can_be_made_consistent():
    volume = volume_of()
    tricubic = get_method("tricubic", (1, 1, 3))
    result = run_method(Consistent(tricubic, PROFILES[0]), volume)
    again = degrade(result, (1, 1, 3), get_degradation(PROFILES[0])).data
    assert np.abs(again - volume.data)[2:, 2:, 2:].max() < 1e-2


@pytest.mark.parametrize("scale", [(1, 1, 4), (1, 4, 1)])
@pytest.mark.parametrize("thickness", [2.0, 4.8])
def test_the_width_is_that_of_the_scans_slices(method, scale, thickness):
    """Slices with gaps or overlap; the bank was made for slices that touch."""
    axis = int(np.argmax(scale))
    volume = volume_of()
    affine = np.diag([*(4.0 if a == axis else 1.0 for a in range(3)), 1.0])
    volume = Volume(volume.data, Grid(volume.grid.shape, affine))
    chosen, lr = method(scale), with_slice_thickness(volume, thickness).normalized()
    whole = run_method(chosen, lr)
    n, m = volume.grid.shape[axis], whole.grid.shape[axis]
    again = slice_operator(m, n, "boxcar", thickness / 4.0).apply(whole.data, axis)
    assert np.abs(again - volume.data)[2:, 2:, 2:].max() < 1e-2
    for region in (Region((4, 3, 2), (8, 10, 12)), Region((0, 11, 13), (13, 12, 14))):
        found = lr.window.from_unit(chosen.compute(lr, region))
        np.testing.assert_array_equal(found, whole.data[region.slices])
    planes = Band(chosen, lr, axis).planes(6, 8, ThreadPool(2))
    np.testing.assert_array_equal(planes, whole.data.take(range(6, 8), axis))


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 2, 2)])
def test_along_several_axes_most_of_the_deviation_is_removed(make_bank, tmp_path, rng, scale):
    path = tmp_path / "bank.safetensors"
    make_bank(scale, ("cell", "voxel")).save(path)
    method = get_method("hashed", scale, str(path))
    data = 500.0 + 100.0 * ndimage.gaussian_filter(rng.random((15, 13, 16)), 1.0)
    volume = Volume(data.astype(np.float32), Grid(data.shape, np.eye(4)))
    deviation = []
    for chosen in (method.method, method):
        again = degrade(run_method(chosen, volume), scale, "standard").data
        deviation.append(np.abs(again - volume.data)[3:-3, 3:-3, 3:-3].mean())
    assert deviation[1] < 0.1 * deviation[0]
    whole, lr = run_method(method, volume, threads=2).data, volume.normalized()
    for region in (Region((3, 2, 5), (8, 20, 19)), Region((14, 0, 0), (15, 1, 1))):
        found = lr.window.from_unit(method.compute(lr, region))
        np.testing.assert_array_equal(found, whole[region.slices])
    planes = Band(method, lr, 1).planes(6, 8, ThreadPool(2))
    np.testing.assert_array_equal(planes, whole[:, 6:8])


def test_only_where_the_degradation_is_known(method, make_bank):
    assert isinstance(method((1, 1, 4)), Consistent)
    assert isinstance(method((1, 1, 4), "standard"), Consistent)
    assert not isinstance(method((1, 1, 3.3), "standard"), Consistent)
    assert not isinstance(method((1, 1, 4), "kspace"), Consistent)
    assert bank_of(method((4, 1, 1))).scale == (1, 1, 4)
    with pytest.raises(ParameterError, match="use a slice profile, or the degradation standard"):
        Consistent(get_method("tricubic", (2, 2, 2)), PROFILES[0])
