"""The bucket inspector in napari: how long the map takes, and what following the cursor costs.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/inspect_buckets.py [--size 192]

A noisy head of SIZE cubed is hashed by each stage of default-2x (for stages of
voxels, LR volumes of half the size). From the press of the button:

- first: until the layer is painted, all from the start;
- again: the same once more; what the stages before make of it is taken up.

Follow: one cursor move until the readout, both rows of pictures and the canvas
are painted; median, 95th percentile and longest of 200 moves. Stall: the longest
wait of a 5 ms timer while a map is computed in the background.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import napari
import numpy as np
from harness import where
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.inspect.widget import InspectWidget
from napari_mrisr.viewer.layers.convert import layer_data


def head(size: int) -> Volume:
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, size, dtype=np.float32)] * 3, indexing="ij")
    inside = (x**2 + y**2 + z**2 < 0.7) * (1.0 + 0.4 * np.sin(9 * x) * np.cos(7 * y + 3 * z))
    noise = rng.standard_normal((size,) * 3, dtype=np.float32)
    return Volume(100 * inside + 3 * noise, Grid((size,) * 3, np.eye(4)))


def settle(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.001)


def show_map(widget: InspectWidget) -> float:
    """Seconds from the press of the button to the painted layer."""
    start = time.perf_counter()
    widget.show_map()
    settle(300, lambda: not widget.jobs.running)
    QApplication.processEvents()
    return time.perf_counter() - start


def follow(widget: InspectWidget, moves: int = 200) -> list[float]:
    rng = np.random.default_rng(1)
    grid = widget.inspector.inspection.source.grid
    took = []
    for _ in range(moves):
        place = -(rng.random(3) * 0.6 + 0.2) * np.array(grid.shape[::-1]) * grid.voxel_size[::-1]
        start = time.perf_counter()
        widget.point_at(tuple(place))
        QApplication.processEvents()
        took.append(1000 * (time.perf_counter() - start))
    return took


def stall(widget: InspectWidget) -> float:
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(5)
    widget.show_map()
    settle(300, lambda: not widget.jobs.running)
    timer.stop()
    return 1000 * float(np.diff(ticks).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=192)
    size = parser.parse_args().size
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1280, 720)
    widget = InspectWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Inspect buckets", area="right")
    print(f"{where()}; hashed grid {size} cubed")
    for number, shrink in ((0, 1), (1, 2), (2, 2)):
        viewer.layers.clear()
        data, kwargs, _ = layer_data(head(size // shrink), "head")
        viewer.add_image(data, **kwargs)
        widget.panel.stage.setCurrentIndex(number)
        widget.inspector.show(None)
        first, again = show_map(widget), min(show_map(widget) for _ in range(3))
        took = follow(widget)
        median, most = np.percentile(took, (50, 95))
        print(
            f"stage {number + 1}: first {first:.2f} s, again {again:.2f} s; "
            f"follow {median:.1f} ms, 95 % {most:.1f}, longest {max(took):.1f}; "
            f"stall {stall(widget):.0f} ms"
        )
    viewer.close()


if __name__ == "__main__":
    main()
