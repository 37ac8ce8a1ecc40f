"""How much a training has done, how fast, and how much is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_mrisr.core.scale import Scale
from napari_mrisr.training.presets import StagePlan

# Before the first volume: voxels of a head at 1 mm.
_HEAD_VOXELS = 2_500_000
# Reading, degrading, hashing and the stages before cost about as many operations a voxel.
_OVERHEAD = 20_000
# So does filtering the volume and measuring its noise and spectrum at the end.
_CALIBRATION = 40_000


class Work:
    """Counts samples and their arithmetic.

    Parameters
    ----------
    plans : sequence of StagePlan
    scale : tuple of int

    Attributes
    ----------
    samples : int
        Added so far, over all stages.
    seconds : float
        Wall time spent on gathering and adding them.
    """

    def __init__(self, plans: Sequence[StagePlan], scale: Scale) -> None:
        self._plans, self._scale = plans, scale
        self._operations = 0.0
        self._head = float(_HEAD_VOXELS)
        self._cost_done, self._cost_left = 0.0, 1.0
        self.samples, self.seconds = 0, 0.0

    def count(self, samples: int, taps: int, outputs: int, seconds: float) -> None:
        """Count samples that were gathered and added in so many seconds."""
        self.samples += samples
        self.seconds += seconds
        # Half of Q is computed, the other mirrored.
        self._operations += samples * taps * (taps + 1.0 + 2.0 * outputs)

    @property
    def samples_per_s(self) -> float:
        """Samples a second while gathering and adding."""
        return self.samples / self.seconds if self.seconds else 0.0

    @property
    def gflops(self) -> float:
        """Rate of the arithmetic meanwhile, the symmetric half of Q counted once."""
        return self._operations / self.seconds / 1e9 if self.seconds else 0.0

    def finished(
        self, number: int, samples: int, missing: Sequence[int], calibrated: int = 0
    ) -> None:
        """A stage has taken in a volume.

        Parameters
        ----------
        number : int
            Which stage, from 0.
        samples : int
            How many it took.
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
        """Estimated part of the work that is still to do, 0 to 1."""
        return self._cost_left / (self._cost_done + self._cost_left)

    def _cost(self, plan: StagePlan) -> float:
        """Operations that a volume costs a stage."""
        spec = plan.spec
        cell = int(np.prod(self._scale)) if spec.grid == "cell" else 1
        samples = self._head / cell
        if plan.samples is not None:
            samples = min(samples, plan.samples)
        outputs = spec.outputs(self._scale)
        return samples * spec.taps * (spec.taps + 2 * outputs) + self._head * _OVERHEAD
