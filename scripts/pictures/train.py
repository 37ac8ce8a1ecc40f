"""Take pictures of the training dock at work.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/train_screenshots.py DATA FOLDER

DATA holds train/ and val/. Banks go to a temporary folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_mrisr.io import read_volume
from napari_mrisr.viewer.layers.convert import layer_data
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget
from napari_mrisr.viewer.train.entries import TRAIN, VALIDATE
from napari_mrisr.viewer.train.widget import TrainWidget

WINDOW = (1280, 720)


def settle(seconds: float = 0.5, until: Callable[[], bool] = lambda: False) -> None:
    """Let Qt work for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.01)


def main(data: str, folder: str) -> None:
    """Go through the states."""
    os.environ["NAPARI_MRISR_BANKS"] = tempfile.mkdtemp()
    train = sorted((Path(data) / "train").glob("ds000011*"))[:3]
    validation = sorted((Path(data) / "val").glob("*"))
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    widget = TrainWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Train filters", area="right")
    panel = widget.panel

    def shoot(name: str) -> None:
        settle()
        viewer.window.screenshot(str(out / f"{name}.png"), canvas_only=False, flash=False)

    shoot("1-empty")
    layer_of, kwargs, _ = layer_data(read_volume(train[0]), train[0].name.partition(".")[0])
    layer = viewer.add_image(layer_of, **kwargs)
    panel.volumes.set_role(layer, TRAIN)
    panel.volumes.add_paths([*train[1:], *validation[:2]])
    settle(2)
    for entry in panel.volumes.files[-2:]:
        panel.volumes.set_role(entry, VALIDATE)
    shoot("2-chosen")
    widget.train()
    settle(120, until=lambda: len(widget.story.gains) >= 4)
    shoot("3-running")
    settle(300, until=lambda: len(widget.story.gains) >= 8)
    widget.stop()
    settle(0.02)
    shoot("4-stopping")
    settle(60, until=lambda: not widget.worker.running)
    shoot("4-stopped")
    widget.resume()
    settle(300, until=lambda: not widget.worker.running)
    shoot("5-finished")
    viewer.theme = "light"
    shoot("6-light")
    panel.tabs.setCurrentIndex(0)
    shoot("6-light-set-up")
    layer.name = "a layer whose name is far too long for any dock widget to show in full"
    panel.name.setText("default-2x")
    shoot("7-error")
    viewer.theme = "dark"
    panel.name.setText("mine-2x")
    panel.preset.setCurrentText("paper")
    shoot("8-long-name")
    viewer.window.remove_dock_widget(widget)
    chosen = SuperResolveWidget(viewer)
    viewer.window.add_dock_widget(chosen, name="Super-resolve", area="right")
    chosen.panel.bank.setCurrentIndex(chosen.panel.bank.findText("mine-2x"))
    shoot("9-super-resolve")
    viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
