"""Shared helper of the picture scripts: a napari window with one dock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.volume import Volume
from napari_mrisr.io import read_volume
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.viewer.layers.convert import layer_data

SCALE = (2, 2, 2)


def settle(seconds: float = 0.4, until: Callable[[], bool] = lambda: False) -> None:
    """Process Qt events for some seconds, or until a condition holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.01)


def size_of(text: str) -> tuple[int, int]:
    """Return width and height of ``1280x720``."""
    width, height = (int(n) for n in text.split("x"))
    return width, height


def read_pair(path: str) -> tuple[Volume, Volume]:
    """Read a volume as the reference, and simulate its low-resolution scan at 2×."""
    reference = read_volume(path).cropped_to_multiple(SCALE)
    return reference, degrade(reference, SCALE)


class Stage:
    """A napari window with one dock.

    Parameters
    ----------
    widget : callable
        Makes the dock from a viewer.
    title : str
    folder : str or Path
        Folder for the pictures; created if necessary.
    size : tuple of int
        Width and height of the window, pixels.
    """

    def __init__(
        self, widget: Callable[[Any], Any], title: str, folder: str | Path,
        size: tuple[int, int] = (1280, 720),
    ) -> None:  # fmt: skip
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*size)
        self.widget = widget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name=title, area="right")

    @property
    def panel(self) -> Any:
        """Panel of the dock."""
        return self.widget.panel

    def add(self, volume: Volume, name: str, **options: Any) -> Any:
        """Add a volume as a layer."""
        data, kwargs, _ = layer_data(volume, name)
        return self.viewer.add_image(data, **kwargs, **options)

    def wait(self, seconds: float = 300) -> None:
        """Wait until the dock's work has ended."""
        settle(seconds, until=lambda: not self.widget.busy)

    def shoot(self, name: str) -> None:
        """Save a picture of the window."""
        settle()
        self.viewer.window.screenshot(
            str(self.folder / f"{name}.png"), canvas_only=False, flash=False
        )

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        settle()
