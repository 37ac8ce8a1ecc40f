"""Lines, rectangles, texts and color bars, collected first and then drawn by QPainter.

Positions are pixels of the device, from the canvas's top left corner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen, QPolygonF

from napari_mrisr.comparison.state import Display
from napari_mrisr.viewer.compare.canvas.images import colors_of
from napari_mrisr.viewer.compare.canvas.layout import Rect

Color = tuple[float, float, float, float]

_HALO: Color = (0.0, 0.0, 0.0, 0.85)
_BAR_SHADES = 256


@dataclass(frozen=True)
class TextStyle:
    """Font: height in pixels, and weight."""

    size: int
    bold: bool = False


@dataclass(frozen=True)
class Text:
    """Line of text at a position.

    Attributes
    ----------
    words : str
        One line.
    style : TextStyle
        Font of the text.
    x, y : float
        Position.
    anchor : (float, float)
        Point of the text at the position: (0, 0) its top left, (1, 1) its bottom right.
    color : four floats
        Red, green, blue, opacity.
    """

    words: str
    style: TextStyle
    x: float
    y: float
    anchor: tuple[float, float]
    color: Color


@dataclass
class Overlay:
    """Shapes, color bars and texts over the images; later shapes lie on top, texts on all.

    Attributes
    ----------
    texts : list of Text
    shapes : list of callable
        Each draws one shape.
    """

    texts: list[Text] = field(default_factory=list)
    shapes: list[Callable[[QPainter], None]] = field(default_factory=list)

    def rect(self, rect: Rect, color: Color) -> None:
        """Add a filled rectangle."""
        if rect.width > 0 and rect.height > 0:
            box, paint = QRectF(rect.left, rect.top, rect.width, rect.height), _color(color)
            self.shapes.append(lambda painter: painter.fillRect(box, paint))

    def frame(self, rect: Rect, width: float, color: Color) -> None:
        """Add the inner border of a rectangle."""
        inner = rect.inset(width)
        self.rect(Rect(rect.left, rect.top, rect.right, inner.top), color)
        self.rect(Rect(rect.left, inner.bottom, rect.right, rect.bottom), color)
        self.rect(Rect(rect.left, inner.top, inner.left, inner.bottom), color)
        self.rect(Rect(inner.right, inner.top, rect.right, inner.bottom), color)

    def line(self, points: NDArray, width: float, color: Color, within: Rect) -> None:
        """Add straight pieces from point to point, (n, 2), clipped to a rectangle."""
        polygon = QPolygonF([QPointF(float(x), float(y)) for x, y in points])
        pen = QPen(_color(color), width)
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        clip = QRectF(within.left, within.top, within.width, within.height)

        def draw(painter: QPainter) -> None:
            painter.setClipRect(clip)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(pen)
            painter.drawPolyline(polygon)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
            painter.setClipping(False)

        self.shapes.append(draw)

    def bar(self, look: Display, rect: Rect) -> None:
        """Add a color bar of a look, its low end at the bottom."""
        colors = np.ascontiguousarray(colors_of(look.colormap, look.gamma, _BAR_SHADES)[::-1])
        box = QRectF(rect.left, rect.top, rect.width, rect.height)

        def draw(painter: QPainter) -> None:
            kind = QImage.Format.Format_RGB32
            painter.drawImage(box, QImage(colors.data, 1, len(colors), 4, kind))

        self.shapes.append(draw)

    def draw(self, painter: QPainter) -> None:
        """Draw everything."""
        for draw in self.shapes:
            draw(painter)
        for text in self.texts:
            _draw_text(painter, text)


def _draw_text(painter: QPainter, text: Text) -> None:
    """Draw a text with a dark halo, so that it can be read on any image."""
    x = round(text.x - text.anchor[0] * width_of(text.words, text.style))
    y = round(text.y - text.anchor[1] * height_of(text.style))
    baseline = y + _metrics(text.style).ascent()
    painter.setFont(_font(text.style))
    reach = max(1, round(text.style.size / 13))
    painter.setPen(_color(_HALO))
    for right, down in ((-reach, 0), (reach, 0), (0, -reach), (0, reach), (reach, reach)):
        painter.drawText(QPointF(x + right, baseline + down), text.words)
    painter.setPen(_color(text.color))
    painter.drawText(QPointF(x, baseline), text.words)


def shade_of(look: Display, shade: float) -> Color:
    """Return the color of a look at a shade, 0 to 1."""
    colors = colors_of(look.colormap, look.gamma, _BAR_SHADES)
    found = int(colors[round(shade * (_BAR_SHADES - 1))])
    red, green, blue = ((found >> shift & 255) / 255.0 for shift in (16, 8, 0))
    return red, green, blue, 1.0


@lru_cache(maxsize=64)
def _color(color: Color) -> QColor:
    return QColor.fromRgbF(*color)


@lru_cache(maxsize=16)
def _metrics(style: TextStyle) -> QFontMetricsF:
    return QFontMetricsF(_font(style))


@lru_cache(maxsize=16)
def _font(style: TextStyle) -> QFont:
    font = QFont()
    font.setPixelSize(style.size)
    font.setBold(style.bold)
    return font


@lru_cache(maxsize=1024)
def width_of(words: str, style: TextStyle) -> float:
    """Return the width of a text, pixels."""
    return float(_metrics(style).horizontalAdvance(words))


def height_of(style: TextStyle) -> float:
    """Return the height of a line, pixels."""
    return float(_metrics(style).height())


@lru_cache(maxsize=1024)
def shortened(words: str, style: TextStyle, width: float, middle: bool = False) -> str:
    """Return the text elided to a width, in its middle or at its end."""
    mode = Qt.TextElideMode.ElideMiddle if middle else Qt.TextElideMode.ElideRight
    return str(_metrics(style).elidedText(words, mode, max(0.0, width)))
