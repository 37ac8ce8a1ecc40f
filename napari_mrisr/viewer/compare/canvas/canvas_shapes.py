"""Triangles, drawn by one program in one call, and the rectangles and lines made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from vispy import gloo

from napari_mrisr.viewer.compare.canvas.layout import Rect

_TWO_TRIANGLES = np.array([0, 1, 2, 0, 2, 3])

Color = tuple[float, float, float, float]

_VERTEX = np.dtype(
    [("a_position", "f4", 2), ("a_color", "f4", 4), ("a_off", "f4", 1), ("a_half", "f4", 1)]
)

# a_off: distance from the center of a line, a_half: half of its width; pixels.
_SHADER = """
attribute vec2 a_position;
attribute vec4 a_color;
attribute float a_off;
attribute float a_half;
uniform vec2 u_size;
varying vec4 v_color;
varying vec2 v_edge;
void main() {
    vec2 at = 2.0 * a_position / u_size - 1.0;
    gl_Position = vec4(at.x, -at.y, 0.0, 1.0);
    v_color = a_color;
    v_edge = vec2(a_off, a_half);
}
"""
_FRAGMENT = """
varying vec4 v_color;
varying vec2 v_edge;
void main() {
    float alpha = v_color.a * clamp(v_edge.y + 0.5 - abs(v_edge.x), 0.0, 1.0);
    gl_FragColor = vec4(v_color.rgb * alpha, alpha);
}
"""


class VertexBatch:
    """Program and corners of triangles; every method needs the canvas's OpenGL context.

    Its shader finds the canvas's size in pixels in ``u_size``.

    Parameters
    ----------
    shader, fragment : str
        GLSL.
    """

    def __init__(self, shader: str, fragment: str) -> None:
        self.program = gloo.Program(shader, fragment)
        self._corners = gloo.VertexBuffer()

    def draw(self, corners: NDArray, size: tuple[int, int]) -> None:
        """Paint triangles; the fields of ``corners`` are the shader's attributes."""
        if not len(corners):
            return
        self._corners.set_data(corners)
        # Bound again: its length may have changed.
        self.program.bind(self._corners)
        self.program["u_size"] = size
        self.program.draw("triangles")

    def delete(self, *others: Any) -> None:
        """Free the program, the buffer and other objects of gloo."""
        for thing in (self.program, self._corners, *others):
            thing.delete()


def corners_of(rects: NDArray) -> NDArray:
    """Return (n, 4, 2) corners of rectangles (n, 4): left, top, right, bottom."""
    return rects[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def triangles(corners: NDArray) -> NDArray:
    """Return two triangles per rectangle, (n, 6, ...), from corners (n, 4, ...)."""
    return corners[:, _TWO_TRIANGLES]


class Shapes:
    """Collection of shapes, in pixels from the canvas's top left; later ones lie on top."""

    def __init__(self) -> None:
        self._parts: list[NDArray] = []
        self._rects: list[tuple[float, ...]] = []

    def rect(self, rect: Rect, color: Color) -> None:
        """Add a filled rectangle."""
        if rect.width > 0 and rect.height > 0:
            self._rects.append((rect.left, rect.top, rect.right, rect.bottom, *color))

    def frame(self, rect: Rect, width: float, color: Color) -> None:
        """Add the inner border of a rectangle."""
        inner = rect.inset(width)
        self.rect(Rect(rect.left, rect.top, rect.right, inner.top), color)
        self.rect(Rect(rect.left, inner.bottom, rect.right, rect.bottom), color)
        self.rect(Rect(rect.left, inner.top, inner.left, inner.bottom), color)
        self.rect(Rect(inner.right, inner.top, rect.right, inner.bottom), color)

    def line(self, points: NDArray, width: float, color: Color, within: Rect) -> None:
        """Add straight pieces from point to point, clipped to a rectangle.

        Parameters
        ----------
        points : (n, 2) ndarray
            x, y.
        width : float
            Pixels.
        color : four floats
            Red, green, blue, opacity.
        within : Rect
            Nothing is drawn outside.
        """
        half = width / 2.0
        start, end = points[:-1], points[1:]
        start, end = (a[(start != end).any(axis=1)] for a in (start, end))
        along = (end - start) / np.linalg.norm(end - start, axis=1, keepdims=True)
        # Longer by half a width: corners close.
        start, end = _clipped(start - along * half, end + along * half, within.inset(half + 0.5))
        way = end - start
        if not len(way):
            return
        self._flush()
        reach = half + 1.0
        along = way / np.linalg.norm(way, axis=1, keepdims=True)
        side = np.stack([-along[:, 1], along[:, 0]], axis=1) * reach
        corners = np.stack([start - side, end - side, end + side, start + side], axis=1)
        part = np.empty((len(way), 6), _VERTEX)
        part["a_position"] = triangles(corners)
        part["a_color"] = color
        part["a_off"] = triangles(np.array([[-reach, -reach, reach, reach]]))[..., None]
        part["a_half"] = half
        self._parts.append(part.ravel())

    def vertices(self) -> NDArray:
        """Return the corners of all triangles."""
        self._flush()
        return np.concatenate(self._parts) if self._parts else np.empty(0, _VERTEX)

    def _flush(self) -> None:
        """Collect the rectangles so far, in the order of shapes."""
        if not self._rects:
            return
        rects = np.array(self._rects, dtype=np.float32)
        part = np.empty((len(rects), 6), _VERTEX)
        part["a_position"] = triangles(corners_of(rects[:, :4]))
        part["a_color"] = rects[:, None, 4:]
        part["a_off"] = 0.0
        part["a_half"] = 1.0
        self._parts.append(part.ravel())
        self._rects = []


def shape_batch() -> VertexBatch:
    """Return the program that draws :meth:`Shapes.vertices`."""
    return VertexBatch(_SHADER, _FRAGMENT)


def _clipped(start: NDArray, end: NDArray, within: Rect) -> tuple[NDArray, NDArray]:
    """Return straight pieces clipped to a rectangle (Liang and Barsky 1984)."""
    way = end - start
    low = np.array([within.left, within.top])
    high = np.array([within.right, within.bottom])
    with np.errstate(divide="ignore", invalid="ignore"):
        to_low, to_high = (low - start) / way, (high - start) / way
    enter, leave = np.minimum(to_low, to_high), np.maximum(to_low, to_high)
    # Parallel to an axis: inside or outside all along.
    still = way == 0
    inside = (start >= low) & (start <= high)
    enter[still] = np.where(inside, -np.inf, np.inf)[still]
    leave[still] = np.inf
    first = np.maximum(enter.max(axis=1), 0.0)
    last = np.minimum(leave.min(axis=1), 1.0)
    seen = first < last
    first, last = first[seen, None], last[seen, None]
    return start[seen] + first * way[seen], start[seen] + last * way[seen]
