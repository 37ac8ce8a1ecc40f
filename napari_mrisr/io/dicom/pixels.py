"""Voxels of DICOM images, decoded in threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, AllTransferSyntaxes

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.errors import VolumeError, explain, install
from napari_mrisr.io.dicom.headers import FileHeader, SliceImage, quiet_pydicom
from napari_mrisr.io.dicom.mosaic import tile_origin
from napari_mrisr.io.dicom.sources import archives_of, open_source

_COPY = "copy or export it again"

_MOST_RATIO = 600
"""Largest ratio of decoded to compressed bytes that is believed, beyond the slack."""

_SLACK = 8 << 20
"""Bytes that an image may have whatever its compressed size: a blank slice takes some 100."""


@dataclass(frozen=True, eq=False)
class Stored:
    """Voxels as stored, and the slope and intercept that are still to apply."""

    voxels: NDArray[Any]
    slope: float
    intercept: float


def check_syntax(header: FileHeader) -> None:
    """Raise :class:`VolumeError` for a transfer syntax that cannot be decoded here."""
    syntax = header.syntax
    known = syntax in AllTransferSyntaxes
    if not syntax or (known and not syntax.is_compressed):
        return
    name = syntax.name if known else f"unknown ({syntax[:64]})"
    try:
        decoder = get_decoder(syntax)
    except (NotImplementedError, ValueError) as error:
        found = f"transfer syntax {name}, which no decoder here knows"
        remedy = "export it uncompressed (Explicit VR Little Endian)"
        raise VolumeError(explain(header.path, found, remedy)) from error
    if not decoder.is_available:
        found = f"transfer syntax {name} needs a decoder"
        raise VolumeError(explain(header.path, found, install("dicom")))


def read_images(
    images: Sequence[SliceImage], headers: dict[Path, FileHeader], progress: Progress
) -> Stored:
    """Return the voxels of ordered images, indexed (column, row, slice).

    They are as stored if all images share slope and intercept, else float32 with both applied.
    """
    files: dict[Path, list[int]] = {}
    for place, image in enumerate(images):
        files.setdefault(image.file, []).append(place)
    for file in files:
        check_syntax(headers[file])
    uniform = len({(image.slope, image.intercept) for image in images}) == 1
    rows, columns = images[0].shape
    out: list[NDArray[Any]] = []

    def load(file: Path) -> None:
        places = files[file]
        decoded = _decode(headers[file], [images[place] for place in places])
        for place, plane in zip(places, decoded, strict=True):
            image = images[place]
            if not uniform:
                plane = plane * np.float64(image.slope) + image.intercept
            out[0][..., place] = plane.T

    first = next(iter(files))
    with quiet_pydicom(), archives_of(files):
        (plane,) = _decode(headers[first], [images[files[first][0]]])
        kind = plane.dtype if uniform else np.dtype(np.float32)
        out.append(np.empty((columns, rows, len(images)), kind, order="F"))
        progress.begin("reading DICOM", len(files))
        ThreadPool(processors(), progress.token).each(load, files, progress.advance)
    if uniform:
        return Stored(out[0], images[0].slope, images[0].intercept)
    return Stored(out[0], 1.0, 0.0)


def same_pixels(a: SliceImage, of_a: FileHeader, b: SliceImage, of_b: FileHeader) -> bool:
    """Return True if two images have the same voxels and scaling."""
    if (a.slope, a.intercept, a.position) != (b.slope, b.intercept, b.position):
        return False
    (first,), (second,) = _decode(of_a, [a]), _decode(of_b, [b])
    return bool(np.array_equal(first, second))


def _decode(header: FileHeader, images: Sequence[SliceImage]) -> list[NDArray[Any]]:
    """Return the stored voxels of images of one file, (row, column) each."""
    path = header.path
    check_syntax(header)
    try:
        with open_source(path) as file:
            data = pydicom.dcmread(file, force=True)
        _check_size(path, data, header.syntax)
        if not header.syntax:
            data.file_meta.TransferSyntaxUID = _guessed_syntax(data)
        if header.tiles:
            whole = pixel_array(data, raw=True)
            return [_tile(whole, image, header.tiles) for image in images]
        many = int(data.get("NumberOfFrames") or 1) > 1
        if not many:
            return [pixel_array(data, raw=True).reshape(images[0].shape)]
        return [pixel_array(data, index=image.index, raw=True) for image in images]
    except (VolumeError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they meet
        found = f"its pixel data cannot be decoded ({type(error).__name__})"
        raise VolumeError(explain(path, found, _COPY)) from error


def _guessed_syntax(data: pydicom.Dataset) -> UID:
    implicit, little = data.original_encoding
    if implicit:
        return pydicom.uid.ImplicitVRLittleEndian
    return pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian


def _tile(whole: NDArray[Any], image: SliceImage, count: int) -> NDArray[Any]:
    row, column = tile_origin(image.index, count, image.shape)
    return whole[row : row + image.shape[0], column : column + image.shape[1]]


def _check_size(path: Path, data: pydicom.Dataset, syntax: UID) -> None:
    """Refuse a header that promises more voxels than the pixel data can hold."""
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        if keyword in data:
            held = len(data[keyword].value or b"")
            break
    else:
        raise VolumeError(explain(path, "has no pixel data", _COPY))
    frames = int(data.get("NumberOfFrames") or 1)
    promised = int(data.Rows) * int(data.Columns) * frames * int(data.BitsAllocated) // 8
    if syntax and syntax.is_compressed:
        promised = (promised - frames * _SLACK) // _MOST_RATIO
    if promised > held:
        found = f"pixel data of {held} bytes are shorter than the header says"
        raise VolumeError(explain(path, found, _COPY))
