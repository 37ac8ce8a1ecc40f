"""Take pictures of Compare.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" \
        python scripts/pictures/compare.py VOLUME FOLDER [WIDTHxHEIGHT]

Uses a 3D volume as the reference, simulates the low-resolution scan at 2×,
super-resolves it by tricubic and hashed, and saves a picture of each state into the
folder.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import napari
from stage import SCALE, settle, size_of

from napari_mrisr.comparison.blinded.session import Case, Reading, ReadingPlan
from napari_mrisr.core.frames import AXIAL, CORONAL
from napari_mrisr.core.volume import Volume
from napari_mrisr.io import read_volume, write_volume
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.compare.blinded.window import ReadingWindow
from napari_mrisr.viewer.compare.model.regions import drawn
from napari_mrisr.viewer.compare.opening import add_comparison
from napari_mrisr.viewer.compare.widget import CompareWidget


def make_volumes(path: str) -> dict[str, Volume]:
    """Return reference, low-resolution scan, tricubic and hashed."""
    reference = replace(read_volume(path), history={}).cropped_to_multiple(SCALE)
    lr = degrade(reference, SCALE)
    made = {"reference": reference, "LR 2x": lr}
    for method in ("tricubic", "hashed"):
        made[method] = upscale(lr, UpscaleParameters(scale=SCALE, method=method))
    return made


class CompareStage:
    """Compare beside a viewer."""

    def __init__(self, volumes: Mapping[str, Volume], size: tuple[int, int], out: Path) -> None:
        self.viewer = napari.Viewer(show=True)
        self.out = out
        if volumes:
            self.window = add_comparison(
                self.viewer, volumes, None, truth="reference", measured="LR 2x"
            )
        else:
            dock = CompareWidget(self.viewer)
            self.viewer.window.add_dock_widget(dock, name="Compare")
            self.window = dock.comparison
        self.window.setGeometry(0, 0, *size)

    def shoot(self, name: str) -> None:
        """Save a picture of the window."""
        settle()
        settle(60, until=lambda: not self.window.meter.busy)
        settle()
        self.window.grab().save(str(self.out / f"{name}.png"))


def main(path: str, folder: str, size: str = "1600x1000") -> None:
    """Take the pictures."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    window = size_of(size)
    volumes = make_volumes(path)

    empty = CompareStage({}, window, out)
    empty.shoot("00-empty")
    empty.viewer.close()

    stage = CompareStage(volumes, window, out)
    widget, controller = stage.window, stage.window.controller
    x, _, z = controller.position()
    # At the level of the basal ganglia.
    controller.point_at(CORONAL, float(x), float(z) + 24.0)
    stage.shoot("02-side-by-side")
    at = controller.position()
    roi = drawn(
        "ROI 1",
        "ellipsoid",
        controller.frame,
        AXIAL,
        ((at[0] + 4, at[1] - 8), (at[0] + 22, at[1] + 24)),
        (at[2], 20.0),
    )
    controller.put_roi(roi)
    box = ((at[0] - 48, at[1] - 40), (at[0] - 18, at[1] - 20))
    controller.put_roi(drawn("ROI 2", "box", controller.frame, AXIAL, box, (at[2], 16.0)))
    stage.shoot("03-roi")
    controller.set_columns(["reference", "tricubic", "hashed"])
    controller.toggle_difference()
    controller.set_pair(0, 2)
    controller.toggle_difference()
    stage.shoot("04-differences")
    controller.set_differences([])
    controller.toggle_difference(absolute=True)
    stage.shoot("05-absolute")
    controller.set_differences([])
    controller.set_pair(1, 2)
    for mode in ("swipe", "checkerboard", "flicker", "mosaic"):
        controller.set_mode(mode)
        stage.shoot(f"06-{mode}")
    controller.set_mode("side-by-side")
    controller.zoom(3.0, (AXIAL, float(at[0]), float(at[1])))
    stage.shoot("07-zoomed")
    controller.toggle("smooth")
    stage.shoot("07-zoomed-smooth")
    controller.toggle("smooth")
    controller.fit()
    controller.toggle_maximized(CORONAL, 2)
    stage.shoot("08-maximized")
    controller.toggle_maximized(CORONAL, 2)
    controller.toggle("radiological")
    stage.shoot("09-neurological")
    controller.toggle("radiological")
    widget.view.toggle_help()
    stage.shoot("10-help")
    widget.view.toggle_help()
    controller.change(truth=None)
    stage.shoot("11-no-truth")
    controller.change(truth="reference")
    live = UpscaleParameters(scale=SCALE, method="hashed")
    controller.set_columns(["reference", "LR 2x", "tricubic"])
    widget.toggle_live(stage.viewer.layers["LR 2x"], live)
    name = "LR 2x hashed 2x (live)"
    settle(60, until=lambda: widget.live.share() > 0.2)
    stage.shoot("12-live")
    menu, button = widget.toolbar.live_menu, widget.toolbar.live
    menu.popup(button.mapToGlobal(button.rect().bottomLeft()))
    settle()
    stage.viewer.window._qt_window.screen().grabWindow(0).save(str(out / "12-live-menu.png"))
    menu.close()
    settle(120, until=lambda: name not in controller.state.columns)
    stage.shoot("12-live-finished")
    controller.set_columns(["reference", "tricubic", "hashed"])
    stage.viewer.layers["hashed"].name = "a layer whose name is far too long " * 3
    stage.viewer.theme = "light"
    stage.shoot("12-long-names-light")
    stage.viewer.theme = "dark"
    stage.viewer.close()
    settle()

    shoot_blinded(volumes, window, out)


def shoot_blinded(volumes: Mapping[str, Volume], size: tuple[int, int], out: Path) -> None:
    """Save a picture of the first case of a blinded reading."""
    with tempfile.TemporaryDirectory() as scratch:
        files = {}
        for method in ("tricubic", "hashed"):
            files[method] = Path(scratch) / f"{method}.nii.gz"
            write_volume(volumes[method], files[method])
        plan = ReadingPlan((Case("1", files), Case("2", files)), ("tricubic", "hashed"))
        window = ReadingWindow(
            Reading(plan, Path(scratch) / "reading.csv"), napari.qt.get_stylesheet("dark")
        )
        window.resize(*size)
        window.show()
        settle(20, until=lambda: bool(window.controller.state.columns))
        settle(1.0)
        window.grab().save(str(out / "13-blinded.png"))
        window.close()
        settle()


if __name__ == "__main__":
    main(*sys.argv[1:])
