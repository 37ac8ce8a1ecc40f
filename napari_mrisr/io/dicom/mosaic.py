"""Siemens mosaics: all slices of a volume as tiles of one 2D image.

The geometry of a tile is explained in nibabel's manual ("Siemens mosaic format"); the number of
slices and their direction are in Siemens' private header, which nibabel reads.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io.dicom.sources import open_source

_MOST_TILES = 1024


def mosaic_tiles(
    path: Path,
    shape: tuple[int, int],
    position: tuple[float, ...],
    orientation: Sequence[float],
    spacing: tuple[float, float],
    distance: float,
) -> tuple[tuple[int, int], list[tuple[float, float, float]]]:
    """Return the rows and columns of a tile, and the position of each tile's first voxel.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Rows and columns of the mosaic.
    position, orientation, spacing : tuple of float
        As in the header, for an image as large as the mosaic and centered on the slice.
    distance : float
        Between slices, mm.
    """
    count, normal = _private(path)
    across = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    if count is None or not 1 <= count <= _MOST_TILES:
        found = "a mosaic whose private header does not tell its number of slices"
        raise VolumeError(explain(path, found, "export it with Siemens' private elements"))
    side = math.ceil(math.sqrt(count))
    if shape[0] % side or shape[1] % side:
        found = f"a mosaic of {count} slices cannot have {shape[0]} × {shape[1]} pixels"
        raise VolumeError(explain(path, found, "export it again"))
    rows, columns = shape[0] // side, shape[1] // side
    step = np.cross(*across) if normal is None else np.asarray(normal)
    first = np.asarray(position, np.float64)
    first = first + across[0] * spacing[1] * (shape[1] - columns) / 2
    first = first + across[1] * spacing[0] * (shape[0] - rows) / 2
    places = [first + k * distance * step for k in range(count)]
    return (rows, columns), [(float(x), float(y), float(z)) for x, y, z in places]


def tile_origin(index: int, count: int, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the first row and column of a tile in its mosaic."""
    side = math.ceil(math.sqrt(count))
    return (index // side) * shape[0], (index % side) * shape[1]


def _private(path: Path) -> tuple[int | None, Sequence[float] | None]:
    """Return the number of slices and their direction."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
        from nibabel.nicom import csareader

    csa: Any = csareader  # carries no types
    with open_source(path) as file:
        data = pydicom.dcmread(file, stop_before_pixels=True)
    header = csa.get_csa_header(data, "image") or {"tags": {}}
    items = {name: tag["items"] for name, tag in header["tags"].items()}
    count, normal = items.get("NumberOfImagesInMosaic"), items.get("SliceNormalVector")
    if not count and (stated := data.get((0x0019, 0x100A))) is not None:
        value = stated.value
        count = [int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)]
    good = normal if normal is not None and len(normal) == 3 else None
    return (int(count[0]) if count else None), good
