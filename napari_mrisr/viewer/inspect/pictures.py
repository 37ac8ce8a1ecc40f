"""Three small pictures of planes beside one another, with a color bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, QRect, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

_GAP = 6
_BAR = 10
_SIDE = 90

# Blue, white, red: zero is white, and equal weights of either sign are equally dark.
_DIVERGING = ((0.0, (33, 102, 172)), (0.5, (247, 247, 247)), (1.0, (178, 24, 43)))
_SEQUENTIAL = (
    (0.0, (0, 0, 4)),
    (0.25, (87, 16, 110)),
    (0.5, (188, 55, 84)),
    (0.75, (249, 142, 9)),
    (1.0, (252, 255, 164)),
)


def lookup(stops: Sequence[tuple[float, tuple[int, int, int]]]) -> NDArray[np.uint8]:
    """A table of 256 colors, straight between stops, shape (256, 4)."""
    at, colors = [s for s, _ in stops], np.array([c for _, c in stops], dtype=float)
    line = np.linspace(0.0, 1.0, 256)
    table = [np.interp(line, at, colors[:, channel]) for channel in range(3)]
    return np.stack([*table, np.full(256, 255.0)], axis=1).round().astype(np.uint8)


DIVERGING, SEQUENTIAL = lookup(_DIVERGING), lookup(_SEQUENTIAL)


@dataclass(frozen=True, eq=False)
class PlaneSet:
    """What to draw.

    Attributes
    ----------
    images : sequence of (rows, columns) ndarray
        First row on top, first column at the left.
    titles : sequence of str
        Below each.
    limits : tuple of float
        Values of the ends of the color bar.
    colors : (256, 4) ndarray of uint8
        From the lowest to the highest.
    caption : str
        A line above: what, and its unit.
    """

    images: Sequence[NDArray[np.floating]]
    titles: Sequence[str]
    limits: tuple[float, float]
    colors: NDArray[np.uint8]
    caption: str


def symmetric_limits(values: Sequence[NDArray[np.floating]]) -> tuple[float, float]:
    """Limits about zero that hold all values; ±1 where all are zero."""
    largest = max((float(np.abs(v).max()) for v in values), default=0.0) or 1.0
    return -largest, largest


def painted(image: NDArray[np.floating], planes: PlaneSet) -> NDArray[np.uint8]:
    """An image in colors, (rows, columns, 4)."""
    low, high = planes.limits
    place = np.clip((image - low) / (high - low), 0.0, 1.0)
    return np.ascontiguousarray(planes.colors[np.rint(255 * place).astype(int)])


class PlanePictures(QWidget):
    """Draws a :class:`PlaneSet`; nothing but a line of text without one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.planes: PlaneSet | None = None
        self.message = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_planes(self, planes: PlaneSet | None, message: str = "") -> None:
        """Draw these, or say why there is nothing to draw."""
        self.planes, self.message = planes, message
        self.update()

    def sizeHint(self) -> QSize:
        """Room for three pictures of about 90 pixels."""
        return QSize(380, _SIDE + 2 * self._line)

    def minimumSizeHint(self) -> QSize:
        """Smaller pictures where the dock is narrow."""
        return QSize(300, _SIDE + 2 * self._line)

    @property
    def _line(self) -> int:
        return self.fontMetrics().height() + 2

    def squares(self) -> list[QRect]:
        """Where the three pictures are drawn."""
        label = self._bar_label_width()
        across = (self.width() - 3 * _GAP - _BAR - label) // 3
        side = max(20, min(across, self.height() - 2 * self._line))
        return [QRect(n * (side + _GAP), self._line, side, side) for n in range(3)]

    def _bar_label_width(self) -> int:
        return self.fontMetrics().horizontalAdvance("−0.0000") + 4

    def paintEvent(self, event: QPaintEvent) -> None:
        """Caption, pictures, titles, color bar."""
        painter = QPainter(self)
        painter.setPen(self.palette().windowText().color())
        planes = self.planes
        if planes is None:
            wrap = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignCenter
            painter.drawText(self.rect(), int(wrap), self.message)
            return
        metrics = self.fontMetrics()
        caption = metrics.elidedText(planes.caption, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(QPoint(0, metrics.ascent()), caption)
        squares = self.squares()
        for square, image, title in zip(squares, planes.images, planes.titles, strict=True):
            _draw(painter, square, painted(image, planes))
            below = QRect(square.left(), square.bottom() + 2, square.width(), self._line)
            painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, title)
        self._draw_bar(painter, squares[-1], planes)

    def _draw_bar(self, painter: QPainter, last: QRect, planes: PlaneSet) -> None:
        bar = QRect(last.right() + 2 * _GAP, last.top(), _BAR, last.height())
        ramp = np.linspace(planes.limits[1], planes.limits[0], 128)[:, None]
        _draw(painter, bar, painted(ramp, planes))
        metrics = self.fontMetrics()
        low, high = planes.limits
        for share, value in ((0.0, high), (0.5, (low + high) / 2), (1.0, low)):
            y = bar.top() + round(share * (bar.height() - metrics.height())) + metrics.ascent()
            painter.drawText(QPoint(bar.right() + 4, y), bar_text(value))


def bar_text(value: float) -> str:
    """Three significant digits, a true minus sign."""
    return f"{value:.2g}".replace("-", "−") if value else "0"


def _draw(painter: QPainter, target: QRect, pixels: NDArray[np.uint8]) -> None:
    rows, columns = pixels.shape[:2]
    image = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
    painter.drawImage(target, image)
