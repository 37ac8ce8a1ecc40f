"""Take pictures of the dock "Compare methods".

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" \
        python scripts/pictures/methods.py VOLUME FOLDER [WIDTHxHEIGHT]

Compares methods on a simulated scan with thick slices, then on the volume itself, and saves a
picture of each state into the folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stage import Stage, settle, size_of

from napari_mrisr.io import read_volume
from napari_mrisr.viewer.common.dock import dock_of
from napari_mrisr.viewer.compare.methods.widget import MethodsWidget


def main(path: str, folder: str, size: str = "1280x720") -> None:
    """Take the pictures."""
    stage = Stage(MethodsWidget, "Compare methods", folder, size_of(size))
    viewer, widget, panel, shoot = stage.viewer, stage.widget, stage.panel, stage.shoot
    shoot("1-empty")
    stage.add(read_volume(path), Path(path).name.partition(".")[0])
    panel.scale.scale = (1, 1, 4)
    shoot("2-measuring")
    settle(120, until=lambda: "about" in panel.plan.text())
    shoot("3-times")
    widget.run()
    settle(120, until=lambda: "2 of" in panel.status.text())
    shoot("4-running")
    widget.cancel()
    stage.wait()
    shoot("5-cancelled")
    widget.run()
    stage.wait()
    compare = viewer.window.add_plugin_dock_widget("napari-mrisr", "Compare")[1]
    window = compare.comparison
    window.setGeometry(0, 0, *size_of(size))
    settle(300, until=lambda: not window.meter.busy)
    window.link.settle()
    settle(1.0)
    window.grab().save(str(Path(folder) / "7-compare.png"))
    window.hide()
    dock_of(widget).raise_()
    shoot("6-result")
    widget.write(Path(folder) / "page.pdf")
    stage.wait()
    viewer.theme = "light"
    shoot("8-saved-light")
    panel.direct.click()
    panel.scale.scale = (2, 2, 2)
    settle(120, until=lambda: "about" in panel.plan.text())
    shoot("9-direct-light")
    stage.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
