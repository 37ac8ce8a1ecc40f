"""Take pictures of the napari plugin at work.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/screenshots.py VOLUME FOLDER [BANK]

Takes a 3D volume as truth, simulates the low-resolution one, super-resolves
it, and saves a picture of each state into the folder.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_mrisr.io import read_volume
from napari_mrisr.viewer.layers.convert import layer_data
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget

WINDOW = (1280, 720)


def settle(seconds: float = 0.5, until: Callable[[], bool] = lambda: False) -> None:
    """Let Qt work for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.01)


def main(path: str, folder: str, bank: str | None = None) -> None:
    """Go through the states; with a bank file in place of the bundled bank."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    widget = SuperResolveWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Super-resolve", area="right")

    def shoot(name: str) -> None:
        settle()
        viewer.window.screenshot(str(out / f"{name}.png"), canvas_only=False, flash=False)

    def wait() -> None:
        settle(300, until=lambda: not widget.worker.running)

    shoot("1-empty")
    data, kwargs, _ = layer_data(read_volume(path), Path(path).name.partition(".")[0])
    viewer.add_image(data, **kwargs)
    if bank is not None:
        widget.open_bank(bank)
    shoot("2-loaded")
    widget.simulate()
    wait()
    shoot("3-simulated")
    widget.panel.live.setChecked(True)
    settle(60, until=lambda: widget.live.layer is not None and not widget.live.busy)
    shoot("3-preview")
    viewer.layers[0].visible = False
    viewer.canvas.grid.enabled = True
    viewer.reset_view()
    viewer.scene.camera.zoom *= 1.5
    shoot("3-preview-side-by-side")
    viewer.layers[0].visible = True
    viewer.canvas.grid.enabled = False
    viewer.reset_view()
    widget.run()
    settle(60, until=lambda: "left" in widget.panel.status.text())
    shoot("3-preview-filling")
    viewer.dims.order = (1, 0, 2)
    viewer.reset_view()
    shoot("3-preview-filling-coronal")
    viewer.dims.order = (0, 1, 2)
    viewer.reset_view()
    widget.cancel()
    wait()
    shoot("3-preview-cancelled")
    widget.panel.live.setChecked(False)
    widget.panel.method.setCurrentText("tricubic")
    widget.panel.scale.scale = (5, 5, 5)
    widget.run()
    settle(60, until=lambda: "left" in widget.panel.status.text())
    shoot("4-running")
    widget.cancel()
    wait()
    shoot("4-cancelled")
    widget.panel.method.setCurrentText("hashed")
    widget.panel.scale.scale = (2, 2, 2)
    widget.run()
    wait()
    shoot("5-result")
    for layer in viewer.layers[:-2]:
        layer.visible = False
    viewer.canvas.grid.enabled = True
    viewer.reset_view()
    viewer.scene.camera.zoom *= 1.5
    shoot("5-side-by-side")
    viewer.canvas.grid.enabled = False
    viewer.reset_view()
    for name, order in (("coronal", (1, 0, 2)), ("sagittal", (2, 0, 1))):
        viewer.dims.order = order
        viewer.reset_view()
        shoot(f"6-{name}")
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    viewer.reset_view()
    shoot("7-3d")
    viewer.dims.ndisplay = 2
    viewer.reset_view()
    viewer.theme = "light"
    widget.panel.method.setCurrentText("tricubic")
    widget.panel.scale.scale = (3, 1, 5)
    shoot("8-light")
    widget.panel.live.setChecked(True)
    settle(60, until=lambda: widget.live.layer is not None and not widget.live.busy)
    shoot("8-light-preview")
    widget.panel.live.setChecked(False)
    viewer.layers[
        -1
    ].name = "a layer whose name is far too long for any dock widget to show in full"
    widget.panel.layer.layer = viewer.layers[-1]
    viewer.window.resize(800, 500)
    shoot("9-small")
    widget.panel.live.setChecked(True)
    settle(60, until=lambda: widget.live.layer is not None and not widget.live.busy)
    shoot("9-small-preview")
    widget.panel.live.setChecked(False)
    viewer.theme = "dark"
    widget.panel.scale.scale = (8, 8, 8)
    widget.panel.degradation.setCurrentText("slice-profile")
    shoot("9-small-dark")
    viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
