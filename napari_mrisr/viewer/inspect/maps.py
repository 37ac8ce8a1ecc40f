"""Bucket maps and features as napari layers. No Qt.

Label n is bucket n − 1. Flat voxels have the last label and are transparent. The
feature layer "elevation bin" is a Labels layer of bins, from 1; "elevation" is an
Image of the values; "orientation" is a color image.
"""

from __future__ import annotations

import colorsys
import itertools
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_mrisr.bank.hashing import FEATURES, HashSpec
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid
from napari_mrisr.inspection import StageInput, bin_map, feature_map, orientation_map
from napari_mrisr.inspection.maps import cut_names
from napari_mrisr.inspection.texts import bucket_text, range_text
from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.layers.convert import LayerData, contrast_limits

ORIENTATION = "orientation"
_BIN = " bin"
_GOLDEN = 0.618033988749895

_FIXED_LIMITS = {"coherence": (-1.0 / 3.0, 1.0)}
_COLORMAPS = {"elevation": "viridis", "azimuth": "viridis", "curvature": "twilight_shifted"}


def feature_layers(spec: HashSpec) -> list[str]:
    """Return the names of the feature layers of a spec."""
    bins = [name + _BIN for name in cut_names(spec)]
    return [ORIENTATION, *bins, *FEATURES]


def menu_text(part: str) -> str:
    """Return the menu text of a feature layer."""
    if part == ORIENTATION:
        return "Orientation of v1 (red R–L, green A–P, blue S–I)"
    if part.endswith(_BIN):
        return f"{part.removesuffix(_BIN).capitalize()}: bins"
    units = {"elevation": " (°)", "azimuth": " (°)", "strength": " (per voxel)"}
    return f"{part.capitalize()}: values{units.get(part, '')}"


def map_layer(labels: NDArray[Any], source: StageInput, title: str) -> LayerData:
    """Return the bucket map as a Labels layer; labels are buckets + 1."""
    spec = source.stage.spec.hash
    texts = [bucket_text(spec, bucket) for bucket in range(spec.bucket_count)]
    # Phases alternate from voxel to voxel, so they share a color.
    return _labels(
        labels, source.grid, f"{title} buckets", texts, spec.filter_count, spec.radices[-1]
    )


def feature_layer(
    source: StageInput,
    labels: NDArray[Any],
    part: str,
    title: str,
    progress: Progress | None = None,
) -> LayerData:
    """Return a feature, its bins, or the orientation as a layer.

    Parameters
    ----------
    source : StageInput
    labels : ndarray of int
        Buckets + 1.
    part : str
        One of :func:`feature_layers`.
    title : str
        Start of the layer's name.
    progress : Progress, optional
    """
    spec = source.stage.spec.hash
    name = f"{title} {part}"
    if part == ORIENTATION:
        color = orientation_map(source, progress=progress)
        shown = color.transpose(2, 1, 0, 3)[::-1, ::-1, ::-1]
        return shown, {"name": name, **geometry.placement(source.grid), "rgb": True}, "image"
    if part.endswith(_BIN):
        feature = part.removesuffix(_BIN)
        bins = bin_map(labels - 1, spec, feature)
        count = spec.radices[(*FEATURES, "phase").index(feature)]
        return _labels(bins + 1, source.grid, name, _bin_texts(spec, feature), count)
    values = feature_map(source, part, progress=progress)
    cuts = spec.cuts.get(part, ())
    limits = _FIXED_LIMITS.get(part) or contrast_limits(values)
    if part in ("elevation", "azimuth"):
        limits = spec.range_of(part)
    elif part == "curvature":
        largest = max(map(abs, (*limits, *cuts)))
        limits = (-largest, largest)
    colormap = _COLORMAPS.get(part, "viridis")
    display = {"colormap": colormap, "contrast_limits": limits}
    return (
        geometry.to_display(values),
        {"name": name, **geometry.placement(source.grid), **display},
        "image",
    )


def _bin_texts(spec: HashSpec, feature: str) -> list[str]:
    if feature == "phase":
        return [f"phase {q}" for q in range(spec.radices[-1])]
    edges = (spec.range_of(feature)[0], *spec.cuts[feature], spec.range_of(feature)[1])
    return [f"{feature} {range_text(feature, *ends)}" for ends in itertools.pairwise(edges)]


def _labels(
    labels: NDArray[Any], grid: Grid, name: str, texts: list[str], painted: int, group: int = 1
) -> LayerData:
    """Return a Labels layer; label n has ``texts[n - 1]``.

    Labels above ``painted`` are transparent. ``group`` consecutive labels share a color.
    """
    kwargs = {
        "name": name,
        **geometry.placement(grid),
        "colormap": _colormap(painted, group),
        "features": {
            "index": np.arange(1, len(texts) + 1),
            "bucket": np.arange(len(texts)),
            "ranges": texts,
        },
        "opacity": 0.6,
    }
    return geometry.to_display(labels), kwargs, "labels"


def _colormap(count: int, group: int) -> Any:
    """Return distinct colors for neighboring labels; labels above ``count`` are transparent."""
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, Any] = {None: np.zeros(4)}
    for label in range(1, count + 1):
        n = (label - 1) // group
        hue, value = n * _GOLDEN % 1.0, (1.0, 0.75, 0.55)[n % 3]
        colors[label] = np.array([*colorsys.hsv_to_rgb(hue, 0.75, value), 1.0])
    return DirectLabelColormap(color_dict=colors)


def index_at(grid: Grid, world: Any) -> tuple[int, int, int] | None:
    """Return the voxel of a grid at a position in napari's world; None outside.

    Parameters
    ----------
    grid : Grid
    world : sequence of float
        Position in mm; its last three axes count.
    """
    scale, translate = (np.array(v) for v in geometry.scale_and_translate(grid))
    shown = np.rint((np.asarray(world, dtype=float)[-3:] - translate) / scale)
    x, y, z = np.array(grid.shape) - 1 - shown[::-1].astype(int)
    inside = all(0 <= i < n for i, n in zip((x, y, z), grid.shape, strict=True))
    return (int(x), int(y), int(z)) if inside else None


class MapLayer:
    """The Labels layer of the current bucket map.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.layer: Labels | None = None

    def show(self, layer_data: LayerData) -> Labels:
        """Show a map; update the layer if it shows the same stage."""
        data, kwargs, _ = layer_data
        before = self.layer
        if before is not None and before.name == kwargs["name"] and before.data.shape == data.shape:
            before.data, before.visible, before.show_selected_label = data, True, False
            for name in ("scale", "translate", "features", "colormap"):
                setattr(before, name, kwargs[name])
            return before
        if before is not None:
            before.visible = False
        self.layer = self._viewer.add_labels(data, **kwargs)
        self.layer.editable = False
        return self.layer

    def show_only(self, bucket: int | None, layer_data: LayerData) -> None:
        """Paint only one bucket, or all; add the layer again if the user deleted it."""
        if self.layer is None and bucket is None:
            return
        layer = self.layer if self.layer is not None else self.show(layer_data)
        if bucket is not None:
            layer.selected_label = bucket + 1
            layer.visible = True
        layer.show_selected_label = bucket is not None

    def forget_removed(self) -> bool:
        """Return True if the user deleted the layer since the last call."""
        if self.layer is None or self.layer in self._viewer.layers:
            return False
        self.layer = None
        return True
