"""Write a result as a derived DICOM series, with its maps and report."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError, OutputError, explain
from napari_mrisr.io.atomic import flush, make_private, move_into_place, private_folder, write_error
from napari_mrisr.io.dicom.anonymize import Anonymizer
from napari_mrisr.io.dicom.derivation import PROGRAM
from napari_mrisr.io.dicom.derived import classic_images, enhanced_image
from napari_mrisr.io.dicom.headers import SliceImage, quiet_pydicom
from napari_mrisr.io.dicom.planes import SourceImages, StoredValues, cut, read_whole_header
from napari_mrisr.io.formats import PathLike
from napari_mrisr.io.write import check_absent, check_space

_FILE = re.compile(r"\d{4,}\.dcm")
_MOST_BYTES = 2**32 - 2  # of an element of 32 bits' length
_HEADER_BYTES = 20_000
_FLUSHES = 16


def write_dicom(
    volume: Volume,
    folder: PathLike,
    *,
    source: Volume | None = None,
    anonymize: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str:
    """Save a volume as a derived DICOM series in a folder of its own.

    Parameters
    ----------
    volume : Volume
        Any voxel size; its slices are cut along those of the source.
    folder : str or path
        The folder to make. It appears complete or not at all.
    source : Volume, optional
        A volume that :func:`read_volume` read from DICOM, whose patient, study and frame of
        reference the series gets. By default ``volume`` itself, or what it was computed from.
    anonymize : bool
        Replace patient, UIDs and dates, see :mod:`napari_mrisr.io.dicom.anonymize`.
    overwrite : bool
        Replace a folder that this function wrote; other folders are never replaced.
    progress : Progress, optional
        Reports slices; cancels within a fraction of a second.

    Returns
    -------
    str
        Note about the rounding to integers.

    Raises
    ------
    OutputError
        If the volume does not come from DICOM or is no MR, its axes are not perpendicular, the
        folder exists, or the disk is full or fails.
    VolumeError
        If the files of the source are missing or damaged.
    Cancelled
        If the user cancels.

    Notes
    -----
    Classic MR Image Storage, one file per slice; one Enhanced MR file for an enhanced source.
    Intensities become integers of 16 bits in the source's own steps if they fit.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> scan = sr.read_volume("study")
    >>> sr.write_dicom(sr.upscale(scan, (1, 1, 2), method="tricubic"), "study-2x")
    'stored as integers, rounded by at most 0.5'
    """
    out = Path(folder)
    progress = progress or Progress()
    images = images_of(source or volume)
    check_dicom(out, overwrite=overwrite, voxels=volume.data.size)
    restored = volume.restored()
    with quiet_pydicom():
        found = SourceImages.read(images, progress.token.check, titled=not anonymize)
        modality = str(found.first.get("Modality") or "unknown")
        if modality != "MR":
            text = f"the source is of modality {modality[:16]}, not MR"
            raise OutputError(explain("DICOM", text, "save it as .nii.gz"))
        stack = cut(restored, found)
        stored = StoredValues.of(stack.data, found.scale, progress.token.check)
        if found.enhanced:
            datasets: Iterable[Dataset] = [enhanced_image(restored, found, stack, stored)]
        else:
            datasets = classic_images(restored, found, stack, stored)
        if anonymize:
            datasets = map(_process_anonymizer().applied, datasets)
        count = 1 if found.enhanced else len(stack.data)
        write_series(datasets, out, count=count, overwrite=overwrite, progress=progress)
    return stored.note


def images_of(volume: Volume) -> Sequence[SliceImage]:
    """Return the DICOM images that a volume was read from.

    Raises
    ------
    OutputError
        If it was not read from DICOM.
    """
    images = getattr(volume.origin.header if volume.origin is not None else None, "images", None)
    if not images:
        name = volume.origin.name if volume.origin is not None else "volume"
        found = "was not read from DICOM, so patient and study are unknown"
        raise OutputError(explain(name, found, "save it as .nii.gz"))
    return tuple(images)


def check_dicom(folder: PathLike, *, overwrite: bool = False, voxels: int = 0) -> None:
    """Check, before any work, that a series can be written.

    Parameters
    ----------
    folder : str or path
        The folder to make.
    overwrite : bool
        Allow replacing a folder that :func:`write_dicom` wrote.
    voxels : int
        Voxels of the series.

    Raises
    ------
    OutputError
        If the folder exists, cannot be made, or the disk has no space.
    """
    folder = Path(folder)
    try:
        if not folder.parent.is_dir():
            raise OutputError(explain(folder.parent, "no such folder", "create it first"))
        if not os.access(folder.parent, os.W_OK | os.X_OK):
            remedy = "choose another folder or change its permissions"
            raise OutputError(explain(folder.parent, "folder cannot be written to", remedy))
        if not overwrite:
            check_absent([folder])
        elif (folder.exists() or folder.is_symlink()) and not _written_here(folder):
            found = "holds other files than a series of this program"
            raise OutputError(explain(folder, found, "choose another name"))
        check_space(folder, 2 * voxels + _HEADER_BYTES)
    except OutputError:
        raise
    except OSError as error:
        raise write_error(folder, error) from error


def write_series(
    datasets: Iterable[Dataset], out: Path, *, count: int, overwrite: bool, progress: Progress
) -> None:
    """Write datasets as numbered files of a folder that appears complete or not at all."""
    progress.begin(f"writing {out.name}", count)
    try:
        with private_folder(out) as private:
            made = private / "series"
            make_private(made)
            for number, dataset in enumerate(datasets, start=1):
                _save(dataset, made / f"{number:04d}.dcm")
                progress.advance()
            # Disks flush several files in about the time of one.
            ThreadPool(_FLUSHES, progress.token).each(flush, sorted(made.iterdir()))
            if not overwrite:
                check_absent([out])
            move_into_place(made, out)
    except OutputError:
        raise
    except OSError as error:
        raise write_error(out, error) from error


def _save(dataset: Dataset, path: Path) -> None:
    """Write a file."""
    if len(dataset.get("PixelData", b"")) > _MOST_BYTES:
        found = "more than 4 GB in one Enhanced MR image"
        raise OutputError(explain("DICOM", found, "use a smaller scale or save as .nii.gz"))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)


def _written_here(folder: Path) -> bool:
    """Return True for a folder that holds a series of this program and nothing else."""
    files = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    if not files or not all(_FILE.fullmatch(path.name) and path.is_file() for path in files):
        return False
    try:
        header = read_whole_header(files[0])
    except MrisrError:
        return False
    makers = [header, *header.get("ContributingEquipmentSequence", [])]
    return any(maker.get("ManufacturerModelName") == PROGRAM for maker in makers)


@functools.cache
def _process_anonymizer() -> Anonymizer:
    """Return the one anonymizer of the process, so that the series of a study fit together."""
    return Anonymizer()
