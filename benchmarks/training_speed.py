"""How fast training adds samples, beside what the machine's matrix product reaches.

    python benchmarks/training_speed.py [--data FILE] [--stages 2x-cell,3x-voxel] [--runs 7]
                                        [--threads 1] [--clock wall|processor]

Rates count each bucket's symmetric half once: k (k + 1) operations a sample for Q and
2 k m for V (k taps, m outputs), as the command line's line does. ``full`` counts Q as a
product that does not know it is symmetric: 2 k². Beside them, in the same rounds and on
as many threads:

- sgemm, ssyrk: numpy's BLAS on matrices of 1536 × 1536, where it is near its best; ssyrk
  counts its half;
- multiply: the kernel on blocks already gathered; add: ``add_samples``, that is gathering
  and multiplying, which is what a training reports; end to end: with the stages before,
  hashing, choosing and sorting.

Fractions are medians over rounds of a rate by that round's sgemm. ``--clock processor``
times one thread by the processor time that it gets, for a machine that others use too:
what remains is that they slow memory and caches. Stages are trained on what the start
makes of the phantom, or of a scan. Of ``paper`` only the first buckets are added, as many
as make 20,000 samples, and there is no end to end.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from harness import table
from threadpoolctl import threadpool_limits

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.io import read_volume
from napari_mrisr.io.samples import phantom
from napari_mrisr.kernels import cpu_gram
from napari_mrisr.kernels.jit import jit
from napari_mrisr.training.accumulate import add_samples
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import StagePlan, get_preset
from napari_mrisr.training.sampling import Pair, Samples, TrainParameters, find_samples, pair_of

STAGES = ("2x-cell", "2x-voxel", "3x-cell", "3x-voxel", "4x-voxel", "2x-paper")
SIZE = 1536
PAPER_SAMPLES = 20_000


@jit
def _multiply_blocks(panels, taps, sums, ahead, blocks):  # type: ignore[no-untyped-def]
    for _ in range(blocks):
        cpu_gram._multiply(panels, cpu_gram.BLOCK, taps, sums, ahead)


def plan_of(stage: str) -> tuple[StagePlan, TrainParameters, FilterBank]:
    """What ``2x-voxel`` means."""
    scale_text, kind = stage.split("-")
    scale = (int(scale_text[0]),) * 3
    name = "paper" if kind == "paper" else "default"
    preset = get_preset(name, scale)
    plan = preset.stages[kind == "voxel"]
    if plan.terciles:  # at any cuts: they decide which buckets, not how fast
        hash_spec = plan.spec.hash.with_cuts(strength=(0.02, 0.06), coherence=(0.2, 0.4))
        plan = replace(plan, spec=replace(plan.spec, hash=hash_spec))
    return (
        plan,
        TrainParameters(scale, name),
        FilterBank(scale, "standard", preset.start, (), {}, ""),
    )


def first_samples(samples: Samples, most: int) -> Samples:
    """Only the first buckets, so that the sums of ``paper`` fit."""
    last = max(1, int(np.searchsorted(samples.ends, most, side="right")) - 1)
    n = int(samples.ends[last])
    return replace(
        samples,
        base=samples.base[:n],
        goal=samples.goal[:n],
        element=samples.element[:n],
        ends=samples.ends[: last + 1],
    )


def side_by_side(threads: int, task: Callable[[], object]) -> None:
    """The same on every thread."""
    if threads == 1:
        task()
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(task) for _ in range(threads)]:
            future.result()


def measure(
    stage: str, pair: Pair, runs: int, threads: int, clock: Callable[[], float]
) -> list[str]:
    """A row of the table."""
    plan, parameters, before = plan_of(stage)
    pool = ThreadPool(threads)
    samples = find_samples(pair, plan, before, parameters, pool)
    if plan.single:
        samples = first_samples(samples, PAPER_SAMPLES)
    n, k, m = samples.count, samples.taps, samples.outputs
    dtype = np.float32 if plan.single else np.float64
    equations = NormalEquations.empty(len(samples.ends) - 1, k, m, dtype)
    factor = np.random.default_rng(0).random((SIZE, SIZE), np.float32)
    other = factor.copy()
    space = cpu_gram.Workspace.of(k, m)
    blocks = max(1, int(2e9 / (cpu_gram.BLOCK * k * (k + 1))))

    def multiply() -> None:
        own = cpu_gram.Workspace.of(k, m)
        _multiply_blocks(space.panels, k, own.sums, own.ahead, blocks)

    half = k * (k + 1.0) + 2.0 * k * m
    work: dict[str, tuple[float, Callable[[], object]]] = {
        "sgemm": (2.0 * SIZE**3 * threads, lambda: side_by_side(threads, lambda: factor @ other)),
        "ssyrk": (
            SIZE**2 * (SIZE + 1.0) * threads,
            lambda: side_by_side(threads, lambda: factor.T @ factor),
        ),
        "multiply": (
            half * cpu_gram.BLOCK * blocks * threads,
            lambda: side_by_side(threads, multiply),
        ),
        "add": (half * n, lambda: add_samples(equations, samples, pool)),
    }
    if not plan.single:
        whole = partial(find_samples, pair, plan, before, parameters, pool)
        work["end to end"] = (half * n, lambda: add_samples(equations, whole(), pool))
    rates: dict[str, list[float]] = {name: [] for name in work}
    for number in range(-1, runs):
        for name, (operations, task) in work.items():
            start = clock()
            task()
            if number >= 0:
                rates[name].append(operations / (clock() - start) / 1e9)
    median = {name: statistics.median(values) for name, values in rates.items()}

    def fraction(name: str) -> str:
        if name not in rates:
            return "-"
        pairs = zip(rates[name], rates["sgemm"], strict=True)
        return f"{statistics.median(a / b for a, b in pairs):.2f}"

    full = median["add"] * (2.0 * k * k + 2.0 * k * m) / half
    return [
        stage,
        f"{k} + {m}",
        f"{n:,}",
        f"{median['sgemm']:.0f}",
        f"{median['ssyrk']:.0f}",
        f"{median['add']:.0f}",
        f"{full:.0f}",
        *(fraction(name) for name in ("ssyrk", "multiply", "add", "end to end")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a scan of yours instead of the phantom")
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    options = parser.parse_args()
    if options.clock == "processor" and options.threads > 1:
        parser.error("--clock processor goes with one thread")
    clock = time.perf_counter if options.clock == "wall" else time.thread_time
    volume = read_volume(options.data) if options.data else phantom()
    rows = []
    with threadpool_limits(1, user_api="blas"):
        for stage in options.stages.split(","):
            pair = pair_of(volume, plan_of(stage)[1])
            rows.append(measure(stage, pair, options.runs, options.threads, clock))
    print(f"{options.threads} threads, {options.clock} clock, volume {volume.data.shape}; GFLOP/s")
    head = ["stage", "taps + outputs", "samples", "sgemm", "ssyrk", "add", "full"]
    head += [f"{name}/sgemm" for name in ("ssyrk", "multiply", "add", "end to end")]
    print(table(head, rows))


if __name__ == "__main__":
    main()
