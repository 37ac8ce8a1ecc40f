"""Save an image layer as an MRI file. No Qt."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from napari.layers import Image
from npe2 import PluginManager, io_utils

from napari_mrisr.core.threads import processors
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io import WRITABLE, write_blocks, write_volume
from napari_mrisr.io.formats import is_zarr, suffix_of, with_suffix
from napari_mrisr.viewer.layers.convert import METADATA_KEY, snapshot

_NAPARI_WRITER = "napari.write_image"


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
