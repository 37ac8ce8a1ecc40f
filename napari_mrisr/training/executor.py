"""Executors: compute on training volumes, in this process or elsewhere.

A stage needs the sums of its volumes' samples, and a few steps need a small result per
volume. Both are functions of a volume and few parameters. :class:`Executor` is the
protocol that :class:`~napari_mrisr.training.run.TrainingRun` uses, :class:`Local`
computes in this process, and :class:`~napari_mrisr.cluster.runs.OnCluster` on a Dask
cluster.

The sums do not depend on the executor or on the order of addition. The sums of one
volume are rounded to multiples of 2⁻³² (:meth:`NormalEquations.round`), far finer than
the float32 products they consist of, and double precision adds such multiples exactly
up to 2²¹: some thousand volumes whose samples all lie in one bucket. In single precision
(preset ``paper``) the order matters; these sums are added volume by volume.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.training.accumulate import Accumulate, add_samples
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import StagePlan, TrainParameters
from napari_mrisr.training.sampling import feature_sample, find_samples
from napari_mrisr.training.sources import TrainingVolume

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class StageJob:
    """A stage to train.

    Attributes
    ----------
    plan : StagePlan
    before : FilterBank
        The stages before it.
    parameters : TrainParameters
    """

    plan: StagePlan
    before: FilterBank
    parameters: TrainParameters

    def empty(self) -> NormalEquations:
        """Return sums of no samples."""
        spec = self.plan.spec
        dtype = np.float32 if self.plan.single else np.float64
        outputs = spec.outputs(self.parameters.scale)
        return NormalEquations.empty(spec.hash.filter_count, spec.taps, outputs, dtype)


@dataclass(frozen=True, eq=False)
class VolumeSums:
    """The sums of the next volumes of a stage.

    Attributes
    ----------
    volumes : int
        Number of volumes.
    halves : tuple of NormalEquations or None
        Sums of the volumes in the first half, and of those in the second.
    samples : int
        Number of samples.
    seconds : float
        Wall time of gathering and adding them.
    """

    volumes: int
    halves: tuple[NormalEquations | None, NormalEquations | None]
    samples: int
    seconds: float

    def __add__(self, other: VolumeSums) -> VolumeSums:
        """Add the sums of further volumes."""
        first, second = (
            a.plus(b) if a and b else a or b for a, b in zip(self.halves, other.halves, strict=True)
        )
        return VolumeSums(
            self.volumes + other.volumes,
            (first, second),
            self.samples + other.samples,
            self.seconds + other.seconds,
        )


class Executor(Protocol):
    """Computes on the volumes of a training."""

    def sums(
        self, job: StageJob, volumes: Sequence[TrainingVolume], *, singly: bool
    ) -> Iterator[VolumeSums]:
        """Yield the sums of all volumes in order; with ``singly``, volume by volume."""
        ...

    def each(
        self, task: Callable[..., Value], volumes: Iterable[TrainingVolume], *shared: Any
    ) -> Iterator[Value]:
        """Yield ``task(*shared, volume, pool)`` of each volume in order."""
        ...


@dataclass(frozen=True)
class Local:
    """The threads of this process, one volume at a time.

    Attributes
    ----------
    pool : ThreadPool
    accumulate : callable
        Adds samples, on the CPU or a GPU.
    """

    pool: ThreadPool
    accumulate: Accumulate = add_samples

    def sums(
        self, job: StageJob, volumes: Sequence[TrainingVolume], *, singly: bool
    ) -> Iterator[VolumeSums]:
        """See :class:`Executor`."""
        for volume in volumes:
            sums, count, seconds = job.empty(), 0, 0.0
            for pair in volume.pairs(job.parameters, self.pool):
                samples = find_samples(pair, job.plan, job.before, job.parameters, self.pool)
                started = time.perf_counter()
                self.accumulate(sums, samples, self.pool)
                seconds += time.perf_counter() - started
                count += samples.count
            sums.round()
            halves = (sums, None) if volume.in_first_half else (None, sums)
            yield VolumeSums(1, halves, count, seconds)

    def each(
        self, task: Callable[..., Value], volumes: Iterable[TrainingVolume], *shared: Any
    ) -> Iterator[Value]:
        """See :class:`Executor`."""
        for volume in volumes:
            yield task(*shared, volume, self.pool)


def volume_features(
    job: StageJob, count: int, volume: TrainingVolume, pool: ThreadPool
) -> dict[str, NDArray[np.float64]]:
    """Return features of ``count`` voxels, for the cuts that a stage leaves open."""
    pair = next(volume.pairs(job.parameters, pool))
    return feature_sample(pair, job.plan.spec, job.before, count, pool)
