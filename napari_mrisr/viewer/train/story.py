"""What a training has told so far: the curve, the counts, the pace. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.training.events import (
    CalibrationStarted,
    GainMeasured,
    TrainEvent,
    TrainingStarted,
    VolumeAdded,
    VolumeStarted,
)

DECADES = (0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""Where the bins of samples a bucket begin; the last has no end."""


@dataclass
class Story:
    """Collects events; the charts and texts are drawn from it.

    Attributes
    ----------
    stages, volumes : int
        As in :class:`~napari_mrisr.training.events.TrainingStarted`; 0 before.
    gains : dict of (stage, volumes) to tuple of float
        Gain over tricubic of each validation volume, dB.
    support : (filters,) ndarray of int64
        Samples a bucket of the stage told last.
    """

    clock: Callable[[], float] = time.monotonic
    stages: int = 0
    volumes: int = 0
    stage: int = 0
    volume: int = 0
    calibrating: bool = False
    gains: dict[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)
    voxels: int = 0
    support: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    support_stage: int = 0
    samples_per_s: float = 0.0
    gflops: float = 0.0
    sgemm_gflops: float = 0.0
    _started: float = 0.0
    _told_at: float = 0.0
    _share_left: float = 1.0

    def add(self, event: TrainEvent) -> None:
        """Take in an event."""
        if isinstance(event, TrainingStarted):
            self.stages, self.volumes = event.stages, event.volumes
            self.sgemm_gflops = event.sgemm_gflops
            self.stage = self.volume = 0
            self.calibrating = False
            self._started, self._share_left = self.clock(), 1.0
            # What is learned anew is measured anew.
            kept = {s: event.volumes - n for s, n in enumerate(event.missing, 1)}
            self.gains = {key: g for key, g in self.gains.items() if key[1] <= kept.get(key[0], 0)}
        elif isinstance(event, VolumeStarted):
            self.stage, self.volume = event.stage, event.volume
        elif isinstance(event, VolumeAdded):
            self.support, self.support_stage = event.support, event.stage
            self.samples_per_s, self.gflops = event.samples_per_s, event.gflops
            self._share_left, self._told_at = event.share_left, self.clock()
        elif isinstance(event, CalibrationStarted):
            self.calibrating = True
        elif isinstance(event, GainMeasured):
            self.gains[event.stage, event.volumes] = event.gains_db
            self.voxels = event.voxels

    @property
    def eta_s(self) -> float | None:
        """Seconds left; None before the first volume is in."""
        done = 1.0 - self._share_left
        if done <= 0.0:
            return None
        total = (self._told_at - self._started) / done
        return max(0.0, self._started + total - self.clock())

    @property
    def curve(self) -> list[list[tuple[float, float]]]:
        """Points (position, mean gain in dB) of each stage that has some.

        Stages lie side by side: stage s with n volumes is at (s − 1) · volumes + n.
        """
        return self._lines(lambda gains: float(np.mean(gains)))

    @property
    def range_of_volumes(self) -> list[list[tuple[float, float]]]:
        """As :attr:`curve`, for each validation volume of each stage."""
        count = max((len(g) for g in self.gains.values()), default=0)
        if count < 2:
            return []
        parts = [self._lines(lambda gains, n=n: gains[n], n) for n in range(count)]
        return [line for lines in parts for line in lines]

    def _lines(
        self, value: Callable[..., float], needs: int = 0
    ) -> list[list[tuple[float, float]]]:
        lines = []
        for stage in range(1, self.stages + 1):
            line = [
                (float((stage - 1) * self.volumes + n), value(gains))
                for (s, n), gains in sorted(self.gains.items())
                if s == stage and len(gains) > needs
            ]
            if line:
                lines.append(line)
        return lines

    @property
    def last_gain_db(self) -> float | None:
        """Mean gain told last."""
        return float(np.mean(self.gains[max(self.gains)])) if self.gains else None

    @property
    def buckets_by_decade(self) -> NDArray[np.int64]:
        """How many buckets have a number of samples in each bin of :data:`DECADES`."""
        edges = [*DECADES, np.iinfo(np.int64).max]
        return np.asarray(np.histogram(self.support, bins=edges)[0], np.int64)
