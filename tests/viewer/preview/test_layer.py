"""The preview's layer in a viewer's model: what is on screen is computed, and is the run's."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import Cancelled
from napari_mrisr.methods import get_method
from napari_mrisr.run import outward as fill
from napari_mrisr.run.preview import Planes
from napari_mrisr.run.upscale import UpscaleParameters, run_method
from napari_mrisr.viewer.common.jobs import PostedProgress
from napari_mrisr.viewer.layers.convert import layer_data, snapshot
from napari_mrisr.viewer.layers.geometry import to_display
from napari_mrisr.viewer.preview import foresight
from napari_mrisr.viewer.preview.array import LiveArray
from napari_mrisr.viewer.preview.compute import Workshop
from napari_mrisr.viewer.preview.layer import LiveLayer
from napari_mrisr.viewer.preview.prefetch import planes_at

TRICUBIC = UpscaleParameters((2, 3, 1), "tricubic", threads=1)
NEAREST = UpscaleParameters((2, 2, 2), "nearest", threads=1)


class Desk:
    """A viewer's model with a scan, the live layer, and how to wait for it."""

    def __init__(self, volume, qtbot):
        self.viewer = ViewerModel()
        data, kwargs, _ = layer_data(volume, "scan")
        self.scan = self.viewer.add_image(data, **kwargs)
        self.live = LiveLayer(self.viewer)
        self.qtbot = qtbot
        self.failed = []
        self.live.failed.connect(self.failed.append)

    def show(self, parameters):
        self.live.show(snapshot(self.scan), parameters, "result (preview)")

    def settle(self):
        """Wait for the slice on screen, and the other two."""

        def there():
            array = self.live.array
            if array is None or self.live.busy:
                return False
            return all(array.holds(name) for name in planes_at(self.viewer.dims, array.grid))

        self.qtbot.waitUntil(there, timeout=20_000)

    def shown(self):
        return np.asarray(self.live.layer._slice.image.raw)


@pytest.fixture
def desk(volume, qtbot, monkeypatch):
    # In the same order, but sooner.
    for name, milliseconds in (("_NEIGHBORS", 10), ("_OTHERS", 60), ("_IDLE", 30)):
        monkeypatch.setattr(foresight, f"{name}_AFTER_MS", milliseconds)
    desk = Desk(volume, qtbot)
    yield desk
    desk.live.close()


@pytest.fixture
def count_planes(monkeypatch):
    """The planes that were computed."""
    seen = []
    compute = Planes.plane

    def counted(self, axis, index, pool):
        seen.append((axis, index))
        return compute(self, axis, index, pool)

    monkeypatch.setattr(Planes, "plane", counted)
    return seen


def sliced(volume, parameters, viewer):
    """The slice of the whole run that napari shows."""
    result = run_method(get_method(parameters.method, parameters.scale), volume)
    data, kwargs, _ = layer_data(result, "whole")
    layer = viewer.add_image(data, **kwargs)
    found = np.asarray(layer._slice.image.raw)
    viewer.layers.remove(layer)
    return found


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_shows_the_slice_of_the_whole_run_in_every_order(desk, volume, order):
    desk.viewer.dims.order = order
    desk.show(TRICUBIC)
    desk.settle()
    layer = desk.live.layer
    assert layer.name == "result (preview)"
    assert layer.data.shape == (15, 36, 20)
    np.testing.assert_array_equal(desk.shown(), sliced(volume, TRICUBIC, desk.viewer))
    assert tuple(layer.contrast_limits) == tuple(desk.scan.contrast_limits)
    axis = order[0]
    desk.viewer.dims.set_point(axis, desk.viewer.dims.range[axis].start + 3.0)
    desk.settle()
    np.testing.assert_array_equal(desk.shown(), sliced(volume, TRICUBIC, desk.viewer))


def test_lies_where_the_result_would(desk, volume):
    desk.show(TRICUBIC)
    desk.settle()
    _, kwargs, _ = layer_data(run_method(get_method("tricubic", (2, 3, 1)), volume), "r")
    np.testing.assert_allclose(desk.live.layer.scale, kwargs["scale"])
    np.testing.assert_allclose(desk.live.layer.translate, kwargs["translate"])
    assert [str(unit) for unit in desk.live.layer.units] == ["millimeter"] * 3


def test_visible_plane_first_then_its_neighbors_then_the_other_two_then_none(desk, count_planes):
    desk.show(NEAREST)
    desk.settle()
    axis, index = desk.live.array.shown
    neighbors = [(axis, index + step) for step in (1, -1, 2, -2)]
    assert axis == 2
    assert count_planes[:5] == [(axis, index), *neighbors]
    assert sorted(axis for axis, _ in count_planes[5:]) == [0, 1]
    desk.show(NEAREST)
    desk.viewer.layers.selection.clear()
    desk.qtbot.wait(150)
    assert len(count_planes) == 7


def go_to(desk, index):
    """The plane of that index along z."""
    layer = desk.live.layer
    place = layer.translate[0] + layer.scale[0] * (layer.data.shape[0] - 1 - index)
    desk.viewer.dims.set_point(0, place)
    assert desk.live.array.shown == (2, index)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_next_slice_is_there_already(desk, volume, count_planes, sign):
    desk.show(NEAREST)
    desk.settle()
    index = desk.live.array.shown[1] + sign
    go_to(desk, index)
    # Further on in the direction of the move.
    desk.qtbot.waitUntil(lambda: (2, index + 3 * sign) in count_planes)
    desk.settle()
    before = len(count_planes)
    go_to(desk, index + sign)
    assert len(count_planes) == before
    np.testing.assert_array_equal(desk.shown(), sliced(volume, NEAREST, desk.viewer))


def test_a_step_back_turns_the_direction(desk, count_planes):
    desk.show(NEAREST)
    desk.settle()
    index = desk.live.array.shown[1]
    for place in (index + 1, index):
        go_to(desk, place)
        desk.qtbot.wait(20)
    desk.qtbot.waitUntil(lambda: (2, index - 3) in count_planes)


def test_a_method_looked_at_before_does_not_show_measured_voxels_meanwhile(desk, monkeypatch):
    """Its planes are kept, but not this one: what is on screen stays until it is there."""
    for parameters in (NEAREST, TRICUBIC):
        desk.show(parameters)
        desk.settle()
    go_to(desk, 3)
    desk.settle()
    before, go_on, compute = desk.shown().copy(), threading.Event(), Planes.plane

    def slow(self, axis, index, pool):
        go_on.wait(5)
        return compute(self, axis, index, pool)

    monkeypatch.setattr(Planes, "plane", slow)
    desk.show(NEAREST)
    desk.qtbot.wait(50)
    np.testing.assert_array_equal(desk.shown(), before)
    go_on.set()
    desk.settle()
    assert desk.live.layer.data.shape == (30, 24, 20)


def test_what_nobody_asked_for_waits(desk, monkeypatch):
    """A neighbor under way is left for a slice far off."""
    compute, begun, left = Planes.plane, [], []
    far = (2, 3)

    def slow(self, axis, index, pool):
        while (axis, index) not in (far, first):
            begun.append((axis, index))
            try:
                pool.check()
            except BaseException:
                left.append((axis, index))
                raise
            time.sleep(0.001)
        return compute(self, axis, index, pool)

    grid = desk.scan.data.shape[::-1]
    first = (2, grid[2])
    monkeypatch.setattr(Planes, "plane", slow)
    desk.show(NEAREST)
    desk.qtbot.waitUntil(lambda: desk.live.array is not None)
    assert desk.live.array.shown == first
    desk.qtbot.waitUntil(lambda: desk.live.busy and bool(begun))
    go_to(desk, far[1])
    desk.qtbot.waitUntil(lambda: desk.live.array.holds(far))
    assert left[0] == begun[0] == (2, first[1] + 1)
    assert not desk.live.array.holds(left[0])
    monkeypatch.setattr(Planes, "plane", compute)
    desk.live.clear()


@pytest.fixture
def hashed(make_bank, tmp_path):
    """Three stages, at another scale than anything bundled."""
    path = tmp_path / "own.safetensors"
    make_bank((2, 2, 2), ("cell", "voxel", "voxel")).save(path)
    return UpscaleParameters((2, 2, 2), "hashed", bank=str(path), threads=1)


def test_while_nobody_looks_on_the_groundwork_is_laid(desk, volume, hashed):
    desk.show(hashed)
    desk.settle()
    subject = desk.live.subject
    desk.qtbot.waitUntil(lambda: desk.live.workshop.planes(subject).laid, timeout=20_000)
    go_to(desk, 3)
    desk.settle()
    result = run_method(get_method("hashed", (2, 2, 2), hashed.bank), volume)
    np.testing.assert_array_equal(desk.shown(), to_display(result.data)[29 - 3])
    desk.live.clear()
    assert desk.live.workshop._planes == []


def test_laying_groundwork_leaves_the_processors_to_who_looks_on(desk, hashed, monkeypatch):
    laying, left = threading.Event(), []

    def endless(self, pool):
        laying.set()
        try:
            while True:
                pool.check()
                time.sleep(0.001)
        except BaseException as error:
            left.append(type(error).__name__)
            raise

    monkeypatch.setattr(Planes, "lay", endless)
    desk.show(hashed)
    desk.settle()
    desk.qtbot.waitUntil(laying.is_set)
    go_to(desk, 3)  # computed by the same thread at once
    assert left == ["_Superseded"]
    desk.settle()
    laying.clear()
    desk.qtbot.waitUntil(laying.is_set)
    desk.live.clear()
    desk.qtbot.waitUntil(lambda: left[1:] == ["Cancelled"])


def test_no_groundwork_is_laid_beside_a_run(desk, hashed, monkeypatch):
    seen = []

    def lay(self, pool):
        seen.append(1)
        self._ground = np.zeros(self.shape, np.float32)

    monkeypatch.setattr(Planes, "lay", lay)
    monkeypatch.setattr(foresight, "_IDLE_AFTER_MS", 200)
    desk.live.close()
    desk.live = LiveLayer(desk.viewer)
    desk.show(hashed)
    desk.settle()
    desk.live.array.begin()
    desk.qtbot.waitUntil(lambda: not desk.live._foresight.waiting)
    assert seen == []


@pytest.mark.parametrize("scale", [(2, 2, 2), (3, 1, 2)])
def test_what_another_choice_makes_of_the_slice_is_there_before_it_is_made(
    desk, volume, monkeypatch, scale
):
    broken = UpscaleParameters((2, 2, 2), "hashed", bank="no such bank")
    other = UpscaleParameters(scale, "tricubic", threads=1)
    desk.live.show(snapshot(desk.scan), NEAREST, "result (preview)", [broken, other])
    desk.settle()
    desk.qtbot.waitUntil(lambda: not desk.live.busy and not desk.live._foresight.waiting)
    monkeypatch.setattr(Planes, "plane", None)
    desk.live.show(snapshot(desk.scan), other, "the other (preview)")
    assert desk.live.layer.name == desk.live.array.name == "the other (preview)"
    np.testing.assert_array_equal(desk.shown(), sliced(volume, other, desk.viewer))
    assert desk.failed == []


def test_back_to_a_method_shows_what_was_computed(desk, volume, count_planes):
    for parameters in (NEAREST, TRICUBIC):
        desk.show(parameters)
        desk.settle()
    before = len(count_planes)
    desk.show(NEAREST)
    np.testing.assert_array_equal(desk.shown(), sliced(volume, NEAREST, desk.viewer))
    desk.settle()
    assert len(count_planes) == before
    desk.live.forget()
    desk.show(TRICUBIC)
    desk.settle()
    assert len(count_planes) > before


def test_a_hidden_layer_computes_nothing(desk, count_planes):
    desk.show(NEAREST)
    desk.settle()
    desk.live.layer.visible = False
    before = len(count_planes)
    desk.viewer.dims.set_point(0, desk.viewer.dims.range[0].start + 2.0)
    desk.qtbot.wait(100)
    assert len(count_planes) == before


def test_another_method_replaces_the_pixels_of_one_layer(desk, volume):
    desk.show(NEAREST)
    desk.settle()
    layer = desk.live.layer
    layer.contrast_limits = (3.0, 30.0)
    desk.show(TRICUBIC)
    # Until the new plane is there, the old one stays.
    assert desk.live.layer is layer
    assert layer.data.shape == (30, 24, 20)
    desk.settle()
    assert desk.live.layer is layer
    assert [each.name for each in desk.viewer.layers] == ["scan", "result (preview)"]
    np.testing.assert_array_equal(desk.shown(), sliced(volume, TRICUBIC, desk.viewer))
    assert tuple(layer.contrast_limits) == (3.0, 30.0)


def test_stale_requests_are_dropped(desk, monkeypatch):
    """A plane that is under way when something else is asked for never shows."""
    begun, go_on = threading.Event(), threading.Event()
    compute = Planes.plane

    def slow(self, axis, index, pool):
        if self.method.name == "nearest":
            begun.set()
            go_on.wait(5)
            pool.check()
        return compute(self, axis, index, pool)

    monkeypatch.setattr(Planes, "plane", slow)
    desk.show(NEAREST)
    assert begun.wait(5)
    desk.show(TRICUBIC)
    go_on.set()
    desk.settle()
    assert desk.live.layer.data.shape == (15, 36, 20)
    assert desk.failed == []


def test_a_stale_request_takes_no_plane_of_the_next(desk, monkeypatch):
    """It is about to ask for its first plane when another result is asked for."""
    begun, go_on = threading.Event(), threading.Event()
    planes = Workshop.planes

    def slow(self, subject):
        if subject.parameters.method == "nearest":
            begun.set()
            go_on.wait(5)
        return planes(self, subject)

    monkeypatch.setattr(Workshop, "planes", slow)
    desk.show(NEAREST)
    assert begun.wait(5)
    desk.show(TRICUBIC)
    go_on.set()
    desk.settle()
    assert desk.live.layer.data.shape == (15, 36, 20)


def test_normalization_is_not_computed_at_each_change(desk, monkeypatch):
    from napari_mrisr.core.volume import IntensityWindow

    calls = []
    of = IntensityWindow.of.__func__
    monkeypatch.setattr(
        IntensityWindow, "of", classmethod(lambda cls, *data: calls.append(1) or of(cls, *data))
    )
    desk.show(NEAREST)
    desk.settle()
    for parameters in (TRICUBIC, UpscaleParameters((1, 1, 2), "nearest", threads=1)):
        desk.show(parameters)
        desk.settle()
    assert calls.count(1) == 1
    desk.scan.data = desk.scan.data * 2
    desk.live.forget()
    desk.show(NEAREST)
    desk.settle()
    assert len(calls) == 2


def test_an_error_is_told(desk):
    desk.scan.data = np.full(desk.scan.data.shape, np.nan, np.float32)
    desk.show(NEAREST)
    desk.qtbot.waitUntil(lambda: bool(desk.failed))
    assert "NaN" in str(desk.failed[0])
    assert desk.live.layer is None


def test_clear_takes_the_layer_away(desk):
    desk.show(NEAREST)
    desk.settle()
    desk.live.clear()
    assert [layer.name for layer in desk.viewer.layers] == ["scan"]
    assert desk.live.layer is None
    desk.show(NEAREST)
    desk.settle()
    assert len(desk.viewer.layers) == 2


def test_fills_outward_from_the_slice_on_screen_and_becomes_the_result(desk, volume, monkeypatch):
    monkeypatch.setattr(fill, "STEP_VOXELS", 2000)
    desk.show(TRICUBIC)
    desk.settle()
    layer, array = desk.live.layer, desk.live.array
    axis, index = array.shown
    told = []

    class Progress(PostedProgress):
        def tell(self, event):
            told.append({i for i in range(15) if event.holds((2, i))})

    progress = Progress(CancelToken(), 0, lambda message: None)
    result = desk.live.fills(volume, TRICUBIC, progress=progress)
    assert axis == 2
    for held in told[:-1]:
        assert index in held
    assert len(told) > 3
    assert len(told[0]) < len(told[-1]) == 15
    expected = run_method(get_method("tricubic", (2, 3, 1)), volume)
    np.testing.assert_array_equal(result.data, expected.data)
    made = layer_data(result, "result", {})
    assert desk.live.finish(made) is layer
    assert not isinstance(layer.data, LiveArray)
    np.testing.assert_array_equal(layer.data, layer_data(expected, "r")[0])
    assert layer.name == "result"
    assert layer.metadata["history"]["method"] == "tricubic"
    assert snapshot(layer).record is not None
    # The same is not previewed again over its own result.
    desk.show(TRICUBIC)
    desk.qtbot.wait(50)
    assert len(desk.viewer.layers) == 2


def test_a_cancelled_fill_goes_back_to_a_preview(desk, volume, monkeypatch):
    monkeypatch.setattr(fill, "STEP_VOXELS", 2000)
    desk.show(TRICUBIC)
    desk.settle()
    array = desk.live.array
    token = CancelToken()

    class Progress(PostedProgress):
        def tell(self, event):
            token.cancel()

    with pytest.raises(Cancelled):
        desk.live.fills(volume, TRICUBIC, progress=Progress(token, 0, lambda message: None))
    assert array.volume is not None
    desk.live.stop()
    assert array.volume is None
    desk.settle()
    np.testing.assert_array_equal(desk.shown(), sliced(volume, TRICUBIC, desk.viewer))


def test_a_layer_that_the_person_deleted_is_not_filled(desk, volume):
    desk.show(NEAREST)
    desk.settle()
    desk.viewer.layers.remove(desk.live.layer)
    made = layer_data(run_method(get_method("nearest", (2, 2, 2)), volume), "r")
    assert desk.live.finish(made) is None


def test_planes_are_computed_by_the_engine(desk, volume):
    """Not by something that merely looks like it: the same object gives the same bits."""
    desk.show(TRICUBIC)
    desk.settle()
    planes = Planes(get_method("tricubic", (2, 3, 1)), volume.normalized())
    for axis, index in planes_at(desk.viewer.dims, desk.live.array.grid):
        expected = planes.plane(axis, index, ThreadPool()).values
        np.testing.assert_array_equal(desk.live.array._planes[axis, index].values, expected)
