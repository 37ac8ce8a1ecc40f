"""Removed layers leave the OpenGL objects of others alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QOpenGLContext

from napari_mrisr.viewer.common.dock import Dock, FormPanel
from napari_mrisr.viewer.common.events import THROTTLE_MS, CanvasMouse, LayerWatch


def test_napari_frees_a_layer_in_its_own_context(make_napari_viewer, qtbot):
    """In Qt's, attributes of a layer shown in 3D and in 2D stay enabled: the next frame crashes."""
    viewer = make_napari_viewer(show=True)
    viewer.window.add_dock_widget(Dock(viewer, "ours", FormPanel()), name="ours", area="right")
    viewer.add_image(np.random.default_rng(0).random((20, 30, 40)), contrast_limits=(0, 1))
    layer = viewer.add_image(np.ones((25, 35, 45)), contrast_limits=(0, 2))
    for ndisplay in (2, 3, 2):
        viewer.dims.ndisplay = ndisplay
        qtbot.wait(50)
    seen = []
    viewer.layers.events.removed.connect(
        lambda event: seen.append(QOpenGLContext.currentContext()), position="first"
    )
    viewer.layers.remove(layer)
    assert seen == [viewer.window._qt_viewer.canvas.native.context()]
    qtbot.wait(50)
    viewer.dims.set_point(0, 3)
    qtbot.wait(50)


class Listener:
    """Record of its calls."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.heard: list[str] = []
        self.watch = LayerWatch(
            viewer, self.listed, {"name": self.named, "scale": self.moved, "translate": self.moved}
        )

    def listed(self, event: Any) -> None:
        self.heard.append(event.type)

    def named(self, event: Any) -> None:
        self.heard.append(f"named {event.source.name}")

    def moved(self, event: Any) -> None:
        self.heard.append(f"moved {event.source.name}")

    def take(self) -> list[str]:
        """Return the calls since the last time."""
        heard, self.heard = self.heard, []
        return heard


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def listener(viewer) -> Listener:
    made = Listener(viewer)
    made.watch.attach()
    return made


def test_the_list(viewer, listener):
    for name in "abc":
        viewer.add_image(np.zeros((2, 3, 4)), name=name)
    assert listener.take() == ["inserted"] * 3
    viewer.layers.move(0, 2)
    assert set(listener.take()) == {"reordered"}
    viewer.layers.remove("b")
    assert listener.take() == ["removed"]


def test_layers_watched_and_no_longer(viewer, listener):
    a, b = (viewer.add_image(np.zeros((2, 3, 4)), name=name) for name in "ab")
    listener.watch.watch([a])
    assert listener.watch.layers == [a]
    listener.take()
    a.scale, a.translate, b.scale = (2, 3, 4), (5, 6, 7), (3, 4, 5)
    a.name = "c"
    assert listener.take() == ["moved a", "moved a", "named c"]
    listener.watch.watch([b])
    a.scale, b.scale = (1, 1, 1), (1, 1, 1)
    a.name = "d"
    assert listener.take() == ["moved b"]


def test_a_layer_that_stays_is_heard_once(viewer, listener):
    a, b = (viewer.add_image(np.zeros((2, 3, 4)), name=name) for name in "ab")
    listener.watch.watch([a])
    listener.watch.watch([a, b])
    listener.take()
    a.scale = (2, 3, 4)
    assert listener.take() == ["moved a"]


def test_detached_nothing_is_heard(viewer, listener):
    layer = viewer.add_image(np.zeros((2, 3, 4)))
    listener.watch.watch([layer])
    listener.watch.detach()
    listener.take()
    layer.scale, layer.name = (2, 3, 4), "other"
    viewer.layers.clear()
    assert listener.take() == []
    assert listener.watch.layers == []
    listener.watch.attach()
    viewer.add_image(np.zeros((2, 3, 4)))
    assert listener.take() == ["inserted"]


@pytest.fixture
def scene(qtbot):
    viewer = SimpleNamespace(
        mouse_move_callbacks=[], mouse_drag_callbacks=[], dims=SimpleNamespace(ndisplay=2)
    )
    moved, clicked = [], []
    mouse = CanvasMouse(viewer, clicked.append, moved.append)
    mouse.attach()
    mouse.attach()
    yield SimpleNamespace(viewer=viewer, mouse=mouse, moved=moved, clicked=clicked, qtbot=qtbot)
    mouse.detach()


def move(scene, *places):
    for place in places:
        for callback in scene.viewer.mouse_move_callbacks:
            callback(scene.viewer, SimpleNamespace(position=place))


def press(scene, path, button=1, modifiers=()):
    """A press, moves along the path, the release."""
    event = SimpleNamespace(type="mouse_press", button=button, modifiers=modifiers)
    event.pos, event.position = path[0], (0.0, *path[0])
    for callback in scene.viewer.mouse_drag_callbacks:
        steps = callback(scene.viewer, event)
        next(steps, None)
        for pos in path[1:]:
            event.type, event.pos = "mouse_move", pos
            next(steps, None)
        event.type = "mouse_release"
        next(steps, None)


def test_only_the_latest_position_is_reported(scene):
    move(scene, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0))
    assert scene.moved == []
    scene.qtbot.wait(3 * THROTTLE_MS)
    assert scene.moved == [(7.0, 8.0, 9.0)]
    move(scene, (1.0, 1.0, 1.0))
    scene.qtbot.wait(3 * THROTTLE_MS)
    assert len(scene.moved) == 2


def test_nothing_is_reported_in_3d(scene):
    scene.viewer.dims.ndisplay = 3
    move(scene, (1.0, 2.0, 3.0))
    press(scene, [(5, 5)])
    scene.qtbot.wait(2 * THROTTLE_MS)
    assert scene.moved == scene.clicked == []


def test_click_and_drag(scene):
    press(scene, [(5, 5)])
    assert scene.clicked == [(0.0, 5, 5)]
    press(scene, [(5, 5), (6, 6)])
    assert len(scene.clicked) == 2
    press(scene, [(5, 5), (30, 6)])
    press(scene, [(5, 5)], button=2)
    press(scene, [(5, 5)], modifiers=("Shift",))
    assert len(scene.clicked) == 2


def test_nothing_is_reported_after_detaching(scene):
    move(scene, (1.0, 2.0, 3.0))
    scene.mouse.detach()
    scene.mouse.detach()
    assert scene.viewer.mouse_move_callbacks == scene.viewer.mouse_drag_callbacks == []
    scene.qtbot.wait(2 * THROTTLE_MS)
    assert scene.moved == []
