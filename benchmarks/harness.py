"""Interleaved runs, ratios, tables, a description of the machine, JSON.

Absolute seconds vary between machines and with their load; the ratio of two functions
that run one right after the other holds. So every round calls all functions once, and
ratios are taken within rounds. Processor seconds, of all threads together, hardly
depend on the load.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil

from napari_mrisr.core.threads import processors


class Took(NamedTuple):
    """Wall and processor seconds of a call."""

    wall: float
    processor: float


Times = dict[str, list[Took]]

_PACKAGES = ("napari-mrisr", "numpy", "scipy", "scikit-image", "numba", "llvmlite")
_RIVALS = ("SimpleITK", "volresample", "torch")


def interleaved(
    functions: Mapping[str, Callable[[], object]], runs: int, warm: bool = True
) -> Times:
    """Measure each function in each of ``runs`` rounds, after one round to warm up."""
    times: Times = {name: [] for name in functions}
    for number in range(-1 if warm else 0, runs):
        for name, function in functions.items():
            took = clocked(function)
            if number >= 0:
                times[name].append(took)
    return times


def clocked(function: Callable[[], object]) -> Took:
    """Measure one call of a function."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return Took(time.perf_counter() - wall, time.process_time() - processor)


@dataclass(frozen=True)
class Ratio:
    """A function compared with another one.

    Attributes
    ----------
    seconds : float
        Median.
    ratio, low, high : float
        Of the seconds: median, lowest and highest of the rounds.
    processor : float
        Median ratio of the processor seconds.
    """

    name: str
    seconds: float
    ratio: float
    low: float
    high: float
    processor: float


def ratios(times: Times, base: str) -> list[Ratio]:
    """Compare every function with ``base``, round by round."""
    rows = []
    for name, values in times.items():
        pairs = list(zip(values, times[base], strict=True))
        found = [ours.wall / theirs.wall for ours, theirs in pairs]
        row = Ratio(
            name,
            statistics.median(took.wall for took in values),
            statistics.median(found),
            min(found),
            max(found),
            statistics.median(ours.processor / theirs.processor for ours, theirs in pairs),
        )
        rows.append(row)
    return rows


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format rows as text: the first column left-aligned, numbers to two or three digits."""
    lines = [
        list(head),
        *([number(c) if isinstance(c, float) else str(c) for c in row] for row in rows),
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    out = []
    for line in lines:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        out.append("  ".join([first, *rest]).rstrip())
    return "\n".join(out)


def number(value: float) -> str:
    """Format with two or three digits: 0.034, 0.75, 1.31, 52.1, 310."""
    size = abs(value)
    if size >= 10:
        return f"{value:.0f}" if size >= 100 else f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.2g}"


def machine() -> dict[str, object]:
    """Describe this machine without its name."""
    versions = {}
    for name in (*_PACKAGES, *_RIVALS):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "processors": processors(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": versions,
        "load_before": [round(load, 1) for load in os.getloadavg()],
    }


def where() -> str:
    """Describe this machine in one line, for the head of a table."""
    return f"{_processor()}, {processors()} processors, load {os.getloadavg()[0]:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def write_json(path: Path, found: Mapping[str, object]) -> None:
    """Write results with a description of the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n", encoding="utf-8")
