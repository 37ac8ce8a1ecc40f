"""Patches as squares: three planes, slices, a matrix.

Planes are oriented as in the viewer: R or A at the left, A or S on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from napari_mrisr.explain.sheet import Sheet

Values = NDArray[np.floating[Any]]

# Smallest square with a number, inches.
_NUMBER_IN = 0.19
_LETTER_IN, _TITLE_IN = 0.15, 0.17
# Gaps between patches and slices, and width of the text next to them, inches.
_GAP, _BETWEEN, _SUMS, _NAMES = 0.2, 0.06, 0.62, 0.8
DIVERGING = "RdBu_r"


@dataclass(frozen=True)
class View:
    """An anatomical plane: name, horizontal and vertical axis, and letters of two sides."""

    name: str
    across: int
    upward: int
    left_letter: str
    top_letter: str

    @property
    def through(self) -> int:
        """Axis perpendicular to the plane."""
        return 3 - self.across - self.upward

    def cut(self, patch: Values, at: int | None = None) -> Values:
        """Return a plane of a patch as displayed, first row on top; by default the central one."""
        at = patch.shape[self.through] // 2 if at is None else at
        plane = np.take(patch, at, axis=self.through)
        turned: Values = plane[::-1, ::-1].T
        return turned


AXIAL = View("axial", 0, 1, "R", "A")
VIEWS = (AXIAL, View("coronal", 0, 2, "R", "S"), View("sagittal", 1, 2, "A", "S"))


@dataclass(frozen=True)
class Mark:
    """A box to outline: center and size in voxels of the patch, along x, y, z."""

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    color: str

    def outline(self, axes: Axes, view: View, shape: tuple[int, ...]) -> None:
        """Draw the outline in a plane of a patch of that shape."""
        a, u = view.across, view.upward
        column = shape[a] - 1 - self.center[a] - self.size[a] / 2
        row = shape[u] - 1 - self.center[u] - self.size[u] / 2
        box = Rectangle((column, row), self.size[a], self.size[u], fill=False, clip_on=False)
        box.set(edgecolor=self.color, linewidth=1.8, zorder=5)
        axes.add_patch(box)


def center_mark(patch: Values, color: str) -> Mark:
    """Return the outline of the patch's center voxel."""
    x, y, z = (n // 2 for n in patch.shape)
    return Mark((x, y, z), (1.0, 1.0, 1.0), color)


def gray_range(patch: Values) -> tuple[float, float]:
    """Return the gray range of a patch; at least 0.1, so that noise does not look like edges."""
    low, high = float(np.nanmin(patch)), float(np.nanmax(patch))
    room = max(0.0, 0.1 - (high - low)) / 2
    return low - room, high + room


def draw_planes(
    sheet: Sheet,
    patch: Values,
    marks: Sequence[Mark] = (),
    name: str = "brightness",
    *,
    limits: tuple[float, float] | None = None,
    colors: str = "gray",
) -> list[tuple[Axes, View]]:
    """Draw the three central planes of a patch in one row, or in two rows."""
    limits = limits or gray_range(patch)
    placed = []
    for view, (x, y, side) in zip(VIEWS, _places(sheet), strict=True):
        rect = (x, y, side, side)
        axes = draw_cells(sheet, rect, view.cut(patch), name, limits=limits, colors=colors)
        for mark in marks:
            mark.outline(axes, view, patch.shape)
        small = 0.85 * sheet.style.points
        faint = sheet.style.faint
        sheet.text(x + side / 2, y - 0.03, view.name, ha="center", va="top", fontsize=small)
        sheet.text(
            x - 0.03, y + side / 2, view.left_letter,
            ha="right", va="center", fontsize=small, color=faint,
        )  # fmt: skip
        sheet.text(
            x + side / 2, y + side + 0.02, view.top_letter,
            ha="center", va="bottom", fontsize=small, color=faint,
        )  # fmt: skip
        placed.append((axes, view))
    return placed


def _places(sheet: Sheet) -> list[tuple[float, float, float]]:
    """Return left, bottom and side of three squares, as large as fits with their letters."""
    wide, high = _LETTER_IN, _LETTER_IN + _TITLE_IN
    sides = {
        columns: min(sheet.width / columns - wide, sheet.height / rows - high)
        for columns, rows in ((3, 1), (2, 2))
    }
    columns = max(sides, key=lambda n: sides[n])
    side, rows = sides[columns], 3 // columns + (columns == 2)
    left = (sheet.width - columns * (side + wide)) / 2
    bottom = (sheet.height - rows * (side + high)) / 2
    return [
        (
            left + i % columns * (side + wide) + wide,
            bottom + (rows - 1 - i // columns) * (side + high) + _TITLE_IN,
            side,
        )
        for i in range(3)
    ]


def draw_cells(
    sheet: Sheet,
    rect: tuple[float, float, float, float],
    values: Values,
    name: str,
    *,
    limits: tuple[float, float],
    colors: str = "gray",
) -> Axes:
    """Draw squares, with their values if two decimals fit."""
    axes = sheet.axes(rect)
    rows, columns = values.shape
    norm = Normalize(*limits)
    axes.imshow(values, cmap=colors, norm=norm, interpolation="nearest", aspect="auto")
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    sheet.add_cells(rect, values, name)
    if rows <= 11:
        for n in range(1, max(rows, columns)):
            axes.axhline(n - 0.5, color=sheet.style.faint, linewidth=0.3)
            axes.axvline(n - 0.5, color=sheet.style.faint, linewidth=0.3)
    if colors == "gray" and min(rect[2] / columns, rect[3] / rows) >= _NUMBER_IN:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ink = "black" if float(norm(float(value))) > 0.5 else "white"
                axes.text(
                    column, row, short(float(value)), ha="center", va="center",
                    color=ink, fontsize=0.78 * sheet.style.points,
                )  # fmt: skip
    return axes


def short(value: float) -> str:
    """Return two decimals without a leading zero: ``.53``."""
    text = f"{value:.2f}".replace("-", "−")
    return text.replace("0.", ".", 1) if abs(value) < 0.995 else text


def draw_slices(
    sheet: Sheet, rows: Sequence[tuple[str, Values]], signs: tuple[str, str], full: float = 1.0
) -> None:
    """Draw three patches slice by slice (axial, top slice first), with the sums of the last.

    Parameters
    ----------
    sheet : Sheet
    rows : sequence of three (name, (n, n, n) ndarray)
        The last patch is the product of the others.
    signs : tuple of str
        Signs between the patches.
    full : float
        Part of a patch's largest value that has full color.
    """
    plan = _SlicePlan.of(sheet, rows[0][1].shape[2])
    small = 0.85 * sheet.style.points
    for kind, (name, patch) in enumerate(rows):
        reach = max(full * float(np.abs(patch).max()), 1e-9)
        limits, colors = (-reach, reach), DIVERGING
        if float(patch.min()) >= 0.0 and kind == 0:
            limits, colors = gray_range(patch), "gray"
        for number in range(plan.count):
            z = plan.count - 1 - number
            rect = (*plan.corner(kind, number), plan.side, plan.side)
            shown = AXIAL.cut(patch, z)
            draw_cells(sheet, rect, shown, name, limits=limits, colors=colors)
            if kind == 2 and plan.side > 0.3:
                x, y, look = plan.sum_position(number)
                sheet.text(x, y, _signed(float(patch[:, :, z].sum()), 3), fontsize=small, **look)
        x, y, look = plan.name_position(kind)
        text = name if kind == 0 or not plan.rows else f"{signs[kind - 1]} {name}"
        sheet.text(x, y, text, fontsize=small, **look)
        if kind and not plan.rows:
            x, y = plan.corner(kind, plan.count // 2)
            sign = signs[kind - 1]
            sheet.text(x - _GAP / 2, y + plan.side / 2, sign, ha="center", va="center")
    total = f"sum {_signed(float(rows[2][1].sum()), 4)}"
    sheet.text(
        plan.left + plan.across, 0.0, total, ha="right", va="bottom",
        color=sheet.style.voxel, fontweight="bold",
    )  # fmt: skip


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


@dataclass(frozen=True)
class _SlicePlan:
    """Positions of the slices of three patches, one column or one row per patch; inches."""

    rows: bool
    count: int
    side: float
    left: float
    top: float

    @classmethod
    def of(cls, sheet: Sheet, count: int) -> _SlicePlan:
        """Return the largest plan that fits the sheet."""
        rows = sheet.width > 1.6 * sheet.height
        if rows:
            wide = (sheet.width - _NAMES) / count - _BETWEEN
            side = min(wide, (sheet.height - 0.4) / 3 - _GAP)
        else:
            wide = (sheet.width - _SUMS - 2 * _GAP) / 3 - 0.03
            side = min(wide, (sheet.height - 0.38) / count - _BETWEEN)
        plan = cls(rows, count, side, 0.0, sheet.height - 0.2)
        return replace(plan, left=(sheet.width - plan.across) / 2)

    @property
    def across(self) -> float:
        """Total width."""
        if self.rows:
            return _NAMES + self.count * (self.side + _BETWEEN)
        return 3 * self.side + 2 * _GAP + _SUMS

    def corner(self, kind: int, number: int) -> tuple[float, float]:
        """Return the lower left corner of a slice."""
        along = number * (self.side + _BETWEEN)
        other = kind * (self.side + _GAP)
        if self.rows:
            return self.left + _NAMES + along, self.top - other - self.side
        return self.left + other, self.top - along - self.side

    def sum_position(self, number: int) -> tuple[float, float, dict[str, Any]]:
        """Return position and alignment of the sum of a slice."""
        x, y = self.corner(2, number)
        if self.rows:
            return x + self.side / 2, y - 0.02, {"ha": "center", "va": "top"}
        return x + self.side + 0.06, y + self.side / 2, {"ha": "left", "va": "center"}

    def name_position(self, kind: int) -> tuple[float, float, dict[str, Any]]:
        """Return position and alignment of the name of a patch."""
        x, y = self.corner(kind, 0)
        if self.rows:
            return x - 0.08, y + self.side / 2, {"ha": "right", "va": "center"}
        return x + self.side / 2, self.top + 0.04, {"ha": "center", "va": "bottom"}
