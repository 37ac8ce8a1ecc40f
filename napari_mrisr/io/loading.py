"""Have nibabel open an image, in silence, and say why when it cannot."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import imageglobals
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.spatialimages import SpatialImage

from napari_mrisr.errors import GeometryError, VolumeError, explain
from napari_mrisr.io.formats import MGH, READABLE, expansion_of, is_zarr, suffix_of


def check_file(path: Path) -> None:
    """Refuse, by name and first bytes, what cannot be an image."""
    if is_zarr(path):
        mend = "upscale it to a .nii.gz, or convert it"
        raise VolumeError(explain(path, "only upscale reads OME-Zarr", mend))
    if path.is_dir():
        raise VolumeError(explain(path, "is a folder", "give an image file in it"))
    if not path.exists():
        raise VolumeError(explain(path, "no such file", "check the name"))
    suffix = suffix_of(path)
    if suffix not in READABLE:
        mend = f"give one of {', '.join(READABLE)} (convert DICOM with dcm2niix first)"
        raise VolumeError(explain(path, f"{suffix or 'no suffix'!r} is no image format", mend))
    if not path.is_file():
        raise VolumeError(explain(path, "is no regular file", "give an image file"))
    with path.open("rb") as file:
        start = file.read(3)
    if not start:
        raise VolumeError(explain(path, "is empty", "copy or export it again"))
    if expansion_of(path) > 1 and start[:2] != b"\x1f\x8b" and start != b"BZh":
        mend = "drop the compression suffix from its name or export it again"
        raise VolumeError(explain(path, "is not a compressed file", mend))
    if expansion_of(path) == 1 and start[:2] == b"\x1f\x8b":
        raise VolumeError(explain(path, "is gzip-compressed", f"rename it to {path.name}.gz"))


@contextlib.contextmanager
def quiet_nibabel() -> Iterator[None]:
    """Keep nibabel from printing repairs: we refuse them or they do not matter."""

    class Nothing(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return False

    nothing = Nothing()
    imageglobals.logger.addFilter(nothing)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        imageglobals.logger.removeFilter(nothing)


def load_header(path: Path) -> Any:
    """Nibabel's image, its voxels not loaded."""
    try:
        with quiet_nibabel():
            image = _load_mgh(path) if suffix_of(path) in MGH else nib.load(path)
    except Exception as error:
        raise unreadable(path, error) from error
    if not isinstance(image, SpatialImage):
        found = f"holds {type(image).__name__}, not a volume"
        raise VolumeError(explain(path, found, "give a 3D image"))
    return image


def _load_mgh(path: Path) -> Any:
    """As ``nib.load``, which leaves the file open."""
    mgh: Any = nib.MGHImage
    with ImageOpener(str(path)) as file:
        header = mgh.header_class.from_fileobj(file)
    proxy = mgh.ImageArrayProxy(str(path), header.copy())
    return mgh(proxy, header.get_affine(), header, file_map=mgh.filespec_to_file_map(str(path)))


def unreadable(path: Path, error: Exception) -> VolumeError:
    """The one-line error for whatever nibabel raised."""
    if isinstance(error, ModuleNotFoundError):
        found = f"reading it needs the package {error.name}"
        return VolumeError(explain(path, found, f"pip install {error.name}"))
    if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error) or not unpacks(path):
        return VolumeError(explain(path, "ends early or is damaged", "copy or export it again"))
    if isinstance(error, FileNotFoundError):
        mend = "put the header and the voxel file side by side"
        return VolumeError(explain(path, "the file that belongs to it is missing", mend))
    if isinstance(error, ImageFileError):
        hidden = _sniffing_error(path)
        if hidden is not None:
            return unreadable(path, hidden)
        return VolumeError(explain(path, "is not an image, whatever its suffix", "export it again"))
    if isinstance(error, ValueError) and "w2 should be positive" in str(error):
        mend = "correct the qform in its header"
        return GeometryError(explain(path, "quaternion of its qform longer than 1", mend))
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return VolumeError(explain(path, f"is no readable image ({reason})", "export it again"))


def unpacks(path: Path) -> bool:
    """Whether a compressed file can be unpacked to its end; True for others.

    With the package indexed_gzip installed, nibabel reads by it, and it has
    exceptions of its own for a damaged file.
    """
    if expansion_of(path) == 1:
        return True
    try:
        with unpacking(path) as file:
            while file.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True


def unpacking(path: Path) -> Any:
    """A compressed file, opened to read what is in it."""
    return bz2.open(path) if path.suffix.lower() == ".bz2" else gzip.open(path)


def _sniffing_error(path: Path) -> Exception | None:
    """What nibabel met, and swallowed, when it looked at the file's first bytes."""
    try:
        with ImageOpener(str(path)) as file:
            file.read(1024)
    except (OSError, EOFError, zlib.error) as error:
        return error
    suffix = suffix_of(path)
    if suffix.startswith(".img"):
        header = path.with_name(path.name[: -len(suffix)] + suffix.replace("img", "hdr"))
        return None if header.exists() else FileNotFoundError(str(header))
    return None
