"""Write a result in its input's orientation, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import OutputError, explain
from napari_mrisr.io.atomic import atomic_write_all
from napari_mrisr.io.formats import (
    MGH,
    PAIR,
    WRITABLE,
    PathLike,
    expansion_of,
    stem_of,
    suffix_of,
    writable_suffixes,
)
from napari_mrisr.io.nifti import make_nifti
from napari_mrisr.io.note import full_note, short_note
from napari_mrisr.io.orientation import turn_to

# nibabel's image classes carry no types.
nib: Any = nibabel


def write_volume(volume: Volume, path: PathLike, *, overwrite: bool = False) -> None:
    """Save a volume as float32, atomically.

    Parameters
    ----------
    volume : Volume
        Normalized ones are brought back to the scan's intensities. Stored in
        the orientation of ``volume.origin``; RAS where that is None.
    path : str or path
        The suffix chooses the format: ``.nii`` and ``.nii.gz`` NIfTI,
        ``.hdr``/``.img`` a NIfTI pair (Analyze when the input was Analyze, with
        SPM's ``.mat`` file, as its header holds no full affine), ``.mgh`` and
        ``.mgz`` FreeSurfer.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    OutputError
        As :func:`check_writable`, and when the disk fills up or fails. Nothing
        is left behind then.

    Notes
    -----
    NIfTI input's qform and sform codes, both transforms, and units are kept.
    How the volume was made goes to ``descrip`` (NIfTI, Analyze), as JSON to a
    comment extension (NIfTI) or to a ``.json`` file beside it (MGH, Analyze).
    None of the input's free text is passed on, as it may name the patient.
    """
    path = Path(path)
    # How small a compressed file gets is not known before.
    needed = volume.data.nbytes if expansion_of(path) == 1 else None
    check_writable(path, overwrite=overwrite, needed_bytes=needed)
    volume = volume.restored()
    codes = volume.origin.axis_codes if volume.origin is not None else ("R", "A", "S")
    data, affine = turn_to(codes, volume.data, volume.grid.affine)
    try:
        image = _make_image(volume, data, affine, suffix_of(path))
    except HeaderDataError as error:
        found = f"its format cannot hold this volume ({error})"
        raise OutputError(explain(path, found, "choose .nii.gz")) from error
    targets = output_files(path, image)
    if not overwrite:
        _check_absent(targets)
    try:
        with atomic_write_all(targets) as temporaries:
            files = dict(zip(targets, temporaries, strict=True))
            _save(image, path, files)
            sidecar = sidecar_of(path)
            if sidecar in files:
                files[sidecar].write_text(full_note(volume.history) + "\n", encoding="utf-8")
    except OSError as error:
        raise write_error(path, error) from error


def check_writable(
    path: PathLike, *, overwrite: bool = False, needed_bytes: int | None = None
) -> None:
    """Check, before any work, that a result can go there.

    Parameters
    ----------
    path : str or path
        The file to be.
    overwrite : bool
        Whether an existing file may be replaced.
    needed_bytes : int, optional
        Asked of the disk.

    Raises
    ------
    OutputError
        For a suffix we do not write, a file that exists, a folder that is
        missing or cannot be written to, or a disk without room.
    """
    path = Path(path)
    try:
        _check_place(path, overwrite)
        free = shutil.disk_usage(path.parent).free
    except OutputError:
        raise
    except OSError as error:
        raise write_error(path, error) from error
    if needed_bytes is not None and free < needed_bytes:
        found = f"needs {needed_bytes / 2**20:.0f} MiB and the disk has {free / 2**20:.0f}"
        raise OutputError(explain(path, found, "free some room or choose another folder"))


def _check_place(path: Path, overwrite: bool) -> None:
    suffix = suffix_of(path)
    folder = path.parent
    if path.is_dir():
        raise OutputError(explain(path, "is a folder", "give a file name in it"))
    if suffix not in WRITABLE:
        found = f"cannot write {suffix or 'a file without suffix'!r}"
        raise OutputError(explain(path, found, f"choose one of {writable_suffixes()}"))
    if not folder.is_dir():
        raise OutputError(explain(folder, "no such folder", "create it first"))
    if not os.access(folder, os.W_OK | os.X_OK):
        mend = "choose another folder or change its permissions"
        raise OutputError(explain(folder, "folder cannot be written to", mend))
    if not overwrite:
        names = _pair_names(path) if suffix in PAIR else [path]
        _check_absent([*names, sidecar_of(path)] if suffix in MGH else names)


def sidecar_of(path: PathLike) -> Path:
    """The ``.json`` file beside an image whose header has no room for it."""
    path = Path(path)
    return path.with_name(f"{stem_of(path)}.json")


def output_files(path: Path, image: Any) -> list[Path]:
    """All files that saving makes, the one that readers open first last."""
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
    """The header's and the voxels' file name, with the case of the one given."""
    suffix = path.name[len(stem_of(path)) :]
    upper = suffix[1:4].isupper()
    kinds = ("HDR", "IMG") if upper else ("hdr", "img")
    return [path.with_name(f"{stem_of(path)}.{kind}{suffix[4:]}") for kind in kinds]


def _check_absent(paths: list[Path]) -> None:
    for path in paths:
        if path.exists() or path.is_symlink():
            mend = "choose another name or allow overwriting with --overwrite"
            raise OutputError(explain(path, "exists already", mend))


def _make_image(volume: Volume, data: FloatArray, affine: NDArray[np.float64], suffix: str) -> Any:
    source: Any = volume.origin.header if volume.origin is not None else None
    if suffix in MGH:
        return nib.MGHImage(data, affine)
    analyze = isinstance(source, AnalyzeHeader) and not isinstance(source, nib.Nifti1Header)
    if suffix in PAIR and analyze:
        image = nib.Spm2AnalyzeImage(data, affine)
        image.header["descrip"] = short_note(volume.history).encode("ascii")
        return image
    return make_nifti(data, affine, source, volume.history, pair=suffix in PAIR)


def _save(image: Any, path: Path, files: dict[Path, Path]) -> None:
    """Have nibabel write to the temporary names."""
    file_map = type(image).filespec_to_file_map(str(path))
    with contextlib.ExitStack() as stack:
        for holder in file_map.values():
            # Opened here, as nibabel would leave it open on a full disk.
            temporary = str(files[Path(holder.filename)])
            holder.fileobj = stack.enter_context(ImageOpener(temporary, "wb"))
        image.to_file_map(file_map)


def write_error(path: Path, error: OSError) -> OutputError:
    """The one-line error for what the file system says."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        mend = "free some room or choose another folder"
        return OutputError(explain(path, "the disk is full", mend))
    reason = error.strerror or str(error)
    return OutputError(explain(path, f"cannot be written ({reason})", "choose another folder"))
