"""Image formats by file name. No file is opened here."""

from __future__ import annotations

import os
import re
from pathlib import Path

PathLike = str | os.PathLike[str]

#: Suffixes of each format in lower case, including the compressed ones that nibabel reads.
NIFTI = (".nii", ".nii.gz", ".nii.bz2")
PAIR = (".hdr", ".img", ".hdr.gz", ".img.gz", ".hdr.bz2", ".img.bz2")
MGH = (".mgh", ".mgz")
MINC = (".mnc", ".mnc.gz")
PARREC = (".par", ".rec")
AFNI = (".head", ".brik", ".brik.gz")

#: Folders, see :mod:`napari_mrisr.io.ngff`.
ZARR = (".ome.zarr", ".zarr")

#: Files.
READABLE = NIFTI + PAIR + MGH + MINC + PARREC + AFNI
#: Files. bzip2 is left out since it is some ten times slower than gzip.
WRITABLE = tuple(suffix for suffix in NIFTI + PAIR + MGH if not suffix.endswith(".bz2"))

WRITABLE_TEXT = ".nii, .nii.gz, .hdr/.img, .mgh, .mgz or .ome.zarr"
"""The common writable suffixes, for messages."""

#: Largest ratio of uncompressed to compressed bytes: deflate's limit, and bzip2's run of
#: 45.9 MB of one value in a block of about 45 bytes.
EXPANSION = {".gz": 1032, ".mgz": 1032, ".bz2": 1_100_000}

_FILE_TYPE = re.compile(r"[^.]\.[A-Za-z][A-Za-z0-9]{0,5}$")

#: The voxel files of two-file formats. A folder search lists the header only.
_VOXEL_FILES = (".img", ".img.gz", ".img.bz2", ".rec", ".brik", ".brik.gz")


def suffix_of(path: PathLike) -> str:
    """Return the suffix in lower case, double ones such as ``.nii.gz`` included.

    Parameters
    ----------
    path : str or path
        File name; the file need not exist.

    Returns
    -------
    str
        A suffix of :data:`READABLE` or :data:`ZARR` if the name ends in one; otherwise the
        text from the last dot on, or ``""``.
    """
    name = Path(path).name.lower()
    known = [suffix for suffix in READABLE + ZARR if name.endswith(suffix) and name != suffix]
    return max(known, key=len) if known else Path(name).suffix


def stem_of(path: PathLike) -> str:
    """Return the file name without its folder and without :func:`suffix_of`."""
    name = Path(path).name
    suffix = suffix_of(path)
    return name[: len(name) - len(suffix)] if suffix else name


def is_listed(path: PathLike) -> bool:
    """Return True for names that a folder search lists as images."""
    suffix = suffix_of(path)
    return suffix in READABLE and suffix not in _VOXEL_FILES


def is_zarr(path: PathLike) -> bool:
    """Return True for names of Zarr folders."""
    return suffix_of(path) in ZARR


def expansion_of(path: PathLike) -> int:
    """Return the largest possible ratio of uncompressed to compressed bytes; 1 if uncompressed."""
    return EXPANSION.get(Path(path).suffix.lower(), 1)


def with_suffix(path: PathLike) -> Path:
    """Return the path, with ``.nii.gz`` appended if its name has no file type.

    ``.png`` is a file type; ``.5x`` in ``scan 2.5x`` and ``. Smith`` are none.
    """
    path = Path(path)
    return path if _FILE_TYPE.search(path.name) else path.with_name(f"{path.name}.nii.gz")
