"""Image layers to MRI files: napari's writer, and the names and the work of *Save…*. No Qt."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npe2 import PluginManager, io_utils

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import processors
from napari_mrisr.errors import OutputError, VolumeError, explain
from napari_mrisr.io import WRITABLE, write_blocks, write_volume
from napari_mrisr.io.formats import (
    is_zarr,
    map_path,
    scale_word,
    stem_of,
    suffix_of,
    with_desc,
    with_suffix,
)
from napari_mrisr.viewer.layers.convert import (
    METADATA_KEY,
    LayerSnapshot,
    ScanRecord,
    history_of,
    is_map,
    snapshot,
    source_of,
)

if TYPE_CHECKING:
    from napari.layers import Image

FILE_TYPES = (
    "NIfTI, compressed (*.nii.gz);;NIfTI (*.nii);;FreeSurfer (*.mgz);;OME-Zarr (*.ome.zarr)"
)
"""Types of a save dialog; the first is the default."""

Writer = Callable[..., Any]

_NAPARI_WRITER = "napari.write_image"
_NAPARI_FOLDER_WRITER = "napari.write_directory"

DICOM_SUFFIX = ".dcm"

_MAP_WORDS = {"expected": "experr", "support": "support", "result": "consistency"}


def suggested_path(layer: Image, layers: Iterable[Image], folder: Path) -> Path:
    """Return the path that a save dialog suggests for a layer.

    Parameters
    ----------
    layer : Image
        A result of ``sub-01_T1w.nii.gz`` is called ``sub-01_desc-sr2xhashed_T1w.nii.gz``.
    layers : iterable of Image
        Layers of the viewer, among them perhaps the scan that the layer was made from.
    folder : Path
        Folder for a layer whose scan is no file.

    Returns
    -------
    Path
        Ends in ``.nii.gz``, in the folder of the scan. It may exist.
    """
    known, scan = list(layers), layer
    while not scan.source.path and (source := source_of(scan, known)) is not None:
        scan = source
    stem = _stem_of_layer(scan)
    if scan.source.path:
        file = Path(scan.source.path)
        folder, stem = file.parent, stem_of(file)
        if scan is layer:
            return folder / f"{stem_of(map_path(file, 'copy'))}.nii.gz"
    desc = _desc(history_of(layer))
    return folder / f"{with_desc(stem, desc) if desc else stem}.nii.gz"


def _stem_of_layer(layer: Image) -> str:
    """Return a file name for a layer without a file: its scan's, or the layer's name."""
    record = layer.metadata.get(METADATA_KEY)
    if isinstance(record, ScanRecord) and record.origin is not None:
        return stem_of(record.origin.name)
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "-", layer.name).strip(" .-") or "volume"


def _desc(history: Mapping[str, str]) -> str:
    """Return the BIDS ``desc`` of a volume by its history; empty for an original."""
    for start, word in _MAP_WORDS.items():
        if history.get("map", "").startswith(start):
            return f"desc-{word}"
    method = history.get("method", "none")
    if method != "none":
        word = re.sub(r"[^A-Za-z0-9]", "", method)
        return f"desc-sr{scale_word(history.get('scale', ''))}{word}"
    if "degraded_by" in history:
        return f"desc-lr{scale_word(history['degraded_by'])}"
    return ""


def save_snapshot(taken: LayerSnapshot, path: str | Path, progress: Progress | None = None) -> Path:
    """Save the contents of a layer; for a worker thread.

    A name without file type gets ``.nii.gz``. An existing file is replaced: the dialog has asked.

    Parameters
    ----------
    taken : LayerSnapshot
        Saved with its true affine and in its file's orientation (OME-Zarr is RAS+).
    path : str or Path
    progress : Progress, optional
        Reports slices or blocks, and cancels.

    Returns
    -------
    Path
        The file or folder written.

    Raises
    ------
    MrisrError
        If the layer is no volume or the file cannot be written. No file is left then.
    """
    out = with_suffix(path)
    _write(taken, out, True, progress)
    return out


def is_from_dicom(layer: Image) -> bool:
    """Return whether a layer is, or was computed from, a DICOM series; a map does not count."""
    record = layer.metadata.get(METADATA_KEY)
    origin = record.origin if isinstance(record, ScanRecord) else None
    return origin is not None and origin.suffix == DICOM_SUFFIX and not is_map(layer)


def suggested_series(layer: Image, folder: Path) -> Path:
    """Return the folder for a layer as a DICOM series: ``T1w-3D_desc-sr2xhashed``."""
    # A dot would begin a file type.
    stem = re.sub(r"[^\w+-]+", "-", _stem_of_layer(layer)).strip("-") or "series"
    desc = _desc(history_of(layer))
    return folder / (with_desc(stem, desc) if desc else stem)


def save_as_dicom(
    taken: LayerSnapshot, folder: Path, progress: Progress | None = None, *, anonymize: bool = False
) -> Path:
    """Save the contents of a layer as a derived DICOM series; for a worker thread.

    Parameters
    ----------
    taken : LayerSnapshot
        From DICOM; see :func:`is_from_dicom`.
    folder : Path
        The folder to make; an older series of this program is replaced.
    progress : Progress, optional
        Reports slices, and cancels.
    anonymize : bool
        Remove the patient.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    MrisrError
        If the series cannot be written. No folder is left then.
    """
    from napari_mrisr.io.dicom.write import write_dicom

    write_dicom(taken.as_shown(), folder, anonymize=anonymize, overwrite=True, progress=progress)
    return folder


def _write(
    taken: LayerSnapshot, out: Path, overwrite: bool, progress: Progress | None = None
) -> None:
    """Write NIfTI, MGH or OME-Zarr; a layer on disk goes to OME-Zarr block by block."""
    if is_zarr(out):
        write_blocks(
            taken.reader(),
            taken.grid,
            out,
            history=taken.history,
            limits=taken.look["contrast_limits"],
            overwrite=overwrite,
            threads=processors(),
            progress=progress,
        )
    else:
        write_volume(taken.as_shown(), out, overwrite=overwrite, progress=progress)


def activate(context: Any) -> None:
    """Let napari's save dialog write MRI files whatever file type it shows (npe2's hook).

    The dialog calls the writer of the file type on show, which is napari's own for
    TIFF unless the user chose another, and ignores the suffix that the user typed.
    From now on that writer hands on to ours what it cannot write itself: names that
    end in a suffix of ours, and MRI layers without a file type. Several layers under such
    a name are refused; napari would make a folder of that name.

    Parameters
    ----------
    context : npe2.PluginContext
    """

    def write_one(original: Writer, path: str, data: Any, meta: dict[str, Any]) -> Any:
        is_scan = METADATA_KEY in (meta.get("metadata") or {})
        if _is_ours(path) or (is_scan and with_suffix(path) != Path(path)):
            return write_image(path, data, meta)
        return original(path, data, meta)

    def write_several(original: Writer, path: str, layers: Any) -> Any:
        if _is_ours(path):
            mend = "select one layer and save again, or give the name of a folder"
            raise OutputError(explain(path, "holds one volume", mend))
        return original(path, layers)

    _wrap(_NAPARI_WRITER, write_one, context)
    _wrap(_NAPARI_FOLDER_WRITER, write_several, context)


def _wrap(name: str, wrapper: Callable[..., Any], context: Any) -> None:
    """Call a wrapper in place of a command of npe2 until the plugin is deactivated."""
    commands = PluginManager.instance().commands
    try:
        original = commands.get(name)
    except KeyError:  # napari's own plugin is disabled
        return

    def restore() -> None:
        commands.unregister(name)
        commands.register(name, original)

    commands.unregister(name)
    commands.register(name, functools.partial(wrapper, original))
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
    _write(snapshot(layer), Path(out), complete)
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
