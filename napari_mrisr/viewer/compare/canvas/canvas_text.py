"""Texts, painted once by Qt into a sheet, from which the canvas copies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter
from scipy.ndimage import maximum_filter
from vispy import gloo

from napari_mrisr.viewer.compare.canvas.canvas_shapes import (
    Color,
    VertexBatch,
    corners_of,
    triangles,
)

# Edge of the sheet, texels; twice as long on HiDPI screens.
_SHEET = 1024

_VERTEX = np.dtype([("a_position", "f4", 2), ("a_tex", "f4", 2), ("a_color", "f4", 4)])
_SHADER = """
attribute vec2 a_position;
attribute vec2 a_tex;
attribute vec4 a_color;
uniform vec2 u_size;
varying vec2 v_tex;
varying vec4 v_color;
void main() {
    vec2 at = 2.0 * a_position / u_size - 1.0;
    gl_Position = vec4(at.x, -at.y, 0.0, 1.0);
    v_tex = a_tex;
    v_color = a_color;
}
"""
# Red: letters; alpha: letters and their dark halo.
_FRAGMENT = """
uniform sampler2D u_sheet;
varying vec2 v_tex;
varying vec4 v_color;
void main() {
    vec4 texel = texture2D(u_sheet, v_tex);
    gl_FragColor = v_color.a * vec4(v_color.rgb * texel.r, texel.a);
}
"""


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
        Pixels from the canvas's top left.
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


@lru_cache(maxsize=16)
def _metrics(style: TextStyle) -> QFontMetricsF:
    return QFontMetricsF(_font(style))


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


class SheetIsFullError(Exception):
    """The sheet is full."""


class TextPainter:
    """Painter of texts; every method needs the canvas's OpenGL context.

    Parameters
    ----------
    ratio : float
        Pixels of the device to one that the desktop reckons with.
    """

    def __init__(self, ratio: float) -> None:
        edge = int(_SHEET * max(1.0, ratio))
        self._pixels = np.zeros((edge, edge, 4), np.uint8)
        self._halo = max(1, round(ratio))
        self._texture = gloo.Texture2D(
            self._pixels, interpolation="nearest", wrapping="clamp_to_edge"
        )
        self._batch = VertexBatch(_SHADER, _FRAGMENT)
        self._batch.program["u_sheet"] = self._texture
        self._dirty = (edge, 0)
        self._clear()

    def draw(self, texts: Sequence[Text], size: tuple[int, int]) -> None:
        """Paint on a canvas of ``size`` pixels."""
        if not texts:
            return
        try:
            vertices = self._vertices(texts)
        except SheetIsFullError:
            self._clear()
            vertices = self._vertices(texts)
        self._upload()
        self._batch.draw(vertices, size)

    def delete(self) -> None:
        """Free the OpenGL objects."""
        self._batch.delete(self._texture)

    def _vertices(self, texts: Sequence[Text]) -> NDArray:
        sheet = np.empty((len(texts), 4), np.float32)
        screen = np.empty((len(texts), 4), np.float32)
        colors = np.empty((len(texts), 1, 4), np.float32)
        for i, text in enumerate(texts):
            left, top, width, height = self._written(text.words, text.style)
            # The halo extends beyond the text. Whole pixels keep letters sharp.
            over = 2 * self._halo
            x = round(text.x - text.anchor[0] * (width - 2 * over)) - over
            y = round(text.y - text.anchor[1] * (height - 2 * over)) - over
            sheet[i] = left, top, left + width, top + height
            screen[i] = x, y, x + width, y + height
            colors[i] = text.color
        vertices = np.empty((len(texts), 6), _VERTEX)
        vertices["a_position"] = triangles(corners_of(screen))
        vertices["a_tex"] = triangles(corners_of(sheet / len(self._pixels)))
        vertices["a_color"] = colors
        return vertices.ravel()

    def _written(self, words: str, style: TextStyle) -> tuple[int, int, int, int]:
        """Return the place of a text on the sheet: left, top, width, height."""
        key = (words, style)
        found = self._known.get(key)
        if found is None:
            drawn = _draw(words, style, self._halo)
            height, width = drawn.shape[:2]
            width = min(width, len(self._pixels))
            found = (*self._room(width, height), width, height)
            left, top = found[:2]
            self._pixels[top : top + height, left : left + width] = drawn[:, :width]
            self._dirty = (min(self._dirty[0], top), max(self._dirty[1], top + height))
            self._known[key] = found
        return found

    def _room(self, width: int, height: int) -> tuple[int, int]:
        edge = len(self._pixels)
        # A row holds texts of one height.
        left, top = self._shelves.get(height, (edge, 0))
        if left + width > edge:
            if self._bottom + height > edge:
                raise SheetIsFullError
            left, top = 0, self._bottom
            self._bottom += height
        self._shelves[height] = (left + width, top)
        return left, top

    def _clear(self) -> None:
        self._known: dict[tuple[str, TextStyle], tuple[int, int, int, int]] = {}
        self._shelves: dict[int, tuple[int, int]] = {}
        self._bottom = 0
        self._dirty = (len(self._pixels), 0)

    def _upload(self) -> None:
        first, last = self._dirty
        if first < last:
            self._texture.set_data(self._pixels[first:last], offset=(first, 0))
            self._dirty = (len(self._pixels), 0)


def _draw(words: str, style: TextStyle, halo: int) -> NDArray[np.uint8]:
    """Return (height, width, 4): letters in red to blue, letters and halo in alpha."""
    metrics = _metrics(style)
    # The halo is as wide as twice its reach.
    width = int(np.ceil(metrics.horizontalAdvance(words))) + 4 * halo + 2
    height = int(np.ceil(metrics.height())) + 4 * halo
    image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    painter.setFont(_font(style))
    painter.setPen(QColor(255, 255, 255))
    painter.drawText(QPointF(2 * halo + 1, 2 * halo + metrics.ascent()), words)
    painter.end()
    bits = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8)
    letters = bits.reshape(height, width, 4)[..., 3]
    drawn = np.empty((height, width, 4), np.uint8)
    drawn[..., :3] = letters[..., None]
    drawn[..., 3] = np.maximum(letters, _halo(letters, halo))
    return drawn


def _halo(letters: NDArray[np.uint8], reach: int) -> NDArray[np.uint8]:
    """Return the letters grown by some texels, and fading over as many more."""
    near = maximum_filter(letters, 2 * reach + 1, mode="constant")
    return np.maximum(near // 8 * 7, maximum_filter(near, 2 * reach + 1, mode="constant") // 2)
