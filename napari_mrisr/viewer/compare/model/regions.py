"""Geometry of regions of interest: drawing, dragging, outlines. No Qt, no napari.

Positions are (across, upward) in frame mm. A region extends through its plane by its
depth; in the other planes the user sees and drags it from the side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from skimage.measure import find_contours

from napari_mrisr.comparison.roi import LabelRoi, PrismRoi, Roi
from napari_mrisr.comparison.scene import Outline
from napari_mrisr.comparison.slices import cut
from napari_mrisr.comparison.state import RoiBox, as_point
from napari_mrisr.core.frames import Frame, Plane
from napari_mrisr.core.volume import Volume

# A smaller region is a click.
MIN_SIZE_MM = 0.5

# Outlines of more regions are slow and not readable.
_MOST_REGIONS = 40
_ALIKE = 1e-6


@dataclass(frozen=True)
class Grip:
    """Region that the user drags.

    Attributes
    ----------
    roi : RoiBox
        The region when the drag began.
    plane : Plane
        Plane of the drag.
    sides : (across, upward)
        Sides that move: -1 the lower, 1 the upper, 0 neither; (0, 0) moves the
        whole region.
    start : (across, upward)
        Position where the drag began.
    """

    roi: RoiBox
    plane: Plane
    sides: tuple[int, int]
    start: tuple[float, float]


def drawn(
    name: str,
    shape: str,
    frame: Frame,
    plane: Plane,
    corners: tuple[tuple[float, float], tuple[float, float]],
    through: tuple[float, float],
) -> RoiBox:
    """Return a new region between two corners.

    Parameters
    ----------
    name, shape
        As in :class:`RoiBox`.
    frame, plane
        Plane that it is drawn in.
    corners : two (across, upward)
        Opposite corners, frame mm.
    through : (position, depth)
        Its center and size along the plane's normal, frame mm.
    """
    ends = np.array(corners)
    center, size = np.zeros(3), np.zeros(3)
    axes = [plane.across, plane.upward]
    center[axes] = ends.mean(axis=0)
    size[axes] = np.maximum(np.abs(ends[1] - ends[0]), MIN_SIZE_MM)
    center[plane.normal], size[plane.normal] = through
    rotation = tuple(map(float, frame.rotation.ravel()))
    return RoiBox(name, shape, as_point(frame.to_world(center)), as_point(size), rotation)


def grabbed(
    rois: Iterable[RoiBox],
    frame: Frame,
    plane: Plane,
    position: float,
    at: tuple[float, float],
    reach_mm: float,
    inside: bool = False,
) -> Grip | None:
    """Return the region at the pointer: held by a corner, an edge, or the outline.

    Parameters
    ----------
    rois : iterable of RoiBox
        The last is on top.
    frame, plane, position
        The slice; frame mm along the plane's normal.
    at : (across, upward)
        Position of the pointer, frame mm.
    reach_mm : float
        Greatest distance from the outline.
    inside : bool
        Also hold a region at any point inside.
    """
    for roi in reversed(list(rois)):
        center = frame.from_world(roi.center)
        half = np.array(roi.size) / 2.0
        if abs(position - center[plane.normal]) > half[plane.normal]:
            continue
        axes = [plane.across, plane.upward]
        off = np.array(at) - center[axes]
        if (np.abs(off) > half[axes] + reach_mm).any():
            continue
        # The middle of a small region must stay reachable.
        reach = np.minimum(reach_mm, half[axes] / 2.0)
        near = [_side(o, h, r, reach_mm) for o, h, r in zip(off, half[axes], reach, strict=True)]
        if all(near):
            return Grip(roi, plane, (near[0], near[1]), at)
        middle = np.abs(off) < np.maximum(reach, half[axes] / 5.0)
        if any(near) and middle[near.index(0)]:
            return Grip(roi, plane, (near[0], near[1]), at)
        if inside or _on_outline(roi.shape, off, half[axes], reach_mm):
            return Grip(roi, plane, (0, 0), at)
    return None


def dragged(grip: Grip, frame: Frame, at: tuple[float, float]) -> RoiBox:
    """Return the region after a drag to ``at``; a side stops at the opposite one."""
    plane, roi = grip.plane, grip.roi
    center = frame.from_world(roi.center)
    size = np.array(roi.size)
    moves = zip((plane.across, plane.upward), grip.sides, grip.start, at, strict=True)
    for axis, side, start, now in moves:
        by = now - start
        if grip.sides == (0, 0):
            center[axis] += by
        elif side:
            wanted = max(size[axis] + side * by, MIN_SIZE_MM)
            center[axis] += side * (wanted - size[axis]) / 2.0
            size[axis] = wanted
    return replace(roi, center=as_point(frame.to_world(center)), size=as_point(size))


def _side(off: float, half: float, inner: float, outer: float) -> int:
    """Return -1 or 1 near that side, else 0."""
    beyond = abs(off) - half
    return int(np.sign(off)) if -inner <= beyond <= outer else 0


def _on_outline(shape: str, off: np.ndarray, half: np.ndarray, reach: float) -> bool:
    if shape == "box":
        return bool((np.abs(off) > half - reach).any())
    # Distance to an ellipse, to first order.
    scaled = off / half
    radius = float(np.hypot(*scaled))
    slope = float(np.hypot(*(scaled / half))) / max(radius, 1e-9)
    return abs(radius - 1.0) <= reach * max(slope, 1e-9)


class RegionOutlines:
    """Outlines of regions, computed once per slice.

    Parameters
    ----------
    rois : sequence of Roi
        Prisms and labels; other kinds have no outline.
    frame : Frame
        Axes of the planes.
    """

    def __init__(self, rois: Sequence[Roi], frame: Frame) -> None:
        self._frame = frame
        self._prisms = [roi for roi in rois[:_MOST_REGIONS] if isinstance(roi, PrismRoi)]
        self._labels = [
            (roi.name, Volume(roi.mask.astype(np.float32), roi.grid))
            for roi in rois[:_MOST_REGIONS]
            if isinstance(roi, LabelRoi)
        ]
        self._known: dict[tuple[str, float], tuple[Outline, ...]] = {}

    def at(self, plane: Plane, position: float) -> tuple[Outline, ...]:
        """Return the outlines in a plane at a position along its normal, frame mm."""
        name = (plane.name, position)
        if name not in self._known:
            if len(self._known) > 300:
                self._known.clear()
            lines = [line for prism in self._prisms for line in self._prism(prism, plane, position)]
            for label, volume in self._labels:
                lines += self._label(label, volume, plane, position)
            self._known[name] = tuple(lines)
        return self._known[name]

    def _prism(self, roi: PrismRoi, plane: Plane, position: float) -> list[Outline]:
        if np.abs(roi.rotation - self._frame.rotation).max() > _ALIKE:
            return []
        ends = (roi.position - roi.depth / 2.0, roi.position + roi.depth / 2.0)
        if plane == roi.plane:
            inside = ends[0] <= position <= ends[1]
            return [Outline(roi.name, np.vstack([roi.points, roi.points[:1]]))] if inside else []
        # From the side: the polygon's edges cross the plane in pairs.
        fixed = 0 if plane.normal == roi.plane.across else 1
        crossings = np.sort(_crossings(roi.points, fixed, position))
        along = roi.plane.upward if fixed == 0 else roi.plane.across
        lines = []
        for low, high in crossings[: len(crossings) // 2 * 2].reshape(-1, 2):
            box = {along: (low, high), roi.plane.normal: ends}
            a, u = box[plane.across], box[plane.upward]
            corners = [(a[0], u[0]), (a[1], u[0]), (a[1], u[1]), (a[0], u[1]), (a[0], u[0])]
            lines.append(Outline(roi.name, np.array(corners)))
        return lines

    def _label(self, name: str, volume: Volume, plane: Plane, position: float) -> list[Outline]:
        made = cut(volume, self._frame, plane, position)
        if made is None:
            return []
        lines: list[Outline] = []
        inside = np.pad(np.nan_to_num(made.values) > 0.5, 1)
        for contour in find_contours(inside.astype(float), 0.5):
            # From element to mm: element (0, 0) of the cut is (1, 1) of the padded one.
            points = made.origin + (contour[:, ::-1] - 0.5) * made.step
            lines.append(Outline(name if not lines else "", points))
        return lines


def _crossings(points: np.ndarray, fixed: int, position: float) -> np.ndarray:
    """Return the crossings of a polygon's edges with the line of one fixed coordinate."""
    start, stop = points, np.roll(points, -1, axis=0)
    crosses = (start[:, fixed] > position) != (stop[:, fixed] > position)
    a, b = start[crosses], stop[crosses]
    part = (position - a[:, fixed]) / (b[:, fixed] - a[:, fixed])
    found: np.ndarray = a[:, 1 - fixed] + part * (b[:, 1 - fixed] - a[:, 1 - fixed])
    return found
