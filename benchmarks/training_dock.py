"""Training in the viewer: time, pace, the curve's share, stalls, and what Stop takes.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/training_dock.py DATA

Trains three volumes of DATA/train at 2x with the preset default from the dock,
with two volumes of DATA/val to validate on; then starts again and stops at
several moments. A 5 ms timer in the GUI's thread tells how long it stalls. Time
to stop is from the press of the button until the work has ended and is being
saved, and until the bank is on disk.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from harness import where
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_mrisr.training import run as run_module
from napari_mrisr.training.run import Run
from napari_mrisr.viewer.train.entries import VALIDATE
from napari_mrisr.viewer.train.widget import TrainWidget

STOPS_S = (1.0, 2.2, 4.1, 6.3, 9.7, 12.4, 15.2, 18.9)


def settle(until: Callable[[], bool], seconds: float = 600.0) -> None:
    """Let Qt work."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.0005)


def timed(function: Callable[..., object], spent: list[float]) -> Callable[..., object]:
    """The function, with its seconds added to a list."""

    def call(*args: object, **kwargs: object) -> object:
        tick = time.perf_counter()
        result = function(*args, **kwargs)
        spent.append(time.perf_counter() - tick)
        return result

    return call


def main(data: str) -> None:
    """Measure and print."""
    os.environ["NAPARI_MRISR_BANKS"] = tempfile.mkdtemp()
    measuring: list[float] = []
    calibrating: list[float] = []
    Run._measure = timed(Run._measure, measuring)  # type: ignore[method-assign, assignment]
    run_module.calibrated = timed(run_module.calibrated, calibrating)  # type: ignore[assignment]
    left: list[float] = []
    unfinished = Run.unfinished

    def noted(run: Run) -> object:
        left.append(time.monotonic())
        return unfinished(run)

    Run.unfinished = noted  # type: ignore[method-assign, assignment]
    viewer = napari.Viewer(show=True)
    widget = TrainWidget(viewer)
    viewer.window.add_dock_widget(widget, area="right")
    volumes = widget.panel.volumes
    validation = sorted((Path(data) / "val").glob("ds*"))[::2]
    volumes.add_paths([*sorted((Path(data) / "train").glob("*"))[9:12], *validation])
    for entry in volumes.files[-len(validation) :]:
        volumes.set_role(entry, VALIDATE)
    settle(lambda: all(entry.looked for entry in volumes.files))
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(5)
    print(f"before: {where()}")
    started = time.monotonic()
    widget.train()
    settle(lambda: not widget.jobs.running)
    total = time.monotonic() - started
    gaps = 1000 * np.diff(ticks)
    story = widget.story
    print(f"load after: {os.getloadavg()[0]:.1f}")
    print(f"three volumes, 2x, default: {total:.1f} s; {widget.panel.status.text()}")
    print(
        f"  {story.samples_per_s:,.0f} samples/s, {story.gflops:.0f} GFLOP/s, "
        f"sgemm {story.sgemm_gflops:.0f}"
    )
    spent = sum(measuring)
    print(f"  curve: {spent:.1f} s, {100 * spent / total:.0f} % of the time")
    print(f"  calibration: {sum(calibrating):.1f} s")
    print(
        f"  GUI: median {np.median(gaps):.0f} ms between 5 ms ticks, 99.9th percentile "
        f"{np.percentile(gaps, 99.9):.0f}, longest {gaps.max():.0f}"
    )
    print("stop after | asked until told | work ended | bank on disk (ms)")
    for number, moment in enumerate(STOPS_S):
        widget.panel.name.setText(f"stop-{number}")
        widget.train()
        settle(lambda: False, moment)
        pressed = time.monotonic()
        widget.panel.stop_button.click()
        told = time.monotonic()
        settle(lambda: not widget.jobs.running)
        done = time.monotonic()
        ended = left[-1] if left and left[-1] > pressed else done
        times = (1000 * (t - pressed) for t in (told, ended, done))
        print(f"{moment:6.1f} s | " + " | ".join(f"{t:.0f}" for t in times))
        print(f"    {widget.panel.status.text()}")
    viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
