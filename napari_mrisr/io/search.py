"""Images and DICOM series in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import ParameterError, VolumeError, explain
from napari_mrisr.io.dicom.sources import names_dicom, starts_as_dicom
from napari_mrisr.io.formats import RESULT, PathLike, is_listed, is_zarr
from napari_mrisr.io.read import need_dicom


def find_volumes(
    paths: PathLike | Iterable[PathLike],
    unread: list[VolumeError] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """List the images and DICOM series that files, folders, ZIP files and DICOMDIRs hold.

    Parameters
    ----------
    paths : path or iterable of path
        Files are taken as given. Folders are searched with all below them,
        links to folders included; hidden files and folders and earlier results
        (``*_desc-sr*``) are skipped, and of two-file formats the header is
        listed. A Zarr folder is an image. A DICOM file stands for its series.
    unread : list of VolumeError, optional
        Receives an error per folder that cannot be read. By default the first
        one is raised.
    progress : Progress, optional
        Receives one step per DICOM header.

    Returns
    -------
    list of Path
        In the order given, those of a folder sorted by path; none twice. Localizers, reports
        and screenshots are left out where there are other series.

    Raises
    ------
    VolumeError
        If a path does not exist, a folder holds no image, or a folder cannot
        be read and ``unread`` is None.
    ParameterError
        If no path was given.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise ParameterError(explain("input", "no path", "give image files or folders"))
    found: dict[Path, None] = {}
    for entry in map(Path, given):
        if entry.is_dir() and not is_zarr(entry):
            errors: list[VolumeError] = []
            files = sorted(_search(entry, errors))
            if unread is None and errors:
                raise errors[0]
            images = [file for file in files if is_zarr(file) or is_listed(file)]
            if any(starts_as_dicom(file) for file in files if not is_listed(file)):
                images += _series_of(entry, progress)
            if not images and not errors:
                remedy = "give a folder with NIfTI, MGH or DICOM images"
                raise VolumeError(explain(entry, "has no image in it", remedy))
            if unread is not None:
                unread += errors
            found.update(dict.fromkeys(images))
        elif names_dicom(entry):
            found.update(dict.fromkeys(_series_of(entry, progress)))
        elif entry.exists():
            found[entry] = None
        else:
            raise VolumeError(explain(entry, "no such file or folder", "check the name"))
    return list(found)


def _series_of(path: Path, progress: Progress | None) -> list[Path]:
    """Return the DICOM series that a path stands for; earlier results only if there is no scan.

    Series that are no volume are returned only if there is nothing else.
    """
    listed = need_dicom(path).list_all(path, progress)
    scans = [series for series in listed if series.is_scan]
    originals = [series for series in scans if not series.is_result]
    return [series.path for series in originals or scans or listed]


def _search(top: Path, errors: list[VolumeError]) -> Iterator[Path]:
    """Yield the files and Zarr folders below a folder; append an error per unreadable folder.

    Links are followed after all real folders, and each folder is read once, so a loop
    of links ends and images keep their real names.
    """
    folders: list[Path] = [top]
    links: list[Path] = []
    visited: set[tuple[int, int]] = set()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as iterator:
                entries = sorted(iterator, key=lambda entry: entry.name)
        except OSError as error:
            found = f"cannot be read ({error.strerror or error})"
            remedy = "correct the link" if folder.is_symlink() else "change its permissions"
            errors.append(VolumeError(explain(folder, found, remedy)))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path, listed = Path(entry.path), is_listed(entry.name)
            zarr = is_zarr(path) and path.is_dir()
            link = entry.is_symlink() and (path.is_dir() or not (listed or path.exists()))
            if link and not zarr:
                links.append(path)
            elif entry.is_dir() and not zarr:
                folders.append(path)
            elif not ((zarr or listed) and RESULT.search(entry.name)):
                yield path
