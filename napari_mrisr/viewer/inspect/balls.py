"""A filter in 3D: a ball a weight, as large as the weight, red above zero and blue below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_mrisr.viewer.inspect.pictures import DIVERGING

# Balls smaller than this share of the largest would only hide what is behind them.
_SMALLEST = 0.02
_DEGREES_A_PIXEL = 0.6


def rotation(turn: float, tilt: float) -> NDArray[np.float64]:
    """Turn about the third axis, then tilt towards the viewer; degrees.

    Rows are the screen's right, up and towards the viewer.
    """
    a, b = np.radians((turn, tilt))
    about = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    # At no tilt the second axis points away and the third up.
    look = np.array([[1, 0, 0], [0, np.sin(b), np.cos(b)], [0, -np.cos(b), np.sin(b)]])
    return look @ about


class FilterBalls(QWidget):
    """Draws a cube of weights; the mouse turns it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cube: NDArray[np.floating] | None = None
        self.axes = ("1", "2", "3")
        self.turn, self.tilt = -30.0, 20.0
        self._held: QPointF | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setToolTip("Drag to turn. Volume of a ball: size of its weight.")

    def show_cube(self, cube: NDArray[np.floating] | None, axes: tuple[str, str, str]) -> None:
        """Draw this; ``axes`` name where the three axes point."""
        self.cube, self.axes = cube, axes
        self.update()

    def sizeHint(self) -> QSize:
        """A square."""
        return QSize(300, 240)

    def balls(self) -> list[tuple[float, float, float, float]]:
        """(x, y, radius, weight) in pixels from the middle, the farthest first."""
        if self.cube is None:
            return []
        weights = np.asarray(self.cube, dtype=float).reshape(-1)
        largest = np.abs(weights).max()
        if not largest > 0.0:
            return []
        n = self.cube.shape[0]
        steps = np.arange(n) - n // 2
        places = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        seen = places @ rotation(self.turn, self.tilt).T
        pitch = self._pitch()
        radius = 0.55 * pitch * np.cbrt(np.abs(weights) / largest)
        order = np.argsort(seen[:, 2], kind="stable")
        return [
            (pitch * seen[i, 0], -pitch * seen[i, 1], radius[i], weights[i])
            for i in order
            if abs(weights[i]) > _SMALLEST * largest
        ]

    def _pitch(self) -> float:
        n = 5 if self.cube is None else self.cube.shape[0]
        return min(self.width(), self.height()) / (1.75 * n)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The axes, then balls from far to near."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = QPointF(self.width() / 2, self.height() / 2)
        ink = self.palette().windowText().color()
        painter.setPen(ink)
        if self.cube is None:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "no filter")
            return
        turn, reach = rotation(self.turn, self.tilt), self._pitch() * self.cube.shape[0] * 0.68
        for axis, name in enumerate(self.axes):
            end = middle + QPointF(reach * turn[0, axis], -reach * turn[1, axis])
            painter.drawLine(middle, end)
            painter.drawText(end + QPointF(3, -2), name)
        for x, y, radius, weight in self.balls():
            red, green, blue, _ = DIVERGING[235 if weight > 0 else 20]
            painter.setBrush(QColor(int(red), int(green), int(blue)))
            painter.setPen(QPen(QColor(0, 0, 0, 90), 0.5))
            painter.drawEllipse(middle + QPointF(x, y), radius, radius)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold."""
        self._held = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Turn."""
        if self._held is not None:
            step = event.position() - self._held
            self._held = event.position()
            self.turn += _DEGREES_A_PIXEL * step.x()
            self.tilt = float(np.clip(self.tilt + _DEGREES_A_PIXEL * step.y(), -90.0, 90.0))
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._held = None
