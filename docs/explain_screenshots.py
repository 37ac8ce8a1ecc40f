"""Take pictures of the voxel explainer and of the guided tour.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" \
        python docs/explain_screenshots.py VOLUME FOLDER [WIDTHxHEIGHT]

Takes a 3D volume as truth, simulates the low-resolution one at 2x, explains a
voxel on an edge, and saves a picture of each state into the folder. The tour
runs on its own sample.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication

from napari_mrisr.io import read_volume
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.viewer.explain.tour import TourWidget
from napari_mrisr.viewer.explain.widget import ExplainWidget
from napari_mrisr.viewer.layers.convert import layer_data

TITLES = {ExplainWidget: "Explain a voxel", TourWidget: "Guided tour"}


def settle(seconds: float = 0.5, until: Callable[[], bool] = lambda: False) -> None:
    """Let Qt work for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.01)


class Stage:
    """A viewer with a docked widget."""

    def __init__(self, make: Callable[[Any], Any], size: tuple[int, int], out: Path) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*size)
        self.out = out
        self.widget = make(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name=TITLES[type(self.widget)])

    def shoot(self, name: str) -> None:
        """A picture of the whole window."""
        settle(0.3)
        settle(120, until=lambda: not self.widget.busy)
        settle(0.3)
        self.viewer.window._qt_window.grab().save(str(self.out / f"{name}.png"))


def explainer(path: str, out: Path, size: tuple[int, int]) -> None:
    """Every step, in both themes."""
    stage = Stage(ExplainWidget, size, out)
    viewer, widget = stage.viewer, stage.widget
    stage.shoot("00-empty")
    truth = read_volume(path).cropped_to_multiple((2, 2, 2))
    for volume, name in ((truth, "truth"), (degrade(truth, (2, 2, 2)), "scan LR 2x")):
        data, kwargs, _ = layer_data(volume, name)
        viewer.add_image(data, **kwargs)
    stage.shoot("01-loaded")
    widget.find()
    stage.shoot("02-scan")
    viewer.scene.camera.zoom *= 4
    viewer.scene.camera.center = viewer.dims.point
    for number, slide in list(enumerate(widget.slides.slides))[1:]:
        widget.slides.go_to(number)
        stage.shoot(f"{number + 2:02d}-{slide.title.split()[-1].strip('?').lower()}")
    viewer.theme = "light"
    for number in (2, 4, 7, 8):
        widget.slides.go_to(number)
        stage.shoot(f"20-light-{number}")
    widget.choose_stage(1)
    widget.slides.go_to(7)
    stage.shoot("21-stage-2")
    viewer.theme = "dark"
    viewer.layers[0].name = "a layer whose name is far too long for any dock widget " * 2
    widget.panel.bank.setCurrentText("paper-2x")
    stage.shoot("22-paper-long-names")
    viewer.close()
    settle()


def tour(out: Path, size: tuple[int, int]) -> None:
    """Every stop."""
    stage = Stage(TourWidget, size, out)
    settle(0.4)
    stage.viewer.window._qt_window.grab().save(str(out / "30-tour-start.png"))
    settle(120, until=lambda: not stage.widget.busy)
    for number in range(len(stage.widget.slides.slides)):
        stage.widget.slides.go_to(number)
        stage.shoot(f"31-tour-{number + 1}")
    stage.viewer.close()
    settle()


def main(path: str, folder: str, size: str = "1280x720") -> None:
    """Go through the states."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    width, height = (int(n) for n in size.split("x"))
    explainer(path, out, (width, height))
    tour(out, (width, height))


if __name__ == "__main__":
    main(*sys.argv[1:])
