"""Callbacks on layer events; none after detaching."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_mrisr.viewer.common.layer_watch import LayerWatch


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
