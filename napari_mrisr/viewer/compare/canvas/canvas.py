"""Canvas of Compare: draws a :class:`~napari_mrisr.comparison.scene.Scene` with QPainter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from napari_mrisr.comparison.scene import Scene
from napari_mrisr.viewer.compare.canvas.images import ImagePainter
from napari_mrisr.viewer.compare.canvas.layout import Layout, Rect
from napari_mrisr.viewer.compare.canvas.overlays import (
    Labels,
    help_overlay,
    message_overlay,
    panels_overlay,
)
from napari_mrisr.viewer.compare.canvas.pointer import Mouse
from napari_mrisr.viewer.compare.model.pointing import PointerEvent

EMPTY = Scene((), 1.0, True, False, 0.5, 1.0)


class CompareCanvas(QWidget):
    """Canvas with the grid of panels.

    Its ``mouse`` says in signals what the mouse does over the panels; keys go
    to the widget around it. All pixels in and out are Qt's (logical); the panels are
    painted in pixels of the device.

    Parameters
    ----------
    parent : QWidget, optional
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = EMPTY
        self._labels = Labels()
        self._message = self._help = ""
        self._images = ImagePainter()
        # Everything is painted in every frame.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 120)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.mouse = Mouse(self, self._pointer)

    def draw(
        self,
        scene: Scene,
        *,
        notes: Mapping[tuple[int, int], str] | None = None,
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
        active : (row, column) or None
            The panel with a border; regions have handles there.
        message : str
            In the middle, over all panels.
        help_text : str
            Lines of ``keys<tab>what they do``; covers the panels.
        """
        self._scene = scene
        self._labels = Labels(notes or {}, active)
        self._message, self._help = message, help_text
        self.update()

    @property
    def scene(self) -> Scene:
        """Return the scene."""
        return self._scene

    def panel_rect(self, row: int, column: int) -> Rect:
        """Return the rectangle of a panel."""
        return self._logical(self._layout().rect(row, column))

    def title_rect(self, row: int, column: int) -> Rect | None:
        """Return the rectangle of the title above a panel; None if it has none."""
        found = self._layout().title_rect(row, column)
        return None if found is None else self._logical(found)

    def panel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return row and column of the panel at a pixel."""
        ratio = self._ratio()
        found = self._layout().panel_at(x * ratio, y * ratio)
        if found is None or found[1] >= len(self._scene.panels[found[0]]):
            return None
        return found

    def to_pixels(self, row: int, column: int, across: float, upward: float) -> tuple[float, float]:
        """Convert frame mm to pixels."""
        x, y = self._layout().place(self._scene, row, column).to_pixels(across, upward)
        return x / self._ratio(), y / self._ratio()

    def to_mm(self, row: int, column: int, x: float, y: float) -> tuple[float, float]:
        """Convert pixels to frame mm: across, upward."""
        ratio = self._ratio()
        return self._layout().place(self._scene, row, column).to_mm(x * ratio, y * ratio)

    def image(self) -> NDArray[np.uint8]:
        """Return the present frame: (height, width, 3), pixels of the device."""
        height, width = self._size()
        target = QImage(width, height, QImage.Format.Format_RGB32)
        painter = QPainter(target)
        self._paint(painter)
        painter.end()
        bits = np.frombuffer(target.constBits().asarray(target.sizeInBytes()), np.uint8)
        return bits.reshape(height, width, 4)[..., 2::-1].copy()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the scene."""
        painter = QPainter(self)
        ratio = self._ratio()
        painter.scale(1.0 / ratio, 1.0 / ratio)
        self._paint(painter)
        painter.end()

    def _paint(self, painter: QPainter) -> None:
        height, width = self._size()
        ratio, layout = self._ratio(), self._layout()
        painter.drawImage(0, 0, self._images.paint(self._scene, layout))
        panels_overlay(self._scene, layout, self._labels, ratio).draw(painter)
        if self._message:
            message_overlay(self._message, width, height, ratio).draw(painter)
        if self._help:
            help_overlay(self._help, width, height, ratio).draw(painter)

    def _logical(self, rect: Rect) -> Rect:
        ratio = self._ratio()
        return Rect(rect.left / ratio, rect.top / ratio, rect.right / ratio, rect.bottom / ratio)

    def _ratio(self) -> float:
        return float(self.devicePixelRatioF())

    def _size(self) -> tuple[int, int]:
        """Return height and width, pixels of the device."""
        ratio = self._ratio()
        return max(1, round(self.height() * ratio)), max(1, round(self.width() * ratio))

    def _layout(self) -> Layout:
        height, width = self._size()
        return Layout.of(self._scene, width, height, self._ratio())

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
            row, column, view.plane, view.column, across, upward, view.position, fraction,
            mm_per_px, x, y,
        )  # fmt: skip
