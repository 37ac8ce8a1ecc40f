"""Milliseconds from a mouse event to the painted frame in the comparison window.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/compare_window.py [--size 256]

Three planes of four columns of ``--size`` cubed voxels at 1600 x 1000, with real mouse events.
Median, 95th percentile and longest, as time on the clock and as processor time of the GUI
thread, which hardly depends on the machine's load.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import napari
import numpy as np
from harness import where
from qtpy.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_mrisr.comparison.state import RoiBox
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.compare.opening import add_comparison
from napari_mrisr.viewer.compare.window import CompareWindow

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NONE = Qt.MouseButton.NoButton


class Paints(QObject):
    """Count of a widget's paint events."""

    count = 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        self.count += event.type() == QEvent.Type.Paint
        return False


def head(size: int) -> dict[str, Volume]:
    """Return a reference and three noisy copies."""
    rng = np.random.default_rng(0)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    data = 100 * ((x**2 + y**2 + z**2) < 0.8) + 20 * np.sin(20 * x) * np.cos(15 * y) * np.cos(9 * z)
    grid = Grid((size, size, size), np.diag([0.9, 0.9, 0.9, 1.0]))
    made = {}
    for name in ("reference", "nearest", "tricubic", "hashed"):
        noise = rng.standard_normal(data.shape, dtype=np.float32)
        made[name] = Volume((data + noise).astype(np.float32), grid)
    return made


class Mouse:
    """Drags on the window's canvas, each step timed until it is painted."""

    def __init__(self, window: CompareWindow) -> None:
        self.window, self.canvas = window, window.view.canvas
        self.paints = Paints()
        self.canvas.installEventFilter(self.paints)

    def send(self, kind: QEvent.Type, at: QPoint, button: Qt.MouseButton) -> None:
        world = QPointF(self.canvas.mapToGlobal(at))
        pressed = NONE if kind == QEvent.Type.MouseButtonRelease else button
        which = NONE if kind == QEvent.Type.MouseMove else button
        keys = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(
            self.canvas, QMouseEvent(kind, QPointF(at), world, which, pressed, keys)
        )

    def drag(
        self,
        name: str,
        start: QPoint,
        step: Callable[[int], QPoint],
        button: Qt.MouseButton = LEFT,
        runs: int = 60,
    ) -> None:
        self.send(QEvent.Type.MouseButtonPress, start, button)
        clock, processor = [], []
        for run in range(-5, runs):  # some to warm up
            QApplication.processEvents()
            before, began, used = self.paints.count, time.perf_counter(), time.thread_time()
            self.send(QEvent.Type.MouseMove, start + step(run + 6), button)
            while self.paints.count == before:
                QApplication.processEvents()
            if run >= 0:
                clock.append(1000 * (time.perf_counter() - began))
                processor.append(1000 * (time.thread_time() - used))
        self.send(QEvent.Type.MouseButtonRelease, start + step(runs), button)
        for kind, took in (("clock", clock), ("processor", processor)):
            middle, high = np.percentile(took, (50, 95))
            print(f"{name:28} {kind:9} {middle:6.1f} {high:6.1f} {max(took):6.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="voxels per axis")
    parser.add_argument("--runs", type=int, default=60)
    arguments = parser.parse_args()
    print(where())
    viewer = napari.Viewer(show=True)
    window = add_comparison(viewer, head(arguments.size), None, truth="reference", measured=None)
    window.setGeometry(0, 0, 1600, 1000)
    end = time.monotonic() + 300
    while window.meter.busy and time.monotonic() < end:
        QApplication.processEvents()
    mouse, canvas = Mouse(window), window.view.canvas
    print(f"{'':28} {'':9} {'median':>6} {'95 %':>6} {'most':>6}  ms")
    middle = QPoint(*(int(v) for v in canvas.panel_rect(0, 0).center))
    mouse.drag("crosshair", middle, lambda i: QPoint(i % 60, (i * 7) % 50), runs=arguments.runs)
    mouse.drag("window and level", middle, lambda i: QPoint(i, -i // 2), RIGHT, runs=arguments.runs)
    at = window.controller.state.crosshair
    window.controller.put_roi(RoiBox("ROI 1", "box", at, (40.0, 40.0, 20.0)))
    for _ in range(50):
        QApplication.processEvents()
    x, y = canvas.to_pixels(0, 0, at[0] + 20.0, at[1] + 7.0)
    mouse.drag(
        "region with its numbers", QPoint(round(x), round(y)),
        lambda i: QPoint(i % 30, i % 25), runs=arguments.runs,
    )  # fmt: skip
    window.view.act("smooth")
    mouse.drag("crosshair, smooth", middle, lambda i: QPoint(i % 60, (i * 7) % 50))
    viewer.close()


if __name__ == "__main__":
    main()
