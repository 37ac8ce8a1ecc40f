"""Milliseconds from a change to computed pixels on screen, in Super-resolve and in Compare.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/live_preview.py [--size 128]

A phantom of ``--size`` cubed voxels, 2x, hashed, in real windows with warm kernels. Median and
95th percentile; the longest wait of a 5 ms timer shows how long the GUI stood still.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
from harness import where
from qtpy.QtCore import QEvent, QEventLoop, QObject, QTimer
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.io.samples import phantom
from napari_mrisr.run.preview import OutwardFill
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.layers.convert import layer_data
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget

HASHED = UpscaleParameters((2, 2, 2), "hashed")
_step = OutwardFill.step


def set_fill(on: bool) -> None:
    """Let the background fill run, or block it to time single slices before it."""

    def blocked(self: OutwardFill, focus: int, pool: Any) -> Any:
        while True:
            pool.check()
            time.sleep(0.002)

    OutwardFill.step = _step if on else blocked  # type: ignore[method-assign]


def until(ready: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        if time.monotonic() > end:
            raise TimeoutError("the preview did not come")


class Meter(QObject):
    """Times changes, and the GUI thread's longest pause."""

    def __init__(self, canvas: Any, runs: int) -> None:
        self.runs, self.frames, self._longest, self._last = runs, 0, 0.0, 0.0
        super().__init__()
        canvas.installEventFilter(self)
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(5)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        self.frames += event.type() == QEvent.Type.Paint
        return False

    def _tick(self) -> None:
        now = time.perf_counter()
        self._longest, self._last = max(self._longest, now - self._last), now

    def measure(
        self,
        name: str,
        change: Callable[[int], Any],
        shown: Callable[[], bool],
        before: Callable[[int], Any] = lambda run: None,
    ) -> None:
        took, pauses = [], []
        for run in range(-1, self.runs):  # one to warm up
            before(run)
            until(lambda: not self._idle_frames())
            self._longest, self._last = 0.0, time.perf_counter()
            start = time.perf_counter()
            change(run)
            until(shown)
            frames = self.frames
            until(lambda frames=frames: self.frames > frames, 2.0)
            if run >= 0:
                took.append(1000 * (time.perf_counter() - start))
                pauses.append(1000 * self._longest)
        print(
            f"{name:<48s}{np.median(took):6.0f} ms   95 %{np.percentile(took, 95):6.0f} ms"
            f"   GUI pause{np.median(pauses):5.0f} ms",
            flush=True,
        )

    def _idle_frames(self) -> bool:
        """Paint what is left from before."""
        frames = self.frames
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)
        return self.frames > frames + 1


def head(size: int) -> Volume:
    data = phantom().data
    for axis in range(3):
        index = np.linspace(0, data.shape[axis] - 1, size).round().astype(int)
        data = data.take(index, axis=axis)
    return Volume(data, Grid(data.shape, np.eye(4)))


def in_super_resolve(volume: Volume, runs: int) -> None:
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1280, 800)
    data, kwargs, _ = layer_data(volume, "head")
    viewer.add_image(data, **kwargs)
    widget = SuperResolveWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Super-resolve", area="right")
    panel, live = widget.panel, widget.live
    meter = Meter(viewer.window._qt_viewer.canvas.native, runs)

    def shown() -> bool:
        """napari has sliced computed voxels; its next frame shows them."""
        preview = live.preview
        return (
            preview is not None
            and preview.complete
            and live._image.shows(preview)
            and not preview.array.missing
        )

    def filled() -> bool:
        return shown() and live.preview.filled

    def move(steps: int) -> None:
        begin, end, step = viewer.dims.range[0]
        count = round((end - begin) / step) + 1
        index = round((viewer.dims.point[0] - begin) / step) + steps
        viewer.dims.set_point(0, begin + step * (index % count))

    def choose(method: str) -> None:
        panel.method.name = method

    def forget(run: int) -> None:
        panel.live.setChecked(False)
        panel.live.setChecked(True)
        until(shown)

    panel.live.setChecked(True)
    until(filled)
    meter.measure("Super-resolve, filled: next slice", lambda run: move(1), shown)
    meter.measure("Super-resolve, filled: a slice far away", lambda run: move(37), shown)
    choose("tricubic")
    until(filled)
    methods = ("hashed", "tricubic")
    meter.measure(
        "Super-resolve, filled: another method", lambda run: choose(methods[(run + 1) % 2]), shown
    )
    choose("hashed")
    for fill in (True, False):
        set_fill(fill)
        state = "while it fills" if fill else "before the fill"
        for name, steps in (("next slice", 1), ("a slice far away", 37)):
            meter.measure(
                f"Super-resolve, {state}: {name}",
                lambda run, steps=steps: move(steps),
                shown,
                forget if fill or name == "next slice" else lambda run: until(shown),
            )

    def other_method(run: int) -> None:
        choose("tricubic")
        forget(run)

    meter.measure(
        "Super-resolve, before the fill: another method",
        lambda run: choose("hashed"),
        shown,
        other_method,
    )
    set_fill(True)
    start = time.perf_counter()
    forget(0)
    first = time.perf_counter() - start
    until(filled)
    last = time.perf_counter() - start
    print(f"Super-resolve: first slice {1000 * first:.0f} ms, filled {1000 * last:.0f} ms")
    start = time.perf_counter()
    widget.run()
    until(lambda: not widget.busy)
    print(f"Super-resolve, filled: Run {1000 * (time.perf_counter() - start):.0f} ms")
    viewer.close()


def in_compare(volume: Volume, runs: int) -> None:
    viewer = napari.Viewer(show=True)
    data, kwargs, _ = layer_data(volume, "head")
    source = viewer.add_image(data, **kwargs)
    dock = CompareWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Compare", area="right")
    widget = dock.comparison
    until(lambda: not widget.meter.busy)
    controller, live = widget.controller, widget.live
    meter = Meter(widget.view.canvas, runs)

    def shown() -> bool:
        return bool(live.names()) and all(column.preview.complete for column in live._columns)

    def go(steps: int) -> None:
        x, y, z = controller.state.crosshair
        controller.go_to((x + 0.5 * steps, y + 0.5 * steps, z + 0.5 * steps))

    def forget(run: int) -> None:
        if live.names():
            widget.toggle_live(source, HASHED)
        live._previews.clear()

    set_fill(False)
    meter.measure(
        "Compare: a column appears", lambda run: widget.toggle_live(source, HASHED), shown, forget
    )
    meter.measure("Compare, before the fill: next crosshair", lambda run: go(1), shown)
    meter.measure(
        "Compare, before the fill: crosshair far away",
        lambda run: go((37 + run) * (-1 if run % 2 else 1)),
        shown,
    )
    set_fill(True)
    viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="voxels per axis of the input")
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    print(where())
    volume = head(arguments.size)
    upscale(volume, HASHED)
    start = time.perf_counter()
    upscale(volume, HASHED)
    print(f"upscale without a viewer: {1000 * (time.perf_counter() - start):.0f} ms")
    in_super_resolve(volume, arguments.runs)
    in_compare(volume, arguments.runs)


if __name__ == "__main__":
    main()
