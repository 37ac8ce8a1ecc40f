"""OME-Zarr as a layer: nothing is loaded but what is looked at. No Qt."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_mrisr.core.volume import Origin
from napari_mrisr.io.formats import stem_of
from napari_mrisr.io.orientation import axis_codes, grid_in_ras
from napari_mrisr.streaming.ngff import NgffImage, open_ngff
from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.layers.convert import (
    LayerData,
    ScanRecord,
    contrast_limits,
    lazy_layer_data,
)


def zarr_layer_data(path: str | PathLike[str]) -> LayerData:
    """An OME-Zarr image as napari's readers return it, its levels as dask arrays.

    Parameters
    ----------
    path : path
        The folder. Of several frames none can be chosen here.

    Raises
    ------
    MrisrError
        When it cannot be used.
    """
    image = open_ngff(path)
    grid = grid_in_ras(image.shape, image.affine)
    origin = Origin(Path(path).name, axis_codes(image.affine), None, ".ome.zarr")
    levels = [_as_displayed(level, image) for level in image.levels]
    # The middle plane of the coarsest level, where the file does not tell.
    limits = image.limits or contrast_limits(np.asarray(levels[-1][len(levels[-1]) // 2]))
    record = ScanRecord(grid, origin, dict(image.history))
    return lazy_layer_data(levels, record, stem_of(path), limits)


def _as_displayed(level: Any, image: NgffImage) -> Any:
    """A level in the order that napari shows, lazily."""
    import dask.array

    array = dask.array.from_zarr(level)[image.index]
    turn = nib.io_orientation(image.affine)
    return geometry.to_display(geometry.reorient(array.transpose(2, 1, 0), turn))
