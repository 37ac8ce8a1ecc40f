"""Layers from MRI files, OME-Zarr images and the samples. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError, VolumeError, explain
from napari_mrisr.io import (
    READABLE,
    read_volume,
    samples,
)
from napari_mrisr.io.complex_scans import read_complex
from napari_mrisr.io.formats import is_zarr, stem_of, suffix_of
from napari_mrisr.io.header import open_scan
from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.layers.complex_scans import RADIANS, complex_layers, tied
from napari_mrisr.viewer.layers.convert import (
    LayerData,
    ScanRecord,
    contrast_limits,
    layer_data,
    lazy_layer_data,
    series_layer_data,
)

if TYPE_CHECKING:
    from napari_mrisr.io.ngff import NgffImage

PathOrPaths = str | PathLike[str] | Sequence[str | PathLike[str]]
Reader = Callable[[PathOrPaths], list[LayerData]]

FILLED = "NaN and infinite voxels are shown as 0"


def get_reader(path: PathOrPaths) -> Reader | None:
    """Return the reader for files of ours, or None (npe2's contract)."""
    paths = _as_list(path)
    if not paths or not all(suffix_of(p) in READABLE or is_zarr(p) for p in paths):
        return None
    return read_layers


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read files, each as one layer; of complex voxels as a magnitude and its phase.

    Parameters
    ----------
    path : str, path or sequence of them
        3D images become (inferior, posterior, left) layers. All frames of 4D images
        are read, as (frame, inferior, posterior, left). NaN and infinite voxels are
        shown as 0, with a warning. OME-Zarr stays on disk.

    Raises
    ------
    MrisrError
        If a file cannot be used.
    """
    return [layer for p in _as_list(path) for layer in _read(p)]


def phantom() -> list[LayerData]:
    """Return the head phantom, computed by this package."""
    return [layer_data(samples.phantom(), "phantom")]


def mni152() -> list[LayerData]:
    """Return the MNI152 template, which nilearn brings or downloads."""
    return [layer_data(samples.mni152(), "MNI152")]


def openneuro_ds000011() -> list[LayerData]:
    """Return a T1w scan of OpenNeuro ds000011, downloaded on first use."""
    return [layer_data(samples.openneuro_ds000011(), "ds000011 sub-11")]


def _as_list(path: PathOrPaths) -> list[str | PathLike[str]]:
    return [path] if isinstance(path, str | PathLike) else list(path)


def _read(path: str | PathLike[str]) -> list[LayerData]:
    if is_zarr(path):
        return [zarr_layer_data(path)]
    frames, is_complex = _examine(path)
    if is_complex:
        return _read_complex(path, frames)
    name = stem_of(path)
    first = _first_frame(path)
    _warn_of(path, first)
    if frames <= 1:
        return [layer_data(first, name)]
    return [series_layer_data(_all_frames(path, first, frames, np.float32), first, name)]


def _read_complex(path: str | PathLike[str], frames: int) -> list[LayerData]:
    """Read a file of complex voxels."""
    name, frame = stem_of(path), 0 if frames > 1 else None
    try:
        first = read_complex(path, frame=frame)
    except VolumeError as error:
        try:
            first = read_complex(path, frame=frame, fill_nonfinite=0.0)
        except MrisrError:
            raise error from None
        _warn(path, FILLED)
    _warn_of(path, first.magnitude)
    if frames <= 1:
        return complex_layers(first, name)
    voxels = _all_frames(path, first.magnitude, frames, np.complex64)
    magnitude = series_layer_data(np.abs(voxels), first.magnitude, name)
    phase = series_layer_data(np.angle(voxels), first.phase, f"{name} phase")
    phase[1].update(RADIANS)
    return tied(magnitude, phase)


def _warn_of(path: str | PathLike[str], volume: Volume) -> None:
    """Show what is unusual about a file."""
    for caution in volume.origin.cautions if volume.origin is not None else ():
        _warn(path, caution.text)


def _first_frame(path: str | PathLike[str]) -> Volume:
    """Read the volume, or the first frame of a 4D image; check the whole file."""
    try:
        try:
            return read_volume(path)
        except VolumeError:
            if _examine(path)[0] <= 1:
                raise
            return read_volume(path, frame=0)
    except MrisrError as error:
        return _filled(path, error)


def _filled(path: str | PathLike[str], error: MrisrError) -> Volume:
    """Read the volume with 0 for voxels that are not finite; raise any other error."""
    frame = 0 if _examine(path)[0] > 1 else None
    try:
        volume = read_volume(path, frame=frame, fill_nonfinite=0.0)
    except MrisrError:
        raise error from None
    _warn(path, FILLED)
    return volume


def _warn(path: str | PathLike[str], text: str) -> None:
    """Show a warning about a file."""
    from napari.utils.notifications import show_warning

    show_warning(f"{Path(path).name}: {text}")


def _examine(path: str | PathLike[str]) -> tuple[int, bool]:
    """Return the number of frames, 1 for what cannot be opened, and if voxels are complex."""
    try:
        with open_scan(path, 0, complex_voxels=True) as scan:
            shape, is_complex = scan.image.shape, scan.dtype.kind == "c"
    except MrisrError:  # read_volume reports the cause
        return 1, False
    return int(np.prod(shape[3:], dtype=np.int64)), is_complex


def _all_frames(path: str | PathLike[str], first: Volume, count: int, dtype: Any) -> NDArray[Any]:
    """Read (t, x, y, z) in RAS+, decompressing the file once."""
    try:
        with open_scan(path, 0, complex_voxels=True) as scan:
            image = scan.image
            stored = np.asarray(image.dataobj, dtype=dtype)
    except MemoryError as error:
        x, y, z = first.grid.shape
        found = f"not enough memory for {count} frames of {x} × {y} × {z} voxels"
        remedy = "save the frame you need as a file of its own, then open that"
        raise VolumeError(explain(path, found, remedy)) from error
    stored = stored.reshape(*stored.shape[:3], count, order="F")
    ras = nib.apply_orientation(stored, nib.io_orientation(image.affine))
    return np.nan_to_num(np.moveaxis(ras, 3, 0), copy=False, posinf=0.0, neginf=0.0)


def zarr_layer_data(path: str | PathLike[str]) -> LayerData:
    """Return an OME-Zarr image as napari's readers do, its levels as dask arrays.

    Parameters
    ----------
    path : path
        The folder. Of an image with several frames the first is shown, with a warning.

    Raises
    ------
    MrisrError
        If it cannot be used.
    """
    image, name = _open_zarr(path)
    levels = [_as_displayed(level, image) for level in image.levels]
    # Without limits in the file: those of the middle plane of the coarsest level.
    limits = image.limits or contrast_limits(np.asarray(levels[-1][len(levels[-1]) // 2]))
    record = ScanRecord(image.grid, image.origin, dict(image.history))
    return lazy_layer_data(levels, record, name, limits)


def _open_zarr(path: str | PathLike[str]) -> tuple[NgffImage, str]:
    """Open an image, or the first frame of several; return it and the layer's name."""
    from napari_mrisr.io.ngff import open_ngff

    try:
        return open_ngff(path), stem_of(path)
    except VolumeError as error:
        try:
            image = open_ngff(path, frame=0)
        except MrisrError:
            raise error from None
    _warn(path, "has several frames; only the first is shown")
    return image, f"{stem_of(path)} frame 0"


def _as_displayed(level: Any, image: NgffImage) -> Any:
    """Return a level in napari's axis order, lazily."""
    import dask.array

    array = dask.array.from_zarr(level)[image.index]
    orientation = nib.io_orientation(image.affine)
    return geometry.to_display(geometry.reorient(array.transpose(2, 1, 0), orientation))
