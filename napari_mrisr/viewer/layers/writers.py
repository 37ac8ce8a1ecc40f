"""Save an image layer as an MRI file. No Qt."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from napari.layers import Image

from napari_mrisr.core.threads import processors
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io import write_volume
from napari_mrisr.io.formats import is_zarr
from napari_mrisr.streaming.save import save_zarr
from napari_mrisr.viewer.layers.convert import snapshot


def write_image(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save one image layer (npe2's single-layer writer).

    A layer that this plugin made is saved with its true affine and in its
    file's orientation (OME-Zarr is RAS+); any other by its ``scale``, ``translate``
    and units. To OME-Zarr a layer that stays on disk is copied piece by piece.

    Parameters
    ----------
    path : str
        Ends in .nii, .nii.gz, .mgz, .mgh or .ome.zarr. An existing file, or folder
        that is a Zarr image, is replaced, since napari's dialog has asked.
    data : array
        The layer's.
    meta : dict
        The layer's attributes.

    Returns
    -------
    list of str
        The path, as napari wants to know what was written.

    Raises
    ------
    MrisrError
        When the layer is no 3D volume or the file cannot be written.
    """
    layer = _layer(data, meta)
    if layer.ndim == 4:
        mend = "split it first (right-click > Split Stack) and save the frame"
        raise VolumeError(explain(layer.name, "has 4 axes", mend))
    taken = snapshot(layer)
    if is_zarr(path):
        save_zarr(
            taken.reader(),
            taken.grid,
            Path(path),
            history=taken.history,
            limits=taken.look["contrast_limits"],
            overwrite=True,
            threads=processors(),
        )
    else:
        write_volume(taken.to_volume(), path, overwrite=True)
    return [str(path)]


def _layer(data: Any, meta: dict[str, Any]) -> Image:
    """The layer again, since only a layer tells its whole transform."""
    keys = ("name", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    kwargs = {key: meta[key] for key in keys if meta.get(key) is not None}
    with warnings.catch_warnings():
        # A turned layer warns of how it is shown; it is not to be shown here.
        warnings.filterwarnings("ignore", "Non-orthogonal slicing")
        return Image(
            data,
            **kwargs,
            metadata=meta.get("metadata", {}),
            rgb=meta.get("rgb", False),
            multiscale=meta.get("multiscale", False),
            # Given, so that napari need not look for them.
            contrast_limits=meta.get("contrast_limits", (0.0, 1.0)),
        )
