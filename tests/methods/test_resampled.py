"""Learned filters at factors without a bank."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import ScaleError
from napari_mrisr.methods import get_method
from napari_mrisr.methods.permuted import hashed_with
from napari_mrisr.methods.resampled import Resampled, bank_of, scale_of_bank
from napari_mrisr.run.preview import Band
from napari_mrisr.run.upscale import run_method


@pytest.fixture
def volume():
    data = np.random.default_rng(7).random((9, 11, 7)).astype(np.float32)
    data = ndimage.gaussian_filter(data, 0.7) * 900
    return Volume(data, Grid(data.shape, np.diag([0.9, 0.9, 3.3, 1.0])))


@pytest.fixture
def thick(make_bank):
    """Return the method for a real factor along an axis, with a bank for 1x1x4."""
    bank = make_bank((1, 1, 4), ("cell", "voxel"))

    def method(axis, factor):
        whole, scale = [1, 1, 1], [1, 1, 1]
        whole[axis], scale[axis] = 4, factor
        return Resampled(hashed_with(bank, tuple(whole)), tuple(scale))

    return method


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("factor", [3.3, 3.667, 5.1])
def test_regions_and_planes_equal_the_whole_run(volume, thick, axis, factor, rng):
    method, lr = thick(axis, factor), volume.normalized()
    whole = run_method(method, volume, threads=2).data
    shape = list(volume.grid.shape)
    shape[axis] = round(shape[axis] * factor)
    assert whole.shape == tuple(shape)
    for _ in range(6):
        ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in shape]
        region = Region(tuple(int(a) for a, _ in ends), tuple(int(b) for _, b in ends))
        found = lr.window.from_unit(method.compute(lr, region))
        np.testing.assert_array_equal(found, whole[region.slices])
    for across in range(3):
        planes = Band(method, lr, across).planes(3, 5, ThreadPool(2))
        np.testing.assert_array_equal(planes, whole.take(range(3, 5), across))


def test_a_region_reads_no_further_than_the_halo(volume, thick):
    data = np.random.default_rng(1).random((9, 11, 60)).astype(np.float32)
    lr = Volume(data, Grid(data.shape, np.eye(4)))
    method = thick(2, 3.3)
    region = Region((0, 0, 90), (9, 11, 100))
    first, last = int(90 / 3.3) - method.halo[2], int(-(-100 // 3.3)) + method.halo[2]
    changed = data.copy()
    changed[..., :first] = 0.5
    changed[..., last:] = 0.5
    other = Volume(changed, lr.grid)
    other.__dict__["extrema"] = lr.extrema
    np.testing.assert_array_equal(method.compute(lr, region), method.compute(other, region))


def test_it_is_the_banks_result_resampled(volume, thick):
    filtered = run_method(thick(2, 4).method, volume).data
    found = run_method(thick(2, 3.7), volume)
    n = found.grid.shape[2]
    position = (np.arange(n) + 0.5) * filtered.shape[2] / n - 0.5
    where = np.meshgrid(np.arange(9), np.arange(11), position, indexing="ij")
    expected = ndimage.map_coordinates(filtered, where, order=3, mode="mirror")
    expected = np.maximum(expected, volume.data.min())
    np.testing.assert_allclose(found.data, expected, atol=0.05)


def test_the_next_larger_bank_serves_a_factor():
    banks = [(1, 1, 2), (1, 1, 4), (2, 2, 2), (3, 3, 3)]
    expected = {
        (1, 1, 4): (1, 1, 4),
        (4, 1, 1): (4, 1, 1),
        (1, 3, 1): (1, 4, 1),
        (1, 1, 1.5): (1, 1, 2),
        (1, 1, 4.8): (1, 1, 4),  # the largest
        (1.7, 2, 1.2): (2, 2, 2),
        (2.5, 2.5, 2.5): (3, 3, 3),
        (2, 2, 3): None,
        (1, 2, 2): None,
        (4, 4, 4): None,
    }
    for scale, whole in expected.items():
        assert scale_of_bank(scale, banks) == whole
    assert scale_of_bank((1, 1, 2), []) is None


def test_a_bank_of_ones_own_serves_every_thick_slice_factor(make_bank, tmp_path):
    path = tmp_path / "thick.safetensors"
    make_bank((1, 1, 3)).save(path)
    method = get_method("hashed", (2.4, 1, 1), str(path))
    assert method.scale == (2.4, 1, 1)
    assert bank_of(method).scale == (1, 1, 3)
    with pytest.raises(ScaleError, match="method tricubic"):
        get_method("hashed", (4.5, 4.5, 4.5))


def test_whole_factors_with_a_bank_are_not_resampled():
    assert not isinstance(get_method("hashed", (2, 2, 2)), Resampled)
    assert isinstance(get_method("hashed", (1.9, 1.9, 1.9)), Resampled)


def test_a_cancelled_run_raises(volume, thick):
    from napari_mrisr.errors import Cancelled

    progress = Progress()
    progress.token.cancel()
    with pytest.raises(Cancelled):
        run_method(thick(2, 3.3), volume, progress=progress)
