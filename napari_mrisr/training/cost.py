"""Memory and time of a training: estimated before it starts, measured while it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.memory import gigabytes, require_memory
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Shape
from napari_mrisr.training.presets import Preset, StagePlan

# Bytes per voxel of the largest volume: truth, start, stage before, residual, buckets,
# symmetries, masks and indices.
_BYTES_PER_VOXEL = 50
BATCH = 1024
"""Samples per matrix product on the CPU, whose sums are in float32.

With the largest patches (11³) a product takes about 60 ms, and a cancel waits no longer.
"""

# Voxels of a head at 1 mm, until the first volume is known.
_HEAD_VOXELS = 2_500_000
# Operations per voxel of reading, degrading, hashing and the stages before.
_OVERHEAD = 20_000
# Operations per voxel of filtering a volume and measuring its noise at the end.
_CALIBRATION = 40_000


@dataclass(frozen=True)
class MemoryNeed:
    """Peak memory of a training in bytes.

    Attributes
    ----------
    sums : int
        The sums of all stages, twice: saving and adding a volume copy them.
    volume : int
        The largest volume and everything computed from it.
    batches : int
        Patches of one batch and their products, per thread.
    """

    sums: int
    volume: int
    batches: int

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return self.sums + self.volume + self.batches


def estimate_training(
    preset: Preset, scale: Scale, largest: Shape = (0, 0, 0), threads: int = 1
) -> MemoryNeed:
    """Estimate the peak memory of a training.

    Parameters
    ----------
    preset : Preset
    scale : tuple of int
    largest : tuple of int
        Shape of the largest volume; without it only the sums count.
    threads : int
    """
    sums, batch = 0, 0
    for plan in preset.stages:
        taps, outputs = plan.spec.taps, plan.spec.outputs(scale)
        values = plan.bucket_count * taps * (taps + outputs)
        # In double precision the sums of the first half are kept as well.
        sums += values * (2 * 4 if plan.single else 4 * 8)
        batch = max(batch, 4 * (taps + outputs) * (BATCH + taps))
    voxels = largest[0] * largest[1] * largest[2]
    return MemoryNeed(sums, _BYTES_PER_VOXEL * voxels, threads * batch)


def check_memory(need: MemoryNeed, preset: str) -> None:
    """Raise :class:`MemoryEstimateError` if a training does not fit into memory."""
    found = f"preset {preset} ({gigabytes(need.sums)} for its sums"
    if need.volume:
        found += f", {gigabytes(need.volume)} for the largest volume"
    mend = "crop the volumes" if need.volume > need.sums else "use the preset default"
    require_memory(need.total, f"{found}) needs", mend)


def measure_sgemm(size: int = 1536) -> float:
    """Measure this machine's single-precision matrix product in GFLOP/s, best of five."""
    a = np.ones((size, size), np.float32)
    best = np.inf
    for _ in range(5):
        tick = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - tick)
    return 2.0 * size**3 / best / 1e9


class WorkMeter:
    """Counts samples and operations, and estimates the work that is left.

    Parameters
    ----------
    plans : sequence of StagePlan
    scale : tuple of int

    Attributes
    ----------
    samples : int
        Samples added so far, over all stages.
    seconds : float
        Wall time of gathering and adding them.
    """

    def __init__(self, plans: Sequence[StagePlan], scale: Scale) -> None:
        self._plans, self._scale = plans, scale
        self._operations = 0.0
        self._head = float(_HEAD_VOXELS)
        self._cost_done, self._cost_left = 0.0, 1.0
        self.samples, self.seconds = 0, 0.0

    def count(self, samples: int, taps: int, outputs: int, seconds: float) -> None:
        """Count samples that were gathered and added."""
        self.samples += samples
        self.seconds += seconds
        # One half of Q is computed, the other mirrored.
        self._operations += samples * taps * (taps + 1.0 + 2.0 * outputs)

    @property
    def samples_per_s(self) -> float:
        """Samples per second while gathering and adding."""
        return self.samples / self.seconds if self.seconds else 0.0

    @property
    def gflops(self) -> float:
        """Rate while gathering and adding, the symmetric half of Q counted once."""
        return self._operations / self.seconds / 1e9 if self.seconds else 0.0

    def volume_done(
        self, number: int, samples: int, missing: Sequence[int], calibrated: int = 0
    ) -> None:
        """Count a volume that a stage took in.

        Parameters
        ----------
        number : int
            Index of the stage.
        samples : int
            Number of samples of the volume.
        missing : sequence of int
            Volumes that each stage still lacks.
        calibrated : int
            Volumes to be filtered once more after the last stage.
        """
        plan = self._plans[number]
        if plan.samples is None or samples < plan.samples:
            cell = int(np.prod(self._scale)) if plan.spec.grid == "cell" else 1
            self._head = float(samples * cell)
        self._cost_done += self._cost(plan)
        self._cost_left = sum(
            count * self._cost(plan) for count, plan in zip(missing, self._plans, strict=True)
        )
        self._cost_left += calibrated * self._head * _CALIBRATION

    @property
    def share_left(self) -> float:
        """Estimated part of the work that is left, 0 to 1."""
        return self._cost_left / (self._cost_done + self._cost_left)

    def _cost(self, plan: StagePlan) -> float:
        """Estimate the operations of a stage per volume."""
        spec = plan.spec
        cell = int(np.prod(self._scale)) if spec.grid == "cell" else 1
        samples = self._head / cell
        if plan.samples is not None:
            samples = min(samples, plan.samples)
        outputs = spec.outputs(self._scale)
        return samples * spec.taps * (spec.taps + 2 * outputs) + self._head * _OVERHEAD
