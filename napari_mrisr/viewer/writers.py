"""Save an image layer as an MRI file. No Qt."""

from __future__ import annotations

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
    keys = ("name", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    kwargs = {key: meta[key] for key in keys if meta.get(key) is not None}
    layer = Image(
        data,
        **kwargs,
        metadata=meta.get("metadata", {}),
        rgb=meta.get("rgb", False),
        multiscale=meta.get("multiscale", False),
        # Given, so that napari need not look for them.
        contrast_limits=meta.get("contrast_limits", (0.0, 1.0)),
    )
    if layer.ndim == 4:
        mend = "split it first (right-click > Split Stack) and save the frame"
        raise VolumeError(explain(layer.name, "has 4 axes", mend))
    write_volume(snapshot(layer).to_volume(), path, overwrite=True)
    return [str(path)]
