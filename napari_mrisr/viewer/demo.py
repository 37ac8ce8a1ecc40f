"""Open napari with the volumes of a comparison; for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mrisr.viewer.layers import LayerData, layer_data
from napari_mrisr.volume import Volume

if TYPE_CHECKING:
    from napari.viewer import Viewer

_PLUGIN = "napari-mrisr"

# The difference's limits as a part of the truth's.
_DIFFERENCE_RANGE = 0.2


def open_demo(volumes: Mapping[str, Volume]) -> None:
    """Show the volumes in napari, with the dock widget, until the window is closed.

    Parameters
    ----------
    volumes : mapping of str to Volume
        Name to volume, the undermost first. The first with the most voxels is
        taken as truth; each other one on the same grid gets a difference layer.
    """
    import napari

    add_demo(napari.Viewer(title="napari-mrisr demo"), volumes)
    napari.run()


def add_demo(viewer: Viewer, volumes: Mapping[str, Volume]) -> None:
    """Add the volumes and the dock widget to a viewer; see :func:`open_demo`."""
    for data, kwargs, _ in demo_layers(volumes):
        viewer.add_image(data, **kwargs)
    viewer.window.add_plugin_dock_widget(_PLUGIN, "Super-resolve")
    viewer.reset_view()


def demo_layers(volumes: Mapping[str, Volume]) -> list[LayerData]:
    """Layers for the volumes and their differences; only the last volume is visible.

    All share the truth's contrast limits, so that switching between them
    compares voxels and not gray levels.
    """
    truth_name = max(volumes, key=lambda name: int(np.prod(volumes[name].grid.shape)))
    truth = volumes[truth_name].restored()
    _, kwargs, _ = layer_data(truth, truth_name)
    look = {key: kwargs[key] for key in ("colormap", "contrast_limits")}
    differences = [
        _difference(volume.restored(), truth, f"{name} − {truth_name}", look["contrast_limits"])
        for name, volume in volumes.items()
        if name != truth_name and _same_grid(volume, truth)
    ]
    images = [layer_data(volume, name, look) for name, volume in volumes.items()]
    layers = [*differences, *images]
    for _, keywords, _ in layers[:-1]:
        keywords["visible"] = False
    return layers


def _same_grid(volume: Volume, truth: Volume) -> bool:
    same = volume.grid.shape == truth.grid.shape
    return same and bool(np.allclose(volume.grid.affine, truth.grid.affine, atol=1e-3))


def _difference(volume: Volume, truth: Volume, name: str, limits: Any) -> LayerData:
    reach = _DIFFERENCE_RANGE * (limits[1] - limits[0])
    look = {"colormap": "bwr", "contrast_limits": (-reach, reach)}
    return layer_data(replace(volume, data=volume.data - truth.data), name, look)
