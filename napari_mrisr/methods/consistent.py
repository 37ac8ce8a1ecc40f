"""Data consistency: correct a result so that it equals the measured voxels when degraded again.

D degrades along one axis as the scanner is assumed to do, and U spreads low-resolution voxels
with D U = 1. So x + U (y − D x) is consistent with the measured voxels y. With several axes, D
and U are applied along each in turn.

For slices of a profile, U spreads by a cubic spline and is cut where its weights are below 1e-6
(:func:`napari_mrisr.operators.slices.consistency_operators`). The width of the profile is that
of the scan's slices if it is known, else that of the bank. For the degradation ``standard``, D
and U are cut to a few voxels, so that a preview stays fast; most of the deviation is removed.

Voxels that the correction makes darker than the darkest measured voxel are set to it. Only
there, in practice in air, the result degrades to slightly more than was measured.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.scale import RealScale, is_whole, scale_label, thick_axis, upsampled_size
from napari_mrisr.core.slices import MOST_OVERLAP, relative_width
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.registry import Method, MultiPass, passes_of
from napari_mrisr.operators.degrade import Degradation, get_degradation, standard_operator
from napari_mrisr.operators.interpolate import AxisOperator
from napari_mrisr.operators.slices import consistency_operators, spread_operator

_NEGLIGIBLE = 1e-6

# Low-resolution voxels on each side that D and U of ``standard`` read.
_DEGRADE_REACH = 2.5
_SPREAD_REACH = 1.5

# Low-resolution voxels of an axis that is longer than the band of U.
_LONG = 64

Operators = tuple[AxisOperator, AxisOperator]


@dataclass(frozen=True, eq=False)
class Consistent:
    """A method with data consistency as its last pass.

    Attributes
    ----------
    method : Method
        A method that needs no whole volume.
    degradation : str
        Forward model of the measured voxels, such as ``slice-profile:boxcar:1``.
    """

    method: Method
    degradation: str

    def __post_init__(self) -> None:
        if not invertible(self.scale, self.degradation):
            found = f"degradation {self.degradation} at scale {scale_label(self.scale)}"
            mend = "use a slice profile, or the degradation standard with whole factors"
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
    def axes(self) -> tuple[int, ...]:
        """Axes that become finer."""
        return tuple(axis for axis, factor in enumerate(self.scale) if factor > 1)

    @property
    def halo(self) -> Shape | None:
        """Low-resolution voxels needed around a region."""
        halo = self.method.halo
        if halo is None:
            return None
        around = [*halo]
        for axis in self.axes:
            spread, degrade = self._bands(axis)
            around[axis] += spread // 2 + int(degrade / (2 * self.scale[axis])) + 2
        return around[0], around[1], around[2]

    @property
    def passes(self) -> int:
        """Number of passes; see :class:`~napari_mrisr.methods.MultiPass`."""
        return passes_of(self.method) + 1

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        box = self._box(region, lr.grid.shape, self._profile(lr))
        return self.correct(lr, self.method.compute(lr, box), box.start, region)

    def compute_pass(
        self, number: int, lr: Volume, previous: FloatArray, region: Region
    ) -> FloatArray:
        """Compute a region in a pass; see :class:`~napari_mrisr.methods.MultiPass`."""
        if number == self.passes - 1:
            box = self._box(region, lr.grid.shape, self._profile(lr))
            return self.correct(lr, np.asarray(previous[box.slices]), box.start, region)
        if isinstance(self.method, MultiPass):
            return self.method.compute_pass(number, lr, previous, region)
        return self.method.compute(lr, region)

    def needs(self, number: int, region: Region, shape: Shape) -> Region:
        """Return the box that a pass reads; see :class:`~napari_mrisr.methods.MultiPass`."""
        if number == self.passes - 1:
            start, stop = [*region.start], [*region.stop]
            for axis in self.axes:
                spread, degrade = self._bands(axis)
                n, factor = shape[axis], self.scale[axis]
                low, high = int(start[axis] / factor), int(stop[axis] / factor)
                low, high = _band_around(low, high, spread, round(n / factor))
                low, high = _band_around(int(low * factor), int(high * factor), degrade, n)
                start[axis], stop[axis] = min(start[axis], low), max(stop[axis], high)
            return Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
        assert isinstance(self.method, MultiPass)
        return self.method.needs(number, region, shape)

    def correct(self, lr: Volume, image: FloatArray, corner: Shape, region: Region) -> FloatArray:
        """Return a region of the method's result, made consistent.

        Parameters
        ----------
        lr : Volume
            The measured voxels, engine units.
        image : ndarray of float32
            The method's result on the box of :meth:`needs` or a larger one.
        corner : tuple of int
            Index of the image's first voxel.
        region : Region
        """
        profile = self._profile(lr)
        measured, read = [*region.slices], [*region.slices]
        steps: list[tuple[int, AxisOperator, AxisOperator]] = []
        for axis in self.axes:
            degrade, spread = self._operators(axis, lr.grid.shape[axis], profile)
            spread = spread.rows(region.start[axis], region.stop[axis])
            measured[axis] = slice(*spread.reads)
            degrade = degrade.rows(*spread.reads)
            read[axis] = slice(*degrade.reads)
            steps.append((axis, degrade, spread))
        again = np.ascontiguousarray(image[_inner(read, corner)])
        for axis, degrade, _ in steps:
            again = degrade.apply(again, axis, read[axis].start)
        change = np.ascontiguousarray(lr.data[tuple(measured)]) - again
        for axis, _, spread in steps:
            change = spread.apply(change, axis, measured[axis].start)
        change += image[_inner(region.slices, corner)]
        return np.asarray(np.maximum(change, lr.extrema[0], out=change))

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        slices = get_degradation(self.degradation).name == "slice-profile"
        text = f"with the measured {'slices' if slices else 'voxels'}"
        return {**self.method.provenance(), "data_consistency": text}

    def operators(self, lr: Volume, axis: int) -> Operators:
        """Return D and U along an axis of a volume."""
        return self._operators(axis, lr.grid.shape[axis], self._profile(lr))

    def _bands(self, axis: int) -> tuple[int, int]:
        """Return the widths of U and D for slices of any width: they grow with it."""
        chosen = get_degradation(self.degradation)
        widest = replace(chosen, fwhm=max(chosen.fwhm, MOST_OVERLAP))
        degrade, spread = self._operators(axis, _LONG, widest)
        return spread.taps.shape[1], degrade.taps.shape[1]

    def _profile(self, lr: Volume) -> Degradation:
        """Return the forward model, with the width of the scan's slices where it is known."""
        chosen, axis = get_degradation(self.degradation), thick_axis(self.scale)
        width = None if axis is None else relative_width(lr, axis)
        return chosen if width is None else replace(chosen, fwhm=width)

    def _operators(self, axis: int, n: int, profile: Degradation) -> Operators:
        return _operators(n, upsampled_size(n, self.scale[axis]), profile)

    def _box(self, region: Region, low: Shape, profile: Degradation) -> Region:
        """Return the region and what its correction reads."""
        start, stop = [*region.start], [*region.stop]
        for axis in self.axes:
            degrade, spread = self._operators(axis, low[axis], profile)
            reads = degrade.rows(*spread.rows(start[axis], stop[axis]).reads).reads
            start[axis], stop[axis] = min(start[axis], reads[0]), max(stop[axis], reads[1])
        return Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def made_consistent(method: Method, degradation: str) -> Method:
    """Return the method with data consistency, where the degradation allows it."""
    return Consistent(method, degradation) if invertible(method.scale, degradation) else method


def invertible(scale: RealScale, degradation: str) -> bool:
    """Return True if results at a scale can be made consistent with a degradation."""
    name = get_degradation(degradation).name
    if max(scale) == 1:
        return False
    if name == "slice-profile":
        return thick_axis(scale) is not None
    return name == "standard" and is_whole(scale)


def _band_around(start: int, stop: int, band: int, n: int) -> tuple[int, int]:
    """Return what rows centered at an interval read: near the edges a whole band."""
    half = band // 2 + 2
    low, high = min(start - half, n - band), max(stop + half, band)
    return max(0, low), min(n, high)


def _inner(box: Sequence[slice], corner: Shape) -> tuple[slice, ...]:
    """Return the index of a box in an image that starts at ``corner``."""
    return tuple(slice(s.start - c, s.stop - c) for s, c in zip(box, corner, strict=True))


@functools.lru_cache(maxsize=32)
def _operators(n: int, n_out: int, profile: Degradation) -> Operators:
    """Return D and U along an axis, each cut to a band."""
    if profile.name == "slice-profile":
        degrade, spread = consistency_operators(n, n_out, profile.profile, profile.fwhm)
        return degrade, _band(spread.taps, np.abs(spread.taps) > _NEGLIGIBLE)
    degrade = standard_operator(n_out, n_out // n)
    spread = spread_operator(degrade, n, n_out)
    factor = n_out / n
    offset = (np.arange(n_out)[None, :] + 0.5) / factor - 0.5 - np.arange(n)[:, None]
    return (
        _band(degrade.dense(n_out), np.abs(offset) <= _DEGRADE_REACH, normalized=True),
        _band(spread.dense(n), np.abs(offset.T) <= _SPREAD_REACH, normalized=True),
    )


def _band(
    matrix: NDArray[np.floating], used: NDArray[np.bool_], normalized: bool = False
) -> AxisOperator:
    """Cut a matrix to a band that holds the used entries; keep the rows' sums if normalized."""
    n = matrix.shape[1]
    first = used.argmax(axis=1)
    band = int((n - used[:, ::-1].argmax(axis=1) - first).max())
    first = np.minimum(first, n - band)
    index = first[:, None] + np.arange(band)
    taps = np.take_along_axis(matrix, index, axis=1)
    if normalized:
        taps = np.where(np.take_along_axis(used, index, axis=1), taps, 0.0)
        taps *= (matrix.sum(axis=1) / taps.sum(axis=1))[:, None]
    return AxisOperator(first.astype(np.int64), np.ascontiguousarray(taps, np.float32))
