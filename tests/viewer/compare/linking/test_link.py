"""Link between Compare and napari's viewer, in both directions."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.slices import values_at
from napari_mrisr.comparison.state import CompareState, Difference
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.compare.linking.link import Link
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.layers.convert import layer_data

SHAPE = (20, 24, 30)
SIZE = np.array([1.0, 1.25, 1.5])
START = np.array([-11.0, 17.0, -5.0])


def make(seed: int, turn: np.ndarray | None = None) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(SIZE)
    affine[:3, 3] = START
    data = np.random.default_rng(seed).random(SHAPE, dtype=np.float32) * 100
    return Volume(data, Grid(SHAPE, affine))


class Linked:
    """A viewer's model and a controller, linked."""

    def __init__(self, **volumes: Volume) -> None:
        self.viewer = ViewerModel()
        for name, volume in volumes.items():
            self.add(volume, name)
        self.controller = Controller()
        self.told = 0
        self.link = Link(self.viewer, self.controller, self.count)
        self.link.attach()
        self.controller.open(self.link.start(CompareState(tuple(volumes))), self.link.point())
        self.link.settle()

    def count(self) -> None:
        self.told += 1

    def add(self, volume: Volume, name: str) -> Any:
        data, kwargs, _ = layer_data(volume, name)
        return self.viewer.add_image(data, **kwargs)

    @property
    def state(self) -> CompareState:
        return self.controller.state


@pytest.fixture
def desk():
    return Linked(a=make(1), b=make(2))


def test_shown_without_a_copy(desk):
    for key, layer in zip("ab", desk.viewer.layers, strict=True):
        assert np.shares_memory(desk.link.volumes[key].data, layer.data)


def test_opens_where_the_sliders_stand(desk):
    np.testing.assert_allclose(-np.array(desk.state.crosshair)[::-1], desk.viewer.dims.point)


def test_the_sliders_move_the_crosshair(desk):
    desk.viewer.dims.set_point(0, -10.0)
    assert desk.state.crosshair[2] == pytest.approx(10.0)
    desk.viewer.dims.set_point((1, 2), (-30.0, 4.0))
    np.testing.assert_allclose(desk.state.crosshair, (-4.0, 30.0, 10.0))


def test_the_crosshair_moves_the_sliders(desk):
    desk.controller.go_to((-4.0, 30.0, 10.0))
    assert desk.viewer.dims.point[0] != pytest.approx(-10.0)
    desk.link.push()
    np.testing.assert_allclose(desk.viewer.dims.point, (-10.0, -30.0, 4.0))
    state = desk.state
    desk.link.push()
    assert desk.state is state


def test_a_slider_outside_the_first_column_is_left_there(desk):
    big = make(3)
    desk.add(Volume(big.data, Grid(SHAPE, big.grid.affine @ np.diag([4.0, 4.0, 4.0, 1.0]))), "big")
    desk.viewer.dims.set_point(0, -100.0)
    desk.link.push()
    assert desk.viewer.dims.point[0] == pytest.approx(-100.0, abs=6)


def test_obliques_of_one_angulation_share_the_world():
    turn = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix()
    desk = Linked(a=make(1, turn), b=make(2, turn))
    index = (5, 7, 11)
    world = turn @ np.diag(SIZE) @ index + START
    layer = desk.viewer.layers["a"]
    shown = layer.data_to_world(tuple(n - 1 - i for n, i in zip(SHAPE, index, strict=True))[::-1])
    desk.viewer.dims.set_point((0, 1, 2), shown)
    np.testing.assert_allclose(desk.state.crosshair, world, atol=1e-4)
    desk.controller.go_to(tuple(START))
    desk.controller.go_to(tuple(world))
    desk.viewer.dims.set_point(0, 1.0)
    desk.controller.go_to(tuple(world))
    desk.link.push()
    np.testing.assert_allclose(desk.viewer.dims.point, shown, atol=1e-4)


def test_a_turned_layer_of_another_program():
    """napari draws it as it is, so that napari's world is the scanner's."""
    desk = Linked()
    # In the plane on screen: napari cuts no other way.
    turn = Rotation.from_euler("x", 20, degrees=True).as_matrix()
    desk.viewer.add_image(np.random.default_rng(0).random((9, 8, 7)), rotate=turn, name="other")
    desk.controller.open(CompareState(("other",)))
    desk.link.settle()
    layer = desk.viewer.layers["other"]
    target = (3, 5, 2)
    desk.viewer.dims.set_point((0, 1, 2), layer.data_to_world(target))
    found = values_at(desk.link.volumes["other"], desk.state.crosshair)
    assert found == np.float32(layer.data[target])


def test_camera_both_ways(desk):
    camera = desk.viewer.scene.camera
    span = desk.state.span_mm
    camera.zoom = camera.zoom * 2
    assert desk.state.span_mm == pytest.approx(span / 2)
    camera.center = (0.0, -33.0, 2.0)
    assert desk.state.center[:2] == pytest.approx((-2.0, 33.0))
    zoom = camera.zoom
    desk.controller.zoom(0.5)
    desk.controller.look_at((1.0, 25.0, 0.0), desk.state.span_mm)
    desk.link.push()
    assert camera.zoom == pytest.approx(zoom / 2)
    assert tuple(camera.center[-2:]) == pytest.approx((-25.0, -1.0))
    # Echoes neither way.
    state = desk.state
    desk.link.push()
    assert desk.state is state


def test_camera_of_another_plane(desk):
    desk.viewer.dims.order = (1, 0, 2)  # coronal: inferior down, left to the right
    desk.viewer.scene.camera.center = (0.0, -12.0, 3.0)
    x, _, z = desk.state.center
    assert (x, z) == pytest.approx((-3.0, 12.0))


def test_3d_leaves_the_panels_alone(desk):
    desk.viewer.dims.ndisplay = 3
    state = desk.state
    desk.viewer.scene.camera.center = (1.0, 2.0, 3.0)
    assert desk.state.center == state.center
    desk.controller.zoom(2.0)
    desk.link.push()


def test_looks_both_ways(desk):
    a, b = desk.viewer.layers
    a.colormap, b.gamma = "viridis", 0.5
    assert desk.state.looks["a"].colormap == "viridis"
    assert desk.state.looks["b"].gamma == 0.5
    low, high = b.contrast_limits
    desk.controller.window(0, 0.0, 0.5)
    desk.link.push()
    assert desk.state.looks["b"].limits == pytest.approx(tuple(b.contrast_limits))
    assert b.contrast_limits[1] - b.contrast_limits[0] == pytest.approx((high - low) / 2)


def test_linked_windows_follow_a_layer(desk):
    a, b = desk.viewer.layers
    desk.controller.toggle("one_window")
    a.contrast_limits = b.contrast_limits = (0.0, 100.0)
    desk.controller.toggle("one_window")
    a.contrast_limits = (10.0, 60.0)
    assert desk.state.looks["b"].limits == pytest.approx((10.0, 60.0))
    desk.link.push()
    assert tuple(b.contrast_limits) == pytest.approx((10.0, 60.0))
    desk.controller.toggle("one_window")
    a.contrast_limits = (0.0, 100.0)
    desk.link.push()
    assert tuple(b.contrast_limits) == pytest.approx((10.0, 60.0))


def test_a_layer_that_goes(desk):
    desk.controller.set_differences([Difference("b", "a")])
    told = desk.told
    desk.viewer.layers.remove("b")
    assert desk.state.columns == ("a",)
    assert desk.state.differences == ()
    assert desk.told > told
    desk.viewer.layers.clear()
    assert desk.state.columns == ()
    assert desk.controller.scene().panels == ()


def test_a_layer_that_is_renamed(desk):
    desk.controller.set_differences([Difference("b", "a")])
    desk.viewer.layers["a"].name = "first"
    assert desk.state.columns == ("first", "b")
    assert desk.state.differences[0].subtrahend == "first"
    assert list(desk.link.volumes) == ["first", "b"]
    desk.viewer.layers["first"].contrast_limits = (1.0, 2.0)
    assert desk.state.looks["first"].limits == (1.0, 2.0)


def test_new_voxels_and_a_move(desk):
    layer = desk.viewer.layers["a"]
    layer.data = layer.data + 5
    assert desk.controller.volumes["a"].data.mean() == pytest.approx(layer.data.mean(), rel=1e-4)
    corner = desk.link.volumes["a"].grid.affine[:3, 3].copy()
    layer.translate = np.array(layer.translate) + (0.0, 0.0, 10.0)
    np.testing.assert_allclose(desk.link.volumes["a"].grid.affine[:3, 3], corner - (10, 0, 0))


def test_voxels_that_cannot_be_shown_drop_the_column(desk):
    layer = desk.viewer.layers["b"]
    layer.data = np.full(layer.data.shape, np.nan, np.float32)
    assert desk.state.columns == ("a",)
    assert "NaN" in str(desk.link.volumes.trouble("b"))


def test_3d_images_and_series_of_one_value_are_offered(desk):
    desk.viewer.add_image(np.zeros((5, 6)), name="flat", contrast_limits=(0, 1))
    desk.viewer.add_image(np.zeros((5, 6, 7, 3)), rgb=True, name="color")
    desk.viewer.add_image(np.zeros((2, 5, 6, 7)), name="series", contrast_limits=(0, 1))
    labels = desk.viewer.add_labels(np.ones((5, 6, 7), int), name="labels")
    assert list(desk.link.volumes) == ["a", "b", "series"]
    assert desk.link.volumes.frames() == 2
    assert desk.link.regions() == [labels]
    # A series adds an axis in front; the sliders of space are the last three.
    desk.viewer.dims.set_point(1, -10.0)
    assert desk.state.crosshair[2] == pytest.approx(10.0)


def test_detached_it_hears_nothing_and_can_go(desk):
    gone = weakref.ref(desk.link)
    desk.link.detach()
    desk.viewer.dims.set_point(0, -10.0)
    desk.viewer.layers["a"].contrast_limits = (3.0, 4.0)
    desk.viewer.layers.remove("b")
    assert desk.state.columns == ("a", "b")
    assert desk.state.looks["a"].limits != (3.0, 4.0)
    del desk.link
    gc.collect()
    assert gone() is None


def test_the_cursor_moves_the_crosshair_with_shift(desk):
    before = desk.state.crosshair
    for modifiers in ((), ("Shift",)):
        event = SimpleNamespace(modifiers=modifiers, position=(-10.0, -30.0, 4.0))
        for callback in desk.viewer.mouse_move_callbacks:
            callback(desk.viewer, event)
        if not modifiers:
            assert desk.state.crosshair == before
    assert desk.state.crosshair == pytest.approx((-4.0, 30.0, 10.0))
    desk.link.detach()
    assert desk.viewer.mouse_move_callbacks == []
