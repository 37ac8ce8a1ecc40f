"""Images in and out: every 3D format nibabel knows, and atomic files."""

from __future__ import annotations

from napari_mrisr.io.atomic import atomic_write
from napari_mrisr.io.formats import READABLE, WRITABLE, suffix_of
from napari_mrisr.io.naming import find_volumes, map_path, output_path
from napari_mrisr.io.read import read_grid, read_volume
from napari_mrisr.io.text import write_text
from napari_mrisr.io.write import check_writable, write_volume

__all__ = [
    "READABLE",
    "WRITABLE",
    "atomic_write",
    "check_writable",
    "find_volumes",
    "map_path",
    "output_path",
    "read_grid",
    "read_volume",
    "suffix_of",
    "write_text",
    "write_volume",
]
