"""The publication figure of a scene: what the canvas shows, at a journal's size.

Planes by columns, or a pair of volumes in each plane; regions outlined, an inset
magnified below each row, color bars, scale bars, letters and the convention.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_mrisr.comparison.pictures import INSET, Colors, draw_pictures, ink_on, mark_regions
from napari_mrisr.comparison.scene import PanelImage, PanelView, Scene
from napari_mrisr.comparison.state import SWIPE
from napari_mrisr.core.frames import SAGITTAL
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.figures.page import (
    BOTTOM_IN,
    GAP_IN,
    LEFT_IN,
    LINE_CHARACTERS,
    LINE_IN,
    MEDIUM,
    NEUROLOGICAL,
    RADIOLOGICAL,
    RIGHT_IN,
    SMALL,
    TITLE_IN,
    WIDTH_IN,
    Page,
    draw_scale_bar,
    write_letters,
)

_PANEL_IN = 2.4  # widest panel
_ROWS_IN = 8.0  # highest page, less margins and insets
_LEAST_IN = 3.5  # one column of a journal
_HEAD_IN, _HEAD_LINE_IN = 0.1, 0.14
_LOWEST = 0.25  # height of a row as a part of its panels' width
_INSET_ASPECTS = (0.4, 1.0)  # height to width of what is magnified
_LOW_ROW_IN = 0.9
_BAR_LABELS = {"volume": "intensity", "signed": "difference", "absolute": "|difference|"}
_UNITS = " (scan's units)"
_NARROW_IN = 1.3  # below, color bars go without the unit, which the notes have


@dataclass(frozen=True)
class PanelWindow:
    """A rectangle of a plane, frame mm: middle and extent, across and upward."""

    middle: tuple[float, float]
    extent: tuple[float, float]

    def grown(self, across: float, upward: float) -> PanelWindow:
        """About the same middle, at least so wide and high."""
        return PanelWindow(self.middle, (max(self.extent[0], across), max(self.extent[1], upward)))


def scene_figure(
    scene: Scene,
    *,
    title: str = "",
    notes: Sequence[str] = (),
    crosshair: bool = False,
    colormaps: Mapping[str, NDArray[np.float64]] | None = None,
) -> Figure:
    """Draw a scene for a publication.

    Parameters
    ----------
    scene : Scene
        What is drawn; its titles are printed.
    title : str
        Above everything.
    notes : sequence of str
        Below everything, before what the figure says of itself.
    crosshair : bool
        Draw its lines, if the scene shows them.
    colormaps : mapping of str to (n, 3 or 4) ndarray, optional
        Colors from 0 to 1 of colormaps that matplotlib does not know by name.

    Returns
    -------
    Figure
        At most two columns of a journal wide. All panels but the magnified
        ones have the same millimeters per inch.

    Raises
    ------
    ParameterError
        When the scene is empty.
    """
    if not scene.panels:
        raise ParameterError(explain("figure", "there is no panel", "choose a volume to show"))
    drawing = _Drawing(scene, colormaps or {}, crosshair and scene.crosshair_shown)
    # Of a pair there is one title for all planes.
    return drawing.draw(title if drawing.columns else title or scene.panels[0][0].title, notes)


class _Drawing:
    """One figure in the making."""

    def __init__(
        self, scene: Scene, colormaps: Mapping[str, NDArray[np.float64]], crosshair: bool
    ) -> None:
        self.scene, self.colormaps, self.crosshair = scene, colormaps, crosshair
        first = scene.panels[0]
        # Whether columns are volumes and rows are planes; else columns are planes.
        self.columns = len({panel.plane for panel in first}) == 1 and not first[0].blend
        rows, columns = len(scene.panels), len(scene.panels[0])
        windows = [[_window(scene, panel) for panel in row] for row in scene.panels]
        wide = [max(windows[r][c].extent[0] for r in range(rows)) for c in range(columns)]
        high = [max(w.extent[1] for w in row) for row in windows]
        high = [max(h, _LOWEST * max(wide)) for h in high]
        self.windows = [
            [w.grown(wide[c], high[r]) for c, w in enumerate(row)] for r, row in enumerate(windows)
        ]
        room = WIDTH_IN - LEFT_IN - RIGHT_IN - GAP_IN * (columns - 1)
        inch = min(room / sum(wide), _PANEL_IN / max(wide), _ROWS_IN / sum(high))
        self.widths = [inch * mm for mm in wide]
        self.heights = [inch * mm for mm in high]

    def draw(self, title: str, notes: Sequence[str]) -> Figure:
        """Panels, insets, color bars and words."""
        heads = [self._head(panel, c) for c, panel in enumerate(self.scene.panels[0])]
        insets = [self._inset_windows(row) for row in self.scene.panels]
        heights: list[float] = []
        at = []
        for height, (_, inset_height) in zip(self.heights, insets, strict=True):
            at.append(len(heights))
            heights += [height, inset_height] if inset_height else [height]
        width = max(_LEAST_IN, LEFT_IN + sum(self.widths) + GAP_IN * len(self.widths))
        lines = _packed(self._notes(notes, insets), int(LINE_CHARACTERS * width / WIDTH_IN))
        top = _HEAD_IN + _HEAD_LINE_IN * max(head.count("\n") + 1 for head in heads)
        page = Page(
            self.widths,
            heights,
            top + (TITLE_IN if title else 0.0),
            BOTTOM_IN + len(lines) * LINE_IN,
            _LEAST_IN,
        )
        for r, row in enumerate(self.scene.panels):
            for c, panel in enumerate(row):
                self._panel(page.panel(at[r], c), panel, r, c)
                window = insets[r][0][c]
                if window is not None:
                    self._magnified(page.panel(at[r] + 1, c), panel, window, c)
        for c, head in enumerate(heads):
            page.panel(0, c).set_title(head, fontsize=MEDIUM, pad=3, linespacing=1.05)
        self._bars(page)
        page.words(_short(title, _letters(page.width, MEDIUM)), lines)
        return page.figure

    def _head(self, panel: PanelView, column: int) -> str:
        """Above a column, in up to two lines: its volume; of a pair the plane."""
        width = self.widths[column]
        text = panel.title if self.columns else _place(panel, width)
        letters = _letters(width, MEDIUM)
        if len(text) <= letters:
            return text
        text = _short(text, 2 * letters - 1)
        lines = textwrap.wrap(text, letters)
        return "\n".join(lines if len(lines) < 3 else [text[:letters], text[letters:]])

    def _panel(self, axes: Axes, panel: PanelView, row: int, column: int) -> None:
        self._draw(axes, panel, self.windows[row][column])
        mark_regions(axes, panel, named=column == 0 or not self.columns)
        if panel.inset is not None:
            axes.plot(*panel.inset.points.T, color=INSET, linewidth=0.9)
        if self.crosshair:
            axes.axvline(panel.crosshair[0], color="#4ce659", linewidth=0.4)
            axes.axhline(panel.crosshair[1], color="#4ce659", linewidth=0.4)
        if all(picture.cut is None for picture in panel.pictures):
            axes.text(
                0.5, 0.4, "outside the volume", color="0.8", fontsize=SMALL,
                ha="center", va="center", transform=axes.transAxes,
            )  # fmt: skip
        if column == 0 or not self.columns:
            write_letters(axes, panel.plane.letters(self.scene.radiological), ink_on(panel))
        if column == 0:
            draw_scale_bar(axes, ink_on(panel))
            if self.columns:
                name = _place(panel, self.heights[row])
                axes.set_ylabel(name, fontsize=SMALL, labelpad=3)

    def _magnified(self, axes: Axes, panel: PanelView, window: PanelWindow, column: int) -> None:
        self._draw(axes, panel, window)
        mark_regions(axes, panel, named=False)
        for spine in axes.spines.values():
            spine.set(linewidth=1.0, color=INSET)
        if column == 0:
            draw_scale_bar(axes, ink_on(panel))

    def _draw(self, axes: Axes, panel: PanelView, window: PanelWindow) -> None:
        (a, u), (width, height) = window.middle, window.extent
        left, right = a - width / 2, a + width / 2
        if not panel.plane.grows_rightward(self.scene.radiological):
            left, right = right, left
        draw_pictures(axes, panel, self.scene, self.colormaps, (left, right))
        axes.set_xlim(left, right)
        axes.set_ylim(u - height / 2, u + height / 2)

    def _inset_windows(self, row: Sequence[PanelView]) -> tuple[list[PanelWindow | None], float]:
        """What each panel of a row magnifies, and how high in inches."""
        found: list[PanelWindow | None] = []
        for panel in row:
            if panel.inset is None:
                found.append(None)
                continue
            low, high = panel.inset.points.min(axis=0), panel.inset.points.max(axis=0)
            middle, size = (low + high) / 2, high - low
            least = max(size[0], size[1] / _INSET_ASPECTS[1])
            window = PanelWindow(
                (float(middle[0]), float(middle[1])), (float(least), float(size[1]))
            )
            found.append(window.grown(0.0, _INSET_ASPECTS[0] * float(least)))
        inches = [
            self.widths[c] * window.extent[1] / window.extent[0]
            for c, window in enumerate(found)
            if window is not None
        ]
        if not inches:
            return found, 0.0
        height = max(inches)
        cells = [
            window and window.grown(0.0, window.extent[0] * height / self.widths[c])
            for c, window in enumerate(found)
        ]
        return cells, height

    def _bars(self, page: Page) -> None:
        """A color bar for each run of columns of one look; of a pair, one for each look."""
        first = self.scene.panels[0][0]
        if first.blend:
            left, span = page.below(0, len(self.widths))
            looks = list(dict.fromkeys((p.kind, p.look) for p in first.pictures))
            for i, (kind, look) in enumerate(looks):
                shown = [p for row in self.scene.panels for panel in row for p in panel.pictures]
                shown = [p for p in shown if (p.kind, p.look) == (kind, look)]
                name = shown[0].title if len(looks) > 1 else ""
                place = (left + i * span / len(looks), span / len(looks) - GAP_IN)
                self._bar(page, shown, name, place)
            return
        start, columns = 0, len(self.widths)
        for c in range(1, columns + 1):
            if c < columns and self.columns and _look(self, c) == _look(self, start):
                continue
            if c < columns and not self.columns:
                continue
            shown = [p for row in self.scene.panels for v in row[start:c] for p in v.pictures]
            self._bar(page, shown, "", page.below(start, c))
            start = c

    def _bar(
        self, page: Page, shown: Sequence[PanelImage], name: str, place: tuple[float, float]
    ) -> None:
        left, span = place
        colors = Colors.of(shown[0].look, self.colormaps)
        label = _BAR_LABELS[shown[0].kind] + (_UNITS if span >= _NARROW_IN else "")
        if name:
            label = f"{_short(name, _letters(span, SMALL) - len(label) - 2)}: {label}"
        # Shorter than the panels, so that neighbors' numbers stay apart.
        inner = (left + 0.07 * span, 0.86 * span)
        page.bar(colors.mappable(), label, inner, _extend(shown, colors))

    def _notes(
        self, given: Sequence[str], insets: Sequence[tuple[list[PanelWindow | None], float]]
    ) -> list[str]:
        """What the figure says of itself."""
        scene = self.scene
        panels = [panel for row in scene.panels for panel in row]
        said = list(given)
        blend = panels[0].blend
        if blend:
            first, second = (picture.title for picture in panels[0].pictures)
            if blend == SWIPE:
                said.append(f"Left of the line {first}, right of it {second}.")
            else:
                said.append(
                    f"Checkerboard of {first} and {second}, fields of {scene.checker_mm:g} mm."
                )
        ratios = [
            self.windows[r][c].extent[0] / window.extent[0]
            for r, (windows, _) in enumerate(insets)
            for c, window in enumerate(windows)
            if window is not None
        ]
        if ratios:
            span = f"{min(ratios):.1f}", f"{max(ratios):.1f}"
            said.append(f"Yellow boxes are magnified {' to '.join(dict.fromkeys(span))} times.")
        if min(self.widths) < _NARROW_IN:
            said.append("Intensities are in the scan's units.")
        if not scene.upright:
            said.append("Planes and positions are along the scan's own axes (oblique).")
        if any(panel.plane != SAGITTAL for panel in panels):
            said.append(RADIOLOGICAL if scene.radiological else NEUROLOGICAL)
        return [*said, f"{RESEARCH_USE.capitalize()}."]


def _window(scene: Scene, panel: PanelView) -> PanelWindow:
    """What the panels of a plane show: as on screen, less what no volume covers."""
    extents = [
        picture.cut.extent
        for row in scene.panels
        for other in row
        if other.plane == panel.plane
        for picture in other.pictures
        if picture.cut is not None
    ]
    half = scene.span_mm / 2
    ends = []
    for axis, middle in enumerate(panel.center):
        low, high = middle - half, middle + half
        if extents:
            low = max(low, min(extent[2 * axis] for extent in extents))
            high = min(high, max(extent[2 * axis + 1] for extent in extents))
        if high - low < 0.1 * half:  # panned away from the volumes
            low, high = middle - half, middle + half
        ends.append((low, high))
    (left, right), (bottom, top) = ends
    return PanelWindow(((left + right) / 2, (bottom + top) / 2), (right - left, top - bottom))


def _look(drawing: _Drawing, column: int) -> object:
    picture = drawing.scene.panels[0][column].pictures[0]
    return picture.kind, picture.look


def _place(panel: PanelView, inches: float) -> str:
    """The plane and where it cuts; the name alone where there is little room."""
    if inches < _LOW_ROW_IN:
        return panel.plane.name
    where = f"{panel.position:.0f}".replace("-0", "0").replace("-", "−")
    return f"{panel.plane.name}, {'xyz'[panel.plane.normal]} = {where} mm"


def _letters(inches: float, size: float) -> int:
    """How many letters of a size (points) fit."""
    return max(6, int(inches * 72 / (size * 0.6)))


def _short(text: str, letters: int) -> str:
    """Both ends of a long name, which tell it from others."""
    if len(text) <= letters:
        return text
    half = max(1, (letters - 1) // 2)
    return f"{text[:half]}…{text[-half:]}"


def _packed(sentences: Sequence[str], letters: int) -> list[str]:
    """Lines of whole sentences, as many as fit; a longer one is broken."""
    lines: list[str] = []
    for sentence in sentences:
        if lines and len(lines[-1]) + 1 + len(sentence) <= letters:
            lines[-1] += f" {sentence}"
        else:
            lines += textwrap.wrap(sentence, letters)
    return lines


def _extend(shown: Sequence[PanelImage], colors: Colors) -> str:
    """Which ends of the range values lie beyond."""
    low, high = colors.norm.vmin, colors.norm.vmax
    assert low is not None
    assert high is not None
    cuts = [picture.cut.values for picture in shown if picture.cut is not None]
    cuts = [cut for cut in cuts if np.isfinite(cut).any()]
    below = any(np.nanmin(cut) < low for cut in cuts)
    above = any(np.nanmax(cut) > high for cut in cuts)
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
