"""Data consistency: the result, degraded again, equals the measured slices."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.banks import KINDS
from helpers.host_machine import HostMachine

from napari_mrisr.core.progress import Progress
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
    assert result.history["data_consistency"].startswith("consistent with")


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
    chosen, volume = method((1, 1, 4)), volume_of((20, 20, 90)).normalized()
    z = chosen.halo[2]
    assert z < 35
    crop = volume.cropped((0, 0, 45 - z), (20, 20, 2 * z + 1))
    crop.__dict__["extrema"] = volume.extrema
    found = chosen.compute(crop, Region((9, 9, 4 * z), (11, 11, 4 * z + 4)))
    expected = chosen.compute(volume, Region((9, 9, 180), (11, 11, 184)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_any_method_can_be_made_consistent():
    volume = volume_of()
    tricubic = get_method("tricubic", (1, 1, 3))
    result = run_method(Consistent(tricubic, PROFILES[0]), volume)
    again = degrade(result, (1, 1, 3), get_degradation(PROFILES[0])).data
    assert np.abs(again - volume.data)[2:, 2:, 2:].max() < 1e-2


def test_only_thick_slices_of_a_known_profile(method):
    assert isinstance(method((1, 1, 4)), Consistent)
    assert not isinstance(method((1, 1, 4), "standard"), Consistent)
    assert bank_of(method((4, 1, 1))).scale == (1, 1, 4)
    with pytest.raises(ParameterError, match="use a slice profile and one thick axis"):
        Consistent(get_method("tricubic", (2, 2, 2)), PROFILES[0])
