"""What the filters so far gain on volumes that they do not learn from.

Measured after every volume, so it has to cost little: in one axial slab, where
each validation volume's head is widest; methods compute just that.
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
from napari_mrisr.training.sampling import ALONE, TrainParameters, pair_of
from napari_mrisr.training.sources import TrainingSource

VOXELS = 150_000
"""About so many voxels are compared, over all validation volumes."""


@dataclass(frozen=True, eq=False)
class Check:
    """A slab of a validation volume.

    Attributes
    ----------
    lr : Volume
        The whole low-resolution volume, engine units.
    slab : Region
        Of the high-resolution voxels.
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
        """Voxels that are compared."""
        return int(self.mask.sum())

    def gain_db(self, bank: FilterBank, pool: ThreadPool = ALONE) -> float:
        """PSNR of a bank's result over that of tricubic, in the slab and inside the head."""
        image = np.empty_like(self.truth)
        method = Hashed(bank)

        def part(box: Region) -> None:
            start = box.start[0] - self.slab.start[0]
            image[start : start + box.shape[0]] = method.compute(self.lr, box)

        pool.each(part, _parts(self.slab, pool.threads, bank.scale[0]))
        error = _squared_error(image, self.truth, self.mask)
        # A perfect result, of a volume that is flat, say, gains as much as float32 can tell.
        return float(10.0 * np.log10(self.start_error / max(error, 1e-14)))


def prepare_check(
    source: TrainingSource, parameters: TrainParameters, voxels: int, pool: ThreadPool = ALONE
) -> Check:
    """Degrade a validation volume and choose its slab.

    Parameters
    ----------
    source : TrainingSource
        High resolution.
    parameters : TrainParameters
    voxels : int
        About so many are in the slab; a few slices at least.
    pool : ThreadPool

    Raises
    ------
    VolumeError
        When there is no head to compare in.
    """
    pair = pair_of(source.volume(), parameters, parameters.thinning(source.name), pool)
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
    sources: Sequence[TrainingSource], parameters: TrainParameters, pool: ThreadPool = ALONE
) -> list[Check]:
    """A check for each validation volume; together about :data:`VOXELS`."""
    share = VOXELS // max(1, len(sources))
    return [prepare_check(source, parameters, share, pool) for source in sources]


def _parts(slab: Region, count: int, cell: int) -> list[Region]:
    """The slab cut along x, for the threads."""
    start, stop = slab.start[0], slab.stop[0]
    thick = -(-(stop - start) // (count * cell)) * cell
    return [
        Region((a, *slab.start[1:]), (min(a + thick, stop), *slab.stop[1:]))
        for a in range(start, stop, thick)
    ]


def _squared_error(image: FloatArray, truth: FloatArray, mask: NDArray[np.bool_]) -> float:
    return float(np.mean((image[mask] - truth[mask]) ** 2, dtype=np.float64))
