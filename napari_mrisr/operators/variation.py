"""Total variation of a volume in mm, and its proximal operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from napari_mrisr.core.volume import FloatArray


def total_variation(image: FloatArray, voxel_size: tuple[float, ...]) -> float:
    """Return the sum of the gradient's length over all voxels, per mm.

    Differences are to the next voxel, zero at the far end.
    """
    squared = np.zeros(image.shape, np.float32)
    for axis, size in enumerate(voxel_size):
        if image.shape[axis] > 1:
            squared[_all_but(axis, -1)] += (np.diff(image, axis=axis) / np.float32(size)) ** 2
    return float(np.sqrt(squared, out=squared).sum(dtype=np.float64))


@dataclass(eq=False)
class VariationProx:
    """Proximal operator of the total variation: min ½‖u − v‖² + weight · TV(u).

    By the fast gradient projection on the dual (Beck and Teboulle 2009, "Fast gradient-based
    algorithms for constrained total variation image denoising"). The dual field is kept from
    call to call, so that few rounds suffice in an outer loop.

    Attributes
    ----------
    voxel_size : tuple of float
        In mm.
    rounds : int
        Rounds per call.
    """

    voxel_size: tuple[float, ...]
    rounds: int = 5
    _dual: list[FloatArray] = field(default_factory=list, init=False, repr=False)

    def __call__(
        self, image: FloatArray, weight: float, check: Callable[[], None] = lambda: None
    ) -> FloatArray:
        """Return the minimizer.

        Parameters
        ----------
        image : ndarray of float32
        weight : float
            0 returns the image itself.
        check : callable
            Called in every round; raises to stop.
        """
        if weight == 0.0:
            return image
        if not self._dual:
            self._dual = [np.zeros(image.shape, np.float32) for _ in self.voxel_size]
        # The largest eigenvalue of gradient times divergence.
        bound = sum(4.0 / size**2 for size in self.voxel_size)
        step = np.float32(1.0 / (weight * bound))
        dual, ahead, momentum = self._dual, [part.copy() for part in self._dual], 1.0
        length = np.empty(image.shape, np.float32)
        for _ in range(self.rounds):
            check()
            result = self._primal(image, ahead, weight)
            following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
            inertia = np.float32((momentum - 1.0) / following)
            length[...] = 0.0
            for axis, size in enumerate(self.voxel_size):
                inner = _all_but(axis, -1)
                ahead[axis][inner] += np.diff(result, axis=axis) * np.float32(step / size)
                length += ahead[axis] ** 2
            np.sqrt(length, out=length)
            np.maximum(length, 1.0, out=length)
            check()
            for axis in range(len(self.voxel_size)):
                new = ahead[axis]
                new /= length
                ahead[axis] = new + inertia * (new - dual[axis])
                dual[axis] = new
            momentum = following
        return self._primal(image, dual, weight)

    def _primal(self, image: FloatArray, dual: list[FloatArray], weight: float) -> FloatArray:
        """Return image + weight · divergence of a dual field."""
        result = image.copy()
        for axis, size in enumerate(self.voxel_size):
            part = dual[axis] * np.float32(weight / size)
            inner, after = _all_but(axis, -1), _all_but(axis, 0)
            result[inner] += part[inner]
            result[after] -= part[inner]
        return result


def _all_but(axis: int, end: int) -> tuple[slice, ...]:
    """Return the index of all voxels but the first (0) or last (-1) along an axis."""
    part = slice(None, -1) if end else slice(1, None)
    return (slice(None),) * axis + (part,)
