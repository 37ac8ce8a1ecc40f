"""Regions of interest from Shapes and Labels layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels, Shapes

from napari_mrisr.comparison.roi import PrismRoi, Roi, label_rois
from napari_mrisr.core.frames import PLANES, Frame, Plane
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import GeometryError, explain
from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.layers.convert import index_to_mm

# Events that change the regions of a layer; each kind of layer has some of these.
_EVENTS = ("data", "set_data", "paint", "labels_update", "scale", "translate", "rotate", "affine")
_ELLIPSE_POINTS = 64
_FLAT_MM = 1e-3
_AREAS = ("rectangle", "ellipse", "polygon")


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
    layer : napari.layers.Shapes or napari.layers.Labels
        A layer of the viewer.
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
    if isinstance(layer, Labels):
        return _labels(layer, axes)
    assert isinstance(layer, Shapes)
    rois: list[Roi] = []
    for number, (corners, kind) in enumerate(
        zip(layer.data, layer.shape_type, strict=True), start=1
    ):
        if kind in _AREAS:
            name = f"shape {number}"
            rois.append(_prism(layer, name, np.asarray(corners), kind, axes, depth_mm, through))
    return rois


def _labels(layer: Labels, axes: Frame) -> list[Roi]:
    if layer.ndim != 3:
        found = f"labels with {layer.ndim} axes"
        raise GeometryError(explain(layer.name, found, "choose a 3D labels layer"))
    data = np.asarray(layer.data[0] if layer.multiscale else layer.data)
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
