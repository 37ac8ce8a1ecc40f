"""The figure of a comparison scene, at the size of a journal.

Rows are planes and columns are volumes; or one row shows a pair of volumes in each
plane. Regions are outlined, an inset is magnified below each row. Color bars, scale
bars, orientation letters and the convention are always there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    stroke,
    write_letters,
)
from napari_mrisr.figures.panels import (
    INSET_COLOR,
    Colors,
    ColorTables,
    draw_images,
    draw_regions,
    ink_of,
)

_PANEL_IN = 2.4  # widest panel
_ROWS_IN = 8.0  # highest page, without margins and insets
_MIN_WIDTH_IN = 3.5  # one column of a journal
_HEAD_IN, _HEAD_LINE_IN, _CAPTION_IN = 0.1, 0.14, 0.12
_MIN_ASPECT = 0.25  # height of a row, relative to the width of its panels
_INSET_ASPECTS = (0.4, 1.0)  # height of an inset, relative to its width
_LOW_ROW_IN = 0.9
_NARROW_IN = 1.3  # narrower color bars omit the unit, which the notes have
_BAR_LABELS = {"volume": "intensity", "signed": "difference", "absolute": "|difference|"}
_UNITS = " (scan's units)"


@dataclass(frozen=True)
class ColumnText:
    """Texts of a column besides its title.

    Attributes
    ----------
    caption : str
        Smaller line below the title, such as a PSNR.
    bar : str
        Label of the color bar; by default ``intensity`` or ``difference``.
    classes : tuple of str
        Names of the values 0, 1, 2 …: a legend takes the place of the color bar.
    """

    caption: str = ""
    bar: str = ""
    classes: tuple[str, ...] = ()


def scene_figure(
    scene: Scene,
    *,
    title: str = "",
    notes: Sequence[str] = (),
    columns: Mapping[str, ColumnText] | None = None,
    crosshair: bool = False,
    colormaps: ColorTables | None = None,
) -> Figure:
    """Draw a scene for a publication.

    Parameters
    ----------
    scene : Scene
        Panels to draw; their titles are printed.
    title : str
        Above all panels.
    notes : sequence of str
        Below all panels, before the notes on inset, convention and research use.
    columns : mapping of str to ColumnText, optional
        Further texts of a column, by its title.
    crosshair : bool
        Draw the crosshair if the scene shows it.
    colormaps : mapping of str to (n, 3 or 4) ndarray, optional
        Colors from 0 to 1 of colormaps that matplotlib does not know by name.

    Returns
    -------
    Figure
        At most two columns of a journal wide. All panels but the insets have the
        same number of millimeters per inch.

    Raises
    ------
    ParameterError
        If the scene is empty.
    """
    if not scene.panels:
        raise ParameterError(explain("figure", "there is no panel", "choose a volume to show"))
    drawing = _Drawing(scene, columns or {}, colormaps or {}, crosshair and scene.crosshair_shown)
    first = scene.panels[0][0]
    if drawing.tiles:
        caption = drawing.text(first).caption
        words = (first.title, caption, first.plane.name, first.place.partition(", ")[2])
        title = title or ", ".join(filter(None, words))
    elif not drawing.columns:  # a pair has one title for all planes
        title = title or first.title
    return drawing.draw(title, notes)


@dataclass(frozen=True)
class _PlaneWindow:
    """A rectangle of a plane: middle and extent (across, upward), frame mm."""

    middle: tuple[float, float]
    extent: tuple[float, float]

    def grown(self, across: float, upward: float) -> _PlaneWindow:
        """Return a window about the same middle, at least this wide and high."""
        return _PlaneWindow(self.middle, (max(self.extent[0], across), max(self.extent[1], upward)))


class _Drawing:
    """Layout of one figure."""

    def __init__(
        self,
        scene: Scene,
        texts: Mapping[str, ColumnText],
        tables: ColorTables,
        crosshair: bool,
    ) -> None:
        self.scene, self.texts, self.tables, self.crosshair = scene, texts, tables, crosshair
        first = scene.panels[0]
        # Columns are volumes and rows are planes; or the columns of one row are planes.
        self.columns = len({panel.plane for panel in first}) == 1 and not first[0].blend
        # Of a mosaic each panel is another slice of one volume.
        self.tiles = len(first) > 1 and len({(p.plane, p.column) for p in first}) == 1
        columns = len(first)
        windows = [[_window(scene, panel) for panel in row] for row in scene.panels]
        # The last row of a mosaic may be shorter.
        wide = [max(row[c].extent[0] for row in windows if c < len(row)) for c in range(columns)]
        high = [max(w.extent[1] for w in row) for row in windows]
        high = [max(h, _MIN_ASPECT * max(wide)) for h in high]
        self.windows = [
            [w.grown(wide[c], high[r]) for c, w in enumerate(row)] for r, row in enumerate(windows)
        ]
        room = WIDTH_IN - LEFT_IN - RIGHT_IN - GAP_IN * (columns - 1)
        inch = min(room / sum(wide), _PANEL_IN / max(wide), _ROWS_IN / sum(high))
        self.widths = [inch * mm for mm in wide]
        self.heights = [inch * mm for mm in high]
        self.insets = [self._inset_windows(row) for row in scene.panels]

    def draw(self, title: str, notes: Sequence[str]) -> Figure:
        """Draw panels, insets, color bars and texts."""
        first = () if self.tiles else self.scene.panels[0]
        heads = [self._head(panel, c) for c, panel in enumerate(first)]
        captions = [self.text(panel).caption for panel in first]
        heights: list[float] = []
        places = []
        for height, (_, inset_height) in zip(self.heights, self.insets, strict=True):
            places.append(len(heights))
            heights += [height, inset_height] if inset_height else [height]
        width = max(_MIN_WIDTH_IN, LEFT_IN + sum(self.widths) + GAP_IN * len(self.widths))
        lines = _packed(self._notes(notes), int(LINE_CHARACTERS * width / WIDTH_IN))
        top = _HEAD_IN + _HEAD_LINE_IN * max((head.count("\n") + 1 for head in heads), default=0)
        caption_in = _CAPTION_IN if any(captions) else 0.0
        page = Page(
            self.widths,
            heights,
            top + caption_in + (TITLE_IN if title else 0.0),
            BOTTOM_IN + len(lines) * LINE_IN,
            _MIN_WIDTH_IN,
        )
        for r, row in enumerate(self.scene.panels):
            for c, panel in enumerate(row):
                self._panel(page.panel(places[r], c), panel, r, c)
                window = self.insets[r][0][c]
                if window is not None:
                    self._inset(page.panel(places[r] + 1, c), panel, window, c)
        for c, (head, caption) in enumerate(zip(heads, captions, strict=True)):
            axes = page.panel(0, c)
            axes.set_title(head, fontsize=MEDIUM, pad=3 + 72 * caption_in, linespacing=1.05)
            if caption:
                axes.annotate(
                    caption, (0.5, 1), (0, 2), "axes fraction", "offset points",
                    ha="center", va="bottom", fontsize=SMALL,
                )  # fmt: skip
        self._bars(page)
        page.write(_shortened(title, _letters(page.width, MEDIUM)), lines)
        return page.figure

    def text(self, panel: PanelView) -> ColumnText:
        """Return the further texts of a panel's column."""
        return self.texts.get(panel.title, ColumnText())

    def _head(self, panel: PanelView, column: int) -> str:
        """Return the title of a column, in up to two lines."""
        width = self.widths[column]
        text = panel.title if self.columns else _plane_text(panel, width)
        letters = _letters(width, MEDIUM)
        if len(text) <= letters:
            return text
        text = _shortened(text, 2 * letters - 1)
        lines = textwrap.wrap(text, letters)
        return "\n".join(lines if len(lines) < 3 else [text[:letters], text[letters:]])

    def _panel(self, axes: Axes, panel: PanelView, row: int, column: int) -> None:
        ink = ink_of(panel, self.tables)
        self._images(axes, panel, self.windows[row][column])
        draw_regions(axes, panel, ink, named=column == 0 or not self.columns)
        if panel.inset is not None:
            axes.plot(*panel.inset.points.T, color=INSET_COLOR, linewidth=0.9)
        if self.crosshair and panel.crosshair is not None:
            axes.axvline(panel.crosshair[0], color="#4ce659", linewidth=0.4)
            axes.axhline(panel.crosshair[1], color="#4ce659", linewidth=0.4)
        if all(image.cut is None for image in panel.pictures):
            axes.text(
                0.5, 0.4, "outside the volume", color="0.8", fontsize=SMALL,
                ha="center", va="center", transform=axes.transAxes,
            )  # fmt: skip
        if column == 0 or not self.columns:
            write_letters(axes, panel.plane.letters(self.scene.radiological), ink)
        if self.tiles:
            axes.annotate(
                panel.place.partition(",")[0], (0, 1), (2, -2), "axes fraction", "offset points",
                va="top", fontsize=SMALL, color=ink, path_effects=stroke(ink),
            )  # fmt: skip
        if column == 0:
            draw_scale_bar(axes, ink)
            if self.columns and not self.tiles:
                name = _plane_text(panel, self.heights[row])
                axes.set_ylabel(name, fontsize=SMALL, labelpad=3)

    def _inset(self, axes: Axes, panel: PanelView, window: _PlaneWindow, column: int) -> None:
        ink = ink_of(panel, self.tables)
        self._images(axes, panel, window)
        draw_regions(axes, panel, ink, named=False)
        for spine in axes.spines.values():
            spine.set(linewidth=1.0, color=INSET_COLOR)
        if column == 0:
            draw_scale_bar(axes, ink)

    def _images(self, axes: Axes, panel: PanelView, window: _PlaneWindow) -> None:
        (a, u), (width, height) = window.middle, window.extent
        left, right = a - width / 2, a + width / 2
        if not panel.plane.grows_rightward(self.scene.radiological):
            left, right = right, left
        draw_images(axes, panel, self.scene, self.tables, (left, right))
        axes.set_xlim(left, right)
        axes.set_ylim(u - height / 2, u + height / 2)

    def _inset_windows(self, row: Sequence[PanelView]) -> tuple[list[_PlaneWindow | None], float]:
        """Return the magnified window of each panel in a row, and their height in inches."""
        found: list[_PlaneWindow | None] = []
        for panel in row:
            if panel.inset is None:
                found.append(None)
                continue
            low, high = panel.inset.points.min(axis=0), panel.inset.points.max(axis=0)
            (a, u), (width, height) = (low + high) / 2, high - low
            width = float(max(width, height / _INSET_ASPECTS[1]))
            window = _PlaneWindow((float(a), float(u)), (width, float(height)))
            found.append(window.grown(0.0, _INSET_ASPECTS[0] * width))
        inches = [
            self.widths[c] * window.extent[1] / window.extent[0]
            for c, window in enumerate(found)
            if window is not None
        ]
        if not inches:
            return found, 0.0
        height = max(inches)
        windows = [
            window and window.grown(0.0, window.extent[0] * height / self.widths[c])
            for c, window in enumerate(found)
        ]
        return windows, height

    def _bars(self, page: Page) -> None:
        """Draw a color bar or legend per run of columns that share one; two for a pair."""
        first = self.scene.panels[0]
        if first[0].blend:
            left, span = page.below(0, len(self.widths))
            looks = list(dict.fromkeys((p.kind, p.look) for p in first[0].pictures))
            for i, look in enumerate(looks):
                images = [p for row in self.scene.panels for panel in row for p in panel.pictures]
                images = [p for p in images if (p.kind, p.look) == look]
                name = images[0].title if len(looks) > 1 else ""
                place = (left + i * span / len(looks), span / len(looks) - GAP_IN)
                self._bar(page, images, name, "", place)
            return
        start = 0
        for stop in range(1, len(first) + 1):
            if stop < len(first) and (not self.columns or self._alike(first[start], first[stop])):
                continue
            text, place = self.text(first[start]), page.below(start, stop)
            images = [p for row in self.scene.panels for v in row[start:stop] for p in v.pictures]
            if text.classes:
                mappable = Colors.of(images[0].look, self.tables).mappable()
                colors = list(mappable.to_rgba(np.arange(len(text.classes))))
                page.legend(text.classes, colors, place)
            else:
                self._bar(page, images, "", text.bar, place)
            start = stop

    def _alike(self, one: PanelView, other: PanelView) -> bool:
        """Return whether two columns share a color bar."""
        kinds = [(p.kind, p.look) for p in (one.pictures[0], other.pictures[0])]
        return kinds[0] == kinds[1] and self.text(one).bar == self.text(other).bar

    def _bar(
        self,
        page: Page,
        images: Sequence[PanelImage],
        name: str,
        label: str,
        place: tuple[float, float],
    ) -> None:
        left, span = place
        colors = Colors.of(images[0].look, self.tables)
        label = label or _BAR_LABELS[images[0].kind]
        label += _UNITS if span >= _NARROW_IN else ""
        if name:
            label = f"{_shortened(name, _letters(span, SMALL) - len(label) - 2)}: {label}"
        # Shorter than the panels, so that the numbers of neighbors stay apart.
        page.bar(
            colors.mappable(), label, (left + 0.07 * span, 0.86 * span), _extend(images, colors)
        )

    def _notes(self, given: Sequence[str]) -> list[str]:
        """Return the notes below the panels."""
        scene = self.scene
        panels = [panel for row in scene.panels for panel in row]
        notes = list(given)
        blend = panels[0].blend
        if blend:
            first, second = (image.title for image in panels[0].pictures)
            notes.append(
                f"Left of the line {first}, right of it {second}."
                if blend == SWIPE
                else f"Checkerboard of {first} and {second}, {scene.checker_mm:g} mm squares."
            )
        factors = [
            self.windows[r][c].extent[0] / window.extent[0]
            for r, (windows, _) in enumerate(self.insets)
            for c, window in enumerate(windows)
            if window is not None
        ]
        if factors:
            span = f"{min(factors):.1f}", f"{max(factors):.1f}"
            notes.append(f"Yellow boxes are magnified {' to '.join(dict.fromkeys(span))} times.")
        if min(self.widths) < _NARROW_IN:
            notes.append("Intensities are in the scan's units.")
        if scene.tilt_degrees:
            tilt = f"(oblique {scene.tilt_degrees:.0f}°)"
            notes.append(f"Planes along the scan's own axes {tilt}; positions of the scanner.")
        if any(panel.plane != SAGITTAL for panel in panels):
            notes.append(RADIOLOGICAL if scene.radiological else NEUROLOGICAL)
        return [*notes, f"{RESEARCH_USE.capitalize()}."]


def _window(scene: Scene, panel: PanelView) -> _PlaneWindow:
    """Return the window of a plane: as on screen, without parts that no volume covers."""
    extents = [
        image.cut.extent
        for row in scene.panels
        for other in row
        if other.plane == panel.plane
        for image in other.pictures
        if image.cut is not None
    ]
    half = scene.span_mm / 2
    ends = []
    for axis, middle in enumerate(panel.center):
        low, high = middle - half, middle + half
        if extents:
            low = max(low, min(extent[2 * axis] for extent in extents))
            high = min(high, max(extent[2 * axis + 1] for extent in extents))
        if high - low < 0.1 * half:  # the view is panned away from the volumes
            low, high = middle - half, middle + half
        ends.append((low, high))
    (left, right), (bottom, top) = ends
    return _PlaneWindow(((left + right) / 2, (bottom + top) / 2), (right - left, top - bottom))


def _plane_text(panel: PanelView, inches: float) -> str:
    """Return the plane and its position, or its name alone if there is little room."""
    if inches < _LOW_ROW_IN:
        return panel.plane.name
    return f"{panel.plane.name}, {panel.place}" if panel.place else panel.plane.name


def _letters(inches: float, size: float) -> int:
    """Return the number of letters of a size (points) that fit."""
    return max(6, int(inches * 72 / (size * 0.6)))


def _shortened(text: str, letters: int) -> str:
    """Return both ends of a long name, which tell it from others."""
    if len(text) <= letters:
        return text
    half = max(1, (letters - 1) // 2)
    return f"{text[:half]}…{text[-half:]}"


def _packed(sentences: Sequence[str], letters: int) -> list[str]:
    """Return lines of whole sentences; a sentence longer than a line is wrapped."""
    lines: list[str] = []
    for sentence in sentences:
        if lines and len(lines[-1]) + 1 + len(sentence) <= letters:
            lines[-1] += f" {sentence}"
        else:
            lines += textwrap.wrap(sentence, letters)
    return lines


def _extend(images: Sequence[PanelImage], colors: Colors) -> str:
    """Return the ends of a color bar that values lie beyond."""
    low, high = colors.norm.vmin or 0.0, colors.norm.vmax or 0.0
    cuts = [image.cut.values for image in images if image.cut is not None]
    cuts = [cut for cut in cuts if np.isfinite(cut).any()]
    below = any(np.nanmin(cut) < low for cut in cuts)
    above = any(np.nanmax(cut) > high for cut in cuts)
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
