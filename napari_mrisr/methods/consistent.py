"""Data consistency: correct a result so that it equals the measured slices when degraded again.

For slices y of a known profile, D degrades along the slice axis and U spreads slices by a
cubic spline with D U = 1, so x + U (y − D x) is consistent with y
(:func:`napari_mrisr.operators.slices.consistency_operators`). U decays within a few slices;
it is cut where its weights are below 1e-6, so that a region needs a few slices around it.

Voxels that the correction makes darker than the darkest measured voxel are set to it. Only
there, in practice in air, the result degrades to slightly more than was measured.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.scale import RealScale, scale_label, thick_axis, upsampled_size
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.registry import Method, MultiPass, passes_of
from napari_mrisr.operators.degrade import get_degradation
from napari_mrisr.operators.interpolate import AxisOperator
from napari_mrisr.operators.slices import consistency_operators

_NEGLIGIBLE = 1e-6

# Slices of an axis that is longer than the band of U.
_LONG = 64


@dataclass(frozen=True, eq=False)
class Consistent:
    """A method for thick slices, with data consistency as its last pass.

    Attributes
    ----------
    method : Method
        Its scale has one factor above 1, and it needs no whole volume.
    degradation : str
        Profile of the measured slices, such as ``slice-profile:boxcar:1``.
    """

    method: Method
    degradation: str

    def __post_init__(self) -> None:
        if not profile_known(self.scale, self.degradation):
            found = f"degradation {self.degradation} at scale {scale_label(self.scale)}"
            mend = "use a slice profile and one thick axis"
            raise ParameterError(explain("data consistency", found, mend))

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.method.name

    @property
    def scale(self) -> RealScale:
        """Factor of each axis."""
        return self.method.scale

    @property
    def axis(self) -> int:
        """The thick axis."""
        return int(np.argmax(self.scale))

    @property
    def halo(self) -> Shape | None:
        """Low-resolution voxels needed around a region."""
        halo = self.method.halo
        if halo is None:
            return None
        degrade, spread = self._operators(_LONG)
        factor = self.scale[self.axis]
        slices = spread.taps.shape[1] // 2 + int(degrade.taps.shape[1] / (2 * factor)) + 2
        x, y, z = (n + (slices if a == self.axis else 0) for a, n in enumerate(halo))
        return x, y, z

    @property
    def passes(self) -> int:
        """Number of passes; see :class:`~napari_mrisr.methods.MultiPass`."""
        return passes_of(self.method) + 1

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        box = self._box(region, lr.grid.shape[self.axis])
        return self.correct(lr, self.method.compute(lr, box), box.start, region)

    def compute_pass(
        self, number: int, lr: Volume, previous: FloatArray, region: Region
    ) -> FloatArray:
        """Compute a region in a pass; see :class:`~napari_mrisr.methods.MultiPass`."""
        if number == self.passes - 1:
            box = self._box(region, lr.grid.shape[self.axis])
            return self.correct(lr, np.asarray(previous[box.slices]), box.start, region)
        if isinstance(self.method, MultiPass):
            return self.method.compute_pass(number, lr, previous, region)
        return self.method.compute(lr, region)

    def needs(self, number: int, region: Region, shape: Shape) -> Region:
        """Return the box that a pass reads; see :class:`~napari_mrisr.methods.MultiPass`."""
        if number == self.passes - 1:
            return self._box(region, round(shape[self.axis] / self.scale[self.axis]))
        assert isinstance(self.method, MultiPass)
        return self.method.needs(number, region, shape)

    def correct(self, lr: Volume, image: FloatArray, corner: Shape, region: Region) -> FloatArray:
        """Return a region of the method's result, made consistent.

        Parameters
        ----------
        lr : Volume
            The measured slices, engine units.
        image : ndarray of float32
            The method's result on the box of :meth:`needs` or a larger one.
        corner : tuple of int
            Index of the image's first voxel.
        region : Region
        """
        axis = self.axis
        degrade, spread = self._operators(lr.grid.shape[axis])
        spread = spread.rows(region.start[axis], region.stop[axis])
        first, last = spread.reads
        degrade = degrade.rows(first, last)
        across = [
            slice(a - c, b - c) for a, b, c in zip(region.start, region.stop, corner, strict=True)
        ]
        measured = [*region.slices]
        measured[axis] = slice(first, last)
        read, (low, high) = [*across], degrade.reads
        read[axis] = slice(low - corner[axis], high - corner[axis])
        again = degrade.apply(np.ascontiguousarray(image[tuple(read)]), axis, low)
        residual = np.ascontiguousarray(lr.data[tuple(measured)]) - again
        result = image[tuple(across)] + spread.apply(residual, axis, first)
        return np.asarray(np.maximum(result, lr.extrema[0], out=result))

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        profile = get_degradation(self.degradation)
        shape = "" if profile.profile == "boxcar" else "Gaussian "
        text = f"consistent with {shape}slices of {profile.fwhm:.1f} × the spacing"
        return {**self.method.provenance(), "data_consistency": text}

    def _operators(self, slices: int) -> tuple[AxisOperator, AxisOperator]:
        profile = get_degradation(self.degradation)
        voxels = upsampled_size(slices, self.scale[self.axis])
        return _banded(slices, voxels, profile.profile, profile.fwhm)

    def _box(self, region: Region, slices: int) -> Region:
        """Return the region, and along the thick axis what its correction reads."""
        axis = self.axis
        degrade, spread = self._operators(slices)
        start, stop = [*region.start], [*region.stop]
        reads = degrade.rows(*spread.rows(start[axis], stop[axis]).reads).reads
        start[axis], stop[axis] = min(start[axis], reads[0]), max(stop[axis], reads[1])
        return Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def profile_known(scale: RealScale, degradation: str) -> bool:
    """Return True if slices of a known profile are thick along one axis only."""
    return thick_axis(scale) is not None and get_degradation(degradation).name == "slice-profile"


@functools.lru_cache(maxsize=16)
def _banded(n: int, n_out: int, profile: str, fwhm: float) -> tuple[AxisOperator, AxisOperator]:
    """Return the operators D and U, with U cut to a band."""
    degrade, spread = consistency_operators(n, n_out, profile, fwhm)
    used = np.abs(spread.taps) > _NEGLIGIBLE
    first = used.argmax(axis=1)
    band = int((n - used[:, ::-1].argmax(axis=1) - first).max())
    first = np.minimum(first, n - band)
    taps = np.take_along_axis(spread.taps, first[:, None] + np.arange(band), axis=1)
    return degrade, AxisOperator(first.astype(np.int64), np.ascontiguousarray(taps))
