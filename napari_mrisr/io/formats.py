"""Which file names belong to which image format. No file is opened here."""

from __future__ import annotations

import os
from pathlib import Path

PathLike = str | os.PathLike[str]

#: Suffixes of each format, in lower case. Compressed ones are listed as well
#: where nibabel reads them.
NIFTI = (".nii", ".nii.gz", ".nii.bz2")
PAIR = (".hdr", ".img", ".hdr.gz", ".img.gz", ".hdr.bz2", ".img.bz2")
MGH = (".mgh", ".mgz")
MINC = (".mnc", ".mnc.gz")
PARREC = (".par", ".rec")
AFNI = (".head", ".brik", ".brik.gz")

#: Folders; read and written block by block only, see :mod:`napari_mrisr.streaming`.
ZARR = (".ome.zarr", ".zarr")

READABLE = NIFTI + PAIR + MGH + MINC + PARREC + AFNI
#: Results go out uncompressed or with gzip; bzip2 is some ten times slower.
WRITABLE = tuple(suffix for suffix in NIFTI + PAIR + MGH if not suffix.endswith(".bz2"))

#: The most bytes that one compressed byte can stand for: deflate's limit, and
#: bzip2's 45.9 MB run of one value in a block of about 45 bytes.
EXPANSION = {".gz": 1032, ".mgz": 1032, ".bz2": 1_100_000}

#: Of two files that make one image, the one listed when a folder is searched.
_SECOND_FILES = (".img", ".img.gz", ".img.bz2", ".rec", ".brik", ".brik.gz")


def suffix_of(path: PathLike) -> str:
    """The suffix in lower case, double ones such as ``.nii.gz`` included.

    Parameters
    ----------
    path : str or path
        A file name; the file need not exist.

    Returns
    -------
    str
        A suffix of :data:`READABLE` or :data:`ZARR` where the name ends in one; otherwise what
        follows the last dot, or ``""``.
    """
    name = Path(path).name.lower()
    known = [suffix for suffix in READABLE + ZARR if name.endswith(suffix) and name != suffix]
    return max(known, key=len) if known else Path(name).suffix


def stem_of(path: PathLike) -> str:
    """The file name without folder and without :func:`suffix_of`."""
    name = Path(path).name
    suffix = suffix_of(path)
    return name[: len(name) - len(suffix)] if suffix else name


def is_listed(path: PathLike) -> bool:
    """Whether a search of a folder should offer this file as an image.

    Of two-file formats only the header is offered, so that no scan counts twice.
    """
    suffix = suffix_of(path)
    return suffix in READABLE and suffix not in _SECOND_FILES


def is_zarr(path: PathLike) -> bool:
    """Whether a path has the name of a Zarr folder."""
    return suffix_of(path) in ZARR


def expansion_of(path: PathLike) -> int:
    """The most bytes that a byte of this file can stand for; 1 if uncompressed."""
    return EXPANSION.get(Path(path).suffix.lower(), 1)


def writable_suffixes() -> str:
    """The common writable suffixes, for messages."""
    return ".nii, .nii.gz, .hdr/.img, .mgh or .mgz"
