"""From ``napari-mrisr upscale`` on a small file to its exit, less the computing itself.

    python benchmarks/start.py [--runs 7] [--json FILE]

Each round runs fresh processes: the command, by two methods; one that imports what
the command needs of other packages, the least that any start could take; and
Python alone. The computing itself is the median of
warm runs on the same volume in one process that reports them. Wall seconds count
whatever else the machine does; processor seconds hardly do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness import table, where, write_json
from inputs import cube

from napari_mrisr.io import write_volume

SIZE = 40

PACKAGES = "import numpy, nibabel, numba, scipy.ndimage"
# What numba sets up before the first kernel, however small, can run.
READY = f"{PACKAGES}; numba.njit(lambda x: x).compile((numba.float32,))"
COMPUTING = """
import sys, time
from napari_mrisr.io import read_volume
from napari_mrisr.methods import get_method
from napari_mrisr.run.upscale import processors, run_method

volume, method = read_volume(sys.argv[1]), get_method(sys.argv[2], (2, 2, 2))
run_method(method, volume)
wall, cpu = [], []
for _ in range(5):
    starts = time.perf_counter(), time.process_time()
    run_method(method, volume, threads=processors())
    wall.append(time.perf_counter() - starts[0])
    cpu.append(time.process_time() - starts[1])
print(sorted(wall)[2], sorted(cpu)[2])
"""


def fresh(*words: object) -> tuple[float, float]:
    """Wall and processor seconds of a Python process."""
    # As on a user's machine, where the first run has left the modules compiled.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, *map(str, words)], check=True, capture_output=True, env=environment
    )
    wall, after = time.perf_counter() - start, os.times()
    used = after.children_user - before.children_user
    return wall, used + after.children_system - before.children_system


def computing(scan: Path, method: str) -> tuple[float, float]:
    """Wall and processor seconds of a warm run, in a process that did one before."""
    words = [sys.executable, "-c", COMPUTING, scan, method]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu


def processes(folder: Path) -> dict[str, Callable[[], tuple[float, float]]]:
    """What is timed, by name."""
    scan, out = folder / "small.nii.gz", folder / "out.nii.gz"
    write_volume(cube("head", SIZE), scan)
    upscale = ["-m", "napari_mrisr", "upscale", scan, out, "--overwrite", "-q", "--method"]
    found: dict[str, Callable[[], tuple[float, float]]] = {}
    for method in ("hashed", "tricubic"):
        found[f"upscale, {method}"] = partial(fresh, *upscale, method)
        found[f"computing, {method}"] = partial(computing, scan, method)
    found["other packages, a kernel ready"] = partial(fresh, "-c", READY)
    found["other packages"] = partial(fresh, "-c", PACKAGES)
    found["napari-mrisr --version"] = partial(fresh, "-m", "napari_mrisr", "--version")
    found["Python alone"] = partial(fresh, "-c", "")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    about = where()
    with tempfile.TemporaryDirectory() as folder:
        run = processes(Path(folder))
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in run}
        for number in range(-1, arguments.runs):
            for name, process in run.items():
                took = process()
                if number >= 0:
                    times[name].append(took)
    rows = []
    for name, values in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*values, strict=True))
        rows.append((name, wall, min(value[0] for value in values), cpu))
    for method in ("hashed", "tricubic"):
        pairs = zip(times[f"upscale, {method}"], times[f"computing, {method}"], strict=True)
        more = [(whole[0] - part[0], whole[1] - part[1]) for whole, part in pairs]
        wall, cpu = (statistics.median(column) for column in zip(*more, strict=True))
        rows.append((f"start, {method}", wall, min(one[0] for one in more), cpu))
    head = ("seconds", "median", "least", "processor")
    print(f"{about}; {SIZE} cubed voxels, 2x; {arguments.runs} rounds\n")
    print(table(head, rows))
    if arguments.json:
        write_json(arguments.json, {"head": head, "rows": rows})


if __name__ == "__main__":
    main()
