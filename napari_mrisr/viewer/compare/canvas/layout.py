"""Layout of the panels on the canvas, and of millimeters in them. No Qt.

One or two columns are turned: their planes lie side by side, since windows are wide.
Pixels count from the canvas's top left corner. All panels have one size, so a
millimeter is equally long in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from napari_mrisr.comparison.scene import PanelView, Scene

_GAP = 2
_HEADER = 24
_TURNED_UP_TO = 2


@dataclass(frozen=True)
class Rect:
    """Rectangle in pixels; ``right`` and ``bottom`` are outer edges."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Return the width, pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Return the height, pixels."""
        return self.bottom - self.top

    @property
    def center(self) -> tuple[float, float]:
        """Return the center, pixels."""
        return (self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0

    def contains(self, x: float, y: float) -> bool:
        """Return whether a point is inside; the left and top edges are."""
        return self.left <= x < self.right and self.top <= y < self.bottom

    def clipped(self, other: Rect) -> Rect:
        """Return the intersection; if empty, its width or height is not positive."""
        return Rect(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def inset(self, by: float) -> Rect:
        """Return the rectangle reduced by some pixels at each side."""
        return Rect(self.left + by, self.top + by, self.right - by, self.bottom - by)


@dataclass(frozen=True)
class Place:
    """Panel on the canvas: its rectangle, and the millimeters in it.

    Attributes
    ----------
    rect : Rect
        In pixels.
    center : (across, upward)
        Frame mm in the rectangle's middle.
    mm_per_px : float
        Scale of both axes.
    direction : int
        1 where ``across`` grows toward the right of the screen, else -1.
    """

    rect: Rect
    center: tuple[float, float]
    mm_per_px: float
    direction: int

    def to_pixels(self, across: float, upward: float) -> tuple[float, float]:
        """Convert frame mm to pixels."""
        x, y = self.rect.center
        right = self.direction * (across - self.center[0]) / self.mm_per_px
        return x + right, y - (upward - self.center[1]) / self.mm_per_px

    def to_mm(self, x: float, y: float) -> tuple[float, float]:
        """Convert pixels to frame mm: across, upward."""
        middle_x, middle_y = self.rect.center
        across = self.center[0] + self.direction * (x - middle_x) * self.mm_per_px
        return across, self.center[1] - (y - middle_y) * self.mm_per_px


@dataclass(frozen=True)
class Layout:
    """All panels of a scene on a canvas.

    Attributes
    ----------
    width, height : int
        Size of the canvas, pixels.
    rows, columns : int
        Number of panels in the scene; the longest row counts.
    header : int
        Height of the strip for titles, pixels.
    gap : int
        Between panels, pixels.
    turned : bool
        Rows of the scene are shown as columns, each row of panels below its own titles.
    """

    width: int
    height: int
    rows: int
    columns: int
    header: int
    gap: int
    turned: bool = False

    @classmethod
    def of(cls, scene: Scene, width: int, height: int, ratio: float = 1.0) -> Layout:
        """Lay out a scene.

        Parameters
        ----------
        scene : Scene
            Scene to show.
        width, height : int
            Size of the canvas, pixels.
        ratio : float
            Pixels of the device to one that the desktop reckons with.
        """
        columns = max((len(row) for row in scene.panels), default=0)
        header = round(_HEADER * ratio) if scene.panels else 0
        gap = max(1, round(_GAP * ratio))
        rows = len(scene.panels)
        turned = rows > columns and columns <= _TURNED_UP_TO and width > height
        return cls(width, height, rows, columns, header, gap, turned)

    @property
    def _lines(self) -> tuple[int, int]:
        """Rows and columns on the canvas."""
        return (self.columns, self.rows) if self.turned else (self.rows, self.columns)

    def rect(self, row: int, column: int) -> Rect:
        """Return the rectangle of a panel, whole pixels."""
        rows, columns = self._lines
        line, place = (column, row) if self.turned else (row, column)
        headers = rows if self.turned else 1
        width = max(1, (self.width - self.gap * (columns - 1)) // max(1, columns))
        free = self.height - headers * self.header - self.gap * (rows - 1)
        height = max(1, free // max(1, rows))
        left = place * (width + self.gap)
        above = (line + 1 if self.turned else 1) * self.header
        top = above + line * (height + self.gap)
        return Rect(left, top, left + width, top + height)

    def title_rect(self, row: int, column: int) -> Rect | None:
        """Return the rectangle of a column's title, above the panel that has it, or None."""
        if row != 0:
            return None
        rect = self.rect(row, column)
        right = self.width if self.turned else rect.right
        return Rect(rect.left, rect.top - self.header, right, rect.top)

    def panel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return row and column of the panel at a pixel; None in gaps and the header."""
        for row in range(self.rows):
            for column in range(self.columns):
                if self.rect(row, column).contains(x, y):
                    return row, column
        return None

    def place(self, scene: Scene, row: int, column: int) -> Place:
        """Return the place of a panel."""
        view = scene.panels[row][column]
        rect = self.rect(row, column)
        return Place(
            rect,
            view.center,
            scene.span_mm / min(rect.width, rect.height),
            1 if view.plane.grows_rightward(scene.radiological) else -1,
        )

    def panels(self, scene: Scene) -> Iterator[tuple[int, int, PanelView, Place]]:
        """Return row, column, content and place of every panel."""
        for row, views in enumerate(scene.panels):
            for column, view in enumerate(views):
                yield row, column, view, self.place(scene, row, column)
