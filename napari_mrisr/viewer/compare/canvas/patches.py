"""Rectangles of the canvas and the slices that they show. No OpenGL."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.comparison.scene import Scene
from napari_mrisr.comparison.slices import Slice
from napari_mrisr.comparison.state import CHECKERBOARD, SWIPE
from napari_mrisr.viewer.compare.canvas.canvas_images import Patch
from napari_mrisr.viewer.compare.canvas.layout import Layout, Place, Rect
from napari_mrisr.viewer.compare.canvas.overlays import curtain_px

# Smaller squares cannot be told apart.
_SMALLEST_FIELD_PX = 6.0


def patches_of(scene: Scene, layout: Layout) -> list[Patch]:
    """Return the patches of every image of every panel."""
    patches = []
    for _, _, view, place in layout.panels(scene):
        for which, picture in enumerate(view.pictures):
            if picture.cut is None:
                continue
            shown = covered(picture.cut, place)
            if view.blend == SWIPE:
                shown = shown.clipped(_side(place.rect, scene.swipe, which))
            if shown.width <= 0 or shown.height <= 0:
                continue
            rects = np.array([[shown.left, shown.top, shown.right, shown.bottom]])
            if view.blend == CHECKERBOARD:
                rects = fields(shown, place, scene.checker_mm, which)
            patches.append(Patch(picture, rects, place))
    return patches


def covered(cut: Slice, place: Place) -> Rect:
    """Return the part of a panel that a slice covers."""
    left, right, bottom, top = cut.extent
    (x0, y0), (x1, y1) = place.to_pixels(left, top), place.to_pixels(right, bottom)
    return Rect(min(x0, x1), y0, max(x0, x1), y1).clipped(place.rect)


def fields(shown: Rect, place: Place, edge_mm: float, parity: int) -> NDArray[np.float64]:
    """Return a checkerboard's squares of one color, (n, 4), within a rectangle.

    A field's number is that of the multiples of its edge below it, across plus
    upward in frame mm; the even ones have parity 0.
    """
    edge = max(edge_mm, _SMALLEST_FIELD_PX * place.mm_per_px)
    (a0, u1), (a1, u0) = place.to_mm(shown.left, shown.top), place.to_mm(shown.right, shown.bottom)
    across, upward = _marks(min(a0, a1), max(a0, a1), edge), _marks(u0, u1, edge)
    numbers = [np.floor((m[1:] + m[:-1]) / 2.0 / edge).astype(int) for m in (across, upward)]
    j, i = np.nonzero((numbers[0] + numbers[1][:, None]) % 2 == parity)
    x = np.stack([place.to_pixels(a, 0.0)[0] for a in across])
    y = np.stack([place.to_pixels(0.0, u)[1] for u in upward])
    low, high = np.minimum(x[:-1], x[1:]), np.maximum(x[:-1], x[1:])
    return np.stack([low[i], y[1:][j], high[i], y[:-1][j]], axis=1)


def _marks(low: float, high: float, edge: float) -> NDArray[np.float64]:
    """Return both ends and the multiples of the edge between them."""
    inner = np.arange(np.floor(low / edge) + 1, np.ceil(high / edge)) * edge
    return np.array([low, *inner, high])


def _side(rect: Rect, swipe: float, which: int) -> Rect:
    x = curtain_px(swipe, rect)
    if which == 0:
        return Rect(rect.left, rect.top, x, rect.bottom)
    return Rect(x, rect.top, rect.right, rect.bottom)
