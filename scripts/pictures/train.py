"""Take pictures of the training dock.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/pictures/train.py DATA FOLDER

DATA contains train/ and val/. Banks go to a temporary folder. The plan of a network needs PyTorch.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from stage import Stage, settle

from napari_mrisr.io import read_volume
from napari_mrisr.networks.file import THICK
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget
from napari_mrisr.viewer.train.model import TRAIN, VALIDATE
from napari_mrisr.viewer.train.widget import TrainWidget


def main(data: str, folder: str) -> None:
    """Take the pictures."""
    os.environ["NAPARI_MRISR_BANKS"] = tempfile.mkdtemp()
    train = sorted((Path(data) / "train").glob("ds000011*"))[:3]
    validation = sorted((Path(data) / "val").glob("*"))
    stage = Stage(TrainWidget, "Train", folder)
    viewer, widget, panel, shoot = stage.viewer, stage.widget, stage.panel, stage.shoot

    shoot("1-empty")
    layer = stage.add(read_volume(train[0]), train[0].name.partition(".")[0])
    panel.volumes.set_role(layer, TRAIN)
    panel.volumes.add_paths([*train[1:], *validation[:2]])
    settle(2)
    for entry in panel.volumes.files[-2:]:
        panel.volumes.set_role(entry, VALIDATE)
    shoot("2-chosen")
    panel.method.name = THICK
    panel.start.setCurrentIndex(1)
    shoot("2-network")
    panel.method.name = "hashed"
    widget.train()
    settle(120, until=lambda: len(widget.history.gains) >= 4)
    shoot("3-running")
    settle(300, until=lambda: len(widget.history.gains) >= 8)
    widget.cancel()
    settle(0.02)
    shoot("4-stopping")
    stage.wait()
    shoot("4-stopped")
    widget.resume()
    stage.wait()
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
    stage.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
