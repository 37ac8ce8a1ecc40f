"""Turn stored axes to RAS and back; nothing is resampled."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray, Grid

Affine = NDArray[np.float64]
AxisCodes = tuple[str, str, str]

# nibabel's orientation functions carry no types.
_nib: Any = nibabel


def axis_codes(affine: Affine) -> AxisCodes:
    """The world direction closest to each stored axis, such as ``("L", "A", "S")``."""
    a, b, c = _nib.aff2axcodes(affine)
    return str(a), str(b), str(c)


def grid_in_ras(shape: tuple[int, int, int], affine: Affine) -> Grid:
    """The grid of a stored array once its axes are turned to RAS.

    Parameters
    ----------
    shape : tuple of int
        Voxels along the stored axes.
    affine : (4, 4) ndarray
        Stored voxel index to world, mm.
    """
    turn = _nib.io_orientation(affine)
    ras = [0, 0, 0]
    for n, axis in zip(shape, turn[:, 0], strict=True):
        ras[int(axis)] = n
    return Grid((ras[0], ras[1], ras[2]), affine @ _nib.orientations.inv_ornt_aff(turn, shape))


def turn_to_ras(data: FloatArray, affine: Affine) -> FloatArray:
    """A view of a stored array with its axes closest to RAS."""
    turned: FloatArray = _nib.apply_orientation(data, _nib.io_orientation(affine))
    return turned


def turn_to(codes: AxisCodes, data: FloatArray, affine: Affine) -> tuple[FloatArray, Affine]:
    """A view of a RAS array with its axes in the order ``codes``, and its affine."""
    lib = _nib.orientations
    turn = lib.ornt_transform(lib.axcodes2ornt("RAS"), lib.axcodes2ornt(codes))
    return _nib.apply_orientation(data, turn), affine @ lib.inv_ornt_aff(turn, data.shape)
