"""Compare methods for thick slices with scipy's cubic interpolation to the same 192³ voxels.

    python benchmarks/thick_slices.py [--runs 5] [--threads 2] [--memory]

``crop`` is the phantom's middle, tissue nearly everywhere; ``brain`` a skull-stripped head.
Slices are 4 × as far apart as voxels: means of 4. Rounds are interleaved; ratios are medians
over rounds. With --memory, each method runs alone in a process: the growth of its peak
memory over that after a tiny run, divided by the output's size.
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
METHODS = {"network": "1x1x4", "hashed": "1x1x4", "tricubic": "1x1x4"}


def slices(kind: str) -> Volume:
    """Return 192 × 192 × 48 voxels with slices 4 × as far apart."""
    data = cube(kind, 192).data.reshape(192, 192, 48, 4).mean(3)
    return Volume(np.ascontiguousarray(data), Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0])))


def upscale(volume: Volume, method: str, threads: int) -> Volume:
    return sr.upscale(volume, METHODS[method], method=method, threads=threads)


def memory(method: str, threads: int, kind: str) -> None:
    """Print the growth of the peak memory in output sizes."""
    volume = slices(kind)
    upscale(Volume(volume.data[:9, :10], Grid((9, 10, 48), volume.grid.affine)), method, 1)
    before = peak()
    out = upscale(volume, method, threads)
    grown = peak() - before
    print(f"{method}: {grown / out.data.nbytes:.1f} outputs ({grown / 1e6:.0f} MB)")


def peak() -> int:
    """Return the peak memory of this process in bytes (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        memory(arguments.only, arguments.threads, "crop")
        return
    print(f"{where()}; {arguments.threads} threads\n")
    rows: dict[str, list[object]] = {}
    for kind in ("crop", "brain"):
        volume = slices(kind)
        calls = {ZOOM: partial(ndimage.zoom, volume.data, (1, 1, 4), order=3)}
        for method in METHODS:
            calls[method] = partial(upscale, volume, method, arguments.threads)
        for one in ratios(interleaved(calls, arguments.runs), ZOOM):
            cells = [one.ratio, f"{number(one.low)} to {number(one.high)}", one.seconds]
            rows.setdefault(one.name, [one.name]).extend(cells)
    head = ["1×1×4 to 192³, ratio to scipy's zoom", "crop", "range", "s", "brain", "range", "s"]
    print(table(head, list(rows.values())))
    if arguments.memory:
        for method in METHODS:
            command = [sys.executable, __file__, "--threads", str(arguments.threads)]
            subprocess.run([*command, "--only", method], check=True)


if __name__ == "__main__":
    main()
