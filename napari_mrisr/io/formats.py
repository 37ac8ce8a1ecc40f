"""Image formats by file name, and names of results; no image is opened."""

from __future__ import annotations

import os
import re
from pathlib import Path

from napari_mrisr.core.scale import RealScale, format_scale

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

RESULT = re.compile(r"_desc-(sr[0-9]|experr|support|consistency)", re.IGNORECASE)
_ENTITY = re.compile(r"[A-Za-z]+-[A-Za-z0-9+]+")


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


def output_path(input_path: PathLike, out: PathLike, scale: RealScale) -> Path:
    """Return the path of a scan's result.

    Parameters
    ----------
    input_path : str or path
        The scan.
    out : str or path
        A name with a suffix that is no existing folder is returned unchanged.
        Anything else is a folder, in which the result is named as BIDS names
        derivatives: ``sub-01_T1w.nii.gz`` becomes
        ``sub-01_desc-sr2x_T1w.nii.gz`` and ``scan.mgz`` becomes
        ``scan_desc-sr2x.mgz``; an existing ``desc`` is replaced.
    scale : tuple of float
        ``2x2x2`` is named ``sr2x``, ``1x1x4.8`` is named ``sr1x1x4p8``.

    Returns
    -------
    Path
        With the input's suffix if this program writes that format
        (``.ome.zarr`` for any Zarr), else ``.nii.gz``.
    """
    out = Path(out)
    if is_zarr(out) or (suffix_of(out) and not out.is_dir()):
        return out
    label = f"desc-sr{scale_word(format_scale(scale))}"
    suffix = suffix_of(input_path)
    if is_zarr(input_path):
        suffix = ".ome.zarr"
    elif suffix not in WRITABLE:
        suffix = ".nii.gz"
    return out / f"{with_desc(stem_of(input_path), label)}{suffix}"


def map_path(result: PathLike, label: str) -> Path:
    """Return the path of a map of a result: the same folder, the label added to ``desc``.

    ``sub-01_desc-sr2x_T1w.nii.gz`` and ``experr`` give
    ``sub-01_desc-sr2xexperr_T1w.nii.gz``; ``high.nii`` gives ``high_desc-experr.nii``.
    """
    result = Path(result)
    stem, suffix = stem_of(result), suffix_of(result)
    old = re.search(r"(?:^|_)desc-([A-Za-z0-9+]+)", stem)
    desc = f"desc-{old[1] if old else ''}{label}"
    return result.with_name(f"{with_desc(stem, desc)}{suffix}")


def scale_word(scale: str) -> str:
    """Return a scale as a BIDS label, which has no dot: ``2x``, ``1x1x4p8``."""
    word = scale.replace(".", "p")
    return word if "x" in word else f"{word}x"


def with_desc(stem: str, label: str) -> str:
    """Replace the ``desc`` of a BIDS name, or add one before its last part.

    ``sub-01_T1w`` and ``desc-sr2x`` give ``sub-01_desc-sr2x_T1w``.
    """
    parts = stem.split("_")
    old = [i for i, part in enumerate(parts) if re.fullmatch(r"desc-[A-Za-z0-9+]+", part)]
    if old:
        parts[old[0]] = label
    elif len(parts) > 1 and all(map(_ENTITY.fullmatch, parts[:-1])) and "-" not in parts[-1]:
        parts.insert(len(parts) - 1, label)
    else:
        parts.append(label)
    return "_".join(parts)
