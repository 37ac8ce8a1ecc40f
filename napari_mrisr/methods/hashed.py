"""Methods ``hashed`` and ``anchored``: interpolate, then filter voxels by their bucket.

A region is computed from a slightly larger one, because each stage on upsampled voxels
needs its reach around the region of the next stage. All steps are local. The whole run,
which goes stage by stage to compute nothing twice, therefore agrees bit for bit with any
region.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank, Stage
from napari_mrisr.bank.symmetries import ELEMENTS, element_offsets, phase_offsets
from napari_mrisr.core.complex_volume import Part
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.kernels import cpu
from napari_mrisr.operators import interpolate
from napari_mrisr.operators.gradients import mirrored_box

Buckets = tuple[NDArray[np.int32], NDArray[np.uint8]]

ELEMENT_TABLE = np.array(ELEMENTS)

# Boxes with fewer voxels per line are copied before they are read.
_SHORT = 64

_START_HALO = {"tricubic": interpolate.TRICUBIC_HALO, "quadratic": 3}


@dataclass(frozen=True, eq=False)
class Hashed:
    """Learned hashed filters.

    Attributes
    ----------
    bank : FilterBank
        Bank with the stages to run, in order.
    """

    bank: FilterBank

    @property
    def name(self) -> str:
        """Name of the method, by how the bank chooses its filters."""
        return "anchored" if self.bank.anchored else "hashed"

    @property
    def scale(self) -> Scale:
        """Factor of each axis."""
        return self.bank.scale

    @property
    def halo(self) -> Shape:
        """Low-resolution voxels needed around a region."""
        halo = []
        for axis, factor in enumerate(self.scale):
            voxels, around = 0, _START_HALO[self.bank.start]
            for stage in self.bank.stages:
                reach = stage.spec.reach[axis]
                if stage.spec.grid == "voxel":
                    voxels += reach
                else:
                    around = max(around, reach)
            halo.append(-(-voxels // factor) + 1 + around)
        return halo[0], halo[1], halo[2]

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        return self.run(lr, region, len(self.bank.stages))

    def run(self, lr: Volume, region: Region, stages: int) -> FloatArray:
        """Compute the result of the first ``stages`` stages on a region."""
        for _, image in self.images(lr, region, stages):  # noqa: B007 (only the last counts)
            pass
        return self._finish(lr, image, region)

    def images(
        self, lr: Volume, region: Region, stages: int
    ) -> Iterator[tuple[Region, FloatArray]]:
        """Yield the images that a region is made from: the start, then each stage.

        Each image comes with its box, as large as the next stage needs it; the last box
        is the region. :meth:`compute` returns the last image; above the clip the start is
        its lower limit. For a part of a complex scan, the stages' buckets are those of the
        magnitude.
        """
        shape = interpolate.upsampled_shape(lr.data, self.scale)
        boxes = [region]
        for number in range(stages, 0, -1):
            boxes.insert(0, self.needs(number, boxes[0], shape))
        seen = [lr.guide, lr] if isinstance(lr, Part) else [lr]
        images = [self._begin(one, boxes[0]) for one in seen]
        yield boxes[0], images[-1]
        for number, target in enumerate(boxes[1:]):
            images = self._continue(number, seen, images, boxes[number].start, target)
            yield target, images[-1]

    @property
    def passes(self) -> int:
        """Number of passes: the start, then each stage."""
        return len(self.bank.stages) + 1

    def compute_pass(
        self, number: int, lr: Volume, previous: FloatArray, region: Region
    ) -> FloatArray:
        """Compute a region in a pass; see :class:`~napari_mrisr.methods.MultiPass`."""
        if number == 0:
            return self._begin(lr, region)
        (image,) = self._continue(number - 1, [lr], [previous], (0, 0, 0), region)
        return self._finish(lr, image, region) if number == self.passes - 1 else image

    def needs(self, number: int, region: Region, shape: Shape) -> Region:
        """Return the box that a pass reads; see :class:`~napari_mrisr.methods.MultiPass`."""
        spec = self.bank.stages[number - 1].spec
        if spec.grid == "cell":
            return whole_cells(region, self.scale)
        return grown(region, spec.reach, shape)

    def _begin(self, lr: Volume, region: Region) -> FloatArray:
        """Compute the interpolation from which the first stage starts."""
        start = interpolate.tricubic if self.bank.start == "tricubic" else interpolate.quadratic
        image = start(lr.data, self.scale, region)
        return np.clip(image, *lr.extrema, out=image)

    def _continue(
        self,
        number: int,
        seen: Sequence[Volume],
        images: Sequence[FloatArray],
        corner: Shape,
        region: Region,
    ) -> list[FloatArray]:
        """Compute a stage on a region, from images of volumes that start at ``corner``.

        The first volume's buckets serve all.
        """
        stage = self.bank.stages[number]
        shape = interpolate.upsampled_shape(seen[0].data, self.scale)
        if stage.spec.grid == "cell":
            box = whole_cells(region, self.scale)
            results = [crop(image, corner, box).copy() for image in images]
            add_cell_stage(stage, self.scale, [lr.data for lr in seen], results, box)
            results = [crop(result, box.start, region) for result in results]
        else:
            around = grown(region, stage.spec.reach, shape)
            images = [crop(image, corner, around) for image in images]
            results = voxel_stage(stage, images, around.start, shape, region)
        pairs = zip(results, seen, strict=True)
        return [np.maximum(result, lr.extrema[0], out=result) for result, lr in pairs]

    def _finish(self, lr: Volume, image: FloatArray, region: Region) -> FloatArray:
        """Keep voxels above the clip at least as bright as the start, for vessels."""
        if lr.extrema[1] > 1.0 and not isinstance(lr, Part):
            start = self._begin(lr, region)
            image = np.where(start > 1.0, np.maximum(image, start), image)
        return np.ascontiguousarray(image)

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        return {
            "method": self.name,
            "bank": self.bank.name,
            "bank_preset": self.bank.preset,
            "degradation_assumed": self.bank.degradation,
        }


def cell_box(box: Region, scale: Scale) -> Region:
    """Return the low-resolution voxels of a box of whole cells."""
    a, b, c = (n // s for n, s in zip(box.start, scale, strict=True))
    d, e, f = (n // s for n, s in zip(box.stop, scale, strict=True))
    return Region((a, b, c), (d, e, f))


def hash_cells(stage: Stage, lr: FloatArray, cells: Region) -> Buckets:
    """Compute buckets and symmetries of low-resolution voxels."""
    shape = (lr.shape[0], lr.shape[1], lr.shape[2])
    box = grown(cells, stage.spec.hash.reach, shape)
    source = lr[box.slices]
    busy = _busy(stage, source, box.start, shape, cells)
    if busy == cells:
        return stage.spec.hash.hash_box(source, box.start, shape, cells)
    bucket = np.full(cells.shape, stage.spec.hash.filter_count, np.int32)
    element = np.zeros(cells.shape, np.uint8)
    if busy:
        found = stage.spec.hash.hash_box(source, box.start, shape, busy)
        bucket[_inner(cells.start, busy)], element[_inner(cells.start, busy)] = found
    return bucket, element


def add_cell_stage(
    stage: Stage,
    scale: Scale,
    volumes: Sequence[FloatArray],
    images: Sequence[FloatArray],
    box: Region,
) -> None:
    """Add a cell stage's outputs to images, which cover ``box`` (whole cells).

    The buckets are those of the first volume.
    """
    cells = cell_box(box, scale)
    bucket, element = hash_cells(stage, volumes[0], cells)
    x, y, z = volumes[0].shape
    for lr, image in zip(volumes, images, strict=True):
        source = padded(lr, (0, 0, 0), (x, y, z), cells, stage.spec.shape)
        cpu.filter_cells(
            source,
            bucket,
            element,
            _offsets(stage.spec.shape, source.shape[1], source.shape[2]),
            _places(scale, image.shape[1], image.shape[2]),
            stage.padded_weights,
            scale,
            image,
        )


def voxel_stage(
    stage: Stage, images: Sequence[FloatArray], corner: Shape, shape: Shape, region: Region
) -> list[FloatArray]:
    """Compute a voxel stage on ``region`` of images that start at ``corner``.

    The buckets are those of the first image.
    """
    residual = stage.spec.residual
    if images[0].shape[2] < _SHORT:
        # Many short lines are read several times.
        images = [np.ascontiguousarray(image) for image in images]
    outs = [crop(image, corner, region).copy() for image in images]
    if box := _busy(stage, images[0], corner, shape, region):
        bucket, element = stage.spec.hash.hash_box(images[0], corner, shape, box)
        for image, out in zip(images, outs, strict=True):
            source = padded(image, corner, shape, box, stage.spec.shape)
            change = cpu.filter_voxels(source, bucket, element, ELEMENT_TABLE, stage.rows, residual)
            target = crop(out, region.start, box)
            target[:] = target + change if residual else change
    return outs


def _busy(
    stage: Stage, image: FloatArray, corner: Shape, shape: Shape, region: Region
) -> Region | None:
    """Return the part of a region that holds all voxels that are not flat; None without any.

    If all intensities in a window lie within d of each other, no central difference
    exceeds d / 2, and the tensor's trace does not exceed 3 d² / 4.
    """
    spec = stage.spec.hash
    if not (spec.flat and stage.spec.residual):
        return region
    reach = spec.window.reach
    seen = grown(region, reach, shape)
    box = crop(image, corner, seen)
    busy = box > box.min() + np.float32(0.99 * spec.flat * (4.0 / 3.0) ** 0.5)
    plane = busy.any(axis=0)
    start, stop = [], []
    for axis, found in enumerate((busy.any(axis=(1, 2)), plane.any(axis=1), plane.any(axis=0))):
        index = np.flatnonzero(found)
        if not index.size:
            return None
        low, high = int(index[0]) + seen.start[axis], int(index[-1]) + 1 + seen.start[axis]
        start.append(max(low - reach[axis], region.start[axis]))
        stop.append(min(high + reach[axis], region.stop[axis]))
    if any(a >= b for a, b in zip(start, stop, strict=True)):
        return None
    return Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def padded(
    source: FloatArray, corner: Shape, shape: Shape, region: Region, patch: Shape
) -> FloatArray:
    """Return a region with half a patch around it, mirrored at the volume's edges."""
    spans = [
        (a - w // 2, b + w // 2) for a, b, w in zip(region.start, region.stop, patch, strict=True)
    ]
    return mirrored_box(source, corner, shape, spans)


@functools.lru_cache(maxsize=64)
def _offsets(patch: Shape, ny: int, nz: int) -> NDArray[np.int64]:
    return element_offsets(patch, (ny * nz, nz, 1))


@functools.lru_cache(maxsize=64)
def _places(scale: Scale, ny: int, nz: int) -> NDArray[np.int64]:
    return np.asarray(phase_offsets(scale) @ np.array([ny * nz, nz, 1]))


def grown(region: Region, reach: Shape, shape: Shape) -> Region:
    """Return a region enlarged by ``reach`` along each axis within the volume."""
    a, b, c = (max(0, n - r) for n, r in zip(region.start, reach, strict=True))
    d, e, f = (min(s, n + r) for n, r, s in zip(region.stop, reach, shape, strict=True))
    return Region((a, b, c), (d, e, f))


def whole_cells(region: Region, scale: Scale) -> Region:
    """Return the smallest box of whole low-resolution voxels that holds a region."""
    a, b, c = (n // s * s for n, s in zip(region.start, scale, strict=True))
    d, e, f = (-(-n // s) * s for n, s in zip(region.stop, scale, strict=True))
    return Region((a, b, c), (d, e, f))


def crop(image: FloatArray, corner: Shape, region: Region) -> FloatArray:
    """Return a region of an image that starts at ``corner``."""
    return image[_inner(corner, region)]


def _inner(corner: Shape, region: Region) -> tuple[slice, ...]:
    """Return the index of a region in an array that starts at ``corner``."""
    return tuple(
        slice(a - c, b - c) for a, b, c in zip(region.start, region.stop, corner, strict=True)
    )
