"""DICOM series as layers, and napari's reader for them. No Qt unless there is a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import MrisrError, VolumeError, explain
from napari_mrisr.io import read_volume
from napari_mrisr.io.complex_scans import pairs_of
from napari_mrisr.io.dicom.sources import holds_dicom, is_place, names_dicom
from napari_mrisr.io.read import list_series, need_dicom
from napari_mrisr.viewer.layers.complex_scans import MAGNITUDE, PHASE, tied
from napari_mrisr.viewer.layers.convert import (
    METADATA_KEY,
    LayerData,
    layer_data,
    series_layer_data,
)

PLUGIN, DOCK = "napari-mrisr", "DICOM series"

_NO_LAYER: list[Any] = [(None,)]
"""Result that tells napari of a success without a layer."""


def get_reader(path: str | PathLike[str] | Sequence[str | PathLike[str]]) -> Any:
    """Return the reader for DICOM, or None (npe2's contract).

    Files of several series, or a folder with files of other kinds, are left to other readers.
    """
    paths = [path] if isinstance(path, str | PathLike) else list(path)
    places = [Path(entry) for entry in paths]
    if not places or not all(names_dicom(place) for place in places):
        return None
    if any(place.is_dir() and not holds_dicom(place) for place in places):
        return None
    return read_series


def read_series(path: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[LayerData]:
    """Open DICOM: in napari's window by the dock, else the only series as a layer.

    Raises
    ------
    MrisrError
        Without a window: when there are several series, or it cannot be read.
    """
    paths = [path] if isinstance(path, str | PathLike) else list(path)
    places = [Path(entry) for entry in paths]
    for place in places:
        need_dicom(place)
    viewer = _viewer_with_window()
    if viewer is not None:
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
        widget.open_paths(places)
        return _NO_LAYER
    found = {series.path: series for place in places for series in list_series(place)}
    scans = [series for series in found.values() if series.is_scan] or list(found.values())
    if len(scans) != 1:
        labels = ", ".join(series.label for series in scans)
        where = places[0] if is_place(places[0]) else places[0].parent
        raise VolumeError(explain(where, f"holds {len(scans)} series ({labels})", "open one"))
    return series_layers(scans[0])


def _viewer_with_window() -> Any:
    import napari

    viewer = napari.current_viewer()
    return viewer if viewer is not None and hasattr(viewer, "window") else None


def series_layers(
    series: Any, frame: int | None = None, progress: Progress | None = None
) -> list[LayerData]:
    """Return a series, or one of its volumes, as layers; see :func:`series_layer`.

    A series of magnitudes and their phases becomes two layers, which know each other.
    """
    pairs = pairs_of(series.frames) if frame is None else []
    if not pairs or 2 * len(pairs) != len(series.frames) or not series.on_one_grid:
        return [series_layer(series, frame, progress)]
    progress = progress or Progress()
    magnitudes, phases = zip(*pairs, strict=True)
    found = []
    for part, numbers in ((MAGNITUDE, magnitudes), (PHASE, phases)):
        name = f"{series.description} {part}"
        found.append(_layer(series, numbers, name, progress))
    return tied(*found)


def series_layer(series: Any, frame: int | None = None, progress: Progress | None = None) -> Any:
    """Return a series, or one of its volumes, as napari's readers do.

    Parameters
    ----------
    series : DicomSeries
    frame : int, optional
        Volume to take. By default all, as frames of one layer, if they lie on one grid.
    progress : Progress, optional
        Receives one step per file.

    Raises
    ------
    MrisrError
        If the series cannot be read.
    """
    progress = progress or Progress()
    if frame is None and len(series.stacks) > 1:
        if not series.on_one_grid:
            found = "its volumes lie on different grids"
            raise VolumeError(explain(series.description, found, "open them one by one"))
        return _layer(series, range(len(series.stacks)), series.description, progress)
    name = series.description
    if frame is not None and series.frames[frame]:
        name = f"{name} {series.frames[frame]}"
    return _layer(series, [frame or 0], name, progress)


def _layer(series: Any, numbers: Sequence[int], name: str, progress: Progress) -> LayerData:
    """Return volumes of a series as a layer, several as its frames."""
    first = _read(series.path, numbers[0], progress)
    if len(numbers) == 1:
        data, kwargs, kind = layer_data(first, name)
        _state_part(kwargs, series.stacks[numbers[0]])
        return data, kwargs | _window(first.origin), kind
    try:
        frames = np.empty((len(numbers), *first.grid.shape), np.float32)
    except MemoryError as error:
        found = f"not enough memory for {len(numbers)} volumes"
        raise VolumeError(explain(series.description, found, "open one volume")) from error
    for i, number in enumerate(numbers):
        frames[i] = _read(series.path, number, progress).data if i else first.data
    # Each frame refers to its own files.
    stacks = tuple(series.stacks[number] for number in numbers)
    first = replace(first, origin=replace(first.origin, header=stacks))
    data, kwargs, kind = series_layer_data(frames, first, name)
    return data, kwargs | _window(first.origin), kind


def _state_part(kwargs: dict[str, Any], stack: Any) -> None:
    """State in a layer's record if the header calls the volume a magnitude or a phase."""
    part = stack.images[0].traits.get("component")
    if part in (MAGNITUDE, PHASE):
        metadata = kwargs["metadata"]
        metadata[METADATA_KEY] = replace(metadata[METADATA_KEY], part=part)


def _read(path: Path, frame: int | None, progress: Progress) -> Any:
    """Read a volume; voxels that are not finite become 0."""
    try:
        return read_volume(path, frame=frame, progress=progress)
    except MrisrError as error:
        try:
            return read_volume(path, frame=frame, fill_nonfinite=0.0, progress=progress)
        except MrisrError:
            raise error from None


def _window(origin: Any) -> dict[str, Any]:
    """Return the contrast that the header suggests, as keyword arguments of a layer."""
    window = None if origin is None else origin.window
    if window is None or not window.high > window.low:
        return {}
    return {"contrast_limits": (window.low, window.high)}
