"""Write a result in its input's orientation, complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Grid, IntensityWindow, Region, Volume
from napari_mrisr.errors import OutputError, ParameterError, explain
from napari_mrisr.io.atomic import (
    atomic_write_all,
    move_into_place,
    private_folder,
    write_error,
)
from napari_mrisr.io.formats import (
    MGH,
    PAIR,
    WRITABLE,
    WRITABLE_TEXT,
    PathLike,
    expansion_of,
    is_zarr,
    stem_of,
    suffix_of,
)
from napari_mrisr.io.geometry import turn_to
from napari_mrisr.io.ngff import CHUNK, NgffWriter, need_zarr, pyramid_voxels
from napari_mrisr.io.nifti import full_note, make_nifti, short_note

# nibabel's image classes carry no types.
nib: Any = nibabel

StoredType = Literal["float32", "int16"]

INT16_MAX = 32767

# Whole chunks, 64 MiB.
_ZARR_BLOCK = (8 * CHUNK, 8 * CHUNK, CHUNK)


def write_volume(
    volume: Volume,
    path: PathLike,
    *,
    overwrite: bool = False,
    dtype: StoredType = "float32",
    progress: Progress | None = None,
) -> str:
    """Save a volume atomically.

    Parameters
    ----------
    volume : Volume
        A normalized volume is saved in the scan's intensities. Stored in the orientation of
        ``volume.origin``; RAS if that is None, and in OME-Zarr.
    path : str or path
        The suffix selects the format: ``.nii`` and ``.nii.gz`` NIfTI, ``.hdr``/``.img`` a NIfTI
        pair (Analyze if the input is Analyze, with SPM's ``.mat`` file, since its header holds
        no full affine), ``.mgh`` and ``.mgz`` FreeSurfer, ``.ome.zarr`` OME-Zarr.
    overwrite : bool
        Replace existing files.
    dtype : str
        ``float32``, or ``int16`` with a slope and an intercept (NIfTI only), which halves the
        file and rounds the intensities.
    progress : Progress, optional
        Reports slices, and cancels within a fraction of a second.

    Returns
    -------
    str
        Note about the rounding error of ``int16``; empty for ``float32``.

    Raises
    ------
    OutputError
        As :func:`check_writable`, and when the disk is full or fails. No file is left then.
    ParameterError
        For a ``dtype`` that the format cannot hold.
    Cancelled
        If the user cancels. No file is left then.

    Notes
    -----
    The qform and sform codes, both transforms, and the units of NIfTI input are kept. The
    history goes to ``descrip`` (NIfTI, Analyze), as JSON to a comment extension (NIfTI) or to a
    ``.mrisr.json`` file in the same folder (MGH, Analyze). The input's free text is dropped,
    since it may name the patient.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> scan = sr.read_volume("scan.nii.gz")
    >>> _ = sr.write_volume(sr.upscale(scan, 2), "high.nii.gz")
    >>> sr.write_volume(scan, "small.nii.gz", dtype="int16")
    'stored as int16, rounded by at most ...'
    """
    path = Path(path)
    check_dtype(path, dtype)
    # The size of a compressed file is not known before.
    needed = volume.data.nbytes if expansion_of(path) == 1 else None
    check_writable(path, overwrite=overwrite, needed_bytes=needed)
    volume = volume.restored()
    if is_zarr(path):
        window = IntensityWindow.of(volume.data)
        write_blocks(
            lambda box: volume.data[box.slices],
            volume.grid,
            path,
            history=volume.history,
            limits=(window.low, window.high),
            overwrite=overwrite,
            progress=progress,
        )
        return ""
    if dtype == "float32":
        write_image(volume, volume.data, path, overwrite=overwrite, progress=progress)
        return ""
    stored, slope, inter, note = _as_int16(volume.data)
    scaling = slope, inter
    write_image(volume, stored, path, scaling=scaling, overwrite=overwrite, progress=progress)
    return note


def write_image(
    volume: Volume,
    voxels: NDArray[Any],
    path: Path,
    *,
    scaling: tuple[float, float] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Save voxels of any type with the grid, origin and history of a volume, atomically.

    Parameters
    ----------
    volume : Volume
    voxels : (nx, ny, nz) ndarray
        RAS+, as they are to be stored.
    path : Path
        Not OME-Zarr.
    scaling : tuple of float, optional
        Slope and intercept to state in the header.
    overwrite, progress
        As in :func:`write_volume`.
    """
    check_writable(path, overwrite=overwrite)
    codes = volume.origin.axis_codes if volume.origin is not None else ("R", "A", "S")
    stored, affine = turn_to(codes, voxels, volume.grid.affine)
    try:
        image = _make_image(volume, stored, affine, suffix_of(path))
    except HeaderDataError as error:
        found = f"its format cannot hold this volume ({str(error)[:80]})"
        raise OutputError(explain(path, found, "choose .nii.gz")) from error
    targets = output_files(path, image)
    if not overwrite:
        check_absent(targets)
    try:
        with atomic_write_all(targets) as temporaries:
            files = dict(zip(targets, temporaries, strict=True))
            _save(image, path, files, scaling, progress or Progress())
            if sidecar_of(path) in files:
                text = full_note(volume.history) + "\n"
                files[sidecar_of(path)].write_text(text, encoding="utf-8")
    except OSError as error:
        raise write_error(path, error) from error


def write_blocks(
    take: Callable[[Region], FloatArray],
    grid: Grid,
    out: Path,
    *,
    history: Mapping[str, str],
    limits: tuple[float, float],
    overwrite: bool = False,
    threads: int = 1,
    progress: Progress | None = None,
) -> None:
    """Save a volume as an OME-Zarr image, block by block.

    Parameters
    ----------
    take : callable
        Returns a box of the volume: RAS+, in the scan's intensities. One box is in memory at a
        time.
    grid : Grid
        Grid of the volume.
    out : Path
        The folder. Its name without suffix is the image's.
    history : mapping of str to str
        Method, bank and so on.
    limits : tuple of float
        Intensities to show from black to white.
    overwrite : bool
        Replace a file or a Zarr image; other folders are never replaced.
    threads : int
        Threads that compress chunks.
    progress : Progress, optional
        Reports blocks, and cancels between them.

    Raises
    ------
    MrisrError
        From ``take``; and when zarr is not installed, the output exists, or cannot be written.
        No file is left then.
    """
    check_writable(out, overwrite=overwrite, needed_bytes=4 * pyramid_voxels(grid.shape))
    progress = progress or Progress()
    try:
        with private_folder(out) as folder:
            writer = NgffWriter(folder / "result.ome.zarr", grid.shape)
            writer.create(grid, stem_of(out), history, limits)
            boxes = list(Region.whole(grid.shape).blocks(_ZARR_BLOCK, slow=2))
            progress.begin(f"saving {out.name}", len(boxes))
            for box in boxes:
                progress.token.check()
                writer.write(box, take(box), ThreadPool(threads, progress.token))
                progress.advance()
            writer.finish(progress)
            if not overwrite:
                check_absent([out])
            move_into_place(writer.group, out)
    except OSError as error:
        raise write_error(out, error) from error


def check_writable(
    path: PathLike, *, overwrite: bool = False, needed_bytes: int | None = None
) -> None:
    """Check, before any work, that a result can be written.

    Parameters
    ----------
    path : str or path
        The output.
    overwrite : bool
        Allow replacing an existing file.
    needed_bytes : int, optional
        Required space on the disk.

    Raises
    ------
    OutputError
        For an unknown suffix, a file that exists, a folder that is missing or cannot be
        written to, or a disk without space.
    """
    path = Path(path)
    try:
        _check_place(path, overwrite)
        if needed_bytes is not None:
            check_space(path, needed_bytes)
    except OutputError:
        raise
    except OSError as error:
        raise write_error(path, error) from error


def check_dtype(path: PathLike, dtype: str) -> None:
    """Raise :class:`ParameterError` when a format cannot hold a type."""
    if dtype not in ("float32", "int16"):
        raise ParameterError(explain("--dtype", repr(dtype)[:80], "choose float32 or int16"))
    if dtype == "int16" and (is_zarr(path) or suffix_of(path) in MGH):
        found = f"{suffix_of(path)} has no slope and intercept for int16"
        raise ParameterError(explain("--dtype", found, "choose .nii.gz, or float32"))


def _check_place(path: Path, overwrite: bool) -> None:
    suffix, folder = suffix_of(path), path.parent
    if is_zarr(path):
        need_zarr(path)
    if path.is_dir() and not (is_zarr(path) and _holds_zarr(path)):
        raise OutputError(explain(path, "is a folder", "give another name"))
    if suffix not in WRITABLE and not is_zarr(path):
        found = f"cannot write {suffix[:80] or 'a file without suffix'!r}"
        raise OutputError(explain(path, found, f"choose one of {WRITABLE_TEXT}"))
    if not folder.is_dir():
        raise OutputError(explain(folder, "no such folder", "create it first"))
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "choose another folder or change its permissions"
        raise OutputError(explain(folder, "folder cannot be written to", remedy))
    if not overwrite:
        names = _pair_names(path) if suffix in PAIR else [path]
        check_absent([*names, sidecar_of(path)] if suffix in MGH else names)


def _holds_zarr(folder: Path) -> bool:
    """Return True for a folder that may be replaced as an older result."""
    names = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
    return any((folder / name).exists() for name in names)


def check_absent(paths: list[Path]) -> None:
    """Raise :class:`OutputError` when one of the outputs exists."""
    for path in paths:
        if path.exists() or path.is_symlink():
            remedy = "choose another name or allow overwriting with --overwrite"
            raise OutputError(explain(path, "exists already", remedy))


def check_space(path: Path, needed: int, held: int = 0) -> None:
    """Raise :class:`OutputError` when the disk has no space for an output.

    ``held`` bytes of the needed ones are on the disk already.
    """
    free = shutil.disk_usage(path.parent).free + held
    if free < needed:
        found = f"needs {needed / 2**20:.0f} MiB and the disk has {free / 2**20:.0f}"
        raise OutputError(explain(path, found, "free space or choose another folder"))


def sidecar_of(path: PathLike) -> Path:
    """Return the path of the note for an image whose header has no room for it.

    ``NAME.json`` is avoided, since it may be a BIDS sidecar.
    """
    path = Path(path)
    return path.with_name(f"{stem_of(path)}.mrisr.json")


def output_files(path: Path, image: Any) -> list[Path]:
    """Return all files of an image, the one that readers open last."""
    suffix = suffix_of(path)
    if suffix in MGH:
        return [sidecar_of(path), path]
    if suffix not in PAIR:
        return [path]
    names = list(reversed(_pair_names(path)))
    if isinstance(image.header, nib.Nifti1Header):
        return names
    return [sidecar_of(path), path.with_name(f"{stem_of(path)}.mat"), *names]


def _pair_names(path: Path) -> list[Path]:
    """Return the names of header and voxel file, in upper case if the given name is."""
    suffix = path.name[len(stem_of(path)) :]
    upper = suffix[1:4].isupper()
    kinds = ("HDR", "IMG") if upper else ("hdr", "img")
    return [path.with_name(f"{stem_of(path)}.{kind}{suffix[4:]}") for kind in kinds]


def _as_int16(data: FloatArray) -> tuple[NDArray[np.int16], float, float, str]:
    """Return integers, slope, intercept and a note about the rounding error.

    Whole numbers that fit keep a slope of 1 and are stored exactly.
    """
    low, high = float(data.min()), float(data.max())
    slope, inter = 1.0, 0.0
    whole = low >= -INT16_MAX and high <= INT16_MAX and all((p == np.rint(p)).all() for p in data)
    if not whole:
        # Of the precision of a NIfTI-1 header.
        slope = float(np.float32((high - low) / (2 * INT16_MAX))) or 1.0
        inter = float(np.float32((high + low) / 2))
    stored = np.empty(data.shape, np.int16, order="F")
    error = 0.0
    for k in range(data.shape[2]):  # a slice at a time, for the temporaries
        values = data[..., k].astype(np.float64)
        stored[..., k] = np.rint((values - inter) / slope).clip(-INT16_MAX, INT16_MAX)
        error = max(error, float(np.abs(stored[..., k] * slope + inter - values).max()))
    if error == 0:
        return stored, slope, inter, "stored as int16 without rounding"
    part = 100 * error / (high - low) if high > low else 0.0
    note = f"stored as int16, rounded by at most {error:.2g} ({part:.2g} % of the intensity range)"
    return stored, slope, inter, note


def _make_image(
    volume: Volume, data: NDArray[Any], affine: NDArray[np.float64], suffix: str
) -> Any:
    source: Any = volume.origin.header if volume.origin is not None else None
    if suffix in MGH:
        return nib.MGHImage(data, affine)
    analyze = isinstance(source, AnalyzeHeader) and not isinstance(source, nib.Nifti1Header)
    if suffix in PAIR and analyze and data.dtype == np.float32:
        image = nib.Spm2AnalyzeImage(data, affine)
        image.header["descrip"] = short_note(volume.history).encode("ascii")
        return image
    return make_nifti(data, affine, source, volume.history, pair=suffix in PAIR)


def _save(
    image: Any,
    path: Path,
    files: dict[Path, Path],
    scaling: tuple[float, float] | None,
    progress: Progress,
) -> None:
    """Let nibabel write to the temporary names; report its slices."""
    progress.begin(f"saving {path.name}", image.shape[2])
    slice_bytes = image.get_data_dtype().itemsize * image.shape[0] * image.shape[1]
    if scaling is not None:
        image.header.set_slope_inter(*scaling)  # nibabel then writes the integers unchanged
    file_map = type(image).filespec_to_file_map(str(path))
    with contextlib.ExitStack() as stack:
        for holder in file_map.values():
            # nibabel itself would leave the file open when the disk is full.
            temporary = str(files[Path(holder.filename)])
            opener = stack.enter_context(ImageOpener(temporary, "wb"))
            holder.fileobj = _Counted(opener, slice_bytes, progress)
        image.to_file_map(file_map)


class _Counted:
    """File that reports each slice written to it, and stops when the user cancels."""

    def __init__(self, file: Any, slice_bytes: int, progress: Progress) -> None:
        self._file, self._slice_bytes, self._progress = file, slice_bytes, progress

    def write(self, data: bytes) -> int:
        self._progress.token.check()
        written: int = self._file.write(data)
        if len(data) == self._slice_bytes:
            self._progress.advance()
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
