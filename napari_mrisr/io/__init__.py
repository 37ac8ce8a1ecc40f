"""Images in and out: every 3D format that nibabel knows, DICOM, OME-Zarr, and atomic files.

formats     suffixes of each format, names of results
search      images and DICOM series in folders
geometry    orientation of stored axes, contradictions in a header
loading     let nibabel open a file, and explain failures
header      check everything that a header can tell
read        voxels to RAS+ float32
ngff        OME-Zarr in and out
dicom       DICOM series
nifti       headers of results, the note about their history
write       save a volume
atomic      files and folders that appear complete or not at all, locks
csv_tables  CSV text that a spreadsheet does not run
samples     sample scans
complex_scans  complex NIfTI, magnitude with phase
convert     arrays and nibabel images to volumes and back
"""

from __future__ import annotations

from napari_mrisr.io.atomic import atomic_write, write_text
from napari_mrisr.io.formats import (
    READABLE,
    WRITABLE,
    map_path,
    output_path,
    suffix_of,
    with_suffix,
)
from napari_mrisr.io.read import list_series, read_grid, read_header, read_volume
from napari_mrisr.io.search import find_volumes
from napari_mrisr.io.write import check_dtype, check_writable, write_blocks, write_volume

__all__ = [
    "READABLE",
    "WRITABLE",
    "atomic_write",
    "check_dtype",
    "check_writable",
    "find_volumes",
    "list_series",
    "map_path",
    "output_path",
    "read_grid",
    "read_header",
    "read_volume",
    "suffix_of",
    "with_suffix",
    "write_blocks",
    "write_text",
    "write_volume",
]
