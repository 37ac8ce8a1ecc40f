"""Regions of interest, in millimeters, and their voxels on any grid.

A voxel belongs to a region if its center lies inside or on a lower border, so that
adjacent regions share no voxel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.comparison.slices import nearest_index
from napari_mrisr.comparison.state import RoiBox, point_text
from napari_mrisr.core.frames import Plane
from napari_mrisr.core.volume import Grid, Region
from napari_mrisr.errors import ParameterError, explain

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
# Coordinates of voxels along three axes, which broadcast.
Coordinates = tuple[FloatArray, FloatArray, FloatArray]

# Positions computed through an affine miss a border by an ulp or two.
_DECIMALS = 6
_TOLERANCE_VOXELS = 1e-3
# Larger labels are renumbered before the search.
_MANY_LABELS = 100_000


@dataclass(frozen=True, eq=False)
class Selection:
    """Voxels of a grid in a region of interest.

    Attributes
    ----------
    region : Region
        Bounding box of the voxels.
    mask : ndarray of bool, of ``region.shape``
        True inside.
    clipped : bool
        Part of the region of interest lies outside the grid's field of view.
    """

    region: Region
    mask: BoolArray
    clipped: bool = False

    @functools.cached_property
    def count(self) -> int:
        """Voxels inside."""
        return int(np.count_nonzero(self.mask))

    def grown(self, voxels: int, grid: Grid) -> Selection:
        """Return the same voxels in a box with a margin, cut off at the grid's border."""
        start = [max(0, a - voxels) for a in self.region.start]
        stop = [min(n, b + voxels) for b, n in zip(self.region.stop, grid.shape, strict=True)]
        before = [a - b for a, b in zip(self.region.start, start, strict=True)]
        after = [b - a for a, b in zip(self.region.stop, stop, strict=True)]
        mask = np.pad(self.mask, list(zip(before, after, strict=True)))
        region = Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
        return Selection(region, mask, self.clipped)


class Roi(Protocol):
    """Region of interest."""

    @property
    def name(self) -> str:
        """Name in the table."""

    def describe(self) -> str:
        """Return shape and size in words, without the name, for the protocol."""

    def select(self, grid: Grid) -> Selection | None:
        """Return the voxels inside; None if the region is outside the field of view."""


@dataclass(frozen=True, eq=False)
class BoxRoi:
    """Box or ellipsoid drawn in a panel.

    Attributes
    ----------
    box : RoiBox
        Box in world mm.
    """

    box: RoiBox

    @property
    def name(self) -> str:
        """Name of the box."""
        return self.box.name

    def describe(self) -> str:
        """Return a text such as ``box, 20 × 20 × 10 mm, 4000 mm³, center R 1.0 A 2.0 S 3.0 mm``."""
        x, y, z = self.box.size
        size = f"{self.box.shape}, {x:.4g} × {y:.4g} × {z:.4g} mm"
        center = point_text(self.box.center)
        return f"{size}, {self.box.volume_mm3:.4g} mm³, center {center}"

    def select(self, grid: Grid) -> Selection | None:
        """Return the voxels inside, see :class:`Roi`."""
        half = np.array(self.box.size) / 2.0
        own = np.eye(4)
        own[:3, :3] = np.reshape(self.box.axes, (3, 3)).T
        own[:3, 3] = -own[:3, :3] @ self.box.center
        to_own = own @ grid.affine
        to_index = np.linalg.inv(to_own)
        arms = to_index[:3, :3] * half
        is_box = self.box.shape == "box"
        reach = np.abs(arms).sum(axis=1) if is_box else np.linalg.norm(arms, axis=1)

        def inside(index: Coordinates) -> BoolArray:
            x, y, z = _moved(to_own, index)
            if is_box:
                within = [_between(c, -h, h) for c, h in zip((x, y, z), half, strict=True)]
                return within[0] & within[1] & within[2]
            a, b, c = np.maximum(half, 1e-12)
            return np.asarray((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 <= 1.0)

        middle = to_index[:3, 3]
        return _select(grid, middle - reach, middle + reach, inside)


@dataclass(frozen=True, eq=False)
class PrismRoi:
    """Polygon in a plane, extended to both sides.

    Attributes
    ----------
    name : str
        Name in the table.
    plane : Plane
        Plane of the polygon.
    points : (n, 2) ndarray
        Corners (across, upward), frame mm. The inside follows the even-odd rule.
    position : float
        Position of the plane along its normal, frame mm.
    depth : float
        Thickness of the prism, mm; half of it on either side.
    rotation : (3, 3) ndarray
        Frame to world.

    Raises
    ------
    ParameterError
        If there are fewer than three corners.
    """

    name: str
    plane: Plane
    points: FloatArray
    position: float
    depth: float
    rotation: FloatArray

    def __post_init__(self) -> None:
        points = np.array(self.points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            found = f"a polygon of shape {points.shape}"
            raise ParameterError(explain("region", found, "give at least 3 corners (across, up)"))
        object.__setattr__(self, "points", points)

    def describe(self) -> str:
        """Return a text such as ``axial polygon, 5 mm deep``."""
        return f"{self.plane.name} polygon, {self.depth:.4g} mm deep"

    def select(self, grid: Grid) -> Selection | None:
        """Return the voxels inside, see :class:`Roi`."""
        plane, half = self.plane, self.depth / 2.0
        to_frame = np.eye(4)
        to_frame[:3] = self.rotation.T @ grid.affine[:3]
        corners = np.empty((2, len(self.points), 3))
        corners[..., plane.across] = self.points[:, 0]
        corners[..., plane.upward] = self.points[:, 1]
        corners[..., plane.normal] = self.position + np.array([[-half], [half]])
        low, high = _span(np.linalg.inv(to_frame), corners.reshape(-1, 3))

        def inside(index: Coordinates) -> BoolArray:
            at = _moved(to_frame, index)
            deep = _between(at[plane.normal], self.position - half, self.position + half)
            return deep & in_polygon(at[plane.across], at[plane.upward], self.points)

        return _select(grid, low, high, inside)


@dataclass(frozen=True, eq=False)
class LabelRoi:
    """Marked voxels; on another grid, voxels with their center in a marked voxel.

    Attributes
    ----------
    name : str
        Name in the table.
    mask : (x, y, z) ndarray of bool
        The marked voxels.
    grid : Grid
        Grid of the mask.
    kind : str
        Description for the protocol.
    """

    name: str
    mask: BoolArray
    grid: Grid
    kind: str = "label"

    def __post_init__(self) -> None:
        if self.mask.shape != self.grid.shape or self.mask.dtype != np.bool_:
            found = f"mask of {self.mask.dtype}, shape {self.mask.shape}, for {self.grid.shape}"
            raise ParameterError(explain("region", found, "give booleans of the grid's shape"))

    @functools.cached_property
    def _own(self) -> Selection | None:
        """Selection on the label's own grid; None without a marked voxel."""
        selection = _trimmed(Region.whole(self.grid.shape), self.mask, False)
        return selection if selection.count else None

    @functools.cached_property
    def _marked(self) -> FloatArray:
        """World positions of the marked voxels' centers, (n, 3)."""
        assert self._own is not None
        index = np.argwhere(self._own.mask) + np.array(self._own.region.start)
        return np.asarray(index @ self.grid.affine[:3, :3].T + self.grid.affine[:3, 3])

    def describe(self) -> str:
        """Return the kind."""
        return self.kind

    def select(self, grid: Grid) -> Selection | None:
        """Return the voxels inside, see :class:`Roi`."""
        if self._own is None:
            return _trimmed(Region.whole(grid.shape), np.zeros(grid.shape, np.bool_), False)
        if grid.shape == self.grid.shape and np.allclose(grid.affine, self.grid.affine, atol=1e-6):
            return self._own
        to_label = np.linalg.inv(self.grid.affine) @ grid.affine
        box, mask = self._own.region, self._own.mask
        ends = np.array([box.start, box.stop]) - 0.5
        corners = np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1).reshape(-1, 3)
        low, high = _span(np.linalg.inv(to_label), corners)

        def inside(index: Coordinates) -> BoolArray:
            known: BoolArray = np.ones(1, np.bool_)
            places = []
            for at, start, n in zip(_moved(to_label, index), box.start, mask.shape, strict=True):
                place = nearest_index(at) - start
                known = known & (place >= 0) & (place < n)
                places.append(np.clip(place, 0, n - 1))
            return mask[tuple(places)] & known

        selection = _select(grid, low, high, inside)
        if selection is not None and selection.clipped:
            # The corners of the box may be empty: check the marked voxels.
            inverse = np.linalg.inv(grid.affine)
            at = self._marked @ inverse[:3, :3].T + inverse[:3, 3]
            beyond = ((at < -0.5) | (at > np.array(grid.shape) - 0.5)).any()
            return Selection(selection.region, selection.mask, bool(beyond))
        return selection


def label_rois(name: str, labels: NDArray[np.integer], grid: Grid) -> tuple[LabelRoi, ...]:
    """Return one region per label except 0, in ascending order.

    Parameters
    ----------
    name : str
        Name of the labels; a region is ``name 3``.
    labels : (x, y, z) ndarray of int
        Label of each voxel.
    grid : Grid
        Grid of the labels.
    """
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    values: NDArray[np.integer] = np.arange(1, min(high, _MANY_LABELS) + 1)
    if low < 0 or high > _MANY_LABELS:
        found = np.unique(labels)
        values = found[found != 0]
        labels = np.where(labels == 0, 0, np.searchsorted(values, labels) + 1)
    rois = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            mask = labels[box] == number
            start = (box[0].start, box[1].start, box[2].start)
            part = grid.cropped(start, (mask.shape[0], mask.shape[1], mask.shape[2]))
            rois.append(LabelRoi(f"{name} {values[number - 1]}", mask, part))
    return tuple(rois)


def in_polygon(across: FloatArray, upward: FloatArray, points: FloatArray) -> BoolArray:
    """Return whether points lie in a polygon, by the even-odd rule.

    Parameters
    ----------
    across, upward : ndarray
        Coordinates that broadcast.
    points : (n, 2) ndarray
        Corners.

    Returns
    -------
    ndarray of bool
        Left and lower borders belong to the polygon.
    """
    across, upward = np.round(across, _DECIMALS), np.round(upward, _DECIMALS)
    corners = np.round(points, _DECIMALS)
    inside = np.zeros(np.broadcast_shapes(across.shape, upward.shape), np.bool_)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 <= upward) != (y1 <= upward)
            border = np.round(x0 + (upward - y0) * ((x1 - x0) / (y1 - y0)), _DECIMALS)
            inside ^= crosses & (across < border)
    return inside


def _between(values: FloatArray, low: float, high: float) -> BoolArray:
    values = np.round(values, _DECIMALS)
    return np.asarray((round(low, _DECIMALS) <= values) & (values < round(high, _DECIMALS)))


def _span(to_index: NDArray[np.floating], corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest index of corners (n, 3)."""
    index = corners @ to_index[:3, :3].T + to_index[:3, 3]
    return index.min(axis=0), index.max(axis=0)


def _moved(affine: FloatArray, index: Coordinates) -> Coordinates:
    """Return coordinates after an affine, of length 1 along axes without effect."""
    x, y, z = (
        sum(
            (factor * at for factor, at in zip(row[:3], index, strict=True) if abs(factor) > 1e-9),
            start=np.full((1, 1, 1), row[3]),
        )
        for row in affine[:3]
    )
    return x, y, z


def _select(
    grid: Grid, low: FloatArray, high: FloatArray, inside: Callable[[Coordinates], BoolArray]
) -> Selection | None:
    """Return the voxels inside, of those between two (fractional) indices."""
    shape = np.array(grid.shape)
    if ((high < -0.5) | (low > shape - 0.5)).any():
        return None
    beyond = (low < -0.5 - _TOLERANCE_VOXELS) | (high > shape - 0.5 + _TOLERANCE_VOXELS)
    start = np.clip(np.ceil(low - _TOLERANCE_VOXELS), 0, shape).astype(int)
    stop = np.clip(np.floor(high + _TOLERANCE_VOXELS) + 1, start, shape).astype(int)
    region = Region(
        (int(start[0]), int(start[1]), int(start[2])), (int(stop[0]), int(stop[1]), int(stop[2]))
    )
    i, j, k = np.ogrid[region.slices]
    index = (i.astype(np.float64), j.astype(np.float64), k.astype(np.float64))
    # A copy, since numba compiles kernels again for a read-only array.
    mask = np.broadcast_to(inside(index), region.shape).copy()
    return _trimmed(region, mask, bool(beyond.any()))


def _trimmed(region: Region, mask: BoolArray, clipped: bool) -> Selection:
    """Return the same voxels in their smallest box."""
    start, stop = [], []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        if filled.size == 0:
            empty = Region(region.start, region.start)
            return Selection(empty, np.zeros((0, 0, 0), np.bool_), clipped)
        start.append(int(filled[0]))
        stop.append(int(filled[-1]) + 1)
    box = Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    at = [a + b for a, b in zip(region.start, start, strict=True)]
    end = [a + b for a, b in zip(region.start, stop, strict=True)]
    part = np.ascontiguousarray(mask[box.slices])
    return Selection(Region((at[0], at[1], at[2]), (end[0], end[1], end[2])), part, clipped)
