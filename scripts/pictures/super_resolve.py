"""Take pictures of the super-resolution dock.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" \
        python scripts/pictures/super_resolve.py VOLUME FOLDER [BANK]

Uses a 3D volume as the reference, simulates the low-resolution scan, super-resolves it,
and saves a picture of each state into the folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stage import Stage, settle

from napari_mrisr.io import read_volume
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget


def main(path: str, folder: str, bank: str | None = None) -> None:
    """Take the pictures; a bank file replaces the bundled bank."""
    stage = Stage(SuperResolveWidget, "Super-resolve", folder)
    viewer, widget, shoot = stage.viewer, stage.widget, stage.shoot

    def wait_for_preview() -> None:
        settle(60, until=lambda: widget.live.layer is not None and not widget.live.busy)

    shoot("1-empty")
    stage.add(read_volume(path), Path(path).name.partition(".")[0])
    if bank is not None:
        widget.open_bank(bank)
    shoot("2-loaded")
    widget.simulate()
    stage.wait()
    shoot("3-simulated")
    widget.panel.live.setChecked(True)
    wait_for_preview()
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
    stage.wait()
    shoot("3-preview-cancelled")
    widget.panel.live.setChecked(False)
    widget.panel.method.name = "tricubic"
    widget.panel.scale.scale = (5, 5, 5)
    widget.run()
    settle(60, until=lambda: "left" in widget.panel.status.text())
    shoot("4-running")
    widget.cancel()
    stage.wait()
    shoot("4-cancelled")
    widget.panel.method.name = "hashed"
    widget.panel.scale.scale = (2, 2, 2)
    widget.run()
    stage.wait()
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
    widget.panel.method.name = "tricubic"
    widget.panel.scale.scale = (3, 1, 5)
    shoot("8-light")
    widget.panel.live.setChecked(True)
    wait_for_preview()
    shoot("8-light-preview")
    widget.panel.live.setChecked(False)
    viewer.layers[-1].name = "a layer whose name is far too long for any dock to show in full"
    widget.panel.layer.layer = viewer.layers[-1]
    viewer.window.resize(800, 500)
    shoot("9-small")
    widget.panel.live.setChecked(True)
    wait_for_preview()
    shoot("9-small-preview")
    widget.panel.live.setChecked(False)
    viewer.theme = "dark"
    widget.panel.scale.scale = (8, 8, 8)
    widget.panel.degradation.name = "slice-profile"
    shoot("9-small-dark")
    stage.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
