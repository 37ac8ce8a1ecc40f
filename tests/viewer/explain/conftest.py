"""Volumes to explain, and a watch for what is left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from helpers.scans import head
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.viewer.layers.convert import layer_data

SHAPE = (40, 44, 36)


@pytest.fixture(scope="session")
def truth() -> Volume:
    """A small head with sharp edges."""
    return Volume(head(3, SHAPE), Grid(SHAPE, np.diag([1.0, 1.1, 1.3, 1.0])))


@pytest.fixture(scope="session")
def lr(truth) -> Volume:
    """As a coarse scan sees it."""
    return degrade(truth, (2, 2, 2))


@dataclass
class Desk:
    """A viewer with a widget docked from the menu's entry."""

    viewer: Any
    widget: Any
    qtbot: Any

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.viewer.layers]

    def add(self, volume: Volume, name: str) -> Any:
        data, kwargs, _ = layer_data(volume, name)
        return self.viewer.add_image(data, **kwargs)

    def wait(self) -> None:
        self.qtbot.waitUntil(lambda: not self.widget.busy, timeout=60_000)

    def close(self) -> None:
        """Close the dock as a person does; a widget without one as a window."""
        dock = self.widget.parentWidget()
        while dock is not None and not hasattr(dock, "destroyOnClose"):
            dock = dock.parentWidget()
        if dock is None:
            self.widget.close()
        else:
            dock.destroyOnClose()
        QApplication.processEvents()


@pytest.fixture
def open_desk(plugin, make_napari_viewer, qtbot):
    """In a real viewer, by the menu's entry."""

    def make(entry: str) -> Desk:
        viewer = make_napari_viewer()
        _, widget = viewer.window.add_plugin_dock_widget("napari-mrisr", entry)
        return Desk(viewer, widget, qtbot)

    return make


@pytest.fixture
def quick_desk(qapp, qtbot):
    """On the viewer's model alone, which takes no second to open."""
    made: list[Desk] = []

    def make(kind: type) -> Desk:
        viewer = ViewerModel()
        made.append(Desk(viewer, kind(viewer), qtbot))
        return made[-1]

    yield make
    for desk in made:
        if desk.widget is not None:
            desk.widget.close()
