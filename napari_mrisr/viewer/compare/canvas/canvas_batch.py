"""Many triangles, drawn by one program in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from vispy import gloo

_TWO_TRIANGLES = np.array([0, 1, 2, 0, 2, 3])


class VertexBatch:
    """A program and the corners it draws. Needs the canvas's OpenGL context for all it does.

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
        # Bound again, since its length may be another.
        self.program.bind(self._corners)
        self.program["u_size"] = size
        self.program.draw("triangles")

    def delete(self, *others: Any) -> None:
        """Free what it holds, and other objects of gloo."""
        for thing in (self.program, self._corners, *others):
            thing.delete()


def corners_of(rects: NDArray) -> NDArray:
    """(n, 4) left, top, right, bottom to (n, 4, 2) corners, around the rectangle."""
    return rects[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def triangles(corners: NDArray) -> NDArray:
    """(n, 4, ...) corners to (n, 6, ...): two triangles a rectangle."""
    return corners[:, _TWO_TRIANGLES]
