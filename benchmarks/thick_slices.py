"""Compare methods for thick slices, and the network at 2×, with scipy's zoom to the same 192³.

    python benchmarks/thick_slices.py [--runs 5] [--threads 2] [--memory]

``crop`` is the phantom's middle, tissue nearly everywhere; ``brain`` a skull-stripped head.
Slices are 4 × as far apart as voxels: means of 4; for 2 × of all axes means of 2 × 2 × 2. Rounds
are interleaved; ratios are medians over rounds. With --memory, each method runs alone in a
process: the growth of its peak memory over that after a tiny run, divided by the output's size.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
from harness import interleaved, number, ratios, table, where
from inputs import cube
from scipy import ndimage

import napari_mrisr as sr
from napari_mrisr.core.volume import Grid, Volume

ZOOM = "scipy.ndimage.zoom(order=3)"
METHODS = {"1x1x4": ("network", "hashed", "tricubic"), "2x2x2": ("network",)}


def coarse(kind: str, scale: str) -> Volume:
    """Return the cube of 192³ voxels with means of voxels in their place."""
    x, y, z = (int(factor) for factor in scale.split("x"))
    shape = (192 // x, 192 // y, 192 // z)
    data = cube(kind, 192).data.reshape(shape[0], x, shape[1], y, shape[2], z).mean((1, 3, 5))
    return Volume(np.ascontiguousarray(data), Grid(shape, np.diag([x, y, z, 1.0])))


def upscale(volume: Volume, scale: str, method: str, threads: int) -> Volume:
    return sr.upscale(volume, scale, method=method, threads=threads)


def memory(scale: str, method: str, threads: int, kind: str) -> None:
    """Print the growth of the peak memory in output sizes."""
    volume = coarse(kind, scale)
    small = volume.data[:9, :10, :8]
    upscale(Volume(small, Grid(small.shape, volume.grid.affine)), scale, method, 1)
    before = peak()
    out = upscale(volume, scale, method, threads)
    grown = peak() - before
    print(f"{method} {scale}: {grown / out.data.nbytes:.1f} outputs ({grown / 1e6:.0f} MB)")


def peak() -> int:
    """Return the peak memory of this process in bytes (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    threads = arguments.threads
    if arguments.only:
        memory(*arguments.only, threads, "crop")
        return
    print(f"{where()}; {threads} threads\n")
    rows: dict[tuple[str, str], list[object]] = {}
    for kind in ("crop", "brain"):
        for scale, methods in METHODS.items():
            volume = coarse(kind, scale)
            factors = tuple(map(int, scale.split("x")))
            calls = {ZOOM: partial(ndimage.zoom, volume.data, factors, order=3)}
            for method in methods:
                calls[method] = partial(upscale, volume, scale, method, threads)
            for one in ratios(interleaved(calls, arguments.runs), ZOOM):
                cells = [one.ratio, f"{number(one.low)} to {number(one.high)}", one.seconds]
                rows.setdefault((scale, one.name), [scale, one.name]).extend(cells)
    head = ["to 192³", "ratio to scipy's zoom", "crop", "range", "s", "brain", "range", "s"]
    print(table(head, list(rows.values())))
    if arguments.memory:
        for scale, methods in METHODS.items():
            for method in methods:
                command = [sys.executable, __file__, "--threads", str(threads)]
                subprocess.run([*command, "--only", scale, method], check=True)


if __name__ == "__main__":
    main()
