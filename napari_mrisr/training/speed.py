"""How fast this machine multiplies matrices: what a training is measured against."""

from __future__ import annotations

import time

import numpy as np


def measure_sgemm(size: int = 1536) -> float:
    """The machine's single-precision matrix product, GFLOP/s, best of five."""
    a = np.ones((size, size), np.float32)
    best = np.inf
    for _ in range(5):
        tick = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - tick)
    return 2.0 * size**3 / best / 1e9
