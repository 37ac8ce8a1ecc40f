"""Affines of stored arrays: orientation, and what a header says twice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.notice import Caution
from napari_mrisr.core.volume import FloatArray, Grid

Affine = NDArray[np.float64]
AxisCodes = tuple[str, str, str]

SIZE_TOLERANCE = 0.01
"""Relative difference of voxel sizes that counts as a disagreement."""

SHEAR_TOLERANCE = 1e-3
"""Largest cosine between two voxel edges that ITK-based tools still accept as a right angle."""

#: Millimeters per unit of a NIfTI header. Unknown (0) counts as mm, as in nibabel.
_MM = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}

# nibabel's orientation functions carry no types.
_nib: Any = nibabel


def times(numbers: Iterable[float]) -> str:
    """Join numbers as ``256 × 256 × 128``."""
    return " × ".join(f"{n}" if isinstance(n, int) else f"{n:.4g}" for n in numbers)


def unit_in_mm(header: object) -> float:
    """Return the millimeters per unit of space of a header; 1 if it names none."""
    with contextlib.suppress(TypeError, KeyError, ValueError, IndexError):
        return _MM.get(int(header["xyzt_units"]) % 8, 1.0)  # type: ignore[index]
    return 1.0


def axis_codes(affine: Affine) -> AxisCodes:
    """Return the world direction closest to each stored axis, such as ``("L", "A", "S")``."""
    a, b, c = _nib.aff2axcodes(affine)
    return str(a), str(b), str(c)


def grid_in_ras(shape: tuple[int, int, int], affine: Affine) -> Grid:
    """Return the grid of a stored array after its axes are turned to RAS.

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
    """Return a view of a stored array with its axes closest to RAS."""
    turned: FloatArray = _nib.apply_orientation(data, _nib.io_orientation(affine))
    return turned


def turn_to(codes: AxisCodes, data: FloatArray, affine: Affine) -> tuple[FloatArray, Affine]:
    """Return a view of a RAS array with its axes in the order ``codes``, and its affine."""
    lib = _nib.orientations
    turn = lib.ornt_transform(lib.axcodes2ornt("RAS"), lib.axcodes2ornt(codes))
    return _nib.apply_orientation(data, turn), affine @ lib.inv_ornt_aff(turn, data.shape)


def shear(affine: Affine) -> float:
    """Return the largest cosine between two voxel edges; 0 when all angles are right."""
    edges = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(edges.T @ edges - np.eye(3)).max())


def geometry_cautions(header: Any, affine: Affine, shape: tuple[int, ...]) -> Iterator[Caution]:
    """Yield a caution for each contradiction in a header, and for a sheared affine.

    Parameters
    ----------
    header : nibabel header
        Only those of NIfTI files hold a sform, a qform and voxel sizes.
    affine : (4, 4) ndarray
        The affine in use, mm.
    shape : tuple of int
        Voxels along the stored axes.
    """
    if isinstance(header, nibabel.Nifti1Header):
        yield from _nifti_cautions(header, shape)
    if shear(affine) > SHEAR_TOLERANCE:
        angle = 90 - np.degrees(np.arccos(min(1.0, shear(affine))))
        yield Caution(
            "sheared affine",
            f"its voxel edges are {angle:.2g}° off a right angle. Tools based on ITK (ANTs, "
            "3D Slicer, SimpleITK) will refuse this file and the result; resample it to a grid "
            "with right angles first if you need them.",
        )


def _nifti_cautions(header: Any, shape: tuple[int, ...]) -> Iterator[Caution]:
    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    if sform_code <= 0:
        return
    unit = np.diag([unit_in_mm(header)] * 3 + [1.0])
    sform = unit @ np.asarray(header.get_sform(), np.float64)
    size = np.linalg.norm(sform[:3, :3], axis=0)
    pixdim = unit[0, 0] * np.asarray(header["pixdim"][1:4], np.float64)
    if not np.allclose(size, pixdim, rtol=SIZE_TOLERANCE):
        yield Caution(
            "sform and pixdim disagree",
            f"voxels of {times(size)} mm by the sform but {times(pixdim)} mm by pixdim. The "
            "sform is used; correct the header if that is wrong.",
        )
    if qform_code <= 0:
        return
    try:
        qform = unit @ np.asarray(header.get_qform(), np.float64)
    except ValueError:  # a quaternion longer than 1
        yield Caution("unusable qform", "its quaternion is longer than 1. The sform is used.")
        return
    found = []
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        found.append("opposite handedness, so that left and right may be swapped")
    # With different codes they describe different spaces, such as scanner and template.
    far = np.abs((sform - qform)[:3] @ _corners(shape)).max(axis=1)
    if sform_code == qform_code and (far > 0.5 * size.max()).any():
        found.append(f"positions up to {far.max():.3g} mm apart")
    if found:
        yield Caution(
            "sform and qform disagree",
            f"{' and '.join(found)} (sform code {sform_code}, qform code {qform_code}). The sform "
            "is used; correct the header if that is wrong.",
        )


def _corners(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the indices of the first and last voxels as columns, shape (4, 8)."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]], indexing="ij"), np.float64)
    return np.vstack([ends.reshape(3, -1), np.ones(8)])
