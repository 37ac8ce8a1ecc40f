"""Sheet: part of a figure, in inches, with one style.

Uses matplotlib's object interface, so any thread may draw. Threads must hold
:data:`DRAWING`, because matplotlib's parser of equations is shared.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

DRAWING = threading.Lock()
"""Lock to hold while drawing a figure with equations."""

Rect = tuple[float, float, float, float]
"""Left, bottom, width and height."""


@dataclass(frozen=True)
class SheetStyle:
    """Colors for one background, and font size.

    Attributes
    ----------
    ink, faint : str
        Colors of text and lines, and of secondary text and lines.
    voxel, cell : str
        Outlines of the output voxel and of the measured voxel that contains it.
    warm, cold : str
        Colors of positive and negative changes.
    points : float
        Font size of plain text.
    """

    ink: str
    faint: str
    voxel: str = "#ff8c1a"
    cell: str = "#ffd92e"
    warm: str = "#e4573d"
    cold: str = "#4a90d9"
    points: float = 8.0


ON_DARK = SheetStyle(ink="#f0f1f2", faint="#8a909b")
ON_LIGHT = SheetStyle(ink="#202225", faint="#7c828c", cell="#d9a400")


@dataclass(frozen=True, eq=False)
class Cells:
    """A grid of squares in a picture, for reading values under the mouse.

    Attributes
    ----------
    rect : Rect
        Position, as fractions of the figure from its lower left.
    values : (rows, columns) ndarray
        Values, the first row on top; NaN for none.
    name : str
        Name of the values.
    """

    rect: Rect
    values: NDArray[np.floating[Any]]
    name: str

    def at(self, x: float, y: float) -> float | None:
        """Return the value at a point (fractions of the figure); None outside the squares."""
        left, bottom, width, height = self.rect
        rows, columns = self.values.shape
        column = int(np.floor((x - left) / width * columns))
        row = int(np.floor((bottom + height - y) / height * rows))
        if not (0 <= row < rows and 0 <= column < columns):
            return None
        value = float(self.values[row, column])
        return value if np.isfinite(value) else None


class Sheet:
    """A part of a figure.

    Parameters
    ----------
    figure : Figure
    style : SheetStyle
    rect : Rect
        Position in the figure, inches.

    Attributes
    ----------
    cells : list of Cells
        Squares whose values can be read.
    """

    def __init__(self, figure: Figure, style: SheetStyle, rect: Rect) -> None:
        self.figure, self.style = figure, style
        self.left, self.bottom, self.width, self.height = rect
        self.cells: list[Cells] = []

    def axes(self, rect: Rect) -> Axes:
        """Add bare axes; ``rect`` in inches from the sheet's lower left."""
        axes = self.figure.add_axes(self._fraction(rect))
        axes.set_facecolor("none")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def add_cells(self, rect: Rect, values: NDArray[np.floating[Any]], name: str) -> None:
        """Store squares and their values."""
        self.cells.append(Cells(self._fraction(rect), values, name))

    def text(self, x: float, y: float, text: str, **look: Any) -> Any:
        """Write text; position in inches from the sheet's lower left."""
        across, up, _, _ = self._fraction((x, y, 0.0, 0.0))
        look = {"color": self.style.ink, "fontsize": self.style.points, **look}
        return self.figure.text(across, up, text, **look)

    def part(self, rect: Rect) -> Sheet:
        """Return a part of the sheet; its squares also belong to the sheet."""
        left, bottom, width, height = rect
        inner = Sheet(
            self.figure, self.style, (self.left + left, self.bottom + bottom, width, height)
        )
        inner.cells = self.cells
        return inner

    def equation(self, text: str) -> None:
        """Write a centered equation, smaller if it does not fit."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        shown = self.text(
            self.width / 2, self.height / 2, text, ha="center", va="center",
            fontsize=1.45 * self.style.points, math_fontfamily="cm", linespacing=1.7,
        )  # fmt: skip
        canvas = self.figure.canvas
        assert isinstance(canvas, FigureCanvasAgg)
        box = shown.get_window_extent(canvas.get_renderer())  # type: ignore[no-untyped-call]
        dpi = self.figure.dpi
        fits = min(1.0, self.width * dpi / box.width, self.height * dpi / box.height)
        shown.set_fontsize(fits * shown.get_fontsize())

    def _fraction(self, rect: Rect) -> Rect:
        across, up = self.figure.get_size_inches()
        left, bottom, width, height = rect
        return (
            (self.left + left) / across,
            (self.bottom + bottom) / up,
            width / across,
            height / up,
        )
