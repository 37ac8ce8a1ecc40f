"""napari with the volumes of the demo and the Super-resolve dock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mrisr.core.volume import Volume
from napari_mrisr.viewer.layers.convert import LayerData, layer_data

if TYPE_CHECKING:
    from napari.viewer import Viewer

TRUTH, REFERENCE = "truth", "reference"

_PLUGIN = "napari-mrisr"

# Black: no difference; blue: too dark; orange: too bright.
_DIFFERENCE_COLORS = {
    "name": "difference",
    "colors": [[0.2, 0.65, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.55, 0.1, 1.0]],
}

# Limits of the difference as a fraction of the reference's.
_DIFFERENCE_RANGE = 0.2


def open_demo(volumes: Mapping[str, Volume]) -> None:
    """Show the volumes in napari with the Super-resolve dock, until the window is closed.

    Parameters
    ----------
    volumes : mapping of str to Volume
        From name to volume, the lowest layer first. Every other volume on the grid of
        the one named ``truth``, shown as "reference", gets a difference layer.
    """
    import napari

    add_demo(napari.Viewer(title="napari-mrisr demo"), volumes)
    napari.run()


def add_demo(viewer: Viewer, volumes: Mapping[str, Volume]) -> None:
    """Add the volumes and the dock widget to a viewer; see :func:`open_demo`."""
    for data, kwargs, _ in demo_layers(volumes):
        viewer.add_image(data, **kwargs)
    _, widget = viewer.window.add_plugin_dock_widget(_PLUGIN, "Super-resolve")
    coarsest = min(volumes, key=lambda name: volumes[name].data.size)
    widget.choose_layer(viewer.layers[coarsest])
    viewer.reset_view()


def demo_layers(volumes: Mapping[str, Volume]) -> list[LayerData]:
    """Return layers of the volumes and their differences; only the last volume is visible.

    All share one contrast (the reference's, if any), so that switching between them
    compares voxels and not gray levels.
    """
    volumes = {REFERENCE if name == TRUTH else name: v for name, v in volumes.items()}
    reference = volumes.get(REFERENCE, next(iter(volumes.values()))).restored()
    _, kwargs, _ = layer_data(reference, "")
    look = {key: kwargs[key] for key in ("colormap", "contrast_limits")}
    images = [layer_data(volume, name, look) for name, volume in volumes.items()]
    differences = [
        _difference(volume.restored(), reference, f"{name} − {REFERENCE}", look["contrast_limits"])
        for name, volume in volumes.items()
        if REFERENCE in volumes and name != REFERENCE and _same_grid(volume, reference)
    ]
    layers = [*differences, *images]
    for _, keywords, _ in layers[:-1]:
        keywords["visible"] = False
    return layers


def _same_grid(volume: Volume, reference: Volume) -> bool:
    same = volume.grid.shape == reference.grid.shape
    return same and bool(np.allclose(volume.grid.affine, reference.grid.affine, atol=1e-3))


def _difference(volume: Volume, reference: Volume, name: str, limits: Any) -> LayerData:
    reach = _DIFFERENCE_RANGE * (limits[1] - limits[0])
    look = {"colormap": _DIFFERENCE_COLORS, "contrast_limits": (-reach, reach)}
    return layer_data(replace(volume, data=volume.data - reference.data), name, look)
