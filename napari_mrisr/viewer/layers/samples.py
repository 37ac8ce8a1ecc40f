"""File > Open Sample. No Qt."""

from __future__ import annotations

from napari_mrisr.io import samples
from napari_mrisr.viewer.layers.convert import LayerData, layer_data


def phantom() -> list[LayerData]:
    """The head phantom that this project makes itself."""
    return [layer_data(samples.phantom(), "phantom")]


def mni152() -> list[LayerData]:
    """The MNI152 template, which nilearn brings or downloads."""
    return [layer_data(samples.mni152(), "MNI152")]


def openneuro_ds000011() -> list[LayerData]:
    """A T1w scan of OpenNeuro ds000011, downloaded on first use."""
    return [layer_data(samples.openneuro_ds000011(), "ds000011 sub-11")]
