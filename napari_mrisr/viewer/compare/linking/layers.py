"""Volumes of the viewer's layers, and regions of interest from Shapes and Labels layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Points, Shapes
from scipy import ndimage

from napari_mrisr.comparison.roi import LabelRoi, PrismRoi, Roi, label_rois
from napari_mrisr.comparison.state import Display, Point, as_point
from napari_mrisr.core.frames import PLANES, Frame, Plane
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import GeometryError, MrisrError, explain
from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.layers.convert import (
    LayerSnapshot,
    frame_count,
    index_to_mm,
    seconds_per_frame,
    snapshot,
    source_of,
)
from napari_mrisr.viewer.preview.array import PreviewArray

# Events that change a layer's volume.
VOXEL_EVENTS = ("data", "scale", "translate", "rotate", "shear", "affine", "units")

# Events that change the regions of a layer; each kind of layer has some of these.
_EVENTS = ("data", "set_data", "paint", "labels_update", "scale", "translate", "rotate", "affine")
_ELLIPSE_POINTS = 64
_FLAT_MM = 1e-3
_AREAS = ("rectangle", "ellipse", "polygon")


class LayerVolumes(Mapping[str, Volume]):
    """3D images and time series with one value per voxel, in the order of the layer list.

    A volume is made on first use and kept until it is forgotten. It shares the memory
    of a layer that is float32 and in our axis order.
    """

    def __init__(self) -> None:
        self._layers: dict[str, Image] = {}
        self._made: dict[str, Volume] = {}
        self.frame = 0

    def __getitem__(self, key: str) -> Volume:
        data = self._layers[key].data
        if isinstance(data, PreviewArray) and data.volume is not None:
            return data.volume
        if key not in self._made:
            layer = self._layers[key]
            frame = min(self.frame, (frame_count(layer) or 1) - 1)
            self._made[key] = snapshot(layer, frame).to_volume()
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

    def frames(self) -> int:
        """Return the number of frames of the longest time series; 1 if there is none."""
        return max((frame_count(layer) or 1 for layer in self._layers.values()), default=1)

    def frame_seconds(self) -> float | None:
        """Return the repetition time of the time series; None if unknown or not the same."""
        series = [layer for layer in self._layers.values() if frame_count(layer) is not None]
        found = {seconds_per_frame(layer) for layer in series}
        return found.pop() if len(found) == 1 else None

    def set_frame(self, frame: int) -> bool:
        """Choose the frame of all time series; return False if it is that already."""
        if frame == self.frame:
            return False
        self.frame = frame
        for key, layer in self._layers.items():
            if frame_count(layer) is not None:
                self.forget(key)
        return True

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
    """Return whether a layer is a 3D image, or a time series, with one value per voxel."""
    if not isinstance(layer, Image) or layer.rgb or layer.ndim not in (3, 4):
        return False
    try:
        snapshot(layer)
    except MrisrError:
        return False
    return True


def is_along_own_axes(layer: Image) -> bool:
    """Return whether napari draws the layer along its scan's axes, as all of ours."""
    taken: LayerSnapshot = snapshot(layer)
    return taken.record is not None and not taken.turned


def look_of(layer: Image) -> Display:
    """Return the layer's colormap and contrast."""
    low, high = (float(v) for v in layer.contrast_limits)
    return Display(layer.colormap.name, (low, high), float(layer.gamma))


def look_keywords(look: Display) -> dict[str, Any]:
    """Return a look as keyword arguments of napari's layers."""
    return {"colormap": look.colormap, "contrast_limits": look.limits, "gamma": look.gamma}


class LayerRegions:
    """Watch of the layer whose shapes or labels are regions.

    Parameters
    ----------
    changed : callable
        Called when the regions may have changed.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._layer: Any = None
        self._emitters: list[Any] = []

    @property
    def layer(self) -> Any:
        """Return the layer, or None."""
        return self._layer

    def watch(self, layer: Any) -> None:
        """Use the regions of a layer; None for no layer."""
        for emitter in self._emitters:
            emitter.disconnect(self._tell)
        self._layer = layer
        events = () if layer is None else layer.events
        self._emitters = [getattr(events, name) for name in _EVENTS if hasattr(events, name)]
        for emitter in self._emitters:
            emitter.connect(self._tell)

    def rois(self, axes: Frame, depth_mm: float, through: np.ndarray) -> list[Roi]:
        """Return the regions; see :func:`regions_of`."""
        return [] if self._layer is None else regions_of(self._layer, axes, depth_mm, through)

    def _tell(self, event: Any = None) -> None:
        self._changed()


def regions_of(layer: Any, axes: Frame, depth_mm: float, through: np.ndarray) -> list[Roi]:
    """Return each label, or each shape with an area, as a region.

    Parameters
    ----------
    layer : napari.layers.Shapes, napari.layers.Labels or napari.layers.Image
        A layer of the viewer; an image must be a mask.
    axes : Frame
        Axes of napari's world; see :class:`~.link.Link`.
    depth_mm : float
        Extent of shapes through their plane.
    through : (3,) ndarray
        Crosshair along those axes, mm: the plane of 2D shapes.

    Raises
    ------
    GeometryError
        If labels are 2D, or shapes lie in none of the three planes.
    """
    if not isinstance(layer, Shapes):
        return list(_labels(layer, axes))
    rois: list[Roi] = []
    for number, (corners, kind) in enumerate(
        zip(layer.data, layer.shape_type, strict=True), start=1
    ):
        if kind in _AREAS:
            name = f"shape {number}"
            rois.append(_prism(layer, name, np.asarray(corners), kind, axes, depth_mm, through))
    return rois


def reference_points(layer: Points | Labels | Image, axes: Frame) -> list[Point]:
    """Return the places that a layer marks, such as lesions, world mm.

    Parameters
    ----------
    layer : napari.layers.Points, napari.layers.Labels or napari.layers.Image
        Each point counts, or the center of each connected part of a label or mask.
    axes : Frame
        Axes of napari's world; see :class:`~.link.Link`.
    """
    if isinstance(layer, Points):
        places = [np.asarray(layer.data_to_world(point), dtype=float) for point in layer.data]
        return [as_point(axes.to_world(-place[-3:][::-1])) for place in places]
    found = []
    for roi in _labels(layer, axes):
        parts, count = ndimage.label(roi.mask, structure=np.ones((3, 3, 3)))
        for center in ndimage.center_of_mass(roi.mask, parts, range(1, count + 1)):
            found.append(as_point((roi.grid.affine @ [*center, 1.0])[:3]))
    return found


def is_mask(layer: Any) -> bool:
    """Return whether a layer is a 3D image of zeros and one other value."""
    if not isinstance(layer, Image) or layer.rgb or layer.ndim != 3 or layer.multiscale:
        return False
    low, high = (float(limit) for limit in layer.contrast_limits_range)
    if not low <= 0.0 < high or isinstance(layer.data, PreviewArray):
        return False
    data = layer.data
    sample = np.asarray(data[::4, ::4, ::4])
    if not np.isin(sample, (0, sample.max())).all():
        return False
    whole = np.asarray(data)
    return bool(whole.max() > 0 and np.isin(whole, (0, whole.max())).all())


def _labels(layer: Labels | Image, axes: Frame) -> list[LabelRoi]:
    if layer.ndim != 3:
        found = f"labels with {layer.ndim} axes"
        raise GeometryError(explain(layer.name, found, "choose a 3D labels layer"))
    data = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if data.dtype.kind not in "iu":
        data = (data > 0).astype(np.uint8)
    a, b, c = data.shape
    grid, orientation = geometry.grid_from_display((a, b, c), index_to_mm(layer))
    affine = grid.affine.copy()
    affine[:3] = axes.rotation @ affine[:3]
    data = geometry.reorient(data, orientation)
    return list(label_rois("label", data, Grid(grid.shape, affine)))


def _prism(
    layer: Shapes,
    name: str,
    corners: np.ndarray,
    kind: str,
    axes: Frame,
    depth_mm: float,
    through: np.ndarray,
) -> PrismRoi:
    if kind == "ellipse":
        corners = _ellipse(corners)
    world = np.array([layer.data_to_world(corner)[-3:] for corner in corners], dtype=float)
    # (inferior, posterior, left) to x, y, z; 2D shapes lie in the plane of the crosshair.
    points = np.tile(np.asarray(through, dtype=float), (len(world), 1))
    count = world.shape[1]
    points[:, :count] = -world[:, ::-1]
    plane = _plane_of(points, layer.name)
    flat = points[:, [plane.across, plane.upward]]
    position = float(points[0, plane.normal])
    return PrismRoi(name, plane, flat, position, depth_mm, axes.rotation)


def _plane_of(points: np.ndarray, name: str) -> Plane:
    spread = np.ptp(points, axis=0)
    for plane in PLANES:
        if spread[plane.normal] < _FLAT_MM and spread[plane.across] and spread[plane.upward]:
            return plane
    remedy = "draw shapes in the axial, sagittal or coronal plane"
    raise GeometryError(explain(name, "a shape lies in none of the three planes", remedy))


def _ellipse(corners: np.ndarray) -> np.ndarray:
    """Return points on the ellipse in a rectangle that may be rotated."""
    center = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2.0, (corners[3] - corners[0]) / 2.0
    angle = np.linspace(0.0, 2.0 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, None]
    ring: np.ndarray = center + np.cos(angle) * first + np.sin(angle) * second
    return ring
