"""What this machine can do at most, measured with code compiled like the kernels.

    python benchmarks/roofline.py [--threads 1,2]

- fma: single-precision multiply-adds, six on each value of a small array, two
  operations each;
- sgemm: the matrix product of numpy's BLAS, for orientation: hand-written for the
  widest vectors, which compilers use with reserve;
- memory: the triad a = b + s · c on arrays far larger than any cache, 12 bytes
  an element (what the processor reads before it overwrites ``a`` is not counted);
- L2: the same on arrays of 128 KiB each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass

import numpy as np
from harness import clocked, table
from threadpoolctl import threadpool_limits

from napari_mrisr.kernels.jit import jit


@dataclass(frozen=True)
class Limits:
    """Rates that all threads reach together, in 10⁹ a second."""

    threads: int
    fma_flop: float
    sgemm_flop: float
    memory_bytes: float
    l2_bytes: float


@jit
def _multiply_add(x, a, b, rounds):  # type: ignore[no-untyped-def]
    for _ in range(rounds):
        for i in range(x.size):
            # Six in a chain: short enough that many chains run side by side.
            v = x[i]
            v = v * a + b
            v = v * a + b
            v = v * a + b
            v = v * a + b
            v = v * a + b
            v = v * a + b
            x[i] = v


@jit
def _triad(a, b, c, s, rounds):  # type: ignore[no-untyped-def]
    for _ in range(rounds):
        for i in range(a.size):
            a[i] = b[i] + s * c[i]


def best(limits: Sequence[Limits]) -> Limits:
    """The highest of each rate, where other programs may have slowed some."""
    rates = np.max([astuple(one)[1:] for one in limits], axis=0)
    return Limits(limits[0].threads, *(float(rate) for rate in rates))


def measure(threads: int) -> Limits:
    """All limits with so many threads at once; about two seconds."""
    with threadpool_limits(1, "blas"):
        return Limits(
            threads,
            _rate(threads, _multiply_adds),
            _rate(threads, _products),
            _rate(threads, lambda: _triads(16 * 2**20)),
            _rate(threads, lambda: _triads(32 * 2**10)),
        )


Work = tuple[Callable[[int], object], float]
"""Does so many rounds; and what one round counts for."""


def _multiply_adds() -> Work:
    x, a, b = np.ones(2048, np.float32), np.float32(0.5), np.float32(0.5)
    return lambda rounds: _multiply_add(x, a, b, rounds), 2.0 * 6 * x.size


def _products() -> Work:
    a = np.ones((768, 768), np.float32)
    return lambda rounds: [a @ a for _ in range(rounds)], 2.0 * 768**3


def _triads(size: int) -> Work:
    a, b, c = (np.ones(size, np.float32) for _ in range(3))
    return lambda rounds: _triad(a, b, c, np.float32(0.5), rounds), 12.0 * size


def _rate(threads: int, make: Callable[[], Work], seconds: float = 0.1) -> float:
    """The best of three, all threads together, 10⁹ a second."""
    work = [make() for _ in range(threads)]
    work[0][0](1)  # compiles
    rounds = 1
    while True:
        start = time.perf_counter()
        work[0][0](rounds)
        if time.perf_counter() - start > seconds:
            break
        rounds *= 2
    highest = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(3):
            took = clocked(lambda: list(pool.map(lambda one: one[0](rounds), work)))
            # One thread's own time leaves out what else the machine does.
            seconds = took.processor if threads == 1 else took.wall
            highest = max(highest, sum(count for _, count in work) * rounds / seconds / 1e9)
    return highest


HEAD = ("limits", "fma Gflop/s", "sgemm Gflop/s", "memory GB/s", "L2 GB/s")


def row(limits: Limits) -> tuple[object, ...]:
    """A row under :data:`HEAD`."""
    return (f"{limits.threads} threads", *astuple(limits)[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="1,2")
    counts = [int(text) for text in parser.parse_args().threads.split(",")]
    print(table(HEAD, [row(measure(count)) for count in counts]))


if __name__ == "__main__":
    main()
