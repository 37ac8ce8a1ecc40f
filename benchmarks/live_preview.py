"""From a change to new pixels: live previews in Super-resolve and in the reading room.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/live_preview.py [--size 128]

A phantom of ``--size`` cubed low-resolution voxels, 2x, real widgets in a real
window, kernels warm. For each kind of change: milliseconds from it until the
canvas has painted the computed pixels, median and 95th percentile, in a median
run the processor's milliseconds of all threads (which hardly count what else
the machine does; software OpenGL included), and the longest wait of a 5 ms
timer (GUI stall) in all runs. Before a change the groundwork is laid and all
that is likely is computed ahead, as it is while nobody does anything for some
seconds; but not where somebody goes on at once, nor where it says that nothing
is laid: there only the neighbors of the plane on screen and the other two are.
The reading room's columns are not filled: there, too, planes are computed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
from harness import where
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.io.samples import phantom
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.compare import live as compare_live
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.compare.window import dock_of
from napari_mrisr.viewer.layers.convert import layer_data
from napari_mrisr.viewer.preview import compute as workshop
from napari_mrisr.viewer.preview.array import LiveArray
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget

METHODS = ("hashed", "tricubic")
FAR = 37  # to a slice where nobody has been


class Meter:
    """Times changes, and how long Qt's loop does not come around."""

    def __init__(self, runs: int, canvas: QOpenGLWidget) -> None:
        self.runs, self._frames, self._told = runs, 0, -1
        canvas.frameSwapped.connect(self._count)
        self._longest, self._last = 0.0, time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(5)

    def _count(self) -> None:
        self._frames += 1

    def tell(self) -> None:
        """New voxels are to be painted."""
        self._told = self._frames

    def _tick(self) -> None:
        now = time.perf_counter()
        self._longest = max(self._longest, now - self._last)
        self._last = now

    def measure(
        self,
        name: str,
        change: Callable[[int], Any],
        seen: Callable[[], bool],
        settled: Callable[[], bool],
        before: Callable[[int], Any] = lambda run: None,
    ) -> None:
        """Print what a change costs until ``seen``; everything is ``settled`` before each."""
        wall, processor, stall = [], [], 0.0
        for run in range(-1, self.runs):  # one to warm up
            before(run)
            until(settled)
            self._longest, self._last = 0.0, time.perf_counter()
            self._told = -1
            start, used = time.perf_counter(), time.process_time()
            change(run)
            until(seen)
            frames = self._frames if self._told < 0 else self._told
            until(lambda frames=frames: self._frames > frames)
            if run >= 0:
                wall.append(1000 * (time.perf_counter() - start))
                processor.append(1000 * (time.process_time() - used))
                stall = max(stall, 1000 * self._longest)
        print(
            f"{name:<55s}{np.median(wall):6.0f} ms   95 %{np.percentile(wall, 95):6.0f} ms"
            f"   processor{statistics.median(processor):6.0f} ms   stall{stall:5.0f} ms",
            flush=True,
        )


def until(ready: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        # As the event loop does: a thread that asks all the time would keep Python to itself.
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        if time.monotonic() > end:
            raise TimeoutError("the preview did not come")


def settle(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def head(size: int) -> Volume:
    """A head of ``size`` cubed voxels."""
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

    def on_screen() -> bool:
        """Sliced by napari, that is; the next frame shows it."""
        array = live.array
        if array is None or array.awaits(array.shown):
            return False
        return array.holds(array.shown) and live.layer.data is array

    def settled() -> bool:
        return on_screen() and not live.busy and not live._foresight.waiting

    def choose(method: str) -> None:
        panel.method.setCurrentText(method)

    def move(steps: int) -> None:
        begin, end, step = viewer.dims.range[0]
        count = round((end - begin) / step) + 1
        index = round((viewer.dims.point[0] - begin) / step) + steps
        viewer.dims.set_point(0, begin + step * (index % count))

    meter = Meter(runs, viewer.window._qt_viewer.canvas.native)
    panel.live.setChecked(True)
    for method, other in (METHODS, METHODS[::-1]):

        def elsewhere(run: int, other: str = other) -> None:
            choose(other)
            move(FAR)

        meter.measure(
            f"Super-resolve: method becomes {method}",
            lambda run, method=method: choose(method),
            on_screen,
            settled,
            elsewhere,
        )
        meter.measure(
            f"Super-resolve: back to {method}",
            lambda run, method=method: choose(method),
            on_screen,
            settled,
            lambda run, other=other: choose(other),
        )
    choose("hashed")
    for factor, other in ((3, 2), (2, 3)):

        def resize(run: int, factor: int = factor) -> None:
            panel.scale.scale = (factor, factor, factor)

        def from_elsewhere(run: int, other: int = other) -> None:
            panel.scale.scale = (other, other, other)
            move(FAR)

        name = f"Super-resolve, hashed: scale becomes {factor}"
        meter.measure(name, resize, on_screen, settled, from_elsewhere)
    for method in METHODS:
        choose(method)
        until(settled)
        for name, ready in (("next slice", settled), ("next slices, without a pause", on_screen)):
            meter.measure(f"Super-resolve, {method}: {name}", lambda run: move(1), on_screen, ready)
        far = f"Super-resolve, {method}: a slice far off"
        meter.measure(far, lambda run: move(FAR), on_screen, settled)
        if method == "hashed":

            def forget(run: int) -> None:
                live.workshop.forget()

            most, workshop.MOST_LAID = workshop.MOST_LAID, 0
            meter.measure(f"{far}, nothing laid", lambda run: move(FAR), on_screen, settled, forget)
            workshop.MOST_LAID = most
    viewer.close()


def in_compare(volume: Volume, runs: int) -> None:
    viewer = napari.Viewer(show=True)
    data, kwargs, _ = layer_data(volume, "head")
    source = viewer.add_image(data, **kwargs)
    widget = CompareWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compare", area="right")
    dock_of(widget).setFloating(True)
    dock_of(widget).setGeometry(0, 0, 1600, 1000)
    settle(1.0)
    controller = widget.controller

    def array() -> LiveArray | None:
        names = widget.live.names()
        return viewer.layers[names[0]].data if names else None

    def on_screen() -> bool:
        """All three planes at the crosshair, and the reading room has been told."""
        made = array()
        if made is None or any(column._live.busy for column in widget.live._columns):
            return False
        return all(made.holds(n) for n in widget.live._places(made.grid))

    def go(steps: int) -> None:
        x, y, z = controller.state.crosshair
        size = 0.5 * steps
        controller.go_to((x + size, y + size, z + size))

    meter = Meter(runs, widget.view.canvas.native)
    widget.live.changed.connect(lambda _: meter.tell())
    for method in METHODS:
        parameters = UpscaleParameters((2, 2, 2), method)

        def none(run: int, parameters: Any = parameters) -> None:
            if widget.live.names():
                widget.toggle_live(source, parameters)

        for note in ("", ", foreseen"):

            def foresee(run: int, parameters: Any = parameters, note: str = note) -> None:
                none(run)
                if note:
                    widget.live.foresee(source, parameters)

            def ready() -> bool:
                foreseen = widget.live._foreseen
                if foreseen is not None and (foreseen.busy or not foreseen._live.array):
                    return False
                return not widget.meter.busy

            meter.measure(
                f"Compare: a column of {method} appears{note}",
                lambda run, parameters=parameters: widget.toggle_live(source, parameters),
                on_screen,
                ready,
                foresee,
            )
        settled = on_screen
        for laid in (False, True) if method == "hashed" else (True,):
            if laid:
                column = widget.live._columns[0]
                column._workshop.lay(column.subject, lambda: False, Progress())
            note = "" if laid else ", nothing laid"
            meter.measure(
                f"Compare, {method}: crosshair by a voxel{note}",
                lambda run: go(1),
                on_screen,
                settled,
            )
            meter.measure(
                f"Compare, {method}: crosshair far off{note}",
                lambda run: go((FAR + run) * (-1 if run % 2 else 1)),
                on_screen,
                settled,
            )
        widget.toggle_live(source, parameters)
    viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="voxels an axis of the input")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    print(where())
    volume = head(arguments.size)
    compare_live._FILL_AFTER_MS = 10_000_000  # planes only
    in_super_resolve(volume, arguments.runs)
    in_compare(volume, arguments.runs)


if __name__ == "__main__":
    main()
