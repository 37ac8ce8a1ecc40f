"""Take pictures of the bucket inspector.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" \
        python docs/inspect_screenshots.py VOLUME FOLDER [WIDTHxHEIGHT]

Takes a 3D volume as truth, makes the low-resolution one at 2x, inspects it, and
saves a picture of each state into the folder.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_mrisr.bank.model import load_bank
from napari_mrisr.io import read_volume
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.viewer.inspect.widget import InspectWidget
from napari_mrisr.viewer.layers.convert import layer_data


def settle(seconds: float = 0.4, until: Callable[[], bool] = lambda: False) -> None:
    """Let Qt work for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.01)


class Desk:
    """A viewer with the inspector docked."""

    def __init__(self, out: Path, size: tuple[int, int]) -> None:
        self.out = out
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*size)
        self.widget = InspectWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name="Inspect buckets", area="right")

    def shoot(self, name: str) -> None:
        """A picture of the whole window."""
        settle()
        self.viewer.window.screenshot(str(self.out / f"{name}.png"), canvas_only=False, flash=False)

    def wait(self) -> None:
        """Until the work is done."""
        settle(300, until=lambda: not self.widget.worker.running)

    def show_stage(self, number: int) -> None:
        """The bucket map of a stage, counted from 0."""
        self.widget.panel.stage.setCurrentIndex(number)
        self.widget.show_map()
        self.wait()

    def look(self, share: Sequence[float]) -> None:
        """Put the cursor there: shares of the volume along the world's axes."""
        corners = np.array(self.viewer.layers[0].extent.world)
        place = corners[0] + np.array(share) * (corners[1] - corners[0])
        self.viewer.dims.set_point(0, place[0])
        self.widget.point_at(tuple(place))


def main(path: str, folder: str, size: str = "1280x720") -> None:
    """Go through the states."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    width, height = (int(n) for n in size.split("x"))
    desk = Desk(out, (width, height))
    widget, panel = desk.widget, desk.widget.panel
    desk.shoot("1-empty")
    truth = read_volume(path).cropped_to_multiple((2, 2, 2))
    lr = degrade(truth, (2, 2, 2))
    data, kwargs, _ = layer_data(lr, Path(path).name.partition(".")[0] + " LR 2x")
    desk.viewer.add_image(data, **kwargs)
    desk.shoot("2-loaded")
    desk.show_stage(0)
    desk.shoot("3-map")
    desk.look((0.45, 0.35, 0.6))
    desk.shoot("4-voxel")
    panel.filter.solid.setChecked(True)
    desk.shoot("5-solid")
    panel.filter.solid.setChecked(False)
    panel.tabs.setCurrentIndex(2)
    desk.shoot("6-histogram")
    widget.choose_bucket(int(panel.table.buckets.rows[2]))
    panel.table.choose(int(panel.table.buckets.rows[2]))
    desk.shoot("7-bucket")
    desk.show_stage(2)
    desk.look((0.45, 0.35, 0.6))
    other = out / "another-2x.safetensors"
    bank = load_bank("default-2x")
    for stage in bank.stages:
        stage.weights.setflags(write=True)
    bank.save(other)
    widget.compare_with(str(other))
    panel.tabs.setCurrentIndex(2)
    data, kwargs, _ = layer_data(truth, "truth")
    panel.reference.layer = desk.viewer.add_image(data, **kwargs, visible=False)
    desk.wait()
    desk.shoot("8-compared")
    panel.tabs.setCurrentIndex(1)
    widget.add_feature("orientation")
    desk.wait()
    desk.shoot("9-orientation")
    widget.add_feature("curvature")
    desk.wait()
    widget.add_feature("coherence bin")
    desk.wait()
    for layer in desk.viewer.layers[:-1]:
        layer.visible = False
    desk.shoot("10-bins")
    desk.viewer.theme = "light"
    desk.shoot("11-light")
    panel.scale.scale = (2, 2, 2)
    panel.bank.setCurrentIndex(panel.bank.findData("paper-2x"))
    desk.show_stage(0)
    desk.look((0.5, 0.4, 0.4))
    desk.shoot("12-paper")
    desk.viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
