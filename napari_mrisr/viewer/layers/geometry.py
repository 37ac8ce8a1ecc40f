"""From a grid to napari's world and back. No Qt, no napari.

napari draws the last two axes, the first of them downwards, the second to the
right, and steps through the others. A radiologist expects, in every plane,
the patient's right side at the left, and anterior or superior on top. Both
hold, without any setting of the viewer, when napari's world axes are

    (toward inferior, toward posterior, toward left),  in mm,

the RAS axes reversed in order and sign. 3D views are not mirrored either,
since the reversal of order and that of three signs are two reflections.

napari cannot slice obliquely. An oblique scan is shown along its own axes: the
world is turned about its origin by the scan's rotation. So all volumes
that share one orientation (a scan, its low-resolution and its super-resolved
versions, crops, other stacks of the same angulation) lie exactly over one
another, and an upright scan is shown at its true position. The true affine
stays with the layer; see :class:`~napari_mrisr.viewer.layers.convert.ScanRecord`.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.frames import rotation_of
from napari_mrisr.core.volume import Grid, Shape

AXIS_LABELS = ("inferior", "posterior", "left")

Matrix = NDArray[np.float64]

# RAS mm to napari's world axes and back (it is its own inverse).
_REVERSE = -np.eye(3)[::-1]


def scale_and_translate(grid: Grid) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Where napari shall draw the reversed array of a volume.

    Parameters
    ----------
    grid : Grid
        Of the volume.

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


def to_display(data: NDArray) -> NDArray:
    """(x, y, z) RAS+ to (inferior, posterior, left), a view; its own inverse."""
    return data.transpose(2, 1, 0)[::-1, ::-1, ::-1]


def grid_from_display(shape: Shape, matrix: Matrix) -> tuple[Grid, Matrix]:
    """The grid of a layer that any program may have made.

    Parameters
    ----------
    shape : tuple of int
        Of the layer's array, in napari's axis order.
    matrix : (4, 4) ndarray
        Array index to napari's world, mm.

    Returns
    -------
    grid : Grid
        RAS+, axes closest to the patient's.
    orientation : (3, 2) ndarray
        nibabel's; brings the array into the grid's axis order.
    """
    affine = np.eye(4)
    affine[:3] = _REVERSE @ matrix[:3]
    orientation = nib.io_orientation(affine)
    ras = affine @ nib.orientations.inv_ornt_aff(orientation, shape)
    order = np.argsort(orientation[:, 0])
    a, b, c = (shape[int(axis)] for axis in order)
    return Grid((a, b, c), ras), orientation


def reorient(data: NDArray, orientation: Matrix) -> NDArray:
    """Bring an array into RAS+ order: a view, and of a dask array one that stays on disk."""
    # nibabel's own function would load the array to turn it.
    flipped = data[tuple(slice(None, None, int(flip)) for flip in orientation[:, 1])]
    return flipped.transpose([int(axis) for axis in np.argsort(orientation[:, 0])])
