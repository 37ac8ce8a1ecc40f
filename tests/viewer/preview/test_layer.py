"""Layers of previews in a viewer's model: the slice on screen is the slice of the run."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import Dims, ViewerModel
from napari.utils._proxies import PublicOnlyProxy

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.methods import get_method
from napari_mrisr.run.preview import Band, OutwardFill
from napari_mrisr.run.upscale import UpscaleParameters, run_method
from napari_mrisr.viewer.layers.convert import layer_data, snapshot
from napari_mrisr.viewer.preview import layer as module
from napari_mrisr.viewer.preview.array import PreviewArray
from napari_mrisr.viewer.preview.controller import Preview
from napari_mrisr.viewer.preview.layer import LayerPreview, PreviewImage, planes_at

TRICUBIC = UpscaleParameters((2, 3, 1), "tricubic", threads=1)
NEAREST = UpscaleParameters((2, 2, 2), "nearest", threads=1)


class Desk:
    """A viewer's model with a scan and a preview of it."""

    def __init__(self, volume, qtbot):
        self.viewer = ViewerModel()
        data, kwargs, _ = layer_data(volume, "scan")
        self.scan = self.viewer.add_image(data, **kwargs)
        # As from the menu: napari gives plugins a proxy, which wraps what it returns.
        self.live = LayerPreview(PublicOnlyProxy(self.viewer))
        self.qtbot = qtbot
        self.failed = []
        self.live.failed.connect(self.failed.append)

    def show(self, parameters):
        self.live.show(snapshot(self.scan), parameters, "result (preview)")

    def settle(self):
        """Wait until napari shows the plane on screen."""

        def shown():
            preview = self.live.preview
            return (
                preview is not None
                and preview.complete
                and self.live.layer is not None
                and self.live._image.shows(preview)
                and not any(preview.array.holds(name) for name in preview.array.missing)
            )

        self.qtbot.waitUntil(shown)

    def go_to(self, index):
        """Show the plane of that index along z."""
        layer = self.live.layer
        place = layer.translate[0] + layer.scale[0] * (layer.data.shape[0] - 1 - index)
        self.viewer.dims.set_point(0, place)

    def shown(self):
        layer = self.viewer.layers["result (preview)"]
        return np.asarray(layer._slice.image.raw)


@pytest.fixture
def desk(volume, qtbot):
    desk = Desk(volume, qtbot)
    yield desk
    desk.live.close()


@pytest.fixture
def no_fill(monkeypatch):
    """The fill never gets anywhere."""

    def endless(self, focus, pool):
        while True:
            pool.check()
            threading.Event().wait(0.005)

    monkeypatch.setattr(OutwardFill, "step", endless)


def sliced(volume, parameters, viewer):
    """The slice of the whole run that napari shows."""
    result = run_method(get_method(parameters.method, parameters.scale), volume)
    data, kwargs, _ = layer_data(result, "whole")
    layer = viewer.add_image(data, **kwargs)
    found = np.asarray(layer._slice.image.raw)
    viewer.layers.remove(layer)
    return found


@pytest.mark.usefixtures("no_fill")
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


@pytest.mark.usefixtures("no_fill")
def test_another_order_of_axes_computes_its_plane(desk, volume):
    desk.show(TRICUBIC)
    desk.settle()
    desk.viewer.dims.order = (1, 0, 2)
    desk.settle()
    np.testing.assert_array_equal(desk.shown(), sliced(volume, TRICUBIC, desk.viewer))


@pytest.mark.usefixtures("no_fill")
def test_the_plane_that_napari_rounds_to_is_computed(desk, monkeypatch):
    """The sliders of a scan stand exactly between two planes of a result at 2x."""
    monkeypatch.setattr(module, "planes_at", lambda dims, grid: [(2, 3)])
    desk.show(NEAREST)
    desk.settle()
    assert not desk.live.preview.array.missing


@pytest.mark.usefixtures("no_fill")
def test_all_planes_of_a_thick_slice_are_computed(desk):
    desk.show(NEAREST)
    desk.settle()
    desk.live.layer.projection_mode = "mean"
    desk.viewer.dims.thickness = (3.0, 0, 0)
    desk.viewer.dims.set_point(0, desk.viewer.dims.range[0].start + 6.0)
    desk.settle()
    held = [index for index in range(30) if desk.live.preview.array.holds((2, index))]
    assert len(held) > 3


def test_the_3d_view_shows_the_filled_result(desk, volume):
    desk.show(NEAREST)
    desk.settle()
    desk.viewer.dims.ndisplay = 3
    desk.qtbot.waitUntil(lambda: desk.live.preview.filled)
    expected = layer_data(run_method(get_method("nearest", (2, 2, 2)), volume), "")[0]
    desk.qtbot.waitUntil(lambda: np.array_equal(desk.shown(), expected))


def test_lies_where_the_result_would(desk, volume):
    desk.show(TRICUBIC)
    desk.settle()
    _, kwargs, _ = layer_data(run_method(get_method("tricubic", (2, 3, 1)), volume), "r")
    np.testing.assert_allclose(desk.live.layer.scale, kwargs["scale"])
    np.testing.assert_allclose(desk.live.layer.translate, kwargs["translate"])
    assert [str(unit) for unit in desk.live.layer.units] == ["millimeter"] * 3


def test_another_method_replaces_the_pixels_of_one_layer(desk, volume, monkeypatch):
    desk.show(NEAREST)
    desk.settle()
    layer, before = desk.live.layer, desk.shown().copy()
    layer.contrast_limits = (3.0, 30.0)
    go_on, planes = threading.Event(), Band.planes

    def slow(self, start, stop, pool):
        go_on.wait(60)
        return planes(self, start, stop, pool)

    monkeypatch.setattr(Band, "planes", slow)
    desk.show(TRICUBIC)
    desk.qtbot.wait(50)
    # Until the new plane is there, the old one stays.
    np.testing.assert_array_equal(desk.shown(), before)
    assert desk.live.busy
    go_on.set()
    desk.settle()
    assert desk.live.layer is layer
    assert [each.name for each in desk.viewer.layers] == ["scan", "result (preview)"]
    np.testing.assert_array_equal(desk.shown(), sliced(volume, TRICUBIC, desk.viewer))
    assert tuple(layer.contrast_limits) == (3.0, 30.0)


def test_back_to_a_method_shows_what_was_computed(desk, volume):
    desk.show(NEAREST)
    desk.qtbot.waitUntil(lambda: desk.live.preview.filled)
    desk.show(TRICUBIC)
    desk.settle()
    desk.show(NEAREST)
    np.testing.assert_array_equal(desk.shown(), sliced(volume, NEAREST, desk.viewer))


def test_voxels_that_changed_in_place_are_read_again(desk, volume):
    desk.show(NEAREST)
    desk.settle()
    desk.scan.data = desk.scan.data * 2
    desk.live.forget()
    desk.show(NEAREST)
    desk.settle()
    np.testing.assert_allclose(desk.shown(), 2 * sliced(volume, NEAREST, desk.viewer), rtol=1e-5)


def test_an_error_is_told_and_removes_the_layer(desk):
    desk.show(TRICUBIC)
    desk.settle()
    desk.scan.data = np.full(desk.scan.data.shape, np.nan, np.float32)
    desk.live.forget()
    desk.show(NEAREST)
    desk.qtbot.waitUntil(lambda: bool(desk.failed))
    assert "NaN" in str(desk.failed[0])
    assert desk.live.layer is None
    assert [layer.name for layer in desk.viewer.layers] == ["scan"]


def test_clear_removes_the_layer(desk):
    desk.show(NEAREST)
    desk.settle()
    desk.live.clear()
    assert [layer.name for layer in desk.viewer.layers] == ["scan"]
    assert desk.live.layer is None
    desk.show(NEAREST)
    desk.settle()
    assert len(desk.viewer.layers) == 2


def test_a_run_keeps_the_filled_array_as_the_layer(desk, volume):
    desk.show(TRICUBIC)
    desk.settle()
    layer, array = desk.live.layer, desk.live.preview.array
    result = desk.live.result(volume, TRICUBIC, progress=Progress())
    expected = run_method(get_method("tricubic", (2, 3, 1)), volume)
    np.testing.assert_array_equal(result.data, expected.data)
    assert desk.live.finish(layer_data(result, "result", {})) is layer
    assert np.shares_memory(layer.data, array.volume.data)
    np.testing.assert_array_equal(layer.data, layer_data(expected, "r")[0])
    assert layer.name == "result"
    assert layer.metadata["history"]["method"] == "tricubic"
    assert snapshot(layer).record is not None
    # The same result is not previewed again.
    desk.show(TRICUBIC)
    desk.qtbot.wait(50)
    assert len(desk.viewer.layers) == 2


def test_a_layer_that_the_user_deleted_is_not_kept(desk, volume):
    desk.show(NEAREST)
    desk.settle()
    desk.viewer.layers.remove(desk.live.layer)
    made = layer_data(run_method(get_method("nearest", (2, 2, 2)), volume), "r")
    assert desk.live.finish(made) is None


# The layer itself.


@pytest.fixture
def scan(rng):
    data = rng.random((6, 8, 10), dtype=np.float32)
    return Volume(data, Grid(data.shape, np.diag([1.0, 2.0, 3.0, 1.0])))


@pytest.fixture
def viewer(scan):
    viewer = ViewerModel()
    data, kwargs, _ = layer_data(scan, "scan")
    viewer.add_image(data, **kwargs)
    viewer.dims.set_point(0, viewer.dims.range[0].start + 12.0)
    return viewer


def preview_of(viewer, scan, scale):
    preview = Preview(snapshot(viewer.layers[0]), UpscaleParameters(scale, "nearest"))
    preview.array = PreviewArray("scan", scan, scale)
    return preview


def test_sliders_stay_while_a_layer_is_added_changed_and_removed(viewer, scan):
    image, place = PreviewImage(viewer), viewer.dims.point
    assert not image.exists
    viewer.layers[0].colormap = "green"
    image.put(preview_of(viewer, scan, (2, 2, 2)), "first")
    layer = image.layer
    assert image.exists
    assert (layer.name, layer.colormap.name, layer.data.shape) == ("first", "green", (20, 16, 12))
    assert viewer.dims.point == place
    viewer.layers[0].colormap = "red"
    image.put(preview_of(viewer, scan, (3, 3, 3)), "second")
    assert image.layer is layer
    assert (layer.name, layer.colormap.name, layer.data.shape) == ("second", "green", (30, 24, 18))
    np.testing.assert_allclose(layer.scale, [1.0, 2 / 3, 1 / 3])
    assert viewer.dims.point == place
    image.remove()
    assert [layer.name for layer in viewer.layers] == ["scan"]
    assert viewer.dims.point == place
    assert not image.changing


def test_a_deleted_layer_is_added_again_and_a_kept_one_stays(viewer, scan):
    image = PreviewImage(viewer)
    image.put(preview_of(viewer, scan, (2, 2, 2)), "preview")
    viewer.layers.remove(image.layer)
    assert not image.exists
    image.put(preview_of(viewer, scan, (2, 2, 2)), "preview")
    layer = image.layer
    assert layer in viewer.layers
    assert image.keep() is layer
    assert image.layer is None
    image.remove()
    assert layer in viewer.layers


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((0, 1, 2), [(2, 9), (1, 3), (0, 6)]),  # axial: napari cuts along z
        ((1, 0, 2), [(1, 3), (2, 9), (0, 6)]),
        ((2, 1, 0), [(0, 6), (2, 9), (1, 3)]),
    ],
)
def test_planes_at_the_sliders_start_with_the_one_on_screen(order, expected):
    grid = Grid((8, 12, 20), np.diag([2.0, 1.0, 0.5, 1.0]))
    # World axes are inferior, posterior, left: minus z, y and x in mm.
    dims = Dims(ndim=3, order=order, range=((-9.5, 0, 0.5), (-11, 0, 1), (-14, 0, 2)))
    dims.point = (-9 * 0.5, -3 * 1.0, -6 * 2.0)
    assert planes_at(dims, grid) == expected


def test_sliders_beyond_the_volume_show_its_ends():
    grid = Grid((8, 12, 20), np.eye(4))
    dims = Dims(ndim=4, range=((0, 3, 1), (-50, 50, 1), (-50, 50, 1), (-50, 50, 1)))
    dims.point = (1, 40, -40, -3)
    assert planes_at(dims, grid) == [(2, 0), (1, 11), (0, 3)]


def test_a_flat_viewer_has_no_planes():
    assert planes_at(Dims(ndim=2), Grid((8, 12, 20), np.eye(4))) == []
