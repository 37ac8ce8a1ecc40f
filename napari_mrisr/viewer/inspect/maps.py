"""Bucket maps and their parts as napari layers. Pure functions, no Qt.

Label n is bucket n − 1; flat voxels have the last label and are not painted.
A part "elevation bin" is a Labels layer of bins, from 1; "elevation" an Image
of the continuous values; "orientation" a color image.
"""

from __future__ import annotations

import colorsys
import itertools
from typing import Any

import numpy as np
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


def parts_of(spec: HashSpec) -> list[str]:
    """Names of the parts that a spec's map has, in the order to offer them."""
    bins = [name + _BIN for name in cut_names(spec)]
    return [ORIENTATION, *bins, *FEATURES]


def part_title(part: str) -> str:
    """A part's name in a menu."""
    if part == ORIENTATION:
        return "Orientation of v1 (red L–R, green A–P, blue S–I)"
    if part.endswith(_BIN):
        return f"{part.removesuffix(_BIN).capitalize()}: bins"
    units = {"elevation": " (°)", "azimuth": " (°)", "strength": " (per voxel)"}
    return f"{part.capitalize()}: values{units.get(part, '')}"


def map_layer(labels: NDArray[Any], source: StageInput, title: str) -> LayerData:
    """The bucket map as a Labels layer; labels are bucket ids + 1."""
    spec = source.stage.spec.hash
    texts = [bucket_text(spec, bucket) for bucket in range(spec.bucket_count)]
    # Phases alternate from voxel to voxel: in colors of their own they would hide all else.
    return _labels(
        labels, source.grid, f"{title} buckets", texts, spec.filter_count, spec.radices[-1]
    )


def part_layer(
    source: StageInput,
    labels: NDArray[Any],
    part: str,
    title: str,
    progress: Progress | None = None,
) -> LayerData:
    """A part of a map as a layer.

    Parameters
    ----------
    source : StageInput
    labels : ndarray of int
        Bucket ids + 1.
    part : str
        One of :func:`parts_of`.
    title : str
        What the layer's name begins with.
    progress : Progress, optional
    """
    spec = source.stage.spec.hash
    name = f"{title} {part}"
    if part == ORIENTATION:
        color = orientation_map(source, progress=progress)
        shown = color.transpose(2, 1, 0, 3)[::-1, ::-1, ::-1]
        return shown, {**_placed(source.grid, name), "rgb": True}, "image"
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
    look = {"colormap": colormap, "contrast_limits": limits}
    return geometry.to_display(values), {**_placed(source.grid, name), **look}, "image"


def _bin_texts(spec: HashSpec, feature: str) -> list[str]:
    if feature == "phase":
        return [f"phase {q}" for q in range(spec.radices[-1])]
    edges = (spec.range_of(feature)[0], *spec.cuts[feature], spec.range_of(feature)[1])
    return [f"{feature} {range_text(feature, *ends)}" for ends in itertools.pairwise(edges)]


def _labels(
    labels: NDArray[Any], grid: Grid, name: str, texts: list[str], painted: int, alike: int = 1
) -> LayerData:
    """A Labels layer; label n has ``texts[n - 1]``, those above ``painted`` are clear.

    So many labels in a row as ``alike`` says share a color.
    """
    kwargs = {
        **_placed(grid, name),
        "colormap": _direct(painted, alike),
        "features": {
            "index": np.arange(1, len(texts) + 1),
            "bucket": np.arange(len(texts)),
            "ranges": texts,
        },
        "opacity": 0.6,
    }
    return geometry.to_display(labels), kwargs, "labels"


def _direct(count: int, alike: int) -> Any:
    """Colors that tell neighbors apart; anything above ``count`` is clear."""
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, Any] = {None: np.zeros(4)}
    for label in range(1, count + 1):
        n = (label - 1) // alike
        hue, value = n * _GOLDEN % 1.0, (1.0, 0.75, 0.55)[n % 3]
        colors[label] = np.array([*colorsys.hsv_to_rgb(hue, 0.75, value), 1.0])
    return DirectLabelColormap(color_dict=colors)


def _placed(grid: Grid, name: str) -> dict[str, Any]:
    scale, translate = geometry.scale_and_translate(grid)
    return {
        "name": name,
        "scale": scale,
        "translate": translate,
        "units": ("mm", "mm", "mm"),
        "axis_labels": geometry.AXIS_LABELS,
    }


def index_at(grid: Grid, world: Any) -> tuple[int, int, int] | None:
    """The voxel of a grid at a position of napari's world; None outside.

    Parameters
    ----------
    grid : Grid
    world : sequence of float
        In mm; the last three axes count.
    """
    scale, translate = (np.array(v) for v in geometry.scale_and_translate(grid))
    shown = np.rint((np.asarray(world, dtype=float)[-3:] - translate) / scale)
    x, y, z = np.array(grid.shape) - 1 - shown[::-1].astype(int)
    inside = all(0 <= i < n for i, n in zip((x, y, z), grid.shape, strict=True))
    return (int(x), int(y), int(z)) if inside else None
