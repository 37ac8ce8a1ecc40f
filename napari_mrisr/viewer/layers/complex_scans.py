"""Complex scans as two layers, a magnitude and its phase. No Qt."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr.core.complex_volume import ComplexVolume
from napari_mrisr.core.progress import Progress
from napari_mrisr.io import check_writable, write_volume
from napari_mrisr.io.complex_scans import check_complex, phase_path, to_radians, write_complex
from napari_mrisr.io.formats import with_suffix
from napari_mrisr.viewer.layers.convert import (
    METADATA_KEY,
    LayerData,
    LayerSnapshot,
    ScanRecord,
    is_map,
    layer_data,
)

MAGNITUDE, PHASE = "magnitude", "phase"
"""Parts of a complex scan, as in :class:`~napari_mrisr.viewer.layers.convert.ScanRecord`."""

RADIANS: Mapping[str, Any] = {"colormap": "gray", "contrast_limits": (-np.pi, np.pi)}
"""Look of a phase in radians."""

# Phases in files of BIDS and of dcm2niix.
_PHASE_NAME = re.compile(r"(^|[^A-Za-z0-9])(part-phase|ph)($|[^A-Za-z0-9])")


def tied(magnitude: LayerData, phase: LayerData) -> list[LayerData]:
    """Return two layers that know that they are one scan; the phase is hidden at first."""
    pair = uuid.uuid4().hex
    for (_, kwargs, _), part in ((magnitude, MAGNITUDE), (phase, PHASE)):
        metadata = kwargs["metadata"]
        metadata[METADATA_KEY] = replace(metadata[METADATA_KEY], part=part, pair=pair)
    phase[1]["visible"] = False
    return [magnitude, phase]


def complex_layers(
    scan: ComplexVolume,
    name: str,
    look: Mapping[str, Any] | None = None,
    source_ids: tuple[str, str] = ("", ""),
) -> list[LayerData]:
    """Return the layers of a complex scan; see :func:`~.convert.layer_data`."""
    one, other = source_ids
    phase = layer_data(scan.phase, f"{name} phase", RADIANS, other)
    return tied(layer_data(scan.magnitude, name, look, one), phase)


def is_phase(layer: Any) -> bool:
    """Return whether a layer is a phase: its header or name says so, or it was made as one."""
    part, _ = _tie(layer)
    return part == PHASE or (not part and _PHASE_NAME.search(layer.name) is not None)


def phase_of(layer: Any, layers: Iterable[Any]) -> Any:
    """Return the phase that belongs to a magnitude, or None if it is not among the layers."""
    return _partner(layer, layers, PHASE)


def magnitude_of(layer: Any, layers: Iterable[Any]) -> Any:
    """Return the magnitude that belongs to a phase, or None if it is not among the layers."""
    return _partner(layer, layers, MAGNITUDE)


def phases_for(layer: Any, layers: Iterable[Any]) -> list[Any]:
    """Return the layers that may be the phase of a layer, those that belong to it first.

    They have its shape. A phase without a tie belongs to a magnitude that is called alike:
    ``part-mag`` and ``part-phase``, ``e1`` and ``e1_ph``, ``high`` and ``high_phase``.
    """
    if is_phase(layer) or is_map(layer):
        return []
    found = [
        other
        for other in layers
        if other != layer
        and (is_phase(other) or other.name == f"{layer.name}_phase")
        and _shape(other) == _shape(layer)
    ]
    return sorted(found, key=lambda other: not belongs(other, layer))


def belongs(phase: Any, magnitude: Any) -> bool:
    """Return whether a phase belongs to a magnitude by its tie, or by its name without one."""
    (_, one), (_, other) = _tie(phase), _tie(magnitude)
    if one or other:
        return one == other
    name = magnitude.name
    alike = (f"{name}_phase", f"{name}_ph", name.replace("part-mag", "part-phase"))
    return phase.name in alike and phase.name != name


def complex_scan(magnitude: LayerSnapshot, phase: LayerSnapshot) -> ComplexVolume:
    """Return a complex scan from two layers, the phase in radians.

    Raises
    ------
    MrisrError
        If they do not lie on one grid, or the unit of the phase is unclear.
    """
    low, stored = magnitude.to_volume(), phase.as_shown()
    data, _ = to_radians(stored, Path(phase.name))
    return ComplexVolume(low, replace(stored, data=data))


def save_complex(
    magnitude: LayerSnapshot, phase: LayerSnapshot, path: str | Path, progress: Progress
) -> Path:
    """Save a complex scan as the command line does; for a worker thread.

    One complex file if the scan came from one; else the magnitude at ``path`` and the phase in
    radians beside it (:func:`~napari_mrisr.io.complex_scans.phase_path`). Like the magnitude, an
    existing file of its phase is replaced; a phase without a magnitude is not.

    Returns
    -------
    Path
        The file of the magnitude, or the complex one.
    """
    out = with_suffix(path)
    scan = complex_scan(magnitude, phase)
    if _of_complex_file(magnitude):
        check_complex(out)
        write_complex(scan, out, overwrite=True, progress=progress)
        return out
    beside, replaces = phase_path(out), out.exists()
    check_writable(beside, overwrite=replaces)
    write_volume(scan.phase, beside, overwrite=replaces, progress=progress)
    try:
        write_volume(scan.magnitude, out, overwrite=True, progress=progress)
    except BaseException:
        if not replaces:
            beside.unlink(missing_ok=True)
        raise
    return out


def _of_complex_file(taken: LayerSnapshot) -> bool:
    origin = None if taken.record is None else taken.record.origin
    stored = getattr(None if origin is None else origin.header, "get_data_dtype", None)
    return stored is not None and stored().kind == "c"


def _partner(layer: Any, layers: Iterable[Any], part: str) -> Any:
    _, pair = _tie(layer)
    return next((other for other in layers if pair and _tie(other) == (part, pair)), None)


def _tie(layer: Any) -> tuple[str, str]:
    """Return the part of a complex scan that a layer is, and the key of the scan."""
    found = getattr(layer, "metadata", {}).get(METADATA_KEY)
    return (found.part, found.pair) if isinstance(found, ScanRecord) else ("", "")


def _shape(layer: Any) -> tuple[int, ...]:
    return tuple((layer.data[0] if layer.multiscale else layer.data).shape)
