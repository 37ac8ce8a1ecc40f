"""Planes and slabs are bit for bit those of the whole run; nothing is computed twice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import Cancelled
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.run import preview
from napari_mrisr.run.preview import Band, OutwardFill, strips
from napari_mrisr.run.upscale import run_method


@pytest.fixture
def volume(rng):
    """A scan above 1000 and below 0, another size on every axis."""
    data = ndimage.gaussian_filter(rng.random((23, 17, 12)), 0.8)
    data = 1500.0 * (data - data.min()) / np.ptp(data) - 20.0
    return Volume(data.astype(np.float32), Grid(data.shape, np.diag([1, 1.5, 2, 1])))


@pytest.fixture(autouse=True)
def _thin_slabs(monkeypatch):
    monkeypatch.setattr(preview, "SLAB_VOXELS", 4000)


class Counted:
    """A method that notes the regions of every pass."""

    def __init__(self, method):
        self._method = method
        self.seen = [[] for _ in range(method.passes)]

    def __getattr__(self, name):
        return getattr(self._method, name)

    @property
    def passes(self):
        return self._method.passes

    def compute_pass(self, number, lr, previous, region):
        self.seen[number].append(region)
        return self._method.compute_pass(number, lr, previous, region)


def methods(make_bank):
    return [
        get_method("tricubic", (2, 3, 1)),
        get_method("nearest", (3, 2, 2)),
        Hashed(make_bank((2, 2, 2), ("cell", "voxel", "voxel"))),
        Hashed(make_bank((3, 3, 3), ("voxel",), width=5)),
        Hashed(make_bank((1, 1, 4))),
        get_method("tricubic", (1, 1.4, 4.8)),
    ]


def fill(method, volume, axis, focus, pool=None):
    """The whole result, and the slabs in the order in which they came."""
    filling = OutwardFill(method, volume.normalized(), axis)
    out = np.full(volume.grid.upsampled(method.scale).shape, np.nan, np.float32)
    order = []
    while not filling.done:
        start, values = filling.step(focus(), pool or ThreadPool())
        stop = start + values.shape[axis]
        np.moveaxis(out, axis, 0)[start:stop] = np.moveaxis(values, axis, 0)
        order.append((start, stop))
    return out, order


@pytest.mark.parametrize("which", range(6))
def test_planes_are_those_of_the_whole_run(volume, make_bank, which):
    method = methods(make_bank)[which]
    whole = run_method(method, volume).data
    # Neighbors, far apart, ends; each with what the ones before have left behind.
    for threads in (1, 2):
        for axis, n in enumerate(whole.shape):
            band = Band(method, volume.normalized(), axis)
            for index in (n // 2, n // 2 + 1, n // 2 - 2, 0, n - 1, n - 2):
                plane = band.planes(index, index + 1, ThreadPool(threads))
                np.testing.assert_array_equal(plane, whole.take([index], axis=axis))


def test_a_neighbor_costs_one_plane_per_pass(volume, make_bank):
    method = Counted(methods(make_bank)[2])
    band = Band(method, volume.normalized(), 0)
    band.planes(20, 21, ThreadPool())
    before = [len(seen) for seen in method.seen]
    # Passes over cells compute whole ones.
    steps = method.scale[0]
    for index in range(21, 21 + steps):
        band.planes(index, index + 1, ThreadPool())
    for seen, old in zip(method.seen, before, strict=True):
        computed = sum(region.shape[0] * region.shape[1] for region in seen[old:])
        assert computed == steps * band.shape[1]
    done = [len(seen) for seen in method.seen]
    band.planes(20 + steps, 21 + steps, ThreadPool())
    assert [len(seen) for seen in method.seen] == done


def test_a_band_goes_on_after_a_cancel_between_strips(volume, make_bank):
    method = methods(make_bank)[2]
    whole = run_method(method, volume).data
    checks = []

    class Fourth(CancelToken):
        def check(self):
            checks.append(1)
            if len(checks) == 4:
                raise Cancelled

    band = Band(method, volume.normalized(), 1)
    band.planes(10, 12, ThreadPool())
    with pytest.raises(Cancelled):
        band.planes(11, 20, ThreadPool(1, Fourth()))
    assert len(checks) == 4
    np.testing.assert_array_equal(band.planes(11, 20, ThreadPool()), whole[:, 11:20])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("which", [0, 2, 4])
def test_a_fill_is_the_whole_run(volume, make_bank, axis, which):
    method = methods(make_bank)[which]
    expected = run_method(method, volume).data
    for focus, threads in ((7, 2), (0, 1), (10_000, 1)):
        result, order = fill(method, volume, axis, lambda focus=focus: focus, ThreadPool(threads))
        np.testing.assert_array_equal(result, expected)
        assert len(order) > 3
        planes = [n for start, stop in order for n in range(start, stop)]
        assert sorted(planes) == list(range(expected.shape[axis]))


def test_a_fill_goes_outward_from_the_plane_on_screen(volume):
    _, order = fill(get_method("nearest", (2, 2, 2)), volume, 0, lambda: 30)
    assert order[0][0] <= 30 < order[0][1]
    distance = [min(abs(a - 30), abs(b - 1 - 30)) for a, b in order[1:]]
    assert distance == sorted(distance)
    # Both sides, in turn, while both have planes.
    assert [a > 30 for a, _ in order[1:4]] in ([True, False, True], [False, True, False])


def test_a_fill_follows_the_plane_on_screen(volume):
    places = iter([40, 0, 0, 0, 0])
    _, order = fill(get_method("nearest", (2, 2, 2)), volume, 0, lambda: next(places, 0))
    assert order[0][0] <= 40 < order[0][1]
    assert all(stop <= order[0][0] for _, stop in order[1:7])


def test_a_cancelled_step_can_be_repeated(volume, make_bank):
    method = methods(make_bank)[2]
    checks = []

    class EveryNinth(CancelToken):
        def check(self):
            checks.append(1)
            if len(checks) % 9 == 0:
                raise Cancelled

    filling = OutwardFill(method, volume.normalized(), 2)
    out = np.full(volume.grid.upsampled(method.scale).shape, np.nan, np.float32)
    cancelled = 0
    while not filling.done:
        try:
            start, values = filling.step(11, ThreadPool(1, EveryNinth()))
        except Cancelled:
            cancelled += 1
            continue
        out[:, :, start : start + values.shape[2]] = values
    assert cancelled > 3
    np.testing.assert_array_equal(out, run_method(method, volume).data)


def test_a_method_of_the_whole_volume_is_computed_in_one_step(volume):
    regions = []

    class Whole:
        name, scale, halo = "whole", (1, 1, 1), None

        def compute(self, lr, region):
            regions.append(region)
            return lr.data[region.slices]

    result, order = fill(Whole(), volume, 0, lambda: 4, ThreadPool(2))
    np.testing.assert_allclose(result, volume.data, rtol=1e-5, atol=1e-2)
    assert order == [(0, 23)]
    assert regions == [Region.whole((23, 17, 12))]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_strips_cover_a_region_once_and_leave_its_planes_whole(axis):
    region = Region((1, 2, 3), (12, 9, 11))
    found = strips(region, axis, 4)
    seen = np.zeros((12, 9, 11), int)
    for strip in found:
        seen[strip.slices] += 1
        assert (strip.start[axis], strip.stop[axis]) == (region.start[axis], region.stop[axis])
        assert strip.stop[2] - strip.start[2] == 8  # rows stay whole
    assert len(found) == 4
    assert seen.sum() == 11 * 7 * 8
    assert (seen[region.slices] == 1).all()
    assert len(strips(region, 0, 99)) == 7
