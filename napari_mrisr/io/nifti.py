"""The header of a result saved as NIfTI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.nifti1 import Nifti1Extension
from nibabel.quaternions import quat2mat
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.io.header import unit_in_mm
from napari_mrisr.io.note import full_note, short_note

Affine = NDArray[np.float64]

MAX_NIFTI1_AXIS = 32767
"""NIfTI-1 counts voxels in 16 bits."""

TOLERANCE = 5e-3
"""Agreement of affines, mm over the whole field of view: far below a voxel, and above what
readers differ by when the rotation is near half a turn."""


def make_nifti(
    data: FloatArray, affine: Affine, source: object | None, history: Mapping[str, str], pair: bool
) -> Any:
    """Build the NIfTI image of a result.

    Parameters
    ----------
    data : (x, y, z) ndarray of float32
        In the orientation to store.
    affine : (4, 4) ndarray
        Voxel index of ``data`` to world, mm.
    source : nibabel header or None
        The input's. Of a NIfTI header the qform and sform codes and
        quaternion, both transforms and the units are passed on, and nothing
        else: its free text may name the patient.
    history : mapping of str to str
        Goes into ``descrip`` and a comment extension.
    pair : bool
        Two files, ``.hdr`` and ``.img``, in place of one.

    Returns
    -------
    Nifti1Image, Nifti1Pair, Nifti2Image or Nifti2Pair
        NIfTI-2 when the input was or an axis is too long for NIfTI-1.
    """
    two = isinstance(source, nib.Nifti2Header) or max(data.shape) > MAX_NIFTI1_AXIS
    if two:
        image_class: Any = nib.Nifti2Pair if pair else nib.Nifti2Image
    else:
        image_class = nib.Nifti1Pair if pair else nib.Nifti1Image
    header = image_class.header_class()
    header.set_data_dtype(np.float32)
    header.set_data_shape(data.shape)
    if isinstance(source, nib.Nifti1Header):
        _copy_geometry(header, source, affine)
    else:
        # Analyze's orientation is a convention, not the scanner's.
        known = source is not None and not isinstance(source, AnalyzeHeader)
        _set_both(header, affine, code=1 if known else 2)
    header["descrip"] = short_note(history).encode("ascii")
    header.extensions.append(Nifti1Extension("comment", full_note(history).encode("utf-8")))
    # No affine given, so that nibabel leaves the header's transforms alone.
    return image_class(data, None, header)


def _set_both(header: Any, affine: Affine, code: int) -> None:
    """Write one affine as sform and, if it has no shear, as qform."""
    header.set_sform(affine, code)
    header.set_qform(affine, 0 if _sheared(affine) else code, strip_shears=True)
    header.set_xyzt_units("mm")


def _copy_geometry(header: Any, source: Any, affine: Affine) -> None:
    """Carry both transforms of a NIfTI input over to the new voxels.

    The two may differ (scanner and template space). With T from new to old
    voxel index, the new ones are ``sform @ T``, which is the affine given
    when there is a sform, and ``qform @ T``. T only
    scales and shifts, so the rotation stays: its quaternion is copied, for
    computing it again could lose 1e-4 rad (near half a turn its real part is
    the root of a rounding error).
    """
    unit = np.diag([1.0 / unit_in_mm(source)] * 3 + [1.0])
    wanted = unit @ affine
    transform = np.linalg.inv(source.get_best_affine()) @ wanted
    steps = np.diag(transform)[:3]
    if not np.allclose(transform[:3, :3], np.diag(steps), atol=1e-4) or np.any(steps <= 0):
        # Not the input's axes any more: only the new affine means anything.
        _set_both(header, affine, code=int(source["sform_code"]) or int(source["qform_code"]) or 2)
        return
    sform_code, qform_code = int(source["sform_code"]), int(source["qform_code"])
    header["xyzt_units"] = source["xyzt_units"]
    header["pixdim"][:4] = source["pixdim"][:4] * np.array([1.0, *steps])
    if sform_code:
        header.set_sform(wanted, sform_code)
    if qform_code:
        _copy_qform(header, source, transform)
    if not _agree(header.get_best_affine(), wanted, header.get_data_shape()):
        # Such as a crop of a file without orientation: the fallback would move.
        _set_both(header, affine, code=2)


def _copy_qform(header: Any, source: Any, transform: Affine) -> None:
    b, c, d = (float(source[name]) for name in ("quatern_b", "quatern_c", "quatern_d"))
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < -1e-5:
        return  # a quaternion longer than 1, beside a sform that was used
    # As nifti1.h has it; nibabel takes a small real part for zero, which shows at 1e-4 mm.
    turn = quat2mat([np.sqrt(max(0.0, rest)), b, c, d])
    steps = source["pixdim"][1:4].astype(np.float64)
    steps[2] *= -1.0 if source["pixdim"][0] < 0 else 1.0
    origin = [float(source[f"qoffset_{axis}"]) for axis in "xyz"]
    offset = turn @ (steps * transform[:3, 3]) + origin
    for name in ("quatern_b", "quatern_c", "quatern_d", "qform_code"):
        header[name] = source[name]
    header["qoffset_x"], header["qoffset_y"], header["qoffset_z"] = offset


def _sheared(affine: Affine) -> bool:
    edges = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return not np.allclose(edges.T @ edges, np.eye(3), atol=1e-5)


def _agree(a: Affine, b: Affine, shape: tuple[int, ...]) -> bool:
    reach = np.abs(np.asarray(a) - b)[:3] @ np.array([*shape, 1.0])
    return bool(np.all(reach < TOLERANCE))
