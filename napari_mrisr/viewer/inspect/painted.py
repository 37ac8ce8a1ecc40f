"""Widgets that change with every move of the cursor: texts, planes, a filter in 3D.

They are painted in a fixed size. A label whose text changes makes Qt lay out the
whole window again, and matplotlib needs about 20 ms per figure; both are slower than
the rest of an update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, QPointF, QRect, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_mrisr.inspection.texts import Fact

_COLUMN_GAP = 12


class Lines(QWidget):
    """A wrapped text with a fixed number of lines.

    Parameters
    ----------
    count : int
        Number of lines.
    """

    def __init__(self, count: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count, self._text = count, ""
        self._color: QColor | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """Return the text."""
        return self._text

    def setText(self, text: str, color: str | None = None) -> None:
        """Show a text, optionally in a color; the tooltip shows all of it."""
        self._text = text
        self._color = None if color is None else QColor(color)
        self.setToolTip(text)
        self.update()

    def sizeHint(self) -> QSize:
        """Return the height of the lines."""
        return QSize(100, self._count * self.fontMetrics().lineSpacing() + 2)

    def minimumSizeHint(self) -> QSize:
        """Return the same height, of any width."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the text; a single line is elided."""
        painter = QPainter(self)
        painter.setPen(self._color or self.palette().windowText().color())
        if self._count == 1:
            elide = Qt.TextElideMode.ElideRight
            text = self.fontMetrics().elidedText(self._text, elide, self.width())
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter, text)
        else:
            wrap = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop
            painter.drawText(self.rect(), int(wrap), self._text)


class Readout(QWidget):
    """Facts in three columns: name, value, and the bucket's range.

    Parameters
    ----------
    count : int
        Number of lines below the heading.
    """

    def __init__(self, count: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading = ""
        self.facts: tuple[Fact, ...] = ()
        self._count = count
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_facts(self, heading: str, facts: Sequence[Fact]) -> None:
        """Show facts below a heading."""
        self.heading, self.facts = heading, tuple(facts)
        lines = [heading, *(f"{f.name}: {f.value}  {f.range}" for f in facts)]
        self.setAccessibleDescription("\n".join(lines))
        self.update()

    def value(self, name: str) -> str:
        """Return the displayed value of a fact; empty if not displayed."""
        return next((f.value for f in self.facts if f.name == name), "")

    def sizeHint(self) -> QSize:
        """Return the height of all lines."""
        return QSize(360, (self._count + 1) * self.fontMetrics().lineSpacing() + 4)

    def minimumSizeHint(self) -> QSize:
        """Return the same height; the last column is elided first."""
        return QSize(300, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the heading, then one line per fact with bold values."""
        painter = QPainter(self)
        painter.setPen(self.palette().windowText().color())
        plain = self.font()
        bold = self.font()
        bold.setBold(True)
        wide = QFontMetrics(bold)
        metrics = self.fontMetrics()
        step, y = metrics.lineSpacing(), metrics.ascent() + 1
        name = max((metrics.horizontalAdvance(f.name) for f in self.facts), default=0) + _COLUMN_GAP
        # Wide enough for most values, so that columns stay in place.
        least = wide.horizontalAdvance("−0.00, −0.00, −0.00")
        values = [wide.horizontalAdvance(f.value) for f in self.facts]
        last = name + max([least, *values]) + _COLUMN_GAP
        painter.setFont(bold)
        elide = Qt.TextElideMode.ElideRight
        painter.drawText(QPoint(0, y), wide.elidedText(self.heading, elide, self.width()))
        for line, fact in enumerate(self.facts, 1):
            painter.setFont(plain)
            painter.drawText(QPoint(0, y + line * step), fact.name)
            rest = QRect(last, 0, max(0, self.width() - last), step)
            text = metrics.elidedText(fact.range, elide, rest.width())
            painter.drawText(QPoint(last, y + line * step), text)
            painter.setFont(bold)
            painter.drawText(QPoint(name, y + line * step), fact.value)


_GAP = 6
_BAR = 10
_SIDE = 90

# Tables of 256 colors. Diverging: zero is white, and both signs are equally dark.
DIVERGING, SEQUENTIAL = (
    colormaps[name](np.arange(256), bytes=True) for name in ("RdBu_r", "inferno")
)


@dataclass(frozen=True, eq=False)
class PlaneSet:
    """Planes with titles, colors and caption.

    Attributes
    ----------
    images : sequence of (rows, columns) ndarray
        First row on top, first column at the left.
    titles : sequence of str
        Titles below the images.
    limits : tuple of float
        Values at the ends of the color bar.
    colors : (256, 4) ndarray of uint8
        Colors from the lowest to the highest value.
    caption : str
        Line above the images, with unit.
    """

    images: Sequence[NDArray[np.floating]]
    titles: Sequence[str]
    limits: tuple[float, float]
    colors: NDArray[np.uint8]
    caption: str


def symmetric_limits(values: Sequence[NDArray[np.floating]]) -> tuple[float, float]:
    """Return symmetric limits around zero that include all values; ±1 if all are zero."""
    largest = max((float(np.abs(v).max()) for v in values), default=0.0) or 1.0
    return -largest, largest


def painted(image: NDArray[np.floating], planes: PlaneSet) -> NDArray[np.uint8]:
    """Return an image in colors, (rows, columns, 4)."""
    low, high = planes.limits
    place = np.clip((image - low) / (high - low), 0.0, 1.0)
    return np.ascontiguousarray(planes.colors[np.rint(255 * place).astype(int)])


class PlanePictures(QWidget):
    """Paints a :class:`PlaneSet`, or a message without one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.planes: PlaneSet | None = None
        self.message = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_planes(self, planes: PlaneSet | None, message: str = "") -> None:
        """Show planes, or a message."""
        self.planes, self.message = planes, message
        self.update()

    def sizeHint(self) -> QSize:
        """Return the size of three pictures of 90 pixels."""
        return QSize(380, _SIDE + 2 * self._line)

    def minimumSizeHint(self) -> QSize:
        """Return the size of three smaller pictures."""
        return QSize(300, _SIDE + 2 * self._line)

    @property
    def _line(self) -> int:
        return self.fontMetrics().height() + 2

    def squares(self) -> list[QRect]:
        """Return the positions of the three pictures."""
        label = self._bar_label_width()
        across = (self.width() - 3 * _GAP - _BAR - label) // 3
        side = max(20, min(across, self.height() - 2 * self._line))
        return [QRect(n * (side + _GAP), self._line, side, side) for n in range(3)]

    def _bar_label_width(self) -> int:
        return self.fontMetrics().horizontalAdvance("−0.0000") + 4

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint caption, pictures, titles and color bar."""
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
    """Return two significant digits with a true minus sign."""
    return f"{value:.2g}".replace("-", "−") if value else "0"


def _draw(painter: QPainter, target: QRect, pixels: NDArray[np.uint8]) -> None:
    rows, columns = pixels.shape[:2]
    image = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
    painter.drawImage(target, image)


# Smaller balls, relative to the largest, are left out.
_SMALLEST = 0.02
_DEGREES_PER_PIXEL = 0.6


def rotation(turn: float, tilt: float) -> NDArray[np.float64]:
    """Return the rotation about the third axis, then toward the observer; degrees.

    Rows are the screen's right, up, and the direction to the observer.
    """
    a, b = np.radians((turn, tilt))
    about = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    # Without tilt the second axis points away and the third up.
    tilted = np.array([[1, 0, 0], [0, np.sin(b), np.cos(b)], [0, -np.cos(b), np.sin(b)]])
    return tilted @ about


class FilterBalls(QWidget):
    """Paints a cube of weights as balls; dragging turns it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cube: NDArray[np.floating] | None = None
        self.axes = ("1", "2", "3")
        self.turn, self.tilt = -30.0, 20.0
        self._drag_from: QPointF | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setToolTip("Drag to turn. Volume: size of the weight; red: positive, blue: negative.")

    def show_cube(self, cube: NDArray[np.floating] | None, axes: tuple[str, str, str]) -> None:
        """Show a cube; ``axes`` are the names of the three axes."""
        self.cube, self.axes = cube, axes
        self.update()

    def sizeHint(self) -> QSize:
        """Return the preferred size."""
        return QSize(300, 240)

    def balls(self) -> list[tuple[float, float, float, float]]:
        """Return (x, y, radius, weight) in pixels from the center, the farthest first."""
        if self.cube is None:
            return []
        weights = np.asarray(self.cube, dtype=float).reshape(-1)
        largest = np.abs(weights).max()
        if not largest > 0.0:
            return []
        n = self.cube.shape[0]
        steps = np.arange(n) - n // 2
        positions = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        rotated = positions @ rotation(self.turn, self.tilt).T
        pitch = self._pitch()
        radius = 0.55 * pitch * np.cbrt(np.abs(weights) / largest)
        order = np.argsort(rotated[:, 2], kind="stable")
        return [
            (pitch * rotated[i, 0], -pitch * rotated[i, 1], radius[i], weights[i])
            for i in order
            if abs(weights[i]) > _SMALLEST * largest
        ]

    def _pitch(self) -> float:
        n = 5 if self.cube is None else self.cube.shape[0]
        return min(self.width(), self.height()) / (1.75 * n)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the axes, then the balls from far to near."""
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
        """Start turning."""
        self._drag_from = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Turn the cube."""
        if self._drag_from is not None:
            step = event.position() - self._drag_from
            self._drag_from = event.position()
            self.turn += _DEGREES_PER_PIXEL * step.x()
            self.tilt = float(np.clip(self.tilt + _DEGREES_PER_PIXEL * step.y(), -90.0, 90.0))
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Stop turning."""
        self._drag_from = None
