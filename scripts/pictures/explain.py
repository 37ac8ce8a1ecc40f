"""Take pictures of the voxel explainer and of the guided tour.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" \
        python scripts/pictures/explain.py VOLUME FOLDER [WIDTHxHEIGHT]

Uses a 3D volume as the reference, simulates the low-resolution scan at 2×, explains a
voxel on an edge, and saves a picture of each state into the folder. The tour uses its
own sample.
"""

from __future__ import annotations

import sys

from stage import Stage, read_pair, size_of

from napari_mrisr.viewer.explain.tour import TourWidget
from napari_mrisr.viewer.explain.widget import ExplainWidget


def explainer(path: str, folder: str, size: tuple[int, int]) -> None:
    """Take pictures of every step, in both themes."""
    stage = Stage(ExplainWidget, "Explain a voxel", folder, size)
    viewer, widget = stage.viewer, stage.widget

    def shoot_slide(number: int, name: str) -> None:
        widget.slides.go_to(number)
        stage.wait()
        stage.shoot(name)

    stage.shoot("00-empty")
    reference, lr = read_pair(path)
    stage.add(reference, "reference")
    stage.add(lr, "scan LR 2x")
    stage.shoot("01-loaded")
    widget.find()
    stage.wait()
    viewer.scene.camera.zoom *= 4
    viewer.scene.camera.center = viewer.dims.point
    for number in range(9):
        shoot_slide(number, f"02-step-{number + 1}")
    viewer.theme = "light"
    for number in (2, 4, 7, 8):
        shoot_slide(number, f"20-light-{number + 1}")
    widget.choose_stage(1)
    shoot_slide(7, "21-stage-2")
    viewer.theme = "dark"
    viewer.layers[0].name = "a layer whose name is far too long for any dock widget " * 2
    widget.panel.bank.setCurrentText("paper-2x")
    shoot_slide(8, "22-paper-long-names")
    stage.close()


def tour(folder: str, size: tuple[int, int]) -> None:
    """Take a picture of every stop."""
    stage = Stage(TourWidget, "Guided tour", folder, size)
    stage.shoot("30-tour-start")
    stage.wait()
    for number in range(len(stage.widget.slides.slides)):
        stage.widget.slides.go_to(number)
        stage.wait()
        stage.shoot(f"31-tour-{number + 1}")
    stage.close()


def main(path: str, folder: str, size: str = "1280x720") -> None:
    """Take the pictures."""
    explainer(path, folder, size_of(size))
    tour(folder, size_of(size))


if __name__ == "__main__":
    main(*sys.argv[1:])
