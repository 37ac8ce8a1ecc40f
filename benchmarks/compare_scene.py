"""Milliseconds to make a scene of the reading room after the crosshair moved; no drawing.

    python benchmarks/compare_scene.py [--size 256] [--frames 60]

Three planes of four volumes. ``all planes`` moves the crosshair along all three axes at
once, which no mouse can; ``drag`` moves it within the axial plane, as a mouse does. The
differences are between volumes of one grid, and of a grid and one of half the voxels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import numpy as np

from napari_mrisr.comparison.scene import Cutter, build_scene
from napari_mrisr.comparison.state import CompareState, Difference
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Grid, Volume

KEYS = ("truth", "LR", "tricubic", "hashed")


def volumes(size: int, coarse: bool) -> dict[str, Volume]:
    rng = np.random.default_rng(0)
    fine = Grid((size, size, size), np.diag([1.0, 1.0, 1.0, 1.0]))
    made = {}
    for key in KEYS:
        grid = fine.degraded((2, 2, 2)) if coarse and key == "LR" else fine
        made[key] = Volume(rng.random(grid.shape, dtype=np.float32), grid)
    return made


def positions(size: int, frames: int, axes: tuple[int, ...]) -> Iterator[tuple[float, ...]]:
    rng = np.random.default_rng(1)
    place = np.full(3, size / 2.0)
    for _ in range(frames):
        place[list(axes)] = rng.uniform(size * 0.1, size * 0.9, len(axes))
        yield tuple(place)


def median_ms(size: int, frames: int, axes: tuple[int, ...], pairs: list[tuple[str, str]]) -> str:
    made = volumes(size, coarse=("hashed", "LR") in pairs)
    cutter = Cutter(made, Frame(np.eye(3)))
    differences = tuple(Difference(a, b, limit=1.0) for a, b in pairs)
    took = []
    for crosshair in positions(size, frames, axes):
        state = CompareState(KEYS, differences, crosshair=crosshair)
        start = time.perf_counter()
        build_scene(state, cutter, {})
        took.append(1e3 * (time.perf_counter() - start))
    return f"{statistics.median(took[3:]):5.1f} ms (slowest {max(took[3:]):5.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="voxels an axis")
    parser.add_argument("--frames", type=int, default=60)
    given = parser.parse_args()
    same, other = [("hashed", "truth")], [("hashed", "LR")]
    for name, axes in (("drag", (0, 1)), ("all planes", (0, 1, 2))):
        for what, pairs in (("", []), (", difference", same), (", of two grids", other)):
            print(f"{name + what:30s} {median_ms(given.size, given.frames, axes, pairs)}")


if __name__ == "__main__":
    main()
