"""Events of a training, frozen, for its observer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainEvent:
    """Base of all events."""


@dataclass(frozen=True)
class TrainingStarted(TrainEvent):
    """The training starts.

    Attributes
    ----------
    stages, volumes : int
        Number of stages, and of volumes per stage.
    missing : tuple of int
        Volumes that each stage still has to take in.
    sgemm_gflops : float
        Rate of this machine in a single-precision matrix product.
    """

    stages: int
    volumes: int
    missing: tuple[int, ...]
    sgemm_gflops: float


@dataclass(frozen=True)
class VolumeStarted(TrainEvent):
    """A stage takes in its next volume; both count from 1."""

    stage: int
    volume: int


@dataclass(frozen=True, eq=False)
class VolumeAdded(TrainEvent):
    """The sums of a stage contain a further volume, and are saved.

    Attributes
    ----------
    stage, volumes : int
        Number of the stage, from 1, and of its volumes so far.
    support : (filters,) ndarray of int64
        Samples so far per bucket that has a filter.
    samples_per_s, gflops : float
        Rates as in :class:`~napari_mrisr.training.TrainingReport`.
    share_left : float
        Estimated part of the work that is left, 0 to 1.
    """

    stage: int
    volumes: int
    support: NDArray[np.int64]
    samples_per_s: float
    gflops: float
    share_left: float


@dataclass(frozen=True)
class GainMeasured(TrainEvent):
    """Gain of the filters so far on the validation volumes.

    Attributes
    ----------
    stage, volumes : int
        As in :class:`VolumeAdded`.
    gains_db : tuple of float
        PSNR over tricubic per validation volume.
    voxels : int
        Number of voxels compared, over all volumes.
    """

    stage: int
    volumes: int
    gains_db: tuple[float, ...]
    voxels: int

    @property
    def mean_db(self) -> float:
        """Mean gain over the volumes."""
        return float(np.mean(self.gains_db))


@dataclass(frozen=True)
class CalibrationStarted(TrainEvent):
    """All stages are trained; every volume is filtered once more to measure its errors."""

    volumes: int


@dataclass(frozen=True)
class NetworkStarted(TrainEvent):
    """The training of a network starts.

    Attributes
    ----------
    step, steps : int
        Steps that were taken before, and all steps.
    volumes : int
    place : str
        Device and precision: ``CPU, bfloat16``.
    """

    step: int
    steps: int
    volumes: int
    place: str


@dataclass(frozen=True)
class StepTaken(TrainEvent):
    """A network took a step of its training.

    Attributes
    ----------
    step, steps : int
        Number of this step, from 1, and of all steps.
    loss : float
        Mean absolute error of its patches in engine units.
    seconds_left : float
        Estimated time to the last step.
    """

    step: int
    steps: int
    loss: float
    seconds_left: float


@dataclass(frozen=True)
class NetworkMeasured(TrainEvent):
    """Gain of a network so far on the validation volumes.

    Attributes
    ----------
    step : int
    gains_db : mapping of float to tuple of float
        PSNR over cubic interpolation per validation volume, by slice factor; of a denoiser over
        the noisy image, by noise in % of the intensity window.
    """

    step: int
    gains_db: dict[float, tuple[float, ...]]


Observer = Callable[[TrainEvent], None]
"""Receives each event, on the training's thread."""


def ignore(event: TrainEvent) -> None:
    """Ignore an event."""
