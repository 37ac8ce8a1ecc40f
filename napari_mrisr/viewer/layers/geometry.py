"""Grids in napari's world and back. No Qt, no napari.

napari draws the last two axes, the first of them downwards, the second to the
right, and steps through the others. A radiologist expects, in every plane,
the patient's right side at the left, and anterior or superior on top. Both
hold, without any setting of the viewer, if napari's world axes are

    (toward inferior, toward posterior, toward left),  in mm,

the RAS axes reversed in order and sign. 3D views are not mirrored either,
since reversing the order and reversing three signs are two reflections.

napari cannot slice obliquely. An oblique scan (one whose axes are not the
scanner's) is shown along its own axes: the world is rotated about its origin by
the scan's rotation. All volumes of one orientation (a scan, its low-resolution
and super-resolved versions, crops, other stacks of the same angulation) then lie
exactly over one another, and a scan along the scanner's axes is shown at its true
position. The layer keeps the true affine;
see :class:`~napari_mrisr.viewer.layers.convert.ScanRecord`.
"""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.frames import rotation_of
from napari_mrisr.core.volume import Grid, Shape

AXIS_LABELS = ("inferior", "posterior", "left")

Matrix = NDArray[np.float64]

# RAS mm to napari's world axes; its own inverse.
_REVERSE = -np.eye(3)[::-1]


def scale_and_translate(grid: Grid) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return where napari draws the reversed array of a volume.

    Parameters
    ----------
    grid : Grid
        Grid of the volume.

    Returns
    -------
    scale, translate : tuple of three float
        Voxel size, and world position of element (0, 0, 0) of
        :func:`to_display`, in mm and napari's axis order.
    """
    size = np.array(grid.voxel_size)
    first = rotation_of(grid.affine).T @ grid.affine[:3, 3]
    # Element (0, 0, 0) of the reversed array is the last voxel.
    last = first + size * (np.array(grid.shape) - 1)
    return tuple(map(float, size[::-1])), tuple(map(float, -last[::-1]))


def placement(grid: Grid) -> dict[str, Any]:
    """Return the keyword arguments that place a volume's layer in napari's world."""
    scale, translate = scale_and_translate(grid)
    units = ("mm", "mm", "mm")
    return {"scale": scale, "translate": translate, "units": units, "axis_labels": AXIS_LABELS}


def to_scanner(grid: Grid) -> Matrix:
    """Return the (4, 4) matrix from napari's world of a volume to the scanner's RAS mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_of(grid.affine) @ _REVERSE
    return matrix


def to_display(data: NDArray) -> NDArray:
    """Return a view from (x, y, z) RAS+ to (inferior, posterior, left); its own inverse."""
    return data.transpose(2, 1, 0)[::-1, ::-1, ::-1]


def grid_from_display(shape: Shape, matrix: Matrix) -> tuple[Grid, Matrix]:
    """Return the grid of a layer of any program.

    Parameters
    ----------
    shape : tuple of int
        Shape of the layer's array, in napari's axis order.
    matrix : (4, 4) ndarray
        Array index to napari's world, mm.

    Returns
    -------
    grid : Grid
        RAS+, axes closest to the patient's.
    orientation : (3, 2) ndarray
        As nibabel's; brings the array into the grid's axis order.
    """
    affine = np.eye(4)
    affine[:3] = _REVERSE @ matrix[:3]
    orientation = nib.io_orientation(affine)
    ras = affine @ nib.orientations.inv_ornt_aff(orientation, shape)
    order = np.argsort(orientation[:, 0])
    a, b, c = (shape[int(axis)] for axis in order)
    return Grid((a, b, c), ras), orientation


def reorient(data: NDArray, orientation: Matrix) -> NDArray:
    """Return a view of an array in RAS+ order; a dask array stays on disk."""
    # nibabel's function would load a dask array.
    flipped = data[tuple(slice(None, None, int(flip)) for flip in orientation[:, 1])]
    return flipped.transpose([int(axis) for axis in np.argsort(orientation[:, 0])])
