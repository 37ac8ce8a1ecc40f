"""Validation gain: PSNR over tricubic on volumes that are not trained on.

Measured after every volume, so it must be quick: only one axial slab per validation
volume is computed, where the head is widest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Region, Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sampling import ONE_THREAD, make_pair
from napari_mrisr.training.sources import TrainingSource

VOXELS = 150_000
"""Approximate number of voxels compared, over all validation volumes."""


@dataclass(frozen=True, eq=False)
class Check:
    """A slab of a validation volume.

    Attributes
    ----------
    lr : Volume
        The whole low-resolution volume, engine units.
    slab : Region
        In high-resolution voxels.
    truth : (slab) ndarray of float32
    mask : (slab) ndarray of bool
        The head.
    start_error : float
        Mean squared error of tricubic interpolation.
    """

    lr: Volume
    slab: Region
    truth: FloatArray
    mask: NDArray[np.bool_]
    start_error: float

    @property
    def voxels(self) -> int:
        """Number of voxels compared."""
        return int(self.mask.sum())

    def gain_db(self, bank: FilterBank, pool: ThreadPool = ONE_THREAD) -> float:
        """Return a bank's PSNR over tricubic, in the slab and inside the head."""
        image = np.empty_like(self.truth)
        method = Hashed(bank)

        def part(box: Region) -> None:
            start = box.start[0] - self.slab.start[0]
            image[start : start + box.shape[0]] = method.compute(self.lr, box)

        pool.each(part, _parts(self.slab, pool.threads, bank.scale[0]))
        error = _squared_error(image, self.truth, self.mask)
        # A perfect result (of a flat volume) gains as much as float32 resolves.
        return float(10.0 * np.log10(self.start_error / max(error, 1e-14)))


def prepare_check(
    source: TrainingSource, parameters: TrainParameters, voxels: int, pool: ThreadPool = ONE_THREAD
) -> Check:
    """Degrade a validation volume and choose its slab.

    Parameters
    ----------
    source : TrainingSource
        High resolution.
    parameters : TrainParameters
    voxels : int
        Approximate number of voxels in the slab; at least a few slices.
    pool : ThreadPool

    Raises
    ------
    VolumeError
        If the volume contains no head.
    """
    pair = make_pair(source.volume(), parameters, parameters.thinning(source.name), pool)
    x, y, z = pair.truth.shape
    factor = parameters.scale[2]
    inside = pair.mask.sum(axis=(0, 1))
    if not inside.any():
        found = "there is no head to measure the gain in"
        raise VolumeError(explain(source.name, found, "choose another validation volume"))
    middle = int(inside.argmax())
    thick = min(z, factor * max(1, round(voxels / inside[middle] / factor)))
    start = min(max(0, middle - thick // 2) // factor * factor, z - thick)
    slab = Region((0, 0, start), (x, y, start + thick))
    truth, mask = pair.truth[slab.slices].copy(), pair.mask[slab.slices].copy()
    base = get_method("tricubic", parameters.scale).compute(pair.lr, slab)
    error = max(_squared_error(base, truth, mask), 1e-14)
    return Check(pair.lr, slab, truth, mask, error)


def prepare_checks(
    sources: Sequence[TrainingSource], parameters: TrainParameters, pool: ThreadPool = ONE_THREAD
) -> list[Check]:
    """Prepare a check per validation volume, with about :data:`VOXELS` voxels in all."""
    share = VOXELS // max(1, len(sources))
    return [prepare_check(source, parameters, share, pool) for source in sources]


def _parts(slab: Region, count: int, cell: int) -> list[Region]:
    """Cut the slab along x, one part per thread."""
    start, stop = slab.start[0], slab.stop[0]
    thick = -(-(stop - start) // (count * cell)) * cell
    return [
        Region((a, *slab.start[1:]), (min(a + thick, stop), *slab.stop[1:]))
        for a in range(start, stop, thick)
    ]


def _squared_error(image: FloatArray, truth: FloatArray, mask: NDArray[np.bool_]) -> float:
    return float(np.mean((image[mask] - truth[mask]) ** 2, dtype=np.float64))
