"""Take pictures of the bucket inspector.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" \
        python scripts/pictures/buckets.py VOLUME FOLDER [WIDTHxHEIGHT]

Uses a 3D volume as the reference, simulates the low-resolution scan at 2×, inspects
it, and saves a picture of each state into the folder.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from stage import SCALE, Stage, read_pair, size_of

from napari_mrisr.bank.model import load_bank
from napari_mrisr.viewer.inspect.widget import InspectWidget


def show_stage(stage: Stage, number: int) -> None:
    """Show the bucket map of a stage of the bank, counted from 0."""
    stage.panel.stage.setCurrentIndex(number)
    stage.widget.show_map()
    stage.wait()


def point_at(stage: Stage, share: Sequence[float]) -> None:
    """Move the cursor to a position, as fractions of the volume along the world's axes."""
    corners = np.array(stage.viewer.layers[0].extent.world)
    position = corners[0] + np.array(share) * (corners[1] - corners[0])
    stage.viewer.dims.set_point(0, position[0])
    stage.widget.point_at(tuple(position))


def main(path: str, folder: str, size: str = "1280x720") -> None:
    """Take the pictures."""
    stage = Stage(InspectWidget, "Inspect buckets", folder, size_of(size))
    widget, panel = stage.widget, stage.panel
    stage.shoot("1-empty")
    reference, lr = read_pair(path)
    stage.add(lr, Path(path).name.partition(".")[0] + " LR 2x")
    stage.shoot("2-loaded")
    show_stage(stage, 0)
    stage.shoot("3-map")
    point_at(stage, (0.45, 0.35, 0.6))
    stage.shoot("4-voxel")
    panel.filter.solid.setChecked(True)
    stage.shoot("5-solid")
    panel.filter.solid.setChecked(False)
    panel.tabs.setCurrentIndex(2)
    stage.shoot("6-table")
    widget.choose_bucket(int(panel.table.buckets.rows[2]))
    panel.table.choose(int(panel.table.buckets.rows[2]))
    stage.shoot("7-bucket")
    show_stage(stage, 2)
    point_at(stage, (0.45, 0.35, 0.6))
    second = stage.folder / "second-2x.safetensors"
    load_bank("default-2x").save(second)
    widget.compare_with(str(second))
    panel.tabs.setCurrentIndex(2)
    panel.reference.layer = stage.add(reference, "reference", visible=False)
    stage.wait()
    stage.shoot("8-compared")
    panel.tabs.setCurrentIndex(1)
    for name in ("orientation", "curvature", "coherence bin"):
        widget.add_feature(name)
        stage.wait()
        if name == "orientation":
            stage.shoot("9-orientation")
    for layer in stage.viewer.layers[:-1]:
        layer.visible = False
    stage.shoot("10-bins")
    stage.viewer.theme = "light"
    stage.shoot("11-light")
    panel.scale.scale = SCALE
    panel.bank.setCurrentIndex(panel.bank.findData("paper-2x"))
    show_stage(stage, 0)
    point_at(stage, (0.5, 0.4, 0.4))
    stage.shoot("12-paper")
    stage.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
