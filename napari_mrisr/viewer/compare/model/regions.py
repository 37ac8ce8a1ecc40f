"""Drawing and dragging regions of interest in a panel: geometry only. No Qt, no napari.

Positions are (across, upward) in frame mm. A region reaches through its plane
by its depth; in the other planes it is seen, and dragged, from the side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from napari_mrisr.comparison.state import Point, RoiBox
from napari_mrisr.core.frames import Frame, Plane

# Smaller regions cannot be told from a click.
MIN_SIZE_MM = 0.5


@dataclass(frozen=True)
class Grip:
    """A region that the pointer holds.

    Attributes
    ----------
    roi : RoiBox
        As it was when grabbed.
    plane : Plane
        In which.
    sides : (across, upward)
        Which of its sides move: -1 the lower, 1 the upper, 0 neither; (0, 0)
        moves the whole.
    start : (across, upward)
        Where it was grabbed.
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
    """A new region between two corners.

    Parameters
    ----------
    name, shape
        As in :class:`RoiBox`.
    frame, plane
        Where it is drawn.
    corners : two (across, upward)
        Opposite ones, frame mm.
    through : (position, depth)
        Its middle along the plane's normal, and its size there, frame mm.
    """
    ends = np.array(corners)
    center, size = np.zeros(3), np.zeros(3)
    axes = [plane.across, plane.upward]
    center[axes] = ends.mean(axis=0)
    size[axes] = np.maximum(np.abs(ends[1] - ends[0]), MIN_SIZE_MM)
    center[plane.normal], size[plane.normal] = through
    rotation = tuple(map(float, frame.rotation.ravel()))
    return RoiBox(name, shape, _point(frame.to_world(center)), _point(size), rotation)


def grabbed(
    rois: Iterable[RoiBox],
    frame: Frame,
    plane: Plane,
    position: float,
    at: tuple[float, float],
    reach_mm: float,
    inside: bool = False,
) -> Grip | None:
    """What the pointer would hold: a corner, an edge, or the whole by its outline.

    Parameters
    ----------
    rois : iterable of RoiBox
        The last is on top.
    frame, plane, position
        The cut; frame mm along the plane's normal.
    at : (across, upward)
        The pointer, frame mm.
    reach_mm : float
        How near is near enough.
    inside : bool
        Whether a region may be held anywhere inside.
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
        # A small region still has a middle to hold.
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
    """The region after the pointer went to ``at``; a side that is pulled past the other stops."""
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
    return replace(roi, center=_point(frame.to_world(center)), size=_point(size))


def _side(off: float, half: float, inner: float, outer: float) -> int:
    """-1 or 1 when near that side, else 0."""
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


def _point(values: np.ndarray) -> Point:
    x, y, z = (float(v) for v in values)
    return x, y, z
