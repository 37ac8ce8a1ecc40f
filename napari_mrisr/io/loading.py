"""Let nibabel open an image file, silently, and explain failures in one line."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import math
import os
import struct
import tempfile
import textwrap
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel import imageglobals
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError, SpatialImage

from napari_mrisr.errors import GeometryError, VolumeError, explain
from napari_mrisr.io.formats import MGH, READABLE, expansion_of, stem_of, suffix_of

# nibabel's image classes carry no types.
nib: Any = nibabel

EXPORT_AGAIN = "export it again"
COPY_AGAIN = "copy or export it again"


def printable(name: str) -> str:
    """Return a file name that any terminal and file can hold."""
    return name.encode("utf-8", "replace").decode("utf-8")


@contextlib.contextmanager
def utf8_name(path: Path) -> Iterator[Path]:
    """Yield the path, or a link to it if it is not UTF-8: indexed_gzip crashes on such names."""
    text = str(path)
    if text == printable(text):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mrisr-") as folder:
        stem = stem_of(path)
        for other in path.absolute().parent.iterdir():
            if other.name.startswith(stem) and other.name[len(stem) :].lower() in READABLE:
                Path(folder, f"scan{other.name[len(stem) :]}").symlink_to(other)
        yield Path(folder, f"scan{path.name[len(stem) :]}")


def check_file(path: Path) -> None:
    """Refuse, by name and first bytes, what cannot be an image."""
    if path.is_dir():
        raise VolumeError(explain(path, "is a folder", "give an image file in it"))
    if not path.exists():
        raise VolumeError(explain(path, "no such file", "check the name"))
    suffix = suffix_of(path)
    if suffix not in READABLE:
        remedy = f"give one of {', '.join(READABLE)}, or DICOM"
        raise VolumeError(explain(path, f"{suffix or 'no suffix'!r} is no image format", remedy))
    if not path.is_file():
        raise VolumeError(explain(path, "is no regular file", "give an image file"))
    with path.open("rb") as file:
        start = file.read(3)
    if not start:
        raise VolumeError(explain(path, "is empty", COPY_AGAIN))
    if expansion_of(path) > 1 and start[:2] != b"\x1f\x8b" and start != b"BZh":
        remedy = "drop the compression suffix from its name or export it again"
        raise VolumeError(explain(path, "is not a compressed file", remedy))
    if expansion_of(path) == 1 and start[:2] == b"\x1f\x8b":
        raise VolumeError(explain(path, "is gzip-compressed", f"rename it to {path.name}.gz"))


@contextlib.contextmanager
def quiet_nibabel() -> Iterator[None]:
    """Silence nibabel's log and warnings: its repairs are refused here, or harmless."""

    def drop(record: object) -> bool:
        return False

    imageglobals.logger.addFilter(drop)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="nibabel")
            yield
    finally:
        imageglobals.logger.removeFilter(drop)


def load_header(path: Path, name: Path) -> Any:
    """Return nibabel's image without loading voxels; ``name`` is the path to open."""
    try:
        with quiet_nibabel():
            image = _load_mgh(name) if suffix_of(path) in MGH else nib.load(name)
            if isinstance(image, nib.Nifti1Image) and not int(image.dataobj.offset):
                image = _with_offset(image, name)
    except Exception as error:
        raise unreadable(path, error) from error
    if not isinstance(image, SpatialImage):
        found = f"holds {type(image).__name__}, not a volume"
        raise VolumeError(explain(path, found, "give a 3D image"))
    return image


def _load_mgh(path: Path) -> Any:
    """Load as ``nib.load`` does, which leaves the file open."""
    mgh: Any = nib.MGHImage
    with ImageOpener(str(path)) as file:
        header = mgh.header_class.from_fileobj(file)
    proxy = mgh.ImageArrayProxy(str(path), header.copy())
    return mgh(proxy, header.get_affine(), header, file_map=mgh.filespec_to_file_map(str(path)))


def _with_offset(image: Any, path: Path) -> Any:
    """Return a single-file NIfTI image whose header gives no offset with a probable one.

    The voxels begin after the header and four bytes that announce extensions, unless the
    file is four bytes too short for that.
    """
    header_bytes = int(image.header["sizeof_hdr"])
    proxy = image.dataobj
    size = math.prod(map(int, image.shape)) * proxy.dtype.itemsize
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        if path.suffix.lower() == ".gz":
            file.seek(max(0, length - 4))
            length = struct.unpack("<I", file.read(4).ljust(4, b"\0"))[0]  # modulo 2^32
    tight = (header_bytes + size) % 2**32 == length % 2**32
    offset = header_bytes + (0 if tight else 4)
    spec = (image.shape, proxy.dtype, offset, proxy.slope, proxy.inter)
    return type(image)(
        ArrayProxy(str(path), spec), image.affine, image.header.copy(), file_map=image.file_map
    )


def unreadable(path: Path, error: Exception) -> VolumeError:
    """Return the one-line error for an exception of nibabel."""
    if isinstance(error, ModuleNotFoundError):
        found = f"reading it needs the package {error.name}"
        return VolumeError(explain(path, found, f"pip install {error.name}"))
    if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error) or not _unpacks(path):
        return VolumeError(explain(path, "ends early or is damaged", COPY_AGAIN))
    if isinstance(error, FileNotFoundError):
        remedy = "put the header and the voxel file into one folder"
        return VolumeError(explain(path, "the file that belongs to it is missing", remedy))
    if isinstance(error, ImageFileError):
        hidden = _hidden_error(path)
        if hidden is not None:
            return unreadable(path, hidden)
        return VolumeError(explain(path, "is not an image, whatever its suffix", EXPORT_AGAIN))
    if isinstance(error, ValueError) and "w2 should be positive" in str(error):
        remedy = "correct the qform in its header"
        return GeometryError(explain(path, "quaternion of its qform longer than 1", remedy))
    if isinstance(error, HeaderDataError) and "vox offset" in str(error):
        found = "its voxels would begin inside the header"
        return VolumeError(explain(path, found, "correct vox_offset in its header"))
    return VolumeError(explain(path, f"is no readable image{_reason(error)}", EXPORT_AGAIN))


def _reason(error: Exception) -> str:
    """Return the first sentence of nibabel's message in parentheses, if a user can read it."""
    text = str(error).split(". ")[0].rstrip(".")
    readable = isinstance(error, HeaderDataError) and text.isascii() and text.isprintable()
    if not readable or "\\" in text or len(text.split()) < 2:
        return ""
    return f" ({textwrap.shorten(text, 80, placeholder=' …')})"


def _unpacks(path: Path) -> bool:
    """Return False for a compressed file that is damaged.

    nibabel reads by the package indexed_gzip if that is installed, which raises other
    exceptions for a damaged file than the standard library.
    """
    if expansion_of(path) > 1:
        try:
            with unpacking(path) as stream:
                for _ in stream:
                    pass
        except (OSError, EOFError, zlib.error):
            return False
    return True


class _Unpacked(Iterator[bytes]):
    """Pieces of a compressed file's content.

    Attributes
    ----------
    trailing : bool
        True once other data than gzip were found behind a complete gzip stream.
    """

    def __init__(self, file: Any) -> None:
        self._file, self._nonempty, self.trailing = file, False, False

    def __next__(self) -> bytes:
        try:
            # At most one member per call, so that no data are lost before an exception.
            piece: bytes = self._file.read1(1 << 20)
        except gzip.BadGzipFile as error:
            if not self._nonempty or not str(error).startswith("Not a gzipped file"):
                raise
            self.trailing, piece = True, b""
        if not piece:
            raise StopIteration
        self._nonempty = True
        return piece


@contextlib.contextmanager
def unpacking(path: Path) -> Iterator[_Unpacked]:
    """Open a compressed file to iterate over its content."""
    with bz2.open(path) if path.suffix.lower() == ".bz2" else gzip.open(path) as file:
        yield _Unpacked(file)


def _hidden_error(path: Path) -> Exception | None:
    """Return the exception that nibabel dropped when it read the file's first bytes."""
    try:
        if expansion_of(path) > 1:
            with unpacking(path) as stream:
                next(stream, b"")
    except (OSError, EOFError, zlib.error) as error:
        return error
    suffix = suffix_of(path)
    if suffix.startswith(".img"):
        header = path.with_name(path.name[: -len(suffix)] + suffix.replace("img", "hdr"))
        return None if header.exists() else FileNotFoundError(str(header))
    return None
