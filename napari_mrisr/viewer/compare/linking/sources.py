"""The viewer's layers as volumes, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from napari.layers import Image

from napari_mrisr.comparison.state import Display
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.layers.convert import LayerSnapshot, snapshot, source_of
from napari_mrisr.viewer.preview.array import PreviewArray

# What makes another volume of a layer.
VOXEL_EVENTS = ("data", "scale", "translate", "rotate", "shear", "affine", "units")


class LayerVolumes(Mapping[str, Volume]):
    """3D images of one value a voxel, in the order of the layer list.

    A layer becomes a volume when first asked for, which shares its memory where
    it is float32 and in our order, and stays one until it is forgotten.
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
        """Take these; volumes of layers that stay, stay."""
        kept = {key: (layer, self._made.get(key)) for key, layer in self._layers.items()}
        self._layers = {layer.name: layer for layer in layers if is_volume(layer)}
        self._made = {
            name: kept[name][1]  # type: ignore[misc]
            for name, layer in self._layers.items()
            if name in kept and kept[name][0] == layer and kept[name][1] is not None
        }

    def forget(self, key: str) -> None:
        """Ask the layer anew next time."""
        self._made.pop(key, None)

    def rename(self, old: str, new: str) -> None:
        """A layer has another name; its place and volume stay."""
        self._layers = {new if k == old else k: layer for k, layer in self._layers.items()}
        if old in self._made:
            self._made[new] = self._made.pop(old)

    def layer(self, key: str) -> Image | None:
        """The layer of that name."""
        return self._layers.get(key)

    def trouble(self, key: str) -> MrisrError | None:
        """Why a layer cannot be shown; None if it can."""
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
        """The files that layers were read from, where they were."""
        found = {key: layer.source.path for key, layer in self._layers.items()}
        return {key: str(path) for key, path in found.items() if path}


def is_volume(layer: Any) -> bool:
    """Whether a layer is a 3D image of one value a voxel."""
    if not isinstance(layer, Image) or layer.rgb or layer.ndim != 3:
        return False
    try:
        snapshot(layer)
    except MrisrError:
        return False
    return True


def is_along_own_axes(layer: Image) -> bool:
    """Whether napari draws the layer along its scan's axes, as it does all of ours."""
    taken: LayerSnapshot = snapshot(layer)
    return taken.record is not None


def look_of(layer: Image) -> Display:
    """The layer's colormap and contrast."""
    low, high = (float(v) for v in layer.contrast_limits)
    return Display(layer.colormap.name, (low, high), float(layer.gamma))
