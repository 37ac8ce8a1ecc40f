"""Recognize label volumes and masks, which must not be interpolated by splines or filters."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import Volume

INTENT_LABEL = 1002
"""NIfTI intent code of label volumes."""

MOST_LABELS = 20
"""Volumes with more distinct values count as images."""

_NAME = re.compile(r"(^|[_.+-])(dseg|seg|aseg|mask|labels?)$", re.IGNORECASE)
# Smaller volumes without a telling name or intent count as images: they are tests and phantoms.
_FEWEST_VOXELS = 20**3
# Of neighbors inside the object: nearly all in a label volume, few in the noise of a scan.
_EQUAL_NEIGHBORS = 0.7
_STEP = 61


def labels_found_in(volume: Volume) -> str:
    """Return why a volume holds labels, with its name and header; empty if it holds none."""
    origin = volume.origin
    intent = 0
    if origin is not None and origin.header is not None:
        try:
            intent = int(origin.header["intent_code"])  # type: ignore[index]
        except (TypeError, KeyError, ValueError, IndexError):
            intent = 0
    return looks_like_labels(volume.data, origin.name if origin is not None else "", intent)


def looks_like_labels(
    data: NDArray[np.number] | None, name: str | Path = "", intent: int = 0
) -> str:
    """Return why a volume holds labels or a mask; empty if it holds none.

    Parameters
    ----------
    data : (nx, ny, nz) ndarray or None
        Voxels, in the scan's intensities. None if they are not known yet: then the
        name decides alone.
    name : str or path
        File name; BIDS and FreeSurfer names such as ``sub-1_dseg.nii.gz`` count if the
        voxels are whole numbers.
    intent : int
        Intent code of the NIfTI header.

    Returns
    -------
    str
        A reason for a message, such as ``"its name ends in dseg"``, or ``""``.

    Notes
    -----
    Without a telling name or intent, a volume holds labels if it has 2 to 20 distinct
    values, all of them whole numbers, and if at least 70 % of the neighbors inside the
    object (voxels other than the most frequent value) have equal values. Real scans have
    hundreds of values and noise. Volumes of fewer than 20³ voxels are never judged by
    their values.
    """
    if intent == INTENT_LABEL:
        return "its header says that it holds labels (NIfTI intent 1002)"
    stem = re.sub(r"\.(nii|nii\.gz|mgh|mgz|hdr|img|img\.gz|nrrd|mnc)$", "", Path(name).name.lower())
    if (match := _NAME.search(stem)) and (data is None or _whole(data)):
        return f"its name ends in {match[2]}"
    if data is None or data.size < _FEWEST_VOXELS:
        return ""
    sample = data.reshape(-1)[::_STEP]
    if not _whole(sample) or np.unique(sample).size > MOST_LABELS or not _whole(data):
        return ""
    values, counts = np.unique(data, return_counts=True)
    if not 2 <= values.size <= MOST_LABELS:
        return ""
    inside = data != values[counts.argmax()]
    equal = pairs = 0
    for axis in range(data.ndim):
        a, b = (np.moveaxis(data, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        both = np.moveaxis(inside, axis, 0)[1:]
        equal += int(np.count_nonzero((a == b) & both))
        pairs += int(np.count_nonzero(both))
    if equal < _EQUAL_NEIGHBORS * pairs:
        return ""
    return f"it holds {values.size} values only, all of them whole numbers"


def _whole(data: NDArray[np.number]) -> bool:
    """Return True if all values are whole numbers."""
    if data.dtype.kind in "iub":
        return True
    return bool(np.all(np.isfinite(data)) and np.all(data == np.rint(data)))
