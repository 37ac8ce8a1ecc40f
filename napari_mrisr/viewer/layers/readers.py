"""Open MRI files as layers. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

import nibabel as nib
import numpy as np

from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import MrisrError, VolumeError, explain
from napari_mrisr.io import READABLE, read_volume, suffix_of
from napari_mrisr.io.formats import is_zarr, stem_of
from napari_mrisr.viewer.layers.convert import LayerData, layer_data, series_layer_data
from napari_mrisr.viewer.layers.zarr import zarr_layer_data

PathOrPaths = str | PathLike[str] | Sequence[str | PathLike[str]]
Reader = Callable[[PathOrPaths], list[LayerData]]


def get_reader(path: PathOrPaths) -> Reader | None:
    """The reader for a file or files, or None when they are not ours (npe2's contract)."""
    paths = _as_list(path)
    if not paths or not all(suffix_of(p) in READABLE or is_zarr(p) for p in paths):
        return None
    return read_layers


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read files, each as one layer.

    Parameters
    ----------
    path : str, path or sequence of them
        3D images become (inferior, posterior, left) layers; of 4D images all
        frames are read, (frame, inferior, posterior, left). Voxels that are
        NaN or infinite are shown as 0, with a warning. OME-Zarr stays on disk.

    Raises
    ------
    MrisrError
        When a file cannot be used.
    """
    return [_read(p) for p in _as_list(path)]


def _as_list(path: PathOrPaths) -> list[str | PathLike[str]]:
    return [path] if isinstance(path, str | PathLike) else list(path)


def _read(path: str | PathLike[str]) -> LayerData:
    if is_zarr(path):
        return zarr_layer_data(path)
    name = stem_of(path)
    first = _first_frame(path)
    frames = _frame_count(path)
    if frames <= 1:
        return layer_data(first, name)
    return series_layer_data(_all_frames(path, first, frames), first, name)


def _first_frame(path: str | PathLike[str]) -> Volume:
    """The volume; of a 4D image the first. Checks all that can be wrong with the file."""
    try:
        try:
            return read_volume(path)
        except VolumeError:
            if _frame_count(path) <= 1:
                raise
            return read_volume(path, frame=0)
    except MrisrError as error:
        return _filled(path, error)


def _filled(path: str | PathLike[str], error: MrisrError) -> Volume:
    """The volume with 0 for what is not finite; the error, if that was not its cause."""
    frame = 0 if _frame_count(path) > 1 else None
    try:
        volume = read_volume(path, frame=frame, fill_nonfinite=0.0)
    except MrisrError:
        raise error from None
    from napari.utils.notifications import show_warning

    show_warning(f"{Path(path).name}: voxels that are NaN or infinite are shown as 0")
    return volume


def _frame_count(path: str | PathLike[str]) -> int:
    """How many volumes the file holds; 1 for what nibabel cannot open."""
    try:
        shape = getattr(nib.load(path), "shape", ())
    except Exception:  # read_volume tells what is wrong
        return 1
    return int(np.prod(shape[3:], dtype=np.int64)) if len(shape) > 3 else 1


def _all_frames(path: str | PathLike[str], first: Volume, count: int) -> FloatArray:
    """(t, x, y, z) in RAS+, decompressed once."""
    image = nib.load(path)
    assert isinstance(image, nib.spatialimages.SpatialImage)
    try:
        stored = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
    except MemoryError as error:
        found = f"{count} frames of {first.grid.shape} voxels do not fit into memory"
        mend = "take single frames by napari_mrisr.read_volume(path, frame=...)"
        raise VolumeError(explain(path, found, mend)) from error
    stored = stored.reshape(*stored.shape[:3], count, order="F")
    ras = nib.apply_orientation(stored, nib.io_orientation(image.affine))
    return np.nan_to_num(np.moveaxis(ras, 3, 0), copy=False, posinf=0.0, neginf=0.0)
