"""Images of the panels, painted into one picture of the canvas's size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray
from qtpy.QtGui import QImage

from napari_mrisr.comparison.scene import PanelImage, PanelView, Scene
from napari_mrisr.comparison.slices import Slice
from napari_mrisr.comparison.state import CHECKERBOARD, SWIPE
from napari_mrisr.kernels.pixels import paint_pixels
from napari_mrisr.viewer.compare.canvas.layout import Layout, Place, Rect

# More shades than a screen has: gamma spreads some of them.
_SHADES = 1024
# Smaller squares cannot be told apart.
_SMALLEST_FIELD_PX = 6.0

BACKGROUND = 0xFF21242B


@dataclass(frozen=True, eq=False)
class Patch:
    """Rectangles that show one slice.

    Attributes
    ----------
    picture : PanelImage
        The slice and its look.
    rects : (n, 4) ndarray of int
        Left, top, right, bottom, pixels; within the panel.
    place : Place
        Map from millimeters to pixels.
    """

    picture: PanelImage
    rects: NDArray[np.int64]
    place: Place

    def looks_like(self, other: Patch) -> bool:
        """Return whether both paint the same pixels."""
        a, b = self.picture, other.picture
        same = a.cut is b.cut and a.look == b.look and self.place == other.place
        same = same and (a.opacity, a.lowest) == (b.opacity, b.lowest)
        return same and np.array_equal(self.rects, other.rects)


class ImagePainter:
    """Picture of all panels' images; only panels that have changed are painted again."""

    def __init__(self) -> None:
        self._pixels = np.zeros((1, 1), np.uint32)
        self._shown: dict[Rect, list[Patch]] = {}
        self._smooth = False

    def paint(self, scene: Scene, layout: Layout) -> QImage:
        """Return the picture, which is valid until the next call."""
        if self._pixels.shape != (layout.height, layout.width):
            self._pixels = np.full((layout.height, layout.width), BACKGROUND, np.uint32)
            self._shown = {}
        shown: dict[Rect, list[Patch]] = {}
        for _, _, view, place in layout.panels(scene):
            shown[place.rect] = patches_of(view, scene, place)
        if shown.keys() != self._shown.keys() or scene.smooth != self._smooth:
            self._pixels[:] = BACKGROUND
            self._shown = {}
        self._smooth = scene.smooth
        for rect, patches in shown.items():
            before = self._shown.get(rect)
            if before is None or not _alike(before, patches):
                box = np.s_[int(rect.top) : int(rect.bottom), int(rect.left) : int(rect.right)]
                self._pixels[box] = BACKGROUND
                for patch in patches:
                    self._paint(patch, scene.smooth)
        self._shown = shown
        height, width = self._pixels.shape
        return QImage(self._pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)

    def _paint(self, patch: Patch, smooth: bool) -> None:
        picture, place, cut = patch.picture, patch.place, patch.picture.cut
        assert cut is not None
        left, top = int(place.rect.left), int(place.rect.top)
        across, upward = _elements(cut, place)
        low, high = picture.look.limits
        paint_pixels(
            np.ascontiguousarray(cut.values),
            patch.rects,
            (left, top),
            across,
            upward,
            (low, high, picture.lowest),
            colors_of(picture.look.colormap, picture.look.gamma),
            self._pixels,
            opacity=picture.opacity,
            smooth=smooth,
        )


def _alike(before: list[Patch], patches: list[Patch]) -> bool:
    return len(before) == len(patches) and all(
        a.looks_like(b) for a, b in zip(before, patches, strict=True)
    )


def _elements(cut: Slice, place: Place) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the position in the slice of each column and row of a panel's pixels."""
    rect = place.rect
    x = np.arange(int(rect.left), int(rect.right)) + 0.5 - rect.center[0]
    y = np.arange(int(rect.top), int(rect.bottom)) + 0.5 - rect.center[1]
    across = np.add(place.center[0], place.direction * x * place.mm_per_px, dtype=np.float64)
    upward = np.subtract(place.center[1], y * place.mm_per_px, dtype=np.float64)
    return (across - cut.origin[0]) / cut.step[0], (upward - cut.origin[1]) / cut.step[1]


@lru_cache(maxsize=64)
def colors_of(name: str, gamma: float, count: int = _SHADES) -> NDArray[np.uint32]:
    """Return ``0xffRRGGBB`` colors of a napari or matplotlib colormap; gray for others."""
    try:
        colormap = ensure_colormap(name)
    except KeyError:
        colormap = ensure_colormap("gray")
    shades = np.linspace(0.0, 1.0, count) ** gamma
    red, green, blue = np.round(255.0 * np.asarray(colormap.map(shades))[:, :3].T).astype(np.uint32)
    return np.uint32(0xFF000000) | red << 16 | green << 8 | blue


def patches_of(view: PanelView, scene: Scene, place: Place) -> list[Patch]:
    """Return the patches of every image of a panel."""
    patches = []
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
        patches.append(Patch(picture, _pixels(rects), place))
    if view.over is not None and view.over.cut is not None:
        shown = covered(view.over.cut, place)
        if shown.width > 0 and shown.height > 0:
            rects = np.array([[shown.left, shown.top, shown.right, shown.bottom]])
            patches.append(Patch(view.over, _pixels(rects), place))
    return patches


def _pixels(rects: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return rectangles of the pixels whose centers are inside."""
    return np.ceil(rects - 0.5).astype(np.int64)


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


def curtain_px(fraction: float, rect: Rect) -> float:
    """Return the position of the swipe line, whole pixels."""
    return rect.left + round(min(1.0, max(0.0, fraction)) * rect.width)


def _side(rect: Rect, swipe: float, which: int) -> Rect:
    x = curtain_px(swipe, rect)
    if which == 0:
        return Rect(rect.left, rect.top, x, rect.bottom)
    return Rect(x, rect.top, rect.right, rect.bottom)
