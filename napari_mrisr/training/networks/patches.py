"""Training patches: high-resolution columns, augmented and degraded on the fly.

A patch is a column of the volume along its thick axis: the whole line, so that slices and
cubic interpolation are those of a real run up to the volume's edges, and a small rectangle
across. Of its slices a random run is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray, IntensityWindow
from napari_mrisr.networks.tiles import conditions
from napari_mrisr.operators.interpolate import prefilter_operator, resample_operator
from napari_mrisr.operators.slices import (
    SliceProjection,
    correction_operator,
    legendre_basis,
    slice_operator,
    slice_projection,
)

ORDER = 8
"""Legendre coefficients per low-resolution voxel along the thick axis."""

FACTORS = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
_FACTOR_SHARE = (0.12, 0.2, 0.28, 0.12, 0.18, 0.1)
# Of all steps: whole factors of the table, the others any real factor between.
_WHOLE = 0.75
FACTOR_RANGE, WIDTH_RANGE = (1.5, 9.0), (0.7, 1.3)
"""Slice distance over pixel size, and slice thickness over distance, in training."""
_EDGE = 2  # voxels across at a patch's edge that see too little to be learned from


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """A high-resolution volume in memory.

    Attributes
    ----------
    data : (x, y, z) ndarray of float16
        Engine units, 0 to 1 over the intensity window.
    inside : (x, y, z) ndarray of bool
        Voxels to learn from.
    axes : tuple of int
        Axes that may be the thick one: those with full bandwidth.
    """

    data: NDArray[np.float16]
    inside: NDArray[np.bool_]
    axes: tuple[int, ...]

    @functools.cached_property
    def centers(self) -> NDArray[np.intp]:
        """Flat indices of the voxels to learn from."""
        return np.flatnonzero(self.inside)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A part of a volume to measure the gain on: the thick axis first, engine units."""

    name: str
    data: FloatArray
    inside: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Projected:
    """Operators of an unrolled network for each patch; see :class:`~.unrolled`.

    Attributes
    ----------
    change : (batch, slices, rows, columns) ndarray of float32
        S y − y.
    hide : (batch, slices, slices, order) ndarray of float32
        H, of the patch's slices.
    correct : (batch, voxels, slices, order) ndarray of float32
        (1 − U D) B, of the patch's slices.
    """

    change: FloatArray
    hide: FloatArray
    correct: FloatArray


@dataclass(frozen=True, eq=False)
class PatchBatch:
    """Patches of one slice factor and width; the thick axis is axis 1.

    Attributes
    ----------
    low : (batch, slices, rows, columns) ndarray of float32
    cubic, truth : (batch, voxels, rows, columns) ndarray of float32
        At the positions to learn from.
    weight : (batch, voxels, rows, columns) ndarray of float32
        1 for voxels that count.
    nearest : (batch, voxels) ndarray of int64
        Slice of each position, counted within the patch.
    basis : (batch, voxels, order) ndarray of float32
    told : (conditions,) list of float
    projected : Projected or None
        For an unrolled network; ``cubic`` then fits the slices exactly.
    """

    low: FloatArray
    cubic: FloatArray
    truth: FloatArray
    weight: FloatArray
    nearest: NDArray[np.int64]
    basis: FloatArray
    told: list[float]
    projected: Projected | None = None


def training_image(
    data: FloatArray, inside: NDArray[np.bool_], axes: tuple[int, ...] = (0, 1, 2)
) -> TrainingImage:
    """Return a volume in engine units, cropped to its mask."""
    window = IntensityWindow.of(data)
    found = np.nonzero(inside)
    box = tuple(slice(max(0, int(i.min()) - 8), int(i.max()) + 9) for i in found)
    unit = np.clip(window.to_unit(data[box]), 0.0, 1.5)
    return TrainingImage(unit.astype(np.float16), inside[box], axes)


class PatchSampler:
    """Draws batches from images.

    Parameters
    ----------
    images : sequence of TrainingImage
    weights : sequence of float
        How often each image is drawn, relative to others.
    rng : numpy Generator
    batch, slices, across : int
        Patches per batch, slices per patch, and voxels across in both directions.
    projected : bool
        Make batches for an unrolled network.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        weights: Sequence[float],
        rng: np.random.Generator,
        *,
        batch: int = 4,
        slices: int = 12,
        across: int = 24,
        projected: bool = False,
    ) -> None:
        self.images, self.rng, self.projected = images, rng, projected
        self.share = np.asarray(weights, float) / sum(weights)
        self.batch, self.slices, self.across = batch, slices, across

    def draw(self) -> PatchBatch:
        """Return a batch of one random factor, profile and width."""
        rng = self.rng
        factor = float(rng.choice(FACTORS, p=_FACTOR_SHARE))
        if rng.random() > _WHOLE:
            factor = float(np.exp(rng.uniform(*np.log(FACTOR_RANGE))))
        profile, fwhm = "boxcar", 1.0
        if rng.random() > 0.5:
            profile = "boxcar" if rng.random() < 0.5 else "gaussian"
            fwhm = float(rng.uniform(*WIDTH_RANGE))
        patches = [self._patch(factor, profile, fwhm) for _ in range(self.batch)]
        low, cubic, truth, weight, basis, nearest, *more = (
            np.stack(parts) for parts in zip(*patches, strict=True)
        )
        slices = nearest.astype(np.int64)
        projected = Projected(*more) if more else None
        told = conditions(factor, fwhm)
        return PatchBatch(low, cubic, truth, weight, slices, basis, told, projected)

    def _patch(self, factor: float, profile: str, fwhm: float) -> list[FloatArray]:
        """Return one patch, as in a batch: low to nearest, then its part of ``projected``."""
        rng = self.rng
        column, inside = self._column()
        # A random end is cut off, so that slices lie anywhere in the anatomy.
        start = int(rng.integers(0, max(1, int(factor))))
        n = column.shape[0] - start
        count = max(4, round(n / factor))
        n = min(n, round(count * factor))
        column, inside = column[start : start + n], inside[start : start + n]
        column = augmented(column, inside, rng)
        low = slice_operator(n, count, profile, fwhm).apply(column, 0)
        sharp = low
        if self.projected:
            projection = slice_projection(count, n, ORDER, fwhm)
            sharp = projection.sharpen.apply(low, 0)
        coefficients = prefilter_operator(count).apply(sharp, 0)
        change = sharp - low
        if count < self.slices:
            low = np.pad(low, ((0, self.slices - count), (0, 0), (0, 0)))
        nearest, basis = legendre_basis(count, n, ORDER)
        first = int(rng.integers(0, max(1, count - self.slices + 1)))
        # Edge slices of the run are seen only half, but for those of the volume.
        a = first + (first > 0)
        b = first + self.slices - (first + self.slices < count)
        rows = np.flatnonzero((nearest >= a) & (nearest < b))
        want = int(np.ceil((self.slices - 2) * factor))
        weight = inside[rows].astype(np.float32)
        weight[:, :_EDGE] = weight[:, -_EDGE:] = 0
        weight[:, :, :_EDGE] = weight[:, :, -_EDGE:] = 0
        cubic = resample_operator(count, n).rows(int(rows[0]), int(rows[-1]) + 1)
        learned = [
            cubic.apply(coefficients, 0),
            column[rows],
            weight,
            basis[rows].astype(np.float32),
            (nearest[rows] - first).astype(np.float32),
        ]
        kept = slice(first, first + self.slices)
        patch = [low[kept], *(_padded(part, want) for part in learned)]
        if not self.projected:
            return patch
        hide, correct = projection_matrices(projection, count, n)
        hide, correct = hide[kept, kept], correct[rows, kept]
        short = self.slices - len(hide)
        hide = np.pad(hide, ((0, short), (0, short), (0, 0)))
        correct = np.pad(correct, ((0, 0), (0, short), (0, 0)))
        return [*patch, _padded(change[kept], self.slices), hide, _padded(correct, want)]

    def _column(self) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return a column through a random voxel of a random image, turned and flipped."""
        rng, size = self.rng, self.across
        number = int(rng.choice(len(self.images), p=self.share))
        image = self.images[number]
        center = np.unravel_index(int(rng.choice(image.centers)), image.data.shape)
        axis = int(rng.choice(image.axes))
        others = [i for i in range(3) if i != axis]
        box: list[slice] = [slice(None)] * 3
        pads = [(0, 0)] * 3
        for other in others:
            low = int(center[other]) - size // 2
            n = image.data.shape[other]
            low = min(max(low, 0), max(0, n - size))
            box[other] = slice(low, low + size)
            pads[other] = (0, max(0, size - n))
        key = tuple(box)
        column = np.pad(image.data[key].astype(np.float32), pads)
        inside = np.pad(image.inside[key], pads)
        order = [axis, *others] if rng.random() < 0.5 else [axis, *others[::-1]]
        column, inside = column.transpose(order), inside.transpose(order)
        for turn in range(3):
            if rng.random() < 0.5:
                column, inside = np.flip(column, turn), np.flip(inside, turn)
        return np.ascontiguousarray(column), np.ascontiguousarray(inside)


def projection_matrices(
    projection: SliceProjection, count: int, n: int
) -> tuple[FloatArray, FloatArray]:
    """Return H and (1 − U D) B of whole lines; see :class:`Projected`.

    Returns
    -------
    hide : (count, count, order) ndarray of float32
    correct : (n, count, order) ndarray of float32
    """
    hide = projection.hide.dense(count * ORDER)
    spline = resample_operator(count, n).dense(count) @ prefilter_operator(count).dense(count)
    correct = correction_operator(count, n, ORDER).dense(count * ORDER) - spline @ hide
    shaped = (part.reshape(-1, count, ORDER).astype(np.float32) for part in (hide, correct))
    return next(shaped), next(shaped)


def augmented(
    column: FloatArray, inside: NDArray[np.bool_], rng: np.random.Generator
) -> FloatArray:
    """Return a patch, at times with another contrast, and at times with planted shapes."""
    if rng.random() < 0.35:
        column = tone_curve(column, rng)
    if rng.random() < 0.5:
        column = planted_shapes(column, inside, rng)
    return column


def _padded(array: FloatArray, length: int) -> FloatArray:
    missing = length - len(array)
    if missing <= 0:
        return array[:length]
    return np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1))


def tone_curve(column: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return intensities of another contrast: a smooth curve through 0, at times falling."""
    gamma = float(np.exp(rng.uniform(-0.5, 0.5)))
    slope = float(rng.uniform(-0.5, 1.0))
    value = np.clip(column, 0.0, 1.5)
    curved = value**gamma * (1.0 - slope * np.minimum(value, 1.0)) * (1.0 + max(0.0, slope))
    return np.asarray(curved, np.float32)


def planted_shapes(
    column: FloatArray, inside: NDArray[np.bool_], rng: np.random.Generator
) -> FloatArray:
    """Return the column with random ellipsoids, tubes and sheets added, of either sign.

    No training scan has lesions; shapes that no anatomy has keep the network from erasing
    what it never saw.
    """
    n, rows, columns = column.shape
    out = column.copy()
    for _ in range(int(rng.integers(1, 1 + max(2, n // 30)))):
        center = np.array([rng.uniform(0, n), rng.uniform(0, rows), rng.uniform(0, columns)])
        radius = np.exp(rng.uniform(np.log(1.0), np.log(6.0), 3))
        kind = rng.random()
        if kind < 0.3:
            radius[int(rng.integers(3))] *= 8.0  # a tube
        elif kind < 0.5:
            radius *= 4.0
            radius[int(rng.integers(3))] = rng.uniform(0.7, 2.0)  # a sheet
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        low = np.maximum(0, np.floor(center - radius.max() - 2)).astype(int)
        high = np.minimum(column.shape, np.ceil(center + radius.max() + 3)).astype(int)
        if np.any(high <= low):
            continue
        axes = [np.arange(a, b) - c for a, b, c in zip(low, high, center, strict=True)]
        x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
        distance = sum(
            ((turn[i, 0] * x + turn[i, 1] * y + turn[i, 2] * z) / radius[i]) ** 2 for i in range(3)
        )
        edge = (1.0 - np.sqrt(distance)) * radius.min() + 0.5
        contrast = rng.choice((-1.0, 1.0)) * rng.uniform(0.03, 0.35)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        shape = np.clip(edge, 0.0, 1.0) * inside[box]
        out[box] += np.float32(contrast) * shape.astype(np.float32)
    return np.maximum(out, 0.0)
