"""Who does a training's work on volumes: this process, or somebody elsewhere.

A stage needs the sums of its volumes' samples, and now and then something smaller
of each volume. Both are functions of a volume and of little else, so they can be
done by others: :class:`Hands` is what :class:`~napari_mrisr.training.run.Run` asks
for, :class:`Here` does it on the spot.

Sums do not depend on who adds them up, nor in what order: a volume's are multiples
of 2⁻³² (:func:`rounded`), far finer than the float32 products that they consist
of, and adding such numbers is exact in double precision up to 2²¹. That is some
thousand volumes, all of whose samples would be of one bucket. In single precision
(``paper``) order matters; such sums are added volume after volume.
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
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.training.accumulate import add_samples
from napari_mrisr.training.halves import in_first_half
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.on_device import Accumulate
from napari_mrisr.training.presets import StagePlan
from napari_mrisr.training.sampling import (
    Pair,
    TrainParameters,
    feature_sample,
    find_samples,
    pair_of,
)
from napari_mrisr.training.sources import TrainingSource

Value = TypeVar("Value")

_FINEST = 2.0**-32
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class TrainingVolume:
    """A volume of a training.

    Attributes
    ----------
    index : int
        Its number, from 0.
    source : TrainingSource
        Where its voxels come from.
    sha256 : str
        What the source must still be.
    """

    index: int
    source: TrainingSource
    sha256: str

    def pair(self, parameters: TrainParameters, pool: ThreadPool) -> Pair:
        """The volume and its low-resolution version.

        Raises
        ------
        VolumeError
            When it cannot be used, or has changed.
        """
        pool.check()
        source = self.source
        if source.digest() != self.sha256:
            found = "has changed since its sums were saved"
            mend = "restore it, or train from the start"
            raise VolumeError(explain(source.path or source.name, found, mend))
        return pair_of(source.volume(), parameters, parameters.thinning(source.name), pool)


@dataclass(frozen=True, eq=False)
class StageJob:
    """A stage to take volumes into.

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
        """Sums of nothing."""
        spec = self.plan.spec
        dtype = np.float32 if self.plan.single else np.float64
        outputs = spec.outputs(self.parameters.scale)
        return NormalEquations.empty(spec.hash.filter_count, spec.taps, outputs, dtype)


@dataclass(frozen=True, eq=False)
class Part:
    """The sums of the next few volumes of a stage.

    Attributes
    ----------
    volumes : int
        How many.
    halves : tuple of NormalEquations or None
        The sums of those in the first half and of those in the second.
    samples : int
        How many they had.
    seconds : float
        Wall time of gathering and adding them.
    """

    volumes: int
    halves: tuple[NormalEquations | None, NormalEquations | None]
    samples: int
    seconds: float


class Hands(Protocol):
    """Does a training's work on volumes."""

    def sums(
        self, job: StageJob, volumes: Sequence[TrainingVolume], *, singly: bool
    ) -> Iterator[Part]:
        """The sums of all volumes, in order; ``singly``: each volume is a part."""
        ...

    def each(
        self, task: Callable[..., Value], volumes: Iterable[TrainingVolume], *shared: Any
    ) -> Iterator[Value]:
        """What ``task(*shared, volume, pool)`` gives for each volume, in order."""
        ...


@dataclass(frozen=True)
class Here:
    """The threads of one process, a volume at a time.

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
    ) -> Iterator[Part]:
        """See :class:`Hands`."""
        for volume in volumes:
            sums = job.empty()
            pair = volume.pair(job.parameters, self.pool)
            samples = find_samples(pair, job.plan, job.before, job.parameters, self.pool)
            started = time.perf_counter()
            self.accumulate(sums, samples, self.pool)
            seconds = time.perf_counter() - started
            rounded(sums)
            halves = (sums, None) if in_first_half(volume.index) else (None, sums)
            yield Part(1, halves, samples.count, seconds)

    def each(
        self, task: Callable[..., Value], volumes: Iterable[TrainingVolume], *shared: Any
    ) -> Iterator[Value]:
        """See :class:`Hands`."""
        for volume in volumes:
            yield task(*shared, volume, self.pool)


def features(
    job: StageJob, count: int, volume: TrainingVolume, pool: ThreadPool
) -> dict[str, NDArray[np.float64]]:
    """Features of some voxels, for the cuts that a stage leaves open."""
    pair = volume.pair(job.parameters, pool)
    return feature_sample(pair, job.plan.spec, job.before, count, pool)


def rounded(sums: NormalEquations) -> None:
    """Round sums of double precision to multiples of 2⁻³², in place."""
    if sums.gram.dtype.itemsize < 8:
        return
    for array in (sums.gram, sums.cross, sums.energy):
        for start in range(0, len(array), _BLOCK):
            block = array[start : start + _BLOCK]
            np.multiply(block, 1 / _FINEST, out=block)
            np.rint(block, out=block)
            np.multiply(block, _FINEST, out=block)
