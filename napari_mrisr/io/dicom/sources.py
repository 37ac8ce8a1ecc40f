"""Places that hold DICOM files: folders, ZIP files and DICOMDIRs.

A file in a ZIP file has a path too: that of the ZIP file followed by its name in it, as in
``study.zip/series/IM1``. Nothing is unpacked onto the disk.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import threading
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io.formats import READABLE, is_zarr, suffix_of

LABEL = re.compile(r"(\d+|series)(?![^_-])")
"""Start of the label of a series: its number, if it has one."""

_lock = threading.Lock()
_archives: dict[Path, tuple[zipfile.ZipFile, int]] = {}
"""Open ZIP files and the number of blocks that use them."""

_BOUND = 1 << 20
_COPY = "copy or export it again"


class _Bounded(io.BufferedReader):
    """A file that allocates no more than it holds, whatever length a header claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _BOUND:
            position = self.tell()
            end = self.seek(0, os.SEEK_END)
            self.seek(position)
            size = min(size, max(0, end - position))
        return super().read(size)


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, or a member of a ZIP file, for reading."""
    archive = archive_of(path)
    if archive is None:
        with _Bounded(io.FileIO(path)) as file:
            yield file
        return
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(kept_open(archive))
            name = path.relative_to(archive).as_posix()
            member = stack.enter_context(opened.open(name))
        except (KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            found = f"cannot be unpacked ({type(error).__name__})"
            raise VolumeError(explain(path, found, _COPY)) from error
        yield member


@contextlib.contextmanager
def kept_open(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP file once for all that read it within the block: its directory may be long."""
    with _lock:
        opened, users = _archives.get(archive, (None, 0))
        opened = zipfile.ZipFile(archive) if opened is None else opened
        _archives[archive] = opened, users + 1
    try:
        yield opened
    finally:
        with _lock:
            opened, users = _archives[archive]
            if users > 1:
                _archives[archive] = opened, users - 1
            else:
                del _archives[archive]
                opened.close()


@contextlib.contextmanager
def archives_of(files: Iterable[Path]) -> Iterator[None]:
    """Keep the ZIP files that hold files open within the block."""
    with contextlib.ExitStack() as stack:
        for archive in {archive_of(file) for file in files} - {None}:
            with contextlib.suppress(OSError, zipfile.BadZipFile):  # named when a file is read
                stack.enter_context(kept_open(cast(Path, archive)))
        yield


def archive_of(path: Path) -> Path | None:
    """Return the ZIP file that holds a path; None for a path on the disk."""
    for parent in path.parents:
        if parent.is_dir():
            return None
        if parent.is_file():
            return parent if is_archive(parent) else None
    return None


def is_archive(path: Path) -> bool:
    """Return True for a ZIP file."""
    return path.suffix.lower() == ".zip" and path.is_file()


def is_dicomdir(path: Path) -> bool:
    """Return True for a file named DICOMDIR, as the standard wants."""
    return path.name.upper() == "DICOMDIR" and path.is_file()


def is_place(path: Path) -> bool:
    """Return True for what may hold several series: a folder, ZIP file or DICOMDIR."""
    return path.is_dir() or is_archive(path) or is_dicomdir(path)


def starts_as_dicom(path: Path) -> bool:
    """Return True for a file on the disk with the mark of DICOM."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def holds_dicom(folder: Path, most: int = 500) -> bool:
    """Return True if one of the first files of a folder, or below it, is DICOM."""
    return any(map(starts_as_dicom, itertools.islice(_walk(folder), most)))


def names_dicom(path: Path) -> bool:
    """Return True for a path that may name a series.

    That is a file of it, a folder, ZIP file or DICOMDIR, or a series in one of them.
    """
    if suffix_of(path) in READABLE or is_zarr(path):
        return False
    if path.exists():
        return is_place(path) or (path.is_file() and starts_as_dicom(path))
    if archive_of(path) is not None:
        return True
    return LABEL.match(path.name) is not None and is_place(path.parent)


def files_in(root: Path) -> list[Path]:
    """Return the files of a folder (with all below it), ZIP file or DICOMDIR, sorted."""
    if root.is_dir():
        return sorted(_walk(root))
    if is_archive(root):
        try:
            with zipfile.ZipFile(root) as archive:
                return sorted(root / info.filename for info in archive.infolist() if _member(info))
        except (OSError, zipfile.BadZipFile) as error:
            raise VolumeError(explain(root, "is no usable ZIP file", _COPY)) from error
    if is_dicomdir(root):
        return sorted(_referenced(root))
    return [root]


def _member(info: zipfile.ZipInfo) -> bool:
    return not info.is_dir() and ".." not in Path(info.filename).parts


def _walk(folder: Path) -> Iterator[Path]:
    visited: set[tuple[int, int]] = set()
    for top, folders, names in os.walk(folder, followlinks=True):
        status = Path(top).stat()
        if (status.st_dev, status.st_ino) in visited:  # a loop of links
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                path = Path(top, name)
                if path.is_file():  # no pipe or device
                    yield path


def _referenced(dicomdir: Path) -> Iterator[Path]:
    """Yield the files that a DICOMDIR names; those outside its folder are refused."""
    top = dicomdir.parent
    for parts in _file_ids(dicomdir):
        path = top.joinpath(*parts)
        outside = any(part in ("", ".", "..") or set(part) & set("/\\:\0") for part in parts)
        if outside or not path.resolve().is_relative_to(top.resolve()):
            found = "names a file outside its folder"
            raise VolumeError(explain(dicomdir, found, "open the folder instead"))
        for candidate in (path, top.joinpath(*map(str.lower, parts))):
            if candidate.is_file():
                yield candidate
                break
        else:
            found = f"names {'/'.join(parts)}, which is missing"
            raise VolumeError(explain(dicomdir, found, "copy the whole medium"))


def _file_ids(dicomdir: Path) -> list[list[str]]:
    import pydicom  # optional, and not needed to tell what a path names

    try:
        with open_source(dicomdir) as file:
            data = pydicom.dcmread(file, specific_tags=["DirectoryRecordSequence"])
        found = []
        for record in data.get("DirectoryRecordSequence", []):
            value = record.get("ReferencedFileID")
            if value:
                parts = [value] if isinstance(value, str) else list(value)
                found.append([str(part) for part in parts])
    except Exception as error:  # pydicom raises whatever its parsing meets
        raise VolumeError(explain(dicomdir, "is a damaged DICOMDIR", "open the folder")) from error
    return found
