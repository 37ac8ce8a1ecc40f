"""One OpenGL canvas that draws a :class:`~napari_mrisr.comparison.scene.Scene`.

All panels are drawn together: one texture holds every cut, one program draws
them, one the lines, one the texts. Only cuts that are not there yet are sent
to the graphics card; moving, zooming and windowing change a few hundred corners.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QWidget
from vispy import app, gloo

from napari_mrisr.comparison.scene import Scene
from napari_mrisr.comparison.slices import Slice
from napari_mrisr.comparison.state import CHECKERBOARD, SWIPE
from napari_mrisr.viewer.common.events import mark_as_ours
from napari_mrisr.viewer.compare.canvas.canvas_images import ImagePainter, Patch
from napari_mrisr.viewer.compare.canvas.canvas_shapes import shape_batch
from napari_mrisr.viewer.compare.canvas.canvas_text import TextPainter
from napari_mrisr.viewer.compare.canvas.layout import Layout, Place, Rect
from napari_mrisr.viewer.compare.canvas.overlays import (
    BACKGROUND,
    Labels,
    Overlay,
    curtain_px,
    help_overlay,
    message_overlay,
    panels_overlay,
)
from napari_mrisr.viewer.compare.canvas.pointer import Mouse
from napari_mrisr.viewer.compare.model.pointing import PointerEvent

EMPTY = Scene((), 1.0, True, False, 0.5, 1.0)
# No depth buffer and no antialiasing: less to paint.
_RGB8 = 0x8051
_SURFACE = {"depth_size": 0, "stencil_size": 0, "samples": 0}

# Smaller squares cannot be told apart.
_SMALLEST_FIELD_PX = 6.0


class CompareCanvas:
    """Canvas with the grid of panels.

    Its ``mouse`` says in signals what the mouse does over the panels; keys go
    to the widget around it. All pixels in and out are Qt's (logical).

    Parameters
    ----------
    parent : QWidget, optional
        Mouse events of ``native``.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        self._scene = EMPTY
        self._labels = Labels()
        self._message = self._help = ""
        self._painters: _Painters | None = None
        self._closed = False
        # Qt shows the painting: swapping buffers would copy it again.
        self._canvas = app.Canvas(
            app=app.use_app("pyqt6"), parent=parent, autoswap=False, config=dict(_SURFACE)
        )
        self._canvas.events.initialize.connect(self._begin)
        self._canvas.events.draw.connect(self._paint)
        self.native: QWidget = self._canvas.native
        mark_as_ours(self.native)
        # Opaque: faster to show.
        self.native.setTextureFormat(_RGB8)
        self.mouse = Mouse(self.native, self._pointer)

    def draw(
        self,
        scene: Scene,
        *,
        notes: Mapping[tuple[int, int], str] | None = None,
        places: Mapping[str, str] | None = None,
        active: tuple[int, int] | None = None,
        message: str = "",
        help_text: str = "",
    ) -> None:
        """Show a scene with the next frame.

        Parameters
        ----------
        scene : Scene
            May be empty (:data:`EMPTY`).
        notes : mapping of (row, column) to str
            For each panel's bottom left corner, such as the value under the cursor.
        places : mapping of str to str
            By a plane's name, where it cuts; shown in the first panel of its row.
        active : (row, column) or None
            The panel with a border; regions have handles there.
        message : str
            In the middle, over all panels.
        help_text : str
            Lines of ``keys<tab>what they do``; covers the panels.
        """
        self._scene = scene
        self._labels = Labels(notes or {}, places or {}, active)
        self._message, self._help = message, help_text
        if not self._closed:
            self._canvas.update()

    @property
    def scene(self) -> Scene:
        """Return the scene."""
        return self._scene

    def panel_rect(self, row: int, column: int) -> Rect:
        """Return the rectangle of a panel in ``native``."""
        rect, ratio = self._layout().rect(row, column), self._ratio()
        return Rect(rect.left / ratio, rect.top / ratio, rect.right / ratio, rect.bottom / ratio)

    def panel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return row and column of the panel at a pixel of ``native``."""
        ratio = self._ratio()
        found = self._layout().panel_at(x * ratio, y * ratio)
        if found is None or found[1] >= len(self._scene.panels[found[0]]):
            return None
        return found

    def to_pixels(self, row: int, column: int, across: float, upward: float) -> tuple[float, float]:
        """Convert frame mm to pixels of ``native``."""
        x, y = self._layout().place(self._scene, row, column).to_pixels(across, upward)
        return x / self._ratio(), y / self._ratio()

    def to_mm(self, row: int, column: int, x: float, y: float) -> tuple[float, float]:
        """Convert pixels of ``native`` to frame mm: across, upward."""
        ratio = self._ratio()
        return self._layout().place(self._scene, row, column).to_mm(x * ratio, y * ratio)

    def grab(self) -> NDArray[np.uint8]:
        """Paint now and return the image: (height, width, 4), pixels of the device."""
        image = self.native.grabFramebuffer().convertToFormat(QImage.Format.Format_RGBA8888)
        bits = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8)
        rows = bits.reshape(image.height(), image.bytesPerLine())
        return rows[:, : 4 * image.width()].reshape(image.height(), image.width(), 4).copy()

    def close(self) -> None:
        """Free everything; the canvas cannot be used afterwards."""
        if self._closed:
            return
        self._closed = True
        self._scene = EMPTY
        self._canvas.events.draw.disconnect(self._paint)
        self._canvas.events.initialize.disconnect(self._begin)
        self._canvas.set_current()
        if self._painters is not None:
            self._painters.delete()
            self._painters = None
            self._canvas.context.flush_commands()
        self.native.doneCurrent()
        self._canvas.close()
        # Now: garbage collection may happen while another canvas paints.
        self.native.deleteLater()

    def _ratio(self) -> float:
        return float(self.native.devicePixelRatioF())

    def _layout(self) -> Layout:
        width, height = self._size()
        return Layout.of(self._scene, width, height, self._ratio())

    def _size(self) -> tuple[int, int]:
        ratio = self._ratio()
        return round(self.native.width() * ratio), round(self.native.height() * ratio)

    def _pointer(self, x: float, y: float, held: tuple[int, int] | None) -> PointerEvent | None:
        panel = held or self.panel_at(x, y)
        if panel is None:
            return None
        row, column = panel
        # The scene may have changed during the drag.
        if row >= len(self._scene.panels) or column >= len(self._scene.panels[row]):
            return None
        view = self._scene.panels[row][column]
        ratio = self._ratio()
        place = self._layout().place(self._scene, row, column)
        across, upward = place.to_mm(x * ratio, y * ratio)
        fraction = (x * ratio - place.rect.left) / place.rect.width
        mm_per_px = place.mm_per_px * ratio
        return PointerEvent(
            row, column, view.plane, view.column, across, upward, fraction, mm_per_px, x, y
        )

    def _begin(self, event: object = None) -> None:
        """Take a new context: at the start, and when the widget moves to another window."""
        if self._painters is not None:
            # The objects of the old context are gone; others may have their numbers.
            shared = self._canvas.context.shared
            shared.parser = type(shared.parser)()
            self._painters = None

    def _paint(self, event: object = None) -> None:
        self._canvas.set_current()
        width, height = size = self._size()
        ratio = self._ratio()
        if self._painters is None or self._painters.ratio != ratio:
            if self._painters is not None:
                self._painters.delete()
            self._painters = _Painters(ratio)
        gloo.set_viewport(0, 0, width, height)
        gloo.set_state(
            blend=False,
            depth_test=False,
            cull_face=False,
            blend_func=("one", "one_minus_src_alpha"),
        )
        gloo.clear(color=BACKGROUND, depth=False, stencil=False)
        layout = Layout.of(self._scene, width, height, ratio)
        below = panels_overlay(self._scene, layout, self._labels, ratio)
        patches = patches_of(self._scene, layout)
        self._painters.images.draw(patches, below.bars, size, self._scene.smooth)
        gloo.set_state(blend=True)
        self._painters.lay(below, size)
        if self._message:
            self._painters.lay(message_overlay(self._message, width, height, ratio), size)
        if self._help:
            self._painters.lay(help_overlay(self._help, width, height, ratio), size)


class _Painters:
    """Return everything that holds OpenGL objects."""

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio
        self.images = ImagePainter()
        self._shapes = shape_batch()
        self._texts = TextPainter(ratio)

    def lay(self, overlay: Overlay, size: tuple[int, int]) -> None:
        self._shapes.draw(overlay.shapes.vertices(), size)
        self._texts.draw(overlay.texts, size)

    def delete(self) -> None:
        self.images.delete()
        self._shapes.delete()
        self._texts.delete()


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
