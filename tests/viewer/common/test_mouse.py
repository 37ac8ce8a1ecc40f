"""Clicks and moves, on a viewer with nothing but callbacks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_mrisr.viewer.common.mouse import THROTTLE_MS, CanvasMouse


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
