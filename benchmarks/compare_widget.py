"""The whole Compare widget in napari: what a drag costs with link, table and all.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/compare_widget.py

Real mouse events on a floating 1600 x 1000 dock, 4 volumes of 256 cubed
float32. Milliseconds, median, 95th percentile and longest, of one mouse move
until it is painted and every event that it caused is served:

- crosshair drag: three planes and the values under the pointer; napari's own
  sliders and canvas follow about 5 times a second;
- contrast drag: all four columns, napari's layers too;
- region drag: a 64 mm box until its numbers are in the table, and painted;
- stall: the longest wait of a 5 ms timer while the head's numbers are computed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import napari
import numpy as np
from harness import where
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.frames import AXIAL
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.compare.docking import dock_of
from napari_mrisr.viewer.compare.model.regions import drawn
from napari_mrisr.viewer.compare.opening import add_comparison
from napari_mrisr.viewer.compare.widget import CompareWidget

LEFT, RIGHT, NONE = (
    Qt.MouseButton.LeftButton,
    Qt.MouseButton.RightButton,
    Qt.KeyboardModifier.NoModifier,
)


def make_volumes(size: int) -> dict[str, Volume]:
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*[np.linspace(-1, 1, size, dtype=np.float32)] * 3, indexing="ij")
    head = 100 * (sum(a**2 for a in axes) < 0.7).astype(np.float32)
    grid = Grid((size,) * 3, np.eye(4))
    made = {}
    for place, name in enumerate(("truth", "nearest", "tricubic", "hashed")):
        noise = rng.standard_normal((size,) * 3, dtype=np.float32) * (1 + place)
        history = {} if name == "truth" else {"method": name}
        made[name] = Volume(head + noise, grid, history=history)
    return made


def settle(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.002)


def drag(widget: CompareWidget, points: list[QPoint], button: Qt.MouseButton) -> np.ndarray:
    native = widget.view.canvas.native
    QTest.mousePress(native, button, NONE, points[0])
    times = []
    for point in points[1:]:
        start = time.perf_counter()
        QTest.mouseMove(native, point)
        QApplication.processEvents()  # the move, and the draw that it asked for
        QApplication.processEvents()
        widget.view.canvas.finish()
        QApplication.instance().sync()
        times.append(time.perf_counter() - start)
    QTest.mouseRelease(native, button, NONE, points[-1])
    settle(0.4)
    return 1000 * np.array(times)


def tell(name: str, times: np.ndarray) -> None:
    middle, high, top = np.median(times), np.percentile(times, 95), times.max()
    print(f"{name:16s} median {middle:6.1f}   95 % {high:6.1f}   longest {top:6.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="voxels an axis")
    parser.add_argument("--frames", type=int, default=60, help="of a drag")
    options = parser.parse_args()
    viewer = napari.Viewer(show=True)
    volumes = make_volumes(options.size)
    widget = add_comparison(viewer, volumes, None, truth="truth", measured=None)
    dock = dock_of(widget)
    dock.setFloating(True)
    dock.setGeometry(0, 0, 1600, 1000)
    settle(1.0)
    settle(60, until=lambda: not widget.meter.busy)
    print(f"{where()}; ms")
    canvas, controller = widget.view.canvas, widget.controller

    def at(row: int, column: int, across: float, upward: float) -> QPoint:
        x, y = canvas.to_pixels(row, column, across, upward)
        return QPoint(round(x), round(y))

    middle = options.size / 2
    steps = np.linspace(-0.2, 0.2, options.frames) * options.size
    path = [at(1, 0, middle + s, middle + 0.7 * s) for s in steps]
    tell("crosshair drag", drag(widget, path, LEFT))
    start = at(0, 1, middle, middle)
    contrast = [start + QPoint(2 * i, -i) for i in range(options.frames)]
    tell("contrast drag", drag(widget, contrast, RIGHT))
    widget.view.act("reset_window")

    half = min(32.0, options.size / 4)
    corners = ((middle - half, middle - half), (middle + half, middle + half))
    z = float(controller.position()[2])
    box = drawn("ROI 1", "box", controller.frame, AXIAL, corners, (z, 2 * half))
    controller.put_roi(box)
    settle(60, until=lambda: not widget.meter.busy)
    settle(0.3)
    edge = [at(0, 0, middle - half + 0.3 * i, middle + half * 0.6) for i in range(options.frames)]
    tell("region drag", drag(widget, edge, LEFT))
    assert controller.state.rois[0] != box, "the region was not held"

    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(5)
    settle(2.5)
    print(f"idle; longest stall {1000 * np.diff(ticks).max():.0f} ms")
    for _ in range(3):
        widget._pick_role("truth", None)
        settle(60, until=lambda: not widget.meter.busy)
        settle(0.3)
        widget.meter.facts.__init__()  # as for volumes never seen
        ticks.clear()
        began = time.monotonic()
        widget._pick_role("truth", "truth")
        settle(120, until=lambda: not widget.meter.busy)
        took = time.monotonic() - began
        gaps = 1000 * np.diff(ticks)
        print(f"head's numbers in {took:.1f} s; longest stall {gaps.max():.0f} ms", flush=True)
    viewer.close()


if __name__ == "__main__":
    main()
