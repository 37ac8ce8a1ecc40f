"""A whole result outward from a plane: the bits of the run in slabs, the order, cancel."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Grid, Origin, Region, Volume
from napari_mrisr.errors import Cancelled
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.run import outward as fill
from napari_mrisr.run.outward import fill_method
from napari_mrisr.run.preview import Planes
from napari_mrisr.run.upscale import run_method


@pytest.fixture
def volume(rng):
    """A scan above 1000 and below 0, another size on every axis."""
    data = ndimage.gaussian_filter(rng.random((23, 17, 12)), 0.8)
    data = 1500.0 * (data - data.min()) / np.ptp(data) - 20.0
    origin = Origin("scan.nii.gz", ("P", "L", "S"))
    grid = Grid(data.shape, np.diag([1, 1.5, 2, 1]))
    return Volume(data.astype(np.float32), grid, origin=origin, history={"reader": "test"})


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    monkeypatch.setattr(fill, "STEP_VOXELS", 4000)


def run(method, volume, axis, focus, progress=None, threads=1, planes=None):
    out = np.full(volume.grid.upsampled(method.scale).shape, -1e9, np.float32)
    order, states = [], []

    def finished(region):
        order.append((region.start[axis], region.stop[axis]))
        states.append(out[region.slices].min() > -1e8)

    planes = planes or Planes(method, volume.normalized())
    result = fill_method(
        planes,
        volume,
        out,
        axis=axis,
        focus=focus if callable(focus) else lambda: focus,
        finished=finished,
        threads=threads,
        progress=progress,
    )
    assert all(states)
    return result, order


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ["three stages", "tricubic", "uneven"])
def test_equals_the_run_in_slabs(volume, make_bank, axis, name):
    method = {
        "three stages": Hashed(make_bank((2, 2, 2), ("cell", "voxel", "voxel"))),
        "tricubic": get_method("tricubic", (3, 1, 2)),
        "uneven": Hashed(make_bank((1, 1, 4))),
    }[name]
    expected = run_method(method, volume)
    for focus, threads in ((7, 2), (0, 1), (10_000, 1)):
        result, order = run(method, volume, axis, focus, threads=threads)
        np.testing.assert_array_equal(result.data, expected.data)
        assert result.history == expected.history
        assert result.grid.shape == expected.grid.shape
        np.testing.assert_array_equal(result.grid.affine, expected.grid.affine)
        assert result.origin is volume.origin
        assert len(order) > 3
        assert sorted(n for a, b in order for n in range(a, b)) == list(
            range(expected.grid.shape[axis])
        )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_goes_on_from_groundwork(volume, make_bank, axis):
    method = Hashed(make_bank((2, 2, 2), ("cell", "voxel", "voxel")))
    planes = Planes(method, volume.normalized())
    while not planes.laid:
        planes.lay(ThreadPool())
    result, order = run(method, volume, axis, 9, planes=planes)
    np.testing.assert_array_equal(result.data, run_method(method, volume).data)
    assert order[0][0] <= 9 < order[0][1]
    assert sorted(order)[0][0] == 0


def test_begins_where_one_looks_and_goes_outward(volume):
    method = get_method("nearest", (2, 2, 2))
    _, order = run(method, volume, 0, 30)
    assert order[0][0] <= 30 < order[0][1]
    distance = [min(abs(a - 30), abs(b - 1 - 30)) for a, b in order[1:]]
    assert distance == sorted(distance)
    # Both sides, in turn, as long as both have planes.
    assert [a > 30 for a, _ in order[1:4]] in ([True, False, True], [False, True, False])


def test_follows_where_one_looks(volume):
    places = iter([40, 40, 0, 0, 0, 0])
    _, order = run(get_method("nearest", (2, 2, 2)), volume, 0, lambda: next(places, 0))
    assert order[0][0] <= 40 < order[0][1]
    assert all(stop <= order[0][0] for _, stop in order[2:8])


def test_cancel_leaves_no_thread(volume, make_bank):
    class Stops(Progress):
        def show(self, state):
            if state.done > 0:
                self.token.cancel()

    with pytest.raises(Cancelled):
        run(Hashed(make_bank()), volume, 2, 5, Stops(), threads=2)
    assert not [t for t in threading.enumerate() if t.name.startswith("mrisr")]


def test_progress_counts_planes(volume):
    seen = []

    class Watch(Progress):
        def show(self, state):
            seen.append((state.task, state.done, state.total))

    run(get_method("tricubic", (2, 2, 2)), volume, 1, 3, Watch())
    assert seen[0] == ("tricubic 2x", 0, 34)
    assert seen[-1] == ("tricubic 2x", 34, 34)


def test_a_method_of_the_whole_volume_is_run_at_once(volume):
    class Whole:
        name, scale, halo = "whole", (1, 1, 1), None

        def compute(self, lr, region):
            return lr.data[region.slices]

        def provenance(self):
            return {"method": self.name}

    result, order = run(Whole(), volume, 0, 4)
    np.testing.assert_allclose(result.data, volume.data, rtol=1e-5, atol=1e-2)
    assert order == [(0, 23)]
    assert result.history["method"] == "whole"


def test_region_of_a_finished_step_is_whole_but_for_its_axis(volume):
    seen: list[Region] = []
    out = np.empty((46, 34, 24), np.float32)
    fill_method(
        Planes(get_method("nearest", (2, 2, 2)), volume.normalized()),
        volume,
        out,
        axis=1,
        focus=lambda: 20,
        finished=seen.append,
    )
    assert {(r.start[0], r.start[2], r.stop[0], r.stop[2]) for r in seen} == {(0, 0, 46, 24)}
