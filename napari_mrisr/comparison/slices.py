"""Cuts through volumes, in millimeters of one frame.

A cut carries its position, so that volumes on any grid line up to the millimeter. A
volume along the frame's axes is cut into its own voxels; an oblique one is sampled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_mrisr.core.frames import Frame, Plane
from napari_mrisr.core.volume import FloatArray, Grid, Volume
from napari_mrisr.kernels.pixels import BORDER_TOLERANCE, sample_pixels

# Of the smallest voxel size: below 1/√2 no voxel falls between the pixels.
_OBLIQUE_STEP = 0.7
# Slices of a slab, for thicknesses of a whole number of them.
_SLAB_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Slice:
    """Cut through a volume.

    Attributes
    ----------
    values : (upward, across) ndarray of float32
        Row 0 is the lowest, column 0 has the smallest coordinate. NaN outside
        the volume.
    origin : (across, upward)
        Frame coordinates of the outer corner of element (0, 0), mm.
    step : (across, upward)
        Size of a pixel, mm.
    """

    values: FloatArray
    origin: tuple[float, float]
    step: tuple[float, float]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Outer edges, mm: lowest and highest across, lowest and highest upward."""
        upward, across = self.values.shape
        left, bottom = self.origin
        return left, left + across * self.step[0], bottom, bottom + upward * self.step[1]

    def centers(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the coordinates of the pixel centers: across, upward, mm."""
        upward, across = (np.arange(n, dtype=np.float64) + 0.5 for n in self.values.shape)
        return self.origin[0] + across * self.step[0], self.origin[1] + upward * self.step[1]


def cut(
    volume: Volume, frame: Frame, plane: Plane, position: float, order: int = 0
) -> Slice | None:
    """Return the voxels of a volume in a plane.

    Parameters
    ----------
    volume : Volume
        Any grid.
    frame : Frame
        Axes of the planes.
    plane : Plane
        Plane to cut.
    position : float
        Coordinate along the plane's normal, mm.
    order : int
        For a volume that is oblique to the frame: 0 for the nearest voxels, 1 for trilinear
        interpolation.

    Returns
    -------
    Slice or None
        The voxels themselves for a volume along the frame's axes; otherwise they are
        sampled so finely that none in the plane is missed. None if the plane
        misses the volume.
    """
    if not frame.is_along(volume.grid):
        return _oblique_cut(volume, frame, plane, position, order)
    affine = frame.affine(volume.grid)
    size = np.diag(affine)[:3]
    index = nearest_index((position - affine[plane.normal, 3]) / size[plane.normal])
    if not 0 <= index < volume.grid.shape[plane.normal]:
        return None
    # Without the normal, (x, y, z) is (across, upward) in all three planes.
    values = volume.data.take(index, axis=plane.normal).T
    corner = affine[:3, 3] - size / 2.0
    a, u = plane.across, plane.upward
    return Slice(values, (float(corner[a]), float(corner[u])), (float(size[a]), float(size[u])))


def slab(
    volume: Volume,
    frame: Frame,
    plane: Plane,
    position: float,
    thickness: float,
    projection: str,
    order: int = 0,
) -> Slice | None:
    """Return the projection through several slices of a volume.

    Parameters
    ----------
    volume, frame, plane, position, order
        As for :func:`cut`.
    thickness : float
        Slices whose centers are at most half of it away from the position count, mm.
    projection : str
        ``maximum``, ``minimum`` or ``mean`` of the values along the normal.

    Returns
    -------
    Slice or None
        Pixels without a value in one slice are NaN only if they have none in all.
    """
    places = slab_positions(volume.grid, frame, plane, position, thickness)
    return project((cut(volume, frame, plane, place, order) for place in places), projection)


def slab_positions(
    grid: Grid, frame: Frame, plane: Plane, position: float, thickness: float
) -> list[float]:
    """Return the positions of the slices of a slab, mm; see :func:`slab`."""
    if frame.is_along(grid):
        step = float(frame.affine(grid)[plane.normal, plane.normal])
    else:
        step = _OBLIQUE_STEP * min(grid.voxel_size)
    reach = int(thickness / 2.0 / step + _SLAB_TOLERANCE)
    return [position + i * step for i in range(-reach, reach + 1)]


def project(cuts: Iterable[Slice | None], projection: str) -> Slice | None:
    """Return the projection of slices on the same pixels; None if none of them exists."""
    found = [made for made in cuts if made is not None]
    if not found:
        return None
    values = np.stack([made.values for made in found])
    if projection == "mean":
        counted = np.isfinite(values)
        total = np.where(counted, values, 0).sum(axis=0, dtype=np.float32)
        with np.errstate(invalid="ignore"):
            merged = total / counted.sum(axis=0, dtype=np.float32)
    else:
        merged = (np.fmax if projection == "maximum" else np.fmin).reduce(values, axis=0)
    return Slice(merged, found[0].origin, found[0].step)


def _oblique_cut(
    volume: Volume, frame: Frame, plane: Plane, position: float, order: int
) -> Slice | None:
    low, high = bounds(volume.grid, frame)
    if not low[plane.normal] <= position <= high[plane.normal]:
        return None
    step = _OBLIQUE_STEP * min(volume.grid.voxel_size)
    a, u = plane.across, plane.upward
    count = [max(1, int(np.ceil((high[i] - low[i]) / step - 1e-6))) for i in (a, u)]
    empty = np.broadcast_to(np.float32(np.nan), (count[1], count[0]))
    blank = Slice(empty, (float(low[a]), float(low[u])), (step, step))
    return sample(volume, frame, plane, position, blank, order)


def sample(
    volume: Volume, frame: Frame, plane: Plane, position: float, like: Slice, order: int = 1
) -> Slice:
    """Return the values of a volume at the pixels of another cut.

    Parameters
    ----------
    volume, frame, plane, position
        As for :func:`cut`.
    like : Slice
        Cut with the pixels.
    order : int
        0 for the nearest voxel, 1 for trilinear interpolation (exact on the
        volume's own voxel centers).

    Returns
    -------
    Slice
        NaN outside the volume's field of view.
    """
    steps = np.zeros((3, 3))
    steps[0, plane.across] = like.step[0]
    steps[1, plane.upward] = like.step[1]
    steps[2, plane.across] = like.origin[0] + like.step[0] / 2.0
    steps[2, plane.upward] = like.origin[1] + like.step[1] / 2.0
    steps[2, plane.normal] = position
    inverse = np.linalg.inv(volume.grid.affine)
    across, upward, start = frame.to_world(steps) @ inverse[:3, :3].T
    start += inverse[:3, 3]
    shape = like.values.shape
    values = sample_pixels(volume.data, start, across, upward, (shape[0], shape[1]), order)
    return Slice(values, like.origin, like.step)


def values_at(volume: Volume, world: ArrayLike, order: int = 0) -> FloatArray:
    """Return the values of a volume at points of the world.

    Parameters
    ----------
    volume : Volume
        Any grid.
    world : (..., 3) array_like
        RAS+ positions, mm.
    order : int
        0 for the nearest voxel, 1 for trilinear interpolation.

    Returns
    -------
    (...) ndarray of float32
        NaN outside the field of view, which reaches half a voxel beyond the
        outer voxel centers.
    """
    inverse = np.linalg.inv(volume.grid.affine)
    index = np.asarray(world, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
    shape = np.array(volume.grid.shape)
    nearest = nearest_index(index)
    outside = ((nearest < 0) | (nearest >= shape)).any(axis=-1)
    if order == 0:
        i, j, k = np.moveaxis(np.clip(nearest, 0, shape - 1), -1, 0)
        values = volume.data[i, j, k]
    else:
        flat = np.clip(index.reshape(-1, 3).T, 0, (shape - 1)[:, None])
        values = ndimage.map_coordinates(volume.data, flat, order=order, prefilter=order > 1)
        values = values.reshape(outside.shape)
    return np.where(outside, np.float32(np.nan), values).astype(np.float32)


def nearest_index(index: ArrayLike) -> NDArray[np.int64]:
    """Return the voxel of an index position; its lower border belongs to it."""
    shifted = np.asarray(index, np.float64) + (0.5 + BORDER_TOLERANCE)
    return np.floor(shifted).astype(np.int64)


def bounds(grid: Grid, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and highest frame coordinates of a field of view, mm."""
    corners = frame.from_world(grid.corners())
    return corners.min(axis=0), corners.max(axis=0)
