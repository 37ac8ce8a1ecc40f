"""Slice thickness from the BIDS sidecar: the JSON file beside a NIfTI file."""

from __future__ import annotations

import json
import math
from pathlib import Path

from napari_mrisr.core.notice import Caution
from napari_mrisr.core.slices import MOST_OVERLAP
from napari_mrisr.io.formats import NIFTI, stem_of, suffix_of

_MOST_BYTES = 10_000_000
_DIFFERENT = 0.05


def slice_thickness(path: Path, voxel_size: tuple[float, float, float]) -> float | None:
    """Return the slice thickness in mm that the sidecar states; None for none that is possible.

    Parameters
    ----------
    path : Path
        The image; only NIfTI files have sidecars.
    voxel_size : tuple of float
        In mm. Slices lie across its largest entry.
    """
    thickness = _read(path).get("SliceThickness")
    return thickness if thickness and thickness <= MOST_OVERLAP * max(voxel_size) else None


def sidecar_cautions(path: Path, voxel_size: tuple[float, float, float]) -> list[Caution]:
    """Return cautions about a sidecar that contradicts the voxel size of the header."""
    lengths, distance = _read(path), max(voxel_size)
    cautions = []
    apart = lengths.get("SpacingBetweenSlices")
    if apart is not None and abs(apart / distance - 1.0) > _DIFFERENT:
        text = (
            f"The sidecar says that slices are {apart:.3g} mm apart, the header says "
            f"{distance:.3g} mm. The header is used; check how the file was converted."
        )
        cautions.append(Caution("slice distance", text))
    thick = lengths.get("SliceThickness")
    if thick is not None and thick > MOST_OVERLAP * distance:
        text = (
            f"The sidecar says that slices are {thick:.3g} mm thick, but they are only "
            f"{distance:.3g} mm apart. The thickness is ignored."
        )
        cautions.append(Caution("slice thickness", text))
    return cautions


def _read(path: Path) -> dict[str, float]:
    """Return the positive lengths of a sidecar; empty for a missing or damaged one."""
    if suffix_of(path) not in NIFTI:
        return {}
    sidecar = path.with_name(f"{stem_of(path)}.json")
    try:
        if not sidecar.is_file() or sidecar.stat().st_size > _MOST_BYTES:
            return {}
        content = json.loads(sidecar.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    names = ("SliceThickness", "SpacingBetweenSlices")
    found = {name: content.get(name) for name in names} if isinstance(content, dict) else {}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
        if math.isfinite(value) and value > 0
    }
