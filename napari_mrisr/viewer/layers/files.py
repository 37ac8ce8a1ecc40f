"""Layers from MRI files, OME-Zarr images and the samples; image layers to MRI files. No Qt."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from npe2 import PluginManager, io_utils

from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import MrisrError, VolumeError, explain
from napari_mrisr.io import (
    READABLE,
    WRITABLE,
    read_volume,
    samples,
    write_blocks,
    write_volume,
)
from napari_mrisr.io.formats import is_zarr, stem_of, suffix_of, with_suffix
from napari_mrisr.io.header import open_scan
from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.layers.convert import (
    METADATA_KEY,
    LayerData,
    ScanRecord,
    contrast_limits,
    layer_data,
    lazy_layer_data,
    series_layer_data,
    snapshot,
)

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_mrisr.io.ngff import NgffImage

PathOrPaths = str | PathLike[str] | Sequence[str | PathLike[str]]
Reader = Callable[[PathOrPaths], list[LayerData]]

_NAPARI_WRITER = "napari.write_image"


def get_reader(path: PathOrPaths) -> Reader | None:
    """Return the reader for files of ours, or None (npe2's contract)."""
    paths = _as_list(path)
    if not paths or not all(suffix_of(p) in READABLE or is_zarr(p) for p in paths):
        return None
    return read_layers


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read files, each as one layer.

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
    return [_read(p) for p in _as_list(path)]


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


def _read(path: str | PathLike[str]) -> LayerData:
    if is_zarr(path):
        return zarr_layer_data(path)
    name = stem_of(path)
    first = _first_frame(path)
    for caution in first.origin.cautions if first.origin is not None else ():
        _warn(path, caution.text)
    frames = _frame_count(path)
    if frames <= 1:
        return layer_data(first, name)
    return series_layer_data(_all_frames(path, first, frames), first, name)


def _first_frame(path: str | PathLike[str]) -> Volume:
    """Read the volume, or the first frame of a 4D image; check the whole file."""
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
    """Read the volume with 0 for voxels that are not finite; raise any other error."""
    frame = 0 if _frame_count(path) > 1 else None
    try:
        volume = read_volume(path, frame=frame, fill_nonfinite=0.0)
    except MrisrError:
        raise error from None
    _warn(path, "NaN and infinite voxels are shown as 0")
    return volume


def _warn(path: str | PathLike[str], text: str) -> None:
    """Show a warning about a file."""
    from napari.utils.notifications import show_warning

    show_warning(f"{Path(path).name}: {text}")


def _frame_count(path: str | PathLike[str]) -> int:
    """Return the number of frames; 1 for what cannot be opened."""
    try:
        with open_scan(path, 0) as scan:
            shape = scan.image.shape
    except MrisrError:  # read_volume reports the cause
        return 1
    return int(np.prod(shape[3:], dtype=np.int64))


def _all_frames(path: str | PathLike[str], first: Volume, count: int) -> FloatArray:
    """Read (t, x, y, z) in RAS+, decompressing the file once."""
    try:
        with open_scan(path, 0) as scan:
            image = scan.image
            stored = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
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


def activate(context: Any) -> None:
    """Let napari's save dialog write MRI files whatever file type it shows (npe2's hook).

    The dialog calls the writer of the file type on show, which is napari's own for
    TIFF unless the user chose another, and ignores the suffix that the user typed.
    From now on that writer hands on to ours what it cannot write itself: names that
    end in a suffix of ours, and MRI layers without a file type.

    Parameters
    ----------
    context : npe2.PluginContext
    """
    commands = PluginManager.instance().commands
    try:
        napari_writes = commands.get(_NAPARI_WRITER)
    except KeyError:  # napari's own plugin is disabled
        return

    def write(path: str, data: Any, meta: dict[str, Any]) -> Any:
        is_scan = METADATA_KEY in (meta.get("metadata") or {})
        if _is_ours(path) or (is_scan and with_suffix(path) != Path(path)):
            return write_image(path, data, meta)
        return napari_writes(path, data, meta)

    def restore() -> None:
        commands.unregister(_NAPARI_WRITER)
        commands.register(_NAPARI_WRITER, napari_writes)

    commands.unregister(_NAPARI_WRITER)
    commands.register(_NAPARI_WRITER, write)
    context.register_disposable(restore)


def write_image(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save one image layer (npe2's single-layer writer).

    A layer that this plugin made is saved with its true affine and in its
    file's orientation (OME-Zarr is RAS+); any other by its ``scale``, ``translate``
    and units. A layer that stays on disk is copied to OME-Zarr block by block.

    Parameters
    ----------
    path : str
        Ends in .nii, .nii.gz, .mgz, .mgh or .ome.zarr; a name without file type gets
        .nii.gz. A file, or a folder that is a Zarr image, is replaced if it has
        exactly this name, since napari's dialog has asked the user.
    data : array
        The layer's data.
    meta : dict
        The layer's attributes.

    Returns
    -------
    list of str
        The path written.

    Raises
    ------
    MrisrError
        If the layer is no 3D volume or the file cannot be written.
    """
    out = str(with_suffix(path))
    complete = Path(out) == Path(path)
    if not _is_ours(out):
        # The dialog may show our file type while the user types another's suffix.
        try:
            return io_utils.write(out, [(data, meta, "image")])
        except ValueError:  # no writer for it; write_volume says which suffixes there are
            pass
    layer = _layer(data, meta)
    if layer.ndim == 4:
        remedy = "split it first (right-click > Split Stack) and save the frame"
        raise VolumeError(explain(layer.name, "has 4 axes", remedy))
    taken = snapshot(layer)
    if is_zarr(out):
        write_blocks(
            taken.reader(),
            taken.grid,
            Path(out),
            history=taken.history,
            limits=taken.look["contrast_limits"],
            overwrite=complete,
            threads=processors(),
        )
    else:
        write_volume(taken.to_volume(), out, overwrite=complete)
    return [out]


def _is_ours(path: str) -> bool:
    return suffix_of(path) in WRITABLE or is_zarr(path)


def _layer(data: Any, meta: dict[str, Any]) -> Image:
    """Return the layer again: only a layer knows its whole transform."""
    from napari.layers import Image

    keys = ("name", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    kwargs = {key: meta[key] for key in keys if meta.get(key) is not None}
    with warnings.catch_warnings():
        # napari warns how a rotated layer is shown; this one is not shown.
        warnings.filterwarnings("ignore", "Non-orthogonal slicing")
        return Image(
            data,
            **kwargs,
            metadata=meta.get("metadata", {}),
            rgb=meta.get("rgb", False),
            multiscale=meta.get("multiscale", False),
            # Otherwise napari computes them.
            contrast_limits=meta.get("contrast_limits", (0.0, 1.0)),
        )
