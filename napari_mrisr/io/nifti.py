"""Headers of saved results: geometry, and a note on how the result was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.nifti1 import Nifti1Extension
from nibabel.quaternions import quat2mat
from numpy.typing import NDArray

from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.io.geometry import shear, unit_in_mm

Affine = NDArray[np.float64]

MAX_NIFTI1_AXIS = 32767
"""NIfTI-1 counts voxels in 16 bits."""

TOLERANCE = 5e-3
"""Agreement of affines, mm over the whole field of view: far below a voxel, and above the
differences between readers when the rotation is near half a turn."""

DESCRIP_BYTES = 79
"""Bytes of a NIfTI or Analyze ``descrip`` field, less the final zero."""

# Bits of ``xyzt_units``, and the units of time among them, in seconds.
_SPACE_BITS, _TIME_BITS = 0b000111, 0b111000
_SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}


def make_nifti(
    data: NDArray[Any],
    affine: Affine,
    source: object | None,
    history: Mapping[str, str],
    pair: bool,
) -> Any:
    """Build the NIfTI image of a result.

    Parameters
    ----------
    data : (x, y, z) ndarray of float32 or int16
        In the orientation to store.
    affine : (4, 4) ndarray
        Voxel index of ``data`` to world, mm.
    source : nibabel header or None
        Header of the input. The qform and sform codes, the quaternion, both transforms, the
        repetition time and the units of a NIfTI header are kept. Nothing else is, since free
        text may name the patient.
    history : mapping of str to str
        Written to ``descrip`` and a comment extension.
    pair : bool
        Two files, ``.hdr`` and ``.img``, instead of one.

    Returns
    -------
    Nifti1Image, Nifti1Pair, Nifti2Image or Nifti2Pair
        NIfTI-2 when the input is NIfTI-2 or an axis is too long for NIfTI-1.
    """
    two = isinstance(source, nib.Nifti2Header) or max(data.shape) > MAX_NIFTI1_AXIS
    if two:
        image_class: Any = nib.Nifti2Pair if pair else nib.Nifti2Image
    else:
        image_class = nib.Nifti1Pair if pair else nib.Nifti1Image
    header = image_class.header_class()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    if isinstance(source, nib.Nifti1Header):
        _copy_geometry(header, source, affine)
        _copy_time(header, source)
    else:
        # Analyze's orientation is a convention, not the scanner's.
        known = source is not None and not isinstance(source, AnalyzeHeader)
        _set_both(header, affine, code=1 if known else 2)
    header["descrip"] = short_note(history).encode("ascii")
    header.extensions.append(Nifti1Extension("comment", full_note(history).encode("utf-8")))
    # No affine given, so that nibabel leaves the header's transforms alone.
    return image_class(data, None, header)


def _set_both(header: Any, affine: Affine, code: int) -> None:
    """Write one affine as sform and, without shear, also as qform."""
    header.set_sform(affine, code)
    header.set_qform(affine, 0 if shear(affine) > 1e-5 else code, strip_shears=True)
    header.set_xyzt_units("mm")


def _copy_geometry(header: Any, source: Any, affine: Affine) -> None:
    """Apply both transforms of a NIfTI input to the new voxels.

    The two may differ (scanner and template space). With T from new to old voxel index, the
    new ones are ``sform @ T``, which is the given affine if there is a sform, and
    ``qform @ T``. T only scales and shifts, so the quaternion is copied. Computing it again
    could lose 1e-4 rad: near half a turn its real part is the root of a rounding error.
    """
    unit = np.diag([1.0 / unit_in_mm(source)] * 3 + [1.0])
    wanted = unit @ affine
    transform = np.linalg.inv(source.get_best_affine()) @ wanted
    steps = np.diag(transform)[:3]
    if not np.allclose(transform[:3, :3], np.diag(steps), atol=1e-4) or np.any(steps <= 0):
        # The axes are no longer the input's, so only the new affine is valid.
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
        # For example a crop of a file without orientation: the fallback would move.
        _set_both(header, affine, code=2)


def _copy_time(header: Any, source: Any) -> None:
    """Keep the repetition time: programs store it for a single volume, too."""
    if np.isfinite(source["pixdim"][4]):
        header["pixdim"][4] = source["pixdim"][4]
        space, time = int(header["xyzt_units"]) & _SPACE_BITS, int(source["xyzt_units"])
        header["xyzt_units"] = space | time & _TIME_BITS


def repetition_seconds(header: object) -> float | None:
    """Return the time between the frames of a 4D NIfTI header; None if it is unknown.

    Parameters
    ----------
    header : nibabel header or None
        Of a 4D image; any other has no such time.
    """
    if not isinstance(header, nib.Nifti1Header) or len(header.get_data_shape()) < 4:
        return None
    second = _SECONDS.get(int(header["xyzt_units"]) & _TIME_BITS)
    step = float(header["pixdim"][4])
    return step * second if second and 0 < step < float("inf") else None


def _copy_qform(header: Any, source: Any, transform: Affine) -> None:
    b, c, d = (float(source[name]) for name in ("quatern_b", "quatern_c", "quatern_d"))
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < -1e-5:
        return  # a quaternion longer than 1; the sform was used
    # By nifti1.h; nibabel rounds a small real part to zero, an error of up to 1e-4 mm.
    turn = quat2mat([np.sqrt(max(0.0, rest)), b, c, d])
    steps = source["pixdim"][1:4].astype(np.float64)
    steps[2] *= -1.0 if source["pixdim"][0] < 0 else 1.0
    origin = [float(source[f"qoffset_{axis}"]) for axis in "xyz"]
    offset = turn @ (steps * transform[:3, 3]) + origin
    for name in ("quatern_b", "quatern_c", "quatern_d", "qform_code"):
        header[name] = source[name]
    header["qoffset_x"], header["qoffset_y"], header["qoffset_z"] = offset


def _agree(a: Affine, b: Affine, shape: tuple[int, ...]) -> bool:
    reach = np.abs(np.asarray(a) - b)[:3] @ np.array([*shape, 1.0])
    return bool(np.all(reach < TOLERANCE))


def software() -> str:
    """Return the name and version of this program."""
    from napari_mrisr._version import __version__

    return f"napari-mrisr {__version__}"


def short_note(history: Mapping[str, str]) -> str:
    """Return one line for the header: program, method, scale, notice.

    Parameters
    ----------
    history : mapping of str to str
        As :attr:`~napari_mrisr.core.volume.Volume.history`; ``method`` and ``scale`` are
        optional.

    Returns
    -------
    str
        ASCII, at most 79 characters. A longer line is cut before the notice.
    """
    scale = history.get("scale", "")
    if scale:
        scale += "x" if "x" not in scale else ""
    words = " ".join(word for word in (software(), history.get("method", ""), scale) if word)
    words = " ".join(words.encode("ascii", "replace").decode("ascii").split())
    return f"{words[: DESCRIP_BYTES - len(RESEARCH_USE) - 2].rstrip()}; {RESEARCH_USE}"


def full_note(history: Mapping[str, str]) -> str:
    """Return the whole history as JSON, with program and notice."""
    content = {**history, "software": software(), "notice": RESEARCH_USE}
    return json.dumps(content, indent=2, sort_keys=True, default=str)


def read_note(header: object) -> dict[str, str]:
    """Return the history that :func:`full_note` put into a header; empty for other headers.

    Parameters
    ----------
    header : nibabel header or None
        Of any format.
    """
    for extension in getattr(header, "extensions", ()):
        try:
            content = json.loads(extension.get_content())
            program = content.pop("software")
            content.pop("notice")
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if str(program).startswith("napari-mrisr "):
            return {str(key): str(value) for key, value in content.items()}
    return {}
