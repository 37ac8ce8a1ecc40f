"""Measure the iterative methods on the middle of validation volumes, as one table.

    python scripts/iterative_table.py DATA/val                  as in docs/explanation/method.md
    python scripts/iterative_table.py DATA/val --denoiser FILE  strength and rounds of plug-and-play

Each volume is cut to a cube in its middle, degraded, and super-resolved: slices four times as
far apart along the last axis, and the degradation ``standard`` with 2× along all axes. PSNR is
taken over the cube without a rim of one low-resolution voxel, with the intensity window as data
range. Times are CPU seconds of one thread per million output voxels, without compiling.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, Grid, Region, Volume
from napari_mrisr.io import read_volume
from napari_mrisr.methods import Method, WholeVolume, get_method
from napari_mrisr.methods.iterative import Iterative
from napari_mrisr.networks.file import load_network
from napari_mrisr.operators.degrade import degrade

METHODS = ("back-projection", "tv", "plug-and-play", "unrolled", "network")
CASES = {"slices 4×": ((1, 1, 4), "slice-profile:boxcar:1"), "2×": ((2, 2, 2), "standard")}
STRENGTHS, ROUNDS = (0.1, 0.25, 0.5, 1.0), (3, 6, 10)


def middle(volume: Volume, side: int) -> Volume:
    """Return a cube from the middle of a volume."""
    starts = [(n - side) // 2 for n in volume.grid.shape]
    box = tuple(slice(start, start + side) for start in starts)
    return Volume(np.ascontiguousarray(volume.data[box]), Grid((side,) * 3, volume.grid.affine))


def computed(method: Method, lr: Volume) -> FloatArray:
    """Return the whole result of a method, in engine units."""
    if isinstance(method, WholeVolume):
        return method.compute_whole(lr, Progress())
    return method.compute(lr, Region.whole(lr.grid.upsampled(method.scale).shape))


def psnr(found: FloatArray, truth: FloatArray, rim: int) -> float:
    """Return the PSNR within a rim, dB."""
    inner = (slice(rim, -rim),) * 3
    return -10.0 * float(np.log10(np.mean((found - truth)[inner].astype(float) ** 2)))


def compared(case: str, chosen: Path | None) -> dict[str, Method]:
    """Return the methods of a table by label."""
    scale = CASES[case][0]
    if chosen is None:
        fitting = [name for name in METHODS if name != "unrolled" or max(scale[:2]) == 1]
        return {name: get_method(name, scale) for name in fitting}
    prior = Iterative("plug-and-play", scale, network=load_network(chosen))
    return {f"{s:g} × {n}": replace(prior, strength=s, rounds=n) for s in STRENGTHS for n in ROUNDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=64, help="voxels of the cube along an axis")
    parser.add_argument("--denoiser", type=Path, help="compare settings of plug-and-play")
    arguments = parser.parse_args()
    gains: dict[tuple[str, str], list[float]] = {}
    seconds: dict[tuple[str, str], list[float]] = {}
    paths = sorted(arguments.folder.glob("*.nii.gz"))
    for path in paths:
        truth = middle(read_volume(path), arguments.side)
        for case, (scale, degradation) in CASES.items():
            lr = degrade(truth, scale, degradation).normalized()
            reference, rim = lr.window.to_unit(truth.data), max(scale)
            cubic = psnr(computed(get_method("tricubic", scale), lr), reference, rim)
            for label, method in compared(case, arguments.denoiser).items():
                computed(method, Volume(lr.data[:8, :8, :8].copy(), Grid((8, 8, 8), np.eye(4))))
                started = time.process_time()
                found = computed(method, lr)
                took = (time.process_time() - started) / truth.data.size * 1e6
                gains.setdefault((label, case), []).append(psnr(found, reference, rim) - cubic)
                seconds.setdefault((label, case), []).append(took)
    print(f"Mean gain over tricubic on {len(paths)} volumes; least and most; seconds.\n")
    print("| method | " + " | ".join(CASES) + " |\n|---|" + "---|" * len(CASES))
    for label in dict.fromkeys(label for label, _ in gains):
        cells = [
            f"{np.mean(found):+.2f} ({min(found):+.2f} to {max(found):+.2f}), "
            f"{np.mean(seconds[label, case]):.2g} s"
            if (found := gains.get((label, case)))
            else "–"
            for case in CASES
        ]
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
