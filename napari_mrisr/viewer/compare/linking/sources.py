"""Volumes of the viewer's layers, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from napari.layers import Image

from napari_mrisr.comparison.state import Display
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.layers.convert import LayerSnapshot, snapshot, source_of
from napari_mrisr.viewer.preview.array import PreviewArray

# Events that change a layer's volume.
VOXEL_EVENTS = ("data", "scale", "translate", "rotate", "shear", "affine", "units")


class LayerVolumes(Mapping[str, Volume]):
    """3D images with one value per voxel, in the order of the layer list.

    A volume is made on first use and kept until it is forgotten. It shares the memory
    of a layer that is float32 and in our axis order.
    """

    def __init__(self) -> None:
        self._layers: dict[str, Image] = {}
        self._made: dict[str, Volume] = {}

    def __getitem__(self, key: str) -> Volume:
        data = self._layers[key].data
        if isinstance(data, PreviewArray) and data.volume is not None:
            return data.volume
        if key not in self._made:
            self._made[key] = snapshot(self._layers[key]).to_volume()
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __contains__(self, key: object) -> bool:
        return key in self._layers

    def offer(self, layers: Iterable[Any]) -> None:
        """Take layers; keep the volumes of layers that stay."""
        kept = {key: (layer, self._made.get(key)) for key, layer in self._layers.items()}
        self._layers = {layer.name: layer for layer in layers if is_volume(layer)}
        self._made = {
            name: kept[name][1]  # type: ignore[misc]
            for name, layer in self._layers.items()
            if name in kept and kept[name][0] == layer and kept[name][1] is not None
        }

    def forget(self, key: str) -> None:
        """Make the volume again next time."""
        self._made.pop(key, None)

    def rename(self, old: str, new: str) -> None:
        """Rename a layer; keep its place and volume."""
        self._layers = {new if k == old else k: layer for k, layer in self._layers.items()}
        if old in self._made:
            self._made[new] = self._made.pop(old)

    def layer(self, key: str) -> Image | None:
        """Return the layer of a name."""
        return self._layers.get(key)

    def trouble(self, key: str) -> MrisrError | None:
        """Return why a layer cannot be shown, or None."""
        try:
            self[key]
        except MrisrError as error:
            return error
        return None

    def sources(self) -> dict[str, str]:
        """Return which layer each result was computed from, by name."""
        layers = self._layers.values()
        found = {key: source_of(layer, layers) for key, layer in self._layers.items()}
        return {key: source.name for key, source in found.items() if source is not None}

    def paths(self) -> dict[str, str]:
        """Return the files that layers were read from."""
        found = {key: layer.source.path for key, layer in self._layers.items()}
        return {key: str(path) for key, path in found.items() if path}


def is_volume(layer: Any) -> bool:
    """Return whether a layer is a 3D image with one value per voxel."""
    if not isinstance(layer, Image) or layer.rgb or layer.ndim != 3:
        return False
    try:
        snapshot(layer)
    except MrisrError:
        return False
    return True


def is_along_own_axes(layer: Image) -> bool:
    """Return whether napari draws the layer along its scan's axes, as all of ours."""
    taken: LayerSnapshot = snapshot(layer)
    return taken.record is not None


def look_of(layer: Image) -> Display:
    """Return the layer's colormap and contrast."""
    low, high = (float(v) for v in layer.contrast_limits)
    return Display(layer.colormap.name, (low, high), float(layer.gamma))
