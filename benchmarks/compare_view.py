"""Time for a frame of the reading room: 3 planes x 4 volumes of 256 cubed float32.

    xvfb-run -s "-screen 0 1920x1200x24" python benchmarks/compare_view.py

Milliseconds, median and least of the frames of a drag, for

- scene: from the state to what every panel shows, cuts included;
- paint: all of the canvas's own work and Qt's until the window system has the
  frame (``QGuiApplication.sync`` and a pixel read back);
- python: of that, what the canvas does itself: cuts sent, lines, texts, draw calls;
- cpu: processor time of the whole frame, all threads of this process: the number
  to compare where other programs run, too.

The crosshair is dragged in the sagittal panels, so that the axial and coronal
cuts change, the slower ones to get from memory. Needs a screen.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from harness import where
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_mrisr.comparison.scene import Cutter, build_scene
from napari_mrisr.comparison.state import CompareState, Difference, Display
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.compare.canvas.canvas import CompareCanvas

NAMES = ("truth", "low resolution", "tricubic", "hashed")
SIZES = ((1600, 1000), (1280, 720))


def volumes(size: int) -> dict[str, Volume]:
    rng = np.random.default_rng(0)
    grid = Grid((size, size, size), np.eye(4))
    return {name: Volume(rng.random((size, size, size), dtype=np.float32), grid) for name in NAMES}


def crosshair_drag(state: CompareState, count: int) -> Iterator[CompareState]:
    x, y, z = state.crosshair
    for i in range(count):
        yield replace(state, crosshair=(x, y + 0.9 * (i - count / 2), z + 0.6 * (i - count / 2)))


def contrast_drag(state: CompareState, count: int) -> Iterator[CompareState]:
    for i in range(count):
        looks = {key: Display("gray", (0.0, 0.5 + i / count)) for key in NAMES}
        yield replace(state, looks=looks)


def zoom_and_pan(state: CompareState, count: int) -> Iterator[CompareState]:
    x, y, z = state.center
    for i in range(count):
        yield replace(state, span_mm=256.0 - 2 * i, center=(x + 0.5 * i, y, z - 0.3 * i))


def smooth_crosshair_drag(state: CompareState, count: int) -> Iterator[CompareState]:
    yield from crosshair_drag(replace(state, smooth=True), count)


def swipe_drag(state: CompareState, count: int) -> Iterator[CompareState]:
    for i in range(count):
        yield replace(state, mode="swipe", swipe=i / count)


def checkerboard_drag(state: CompareState, count: int) -> Iterator[CompareState]:
    yield from crosshair_drag(replace(state, mode="checkerboard"), count)


def difference_drag(state: CompareState, count: int) -> Iterator[CompareState]:
    pair = Difference("hashed", "truth", limit=0.5)
    two = replace(state, columns=NAMES[:3], differences=(pair,))
    yield from crosshair_drag(two, count)


def measure(
    canvas: CompareCanvas,
    cutter: Cutter,
    states: Iterator[CompareState],
    wait: Callable[[], None],
) -> np.ndarray:
    """(frames, 4): scene, paint, of that in Python, processor time; seconds."""
    titles = {name: name for name in NAMES}
    times = []
    for i, state in enumerate(states):
        start, used = time.perf_counter(), time.process_time()
        scene = build_scene(state, cutter, titles)
        built = time.perf_counter()
        # New texts in every panel, as the value under the cursor makes them.
        notes = {
            (row, column): f"{i * 1.37 + column:.1f}" for row in range(3) for column in range(4)
        }
        canvas.draw(scene, notes=notes, places={"axial": f"S {i * 0.6:.1f} mm"}, active=(1, 0))
        wait()
        painted = time.perf_counter() - built
        used = time.process_time() - used
        times.append((built - start, painted, canvas.painted_in, used))
    # The first frame fills textures and caches.
    return np.array(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="voxels an axis")
    parser.add_argument("--frames", type=int, default=60, help="of a drag")
    options = parser.parse_args()
    application = QApplication([])
    loaded = volumes(options.size)
    frame = Frame.of(loaded["truth"].grid)
    middle = (options.size / 2.0,) * 3
    looks = {key: Display() for key in NAMES}
    state = CompareState(
        columns=NAMES, looks=looks, crosshair=middle, center=middle, span_mm=float(options.size)
    )
    print(f"{where()}; ms, median (least)")
    for width, height in SIZES:
        window = QMainWindow()
        canvas = CompareCanvas(window)
        window.setCentralWidget(canvas.native)
        window.resize(width, height)
        window.show()

        def wait(canvas: CompareCanvas = canvas) -> None:
            application.processEvents()
            canvas.finish()
            application.sync()

        for _ in range(10):
            wait()
        for drag in (
            crosshair_drag,
            contrast_drag,
            zoom_and_pan,
            smooth_crosshair_drag,
            difference_drag,
            swipe_drag,
            checkerboard_drag,
        ):
            cutter = Cutter(loaded, frame)
            times = 1000 * measure(canvas, cutter, drag(state, options.frames), wait)
            whole = times[:, 0] + times[:, 1]
            columns = zip(
                ("frame", "scene", "paint", "python", "cpu"), (whole, *times.T), strict=True
            )
            texts = [f"{name} {np.median(v):5.1f} ({v.min():4.1f})" for name, v in columns]
            print(f"{width}x{height} {drag.__name__:26s}", "  ".join(texts), flush=True)
        canvas.close()
        window.close()
        window.deleteLater()
        application.processEvents()


if __name__ == "__main__":
    main()
