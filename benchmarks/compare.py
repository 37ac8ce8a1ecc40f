"""Side by side, in one run: hashed 2x against what a user would pick instead.

    python benchmarks/compare.py [--size 96] [--runs 5] [--threads N] [--json FILE]

Everything computes every voxel of the same output (192 cubed by default).
Rounds are interleaved, the median of each is quoted, and the figure that holds
between machines is the ratio to ``scipy.ndimage.zoom(order=3)``. SimpleITK and
volresample are timed when they are installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.transform import resize

from napari_mrisr.methods import get_method
from napari_mrisr.samples import phantom
from napari_mrisr.upscale import processors, run_method
from napari_mrisr.volume import Grid, Volume


def input_volume(size: int) -> Volume:
    """The phantom, cropped or padded to a cube: real structure, and air around it."""
    data = phantom().data
    pads = [(max(0, size - n) // 2, max(0, size - n + 1) // 2) for n in data.shape]
    data = np.pad(data, pads)
    box = tuple(slice((n - size) // 2, (n - size) // 2 + size) for n in data.shape)
    return Volume(data[box], Grid((size, size, size), np.eye(4)))


def candidates(volume: Volume, threads: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    data, shape = volume.data, tuple(2 * n for n in volume.data.shape)
    hashed, tricubic = (get_method(name, (2, 2, 2)) for name in ("hashed", "tricubic"))
    found: dict[str, Callable[[], object]] = {
        "hashed (whole pipeline)": lambda: run_method(hashed, volume, threads=threads),
        "tricubic (ours)": lambda: run_method(tricubic, volume, threads=threads),
        "scipy.ndimage.zoom(order=3)": lambda: ndimage.zoom(data, 2, order=3),
        "skimage.transform.resize(order=3)": lambda: resize(data, shape, order=3),
    }
    try:
        import SimpleITK as sitk
    except ImportError:
        pass
    else:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        image = sitk.GetImageFromArray(data)

        def spline() -> object:
            return sitk.Resample(
                image, shape, sitk.Transform(), sitk.sitkBSpline, (-0.25,) * 3, (0.5,) * 3
            )

        found["SimpleITK B-spline"] = spline
    try:
        import volresample
    except ImportError:
        pass
    else:
        volresample.set_num_threads(threads)
        found["volresample cubic"] = lambda: volresample.resample(data, shape, mode="cubic")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96, help="voxels an axis of the input")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    run = candidates(input_volume(arguments.size), arguments.threads)
    times: dict[str, list[float]] = {name: [] for name in run}
    for function in run.values():
        function()  # compile, fill caches
    for _ in range(arguments.runs):
        for name, function in run.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    base = times["scipy.ndimage.zoom(order=3)"]
    size = 2 * arguments.size
    print(f"{platform.machine()}, {arguments.threads} threads, output of {size} cubed voxels;")
    print(f"medians of {arguments.runs} interleaved runs, ratio of each run to scipy's in it\n")
    print(f"{'':36}{'seconds':>9}{'ratio':>8}{'min':>7}{'max':>7}")
    rows = []
    for name, values in times.items():
        ratios = [a / b for a, b in zip(values, base, strict=True)]
        row = {
            "name": name,
            "seconds": statistics.median(values),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
        }
        rows.append(row)
        print(
            f"{name:36}{row['seconds']:9.3f}{row['ratio']:8.2f}"
            f"{row['ratio_min']:7.2f}{row['ratio_max']:7.2f}"
        )
    if arguments.json:
        machine = {"machine": platform.platform(), "threads": arguments.threads, "size": size}
        arguments.json.write_text(json.dumps({**machine, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
