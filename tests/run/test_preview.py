"""Planes before the result: bit for bit those of the whole run, nothing computed twice, cancel."""

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
from napari_mrisr.run.preview import Band, Planes, plane_region, strips
from napari_mrisr.run.upscale import run_method


@pytest.fixture
def volume(rng):
    """A scan above 1000 and below 0, another size on every axis."""
    data = ndimage.gaussian_filter(rng.random((23, 17, 12)), 0.8)
    data = 1500.0 * (data - data.min()) / np.ptp(data) - 20.0
    return Volume(data.astype(np.float32), Grid(data.shape, np.diag([1, 1.5, 2, 1])))


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


class Whole:
    """A method whose voxels depend on the whole volume: on its mean, here."""

    name, scale, halo = "whole", (2, 1, 3), None

    def compute(self, lr, region):
        data = lr.data - lr.data.mean() + lr.extrema[1]
        for axis, factor in enumerate(self.scale):
            data = np.repeat(data, factor, axis=axis)
        return data[region.slices]

    def provenance(self):
        return {"method": self.name}


def methods(make_bank):
    return [
        get_method("tricubic", (2, 3, 1)),
        get_method("nearest", (3, 2, 2)),
        Hashed(make_bank((2, 2, 2), ("cell", "voxel", "voxel"))),
        Hashed(make_bank((3, 3, 3), ("voxel",), width=5)),
        Hashed(make_bank((1, 1, 4))),
    ]


@pytest.mark.parametrize("which", range(5))
def test_planes_are_those_of_the_whole_run(volume, make_bank, which):
    method = methods(make_bank)[which]
    whole = run_method(method, volume).data
    planes = Planes(method, volume.normalized())
    assert planes.shape == whole.shape
    # Neighbors, far apart, ends; each axis with what the ones before have left behind.
    for threads in (1, 2):
        for axis, n in enumerate(whole.shape):
            for index in (n // 2, n // 2 + 1, n // 2 - 2, 0, n - 1, n - 2):
                plane = planes.plane(axis, index, ThreadPool(threads))
                np.testing.assert_array_equal(plane.values, whole.take(index, axis=axis))
                assert (plane.axis, plane.index, plane.approximate) == (axis, index, False)


def test_planes_through_a_voxel_come_in_the_order_asked_for(volume, make_bank):
    method = methods(make_bank)[2]
    whole = run_method(method, volume).data
    found = list(Planes(method, volume.normalized()).through((5, 20, 11), (1, 2, 0), ThreadPool()))
    assert [(plane.axis, plane.index) for plane in found] == [(1, 20), (2, 11), (0, 5)]
    for plane, expected in zip(found, (whole[:, 20], whole[:, :, 11], whole[5]), strict=True):
        np.testing.assert_array_equal(plane.values, expected)


def test_going_on_costs_a_plane_a_pass_for_each_plane(volume, make_bank):
    method = Counted(methods(make_bank)[2])
    planes = Planes(method, volume.normalized())
    planes.plane(0, 20, ThreadPool())
    before = [len(seen) for seen in method.seen]
    # Passes over cells go on by whole ones.
    steps = method.scale[0]
    for index in range(21, 21 + steps):
        planes.plane(0, index, ThreadPool())
    for seen, old in zip(method.seen, before, strict=True):
        computed = sum(region.shape[0] * region.shape[1] for region in seen[old:])
        assert computed == steps * planes.shape[1]
    done = [len(seen) for seen in method.seen]
    planes.plane(0, 20 + steps, ThreadPool())
    assert [len(seen) for seen in method.seen] == done


def test_a_method_of_the_whole_volume_is_approximate_and_keeps_its_extrema(volume):
    method = Whole()
    lr = volume.normalized()
    plane = Planes(method, lr).plane(2, 30, ThreadPool())
    assert plane.approximate
    assert plane.values.shape == (46, 17)
    # Of this volume the crop is all but the last plane or so along x and y: the margin is 16.
    low = 30 // 3 - 16
    assert low < 0
    expected = lr.window.from_unit(method.compute(lr, plane_region((46, 17, 36), 2, 30)))
    np.testing.assert_allclose(plane.values, expected[:, :, 0], rtol=1e-5)


def test_a_crop_reaches_16_voxels_to_either_side(rng):
    data = rng.random((50, 6, 5)).astype(np.float32)
    lr = Volume(data, Grid(data.shape, np.eye(4))).normalized()
    plane = Planes(Whole(), lr).plane(0, 40, ThreadPool())  # low-resolution plane 20
    crop = lr.data[4:37]
    expected = lr.data[20] - crop.mean() + lr.extrema[1]
    expected = lr.window.from_unit(np.repeat(expected, 3, axis=1))
    np.testing.assert_allclose(plane.values, expected, rtol=1e-5)


def test_cancel_between_strips_leaves_a_band_that_goes_on(volume, make_bank):
    method = methods(make_bank)[2]
    whole = run_method(method, volume).data
    token = CancelToken()
    asked = []

    def check():
        asked.append(1)
        if len(asked) == 4:
            token.cancel()
        token.check()

    band = Band(method, volume.normalized(), 1)
    band.planes(10, 12, ThreadPool())
    with pytest.raises(Cancelled):
        band.planes(11, 20, ThreadPool(1, CancelToken(check)))
    assert len(asked) == 4
    np.testing.assert_array_equal(band.planes(11, 20, ThreadPool()), whole[:, 11:20])


@pytest.mark.parametrize("which", range(5))
def test_on_groundwork_planes_are_those_of_the_whole_run(volume, make_bank, which, monkeypatch):
    monkeypatch.setattr(preview, "_PIECE_VOXELS", 5000)
    method = methods(make_bank)[which]
    whole = run_method(method, volume).data
    planes = Planes(method, volume.normalized())
    pieces = 0
    while not planes.laid:
        planes.lay(ThreadPool(2))
        pieces += 1
    assert (pieces > 3) == (which in (2, 3, 4))  # an interpolation has none
    for axis, n in enumerate(whole.shape):
        for index in (0, n // 2, n - 1):
            plane = planes.plane(axis, index, ThreadPool(2))
            np.testing.assert_array_equal(plane.values, whole.take(index, axis=axis))
        stack = planes.stack(axis)
        np.testing.assert_array_equal(
            stack.copy().planes(2, 9, ThreadPool()), whole.take(range(2, 9), axis=axis)
        )


def test_on_groundwork_a_plane_costs_its_last_pass(volume, make_bank):
    method = Counted(methods(make_bank)[2])
    planes = Planes(method, volume.normalized())
    planes.plane(0, 20, ThreadPool())
    planes.lay(ThreadPool())
    assert planes.laid
    before = [len(seen) for seen in method.seen]
    planes.plane(1, 3, ThreadPool())
    computed = [seen[old:] for seen, old in zip(method.seen, before, strict=True)]
    assert [len(regions) > 0 for regions in computed] == [False] * (method.passes - 1) + [True]
    assert sum(np.prod(region.shape) for region in computed[-1]) == 46 * 24


def test_groundwork_goes_on_where_it_was_interrupted(volume, make_bank, monkeypatch):
    monkeypatch.setattr(preview, "_PIECE_VOXELS", 5000)
    method = Counted(methods(make_bank)[2])
    whole = run_method(method, volume).data
    token = CancelToken()
    asked = []

    def check():
        asked.append(1)
        if len(asked) == 20:
            token.cancel()
        token.check()

    planes = Planes(method, volume.normalized())
    for seen in method.seen:
        seen.clear()
    with pytest.raises(Cancelled):
        while True:
            planes.lay(ThreadPool(1, CancelToken(check)))
    assert not planes.laid
    while not planes.laid:
        planes.lay(ThreadPool())
    # Nothing twice, but what was under way in the pass that was interrupted.
    voxels = sum(np.prod(region.shape) for region in method.seen[0])
    assert voxels <= 1.3 * whole.size
    np.testing.assert_array_equal(planes.plane(2, 7, ThreadPool()).values, whole[:, :, 7])


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
