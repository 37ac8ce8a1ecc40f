"""Where the time of ``hashed`` goes, and which fraction of the machine's limit each step reaches.

    python benchmarks/stages.py [--kind crop] [--size 96] [--runs 3] [--bank NAME]

The engine itself runs, whole and on one thread, and its own functions are timed as
it calls them, in processor seconds. What each must do at least is counted: arithmetic,
bytes that have to move. The longest of the times that these take at the measured rates
(``roofline.py``) is the step's limit. Of all runs the fastest counts, of the rates the
highest: both are slowed by whatever else the machine does.

Counts, for each voxel that a step works on (cells are low-resolution voxels; flat
surroundings are passed over before any step and count for none):

- upsample: cubic B-spline prefilter (21 taps) and interpolation (4) an axis, two
  operations a tap; the input read, the output written;
- tensor: 6 products of 4 operations, 7 fields smoothed along 3 axes; the image
  read, 7 fields written;
- hash: 260 operations (153 for eigenvalues and vectors, 79 for asymmetry and
  curvature, 28 for the bins); 7 fields read, 5 bytes written;
- filter, where the bucket has one: a subtraction a tap of a residual filter, and a
  multiply-add a tap and output; the filter read from the second-level cache at best;
  in memory, image and bucket read, output written;
- finish: the start once more, as a floor above the clip.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from harness import clocked, table
from inputs import KINDS, cube
from roofline import Limits, best, measure

from napari_mrisr.bank import hashing
from napari_mrisr.bank.model import FilterBank, Stage, load_bank
from napari_mrisr.core.volume import Volume
from napari_mrisr.kernels import cpu, cpu_hash, cpu_voxels
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.operators import interpolate
from napari_mrisr.run.upscale import run_method

UPSAMPLE, TENSOR, HASH, FILTER, REST = "upsample", "tensor", "hash", "filter", "rest"

ENGINE = (
    (interpolate, "tricubic", UPSAMPLE),
    (hashing, "tensor_box", TENSOR),
    (cpu_hash, "hash_voxels", HASH),
    (cpu, "filter_cells", FILTER),
    (cpu_voxels, "filter_voxels", FILTER),
)
"""The engine's functions that are timed, where it looks them up."""

Key = tuple[int, str]
"""Pass of the method (0 is the start, then the stages) and step in it."""


@dataclass
class Stopwatch:
    """Adds up nested calls, each without the calls within it. For one thread.

    Attributes
    ----------
    seconds : dict of Key to float
    hashed, filtered : dict of int to int
        In each pass: voxels that got a bucket, and those whose bucket has a filter.
    """

    bank: FilterBank
    seconds: dict[Key, float] = field(default_factory=lambda: defaultdict(float))
    hashed: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    filtered: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    number: int = 0
    within: list[float] = field(default_factory=lambda: [0.0])

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to a step."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.within.append(0.0)
            start = time.thread_time()
            result = function(*args, **kwargs)
            took = time.thread_time() - start
            self.seconds[self.number, step] += took - self.within.pop()
            if step == HASH:
                filters = self.bank.stages[self.number - 1].spec.hash.filter_count
                self.hashed[self.number] += result[0].size
                self.filtered[self.number] += int(np.count_nonzero(result[0] < filters))
            self.within[-1] += time.thread_time() - start
            return result

        return call

    def timed_pass(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``Hashed.compute_pass``: what no step takes up is the rest."""
        timed = self.timed(REST, function)

        def call(method: Hashed, number: int, *args: Any) -> Any:
            self.number = number
            return timed(method, number, *args)

        return call


def profile(bank: FilterBank, volume: Volume) -> tuple[Stopwatch, float]:
    """A whole run on one thread: its steps, and its processor seconds in all."""
    run_method(Hashed(bank), volume)
    watch = Stopwatch(bank)
    with ExitStack() as patches:
        for module, name, step in ENGINE:
            timed = watch.timed(step, getattr(module, name))
            patches.enter_context(mock.patch.object(module, name, timed))
        passes = watch.timed_pass(Hashed.compute_pass)
        patches.enter_context(mock.patch.object(Hashed, "compute_pass", passes))
        # Compiling and the tiny volume it is done on do not count.
        nothing = mock.patch(
            "napari_mrisr.run.upscale.compile_kernels", lambda method, progress: None
        )
        patches.enter_context(nothing)
        total = clocked(lambda: run_method(Hashed(bank), volume)).processor
    return watch, total


@dataclass(frozen=True)
class Work:
    """What a step has to do at least."""

    flop: float = 0.0
    memory_bytes: float = 0.0
    l2_bytes: float = 0.0

    def limit(self, limits: Limits) -> tuple[float, str]:
        """Seconds at the measured rates, and by what."""
        rates = {
            "arithmetic": (self.flop, limits.fma_flop),
            "memory": (self.memory_bytes, limits.memory_bytes),
            "L2 cache": (self.l2_bytes, limits.l2_bytes),
        }
        return max((1e-9 * count / rate, name) for name, (count, rate) in rates.items())


def upsampling(shape: tuple[int, ...], scale: tuple[int, ...]) -> Work:
    """Of a cubic B-spline along three axes."""
    size, flop = float(np.prod(shape)), 0.0
    for factor in scale:
        flop += 2 * 21 * size
        size *= factor
        flop += 2 * 4 * size
    return Work(flop, memory_bytes=4 * np.prod(shape) + 4 * size)


def stage_work(stage: Stage, voxels: int, filtered: int, outputs: int) -> dict[str, Work]:
    """Of a stage's steps on so many voxels (or cells), some of which have a filter."""
    spec = stage.spec
    window = 2 * spec.hash.window.radius + 1
    per_voxel = spec.taps * (int(spec.residual) + 2 * outputs)
    return {
        TENSOR: Work(voxels * (24 + 7 * 3 * 2 * window), memory_bytes=voxels * 4 * 8),
        HASH: Work(260 * voxels, memory_bytes=voxels * (4 * 7 + 5)),
        FILTER: Work(
            filtered * per_voxel,
            memory_bytes=voxels * (4 + 5 + 4 * outputs),
            l2_bytes=filtered * 4 * spec.taps * outputs,
        ),
    }


def works(watch: Stopwatch, shape: tuple[int, ...]) -> dict[Key, Work]:
    """Of every step of a run on a low-resolution volume of a shape."""
    bank = watch.bank
    found = {(0, UPSAMPLE): upsampling(shape, bank.scale)}
    for number, stage in enumerate(bank.stages, start=1):
        outputs = stage.spec.outputs(bank.scale)
        voxels, filtered = watch.hashed[number], watch.filtered[number]
        for step, work in stage_work(stage, voxels, filtered, outputs).items():
            found[number, step] = work
    found[len(bank.stages), UPSAMPLE] = found[0, UPSAMPLE]
    return found


@dataclass(frozen=True)
class Row:
    """A step: its time, what it reaches, and its limit."""

    step: str
    seconds: float
    share: float
    gflops: float
    gbytes: float
    limit_s: float
    of_limit: float
    bound: str


def rows(bank: FilterBank, volume: Volume, runs: int = 3) -> tuple[list[Row], Limits, float]:
    """All steps of a run on one thread; the limits; the whole run's seconds."""
    profiles, limits = [], [measure(1)]
    for _ in range(runs):
        profiles.append(profile(bank, volume))
        limits.append(measure(1))
    highest, (first, _) = best(limits), profiles[0]
    total = min(seconds for _, seconds in profiles)
    work = works(first, volume.data.shape)
    found = []
    rest = total
    for key in sorted(first.seconds, key=lambda key: (key[0], list(_ORDER).index(key[1]))):
        if key[1] == REST:
            continue
        seconds = min(watch.seconds[key] for watch, _ in profiles)
        rest -= seconds
        one = work[key]
        limit, bound = one.limit(highest)
        found.append(
            Row(
                step_name(bank, key),
                seconds,
                seconds / total,
                1e-9 * one.flop / seconds,
                1e-9 * one.memory_bytes / seconds,
                limit,
                limit / seconds,
                bound,
            )
        )
    found.append(Row("rest: copies, borders, blocks", rest, rest / total, 0, 0, 0, 0, ""))
    return found, highest, total


_ORDER = (TENSOR, HASH, FILTER, UPSAMPLE, REST)


def step_name(bank: FilterBank, key: Key) -> str:
    """In words."""
    number, step = key
    if step == UPSAMPLE:
        return "upsample" if number == 0 else "finish (the start again)"
    return f"stage {number} ({bank.stages[number - 1].spec.grid}s), {step}"


HEAD = ("step", "seconds", "share %", "Gflop/s", "GB/s", "limit s", "% of limit", "bound by")


def text(found: list[Row]) -> str:
    """The table."""
    lines = []
    for row in found:
        line: tuple[object, ...] = ("",) * 5
        if row.bound:
            reached = f"{100 * row.of_limit:.0f}"
            line = (row.gflops, row.gbytes, row.limit_s, reached, row.bound)
        lines.append((row.step, row.seconds, f"{100 * row.share:.0f}", *line))
    return table(HEAD, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, default="crop")
    parser.add_argument("--size", type=int, default=96, help="voxels an axis of the input")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bank", default="default-2x")
    arguments = parser.parse_args()
    bank, volume = load_bank(arguments.bank), cube(arguments.kind, arguments.size)
    found, _, total = rows(bank, volume, arguments.runs)
    print(f"{arguments.kind} of {arguments.size} cubed, one thread, {total:.2f} s in all\n")
    print(text(found))


if __name__ == "__main__":
    main()
