"""What a training tells while it runs, as frozen events for whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainEvent:
    """Base of all events."""


@dataclass(frozen=True)
class Began(TrainEvent):
    """The training starts.

    Attributes
    ----------
    stages, volumes : int
        Stages of the preset, and volumes that each goes over.
    missing : tuple of int
        Volumes that each stage still has to take in.
    sgemm_gflops : float
        This machine's rate in a single-precision matrix product.
    """

    stages: int
    volumes: int
    missing: tuple[int, ...]
    sgemm_gflops: float


@dataclass(frozen=True)
class VolumeBegan(TrainEvent):
    """A stage takes in its next volume; both count from 1."""

    stage: int
    volume: int


@dataclass(frozen=True, eq=False)
class VolumeAdded(TrainEvent):
    """A volume is in the sums of a stage, and saved.

    Attributes
    ----------
    stage, volumes : int
        Which stage, from 1, and how many volumes it has now.
    support : (filters,) ndarray of int64
        Samples so far of each bucket that has a filter.
    samples_per_s, gflops : float
        Rates of gathering and adding samples in this call, as in
        :class:`~napari_mrisr.training.TrainingReport`.
    share_left : float
        Estimated part of this call's work that is still to do, 0 to 1.
    """

    stage: int
    volumes: int
    support: NDArray[np.int64]
    samples_per_s: float
    gflops: float
    share_left: float


@dataclass(frozen=True)
class GainMeasured(TrainEvent):
    """What the filters so far gain on the validation volumes.

    Attributes
    ----------
    stage, volumes : int
        As in :class:`VolumeAdded`.
    gains_db : tuple of float
        PSNR over tricubic of each validation volume.
    voxels : int
        How many voxels of all of them were compared.
    """

    stage: int
    volumes: int
    gains_db: tuple[float, ...]
    voxels: int

    @property
    def mean_db(self) -> float:
        """Mean over the volumes."""
        return float(np.mean(self.gains_db))


@dataclass(frozen=True)
class Calibrating(TrainEvent):
    """All stages are done; every volume is filtered once more, for the errors to expect.

    Attributes
    ----------
    volumes : int
        How many.
    """

    volumes: int


Observer = Callable[[TrainEvent], None]
"""Called on the training's thread with each event."""


def ignore(event: TrainEvent) -> None:
    """Watch nothing."""
