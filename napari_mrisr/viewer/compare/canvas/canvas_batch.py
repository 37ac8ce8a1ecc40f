"""Triangles, drawn by one program in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from vispy import gloo

_TWO_TRIANGLES = np.array([0, 1, 2, 0, 2, 3])


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
