"""Viewer with one dock of ours, and the actions of its user."""

from __future__ import annotations

import threading
from typing import Any

from qtpy.QtWidgets import QApplication

from napari_mrisr.core.volume import Volume
from napari_mrisr.viewer.layers.convert import layer_data


def our_threads() -> list[str]:
    """Return the names of the package's threads that run."""
    return [t.name for t in threading.enumerate() if t.name.startswith("mrisr")]


class Desk:
    """A viewer and one dock; test files derive what they need more.

    Made by the fixtures ``model_desk`` and ``open_desk``.
    """

    def __init__(self, viewer: Any, widget: Any, qtbot: Any) -> None:
        self.viewer, self.widget, self.qtbot = viewer, widget, qtbot

    @property
    def panel(self) -> Any:
        return self.widget.panel

    @property
    def status(self) -> str:
        return self.panel.status.text()

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.viewer.layers]

    def add(self, volume: Volume, name: str = "scan") -> Any:
        data, kwargs, _ = layer_data(volume, name)
        return self.viewer.add_image(data, **kwargs)

    def busy(self) -> bool:
        return self.widget.busy

    def wait(self) -> None:
        """Wait until the dock's work has ended."""
        self.qtbot.waitUntil(lambda: not self.busy(), timeout=60_000)

    def close(self) -> None:
        """Close the dock as a user does; a widget outside of a dock as a window."""
        dock = self.widget.parentWidget()
        while dock is not None and not hasattr(dock, "destroyOnClose"):
            dock = dock.parentWidget()
        if dock is None:
            self.widget.close()
        else:
            dock.destroyOnClose()
        QApplication.processEvents()
