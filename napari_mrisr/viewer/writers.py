"""Save an image layer as an MRI file. No Qt."""

from __future__ import annotations

import warnings
from typing import Any

from napari.layers import Image

from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io import write_volume
from napari_mrisr.viewer.layers import snapshot


def write_image(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save one image layer (npe2's single-layer writer).

    A layer that this plugin made is saved with its true affine and in its
    file's orientation; any other by its ``scale``, ``translate`` and units.

    Parameters
    ----------
    path : str
        Ends in .nii, .nii.gz, .mgz or .mgh. An existing file is replaced, since
        napari's dialog has asked.
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
    write_volume(snapshot(layer).to_volume(), path, overwrite=True)
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
