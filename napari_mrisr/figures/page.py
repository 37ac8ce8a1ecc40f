"""A page of panels placed in inches, so that nothing overlaps, and its file.

It uses matplotlib's object interface: no display and no global state.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from napari_mrisr.core.frames import Letters
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.errors import OutputError, explain
from napari_mrisr.io.atomic import atomic_write, write_error

FIGURE_SUFFIXES = (".png", ".pdf", ".svg", ".tif", ".tiff")
RADIOLOGICAL = "Radiological convention: the patient's right is on the image's left."
NEUROLOGICAL = "Neurological convention: the patient's right is on the image's right."

WIDTH_IN = 7.2  # two columns of a journal
DPI = 300
SMALL, MEDIUM = 6.5, 8.0
GAP_IN = 0.04
LEFT_IN, RIGHT_IN, BOTTOM_IN = 0.2, 0.04, 0.5
TITLE_IN = 0.16
LINE_IN, LINE_CHARACTERS = 0.11, 130
_PAPER_IN, _PAPER_MARGIN_IN, _PAPER_LINE_IN, _PAPER_CHARACTERS = (8.27, 11.69), 0.8, 0.17, 98
_SCALE_BARS_MM = (1, 2, 5, 10, 20, 50, 100)
_LEGEND_LINE_IN = 0.092
_BORDER = {"w": "black", "black": "w"}


class Page:
    """A figure with panels in columns and rows, in inches.

    Parameters
    ----------
    widths, heights : sequence of float
        Sizes of the columns and rows.
    top, bottom : float
        Margins.
    min_width : float
        Panels narrower than that are centered on the page.
    """

    def __init__(
        self,
        widths: Sequence[float],
        heights: Sequence[float],
        top: float,
        bottom: float,
        min_width: float = 0.0,
    ) -> None:
        self._widths, self._heights = list(widths), list(heights)
        inner = sum(widths) + GAP_IN * (len(widths) - 1)
        self.width = max(LEFT_IN + inner + RIGHT_IN, min_width)
        self._left = LEFT_IN + (self.width - LEFT_IN - inner - RIGHT_IN) / 2
        self.height = top + sum(heights) + GAP_IN * (len(heights) - 1) + bottom
        self._top, self._bottom = top, bottom
        self.figure = Figure(figsize=(self.width, self.height), dpi=DPI)
        FigureCanvasAgg(self.figure)
        self._panels: dict[tuple[int, int], Axes] = {}

    def panel(self, row: int, column: int) -> Axes:
        """Return the axes of a panel, made on first use."""
        if (row, column) not in self._panels:
            above = sum(self._heights[: row + 1]) + GAP_IN * row
            bottom = self.height - self._top - above
            left, width = self._edge(column), self._widths[column]
            axes = self._axes(left, bottom, width, self._heights[row])
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set(linewidth=0.4, color="0.5")
            self._panels[row, column] = axes
        return self._panels[row, column]

    def below(self, first: int, last: int) -> tuple[float, float]:
        """Return left edge and width of the columns ``first`` to ``last`` (exclusive), inches."""
        left = self._edge(first)
        return left, self._edge(last) - GAP_IN - left

    def bar(
        self, colors: ScalarMappable, label: str, place: tuple[float, float], extend: str = "both"
    ) -> None:
        """Draw a color bar below the panels, within a left edge and width in inches.

        ``extend`` names the ends with an arrow for values beyond: ``neither``, ``min``,
        ``max`` or ``both``.
        """
        left, span = place
        length = min(span, 2.0)
        axes = self._axes(left + (span - length) / 2, self._bottom - 0.14, length, 0.07)
        bar = self.figure.colorbar(colors, cax=axes, orientation="horizontal", extend=extend)
        bar.set_label(label, fontsize=SMALL, labelpad=1)
        bar.ax.tick_params(labelsize=SMALL, length=2, width=0.5, pad=1)
        bar.outline.set_linewidth(0.5)
        bar.ax.locator_params(nbins=5 if length > 1.2 else 3)

    def legend(
        self, names: Sequence[str], colors: Sequence[Any], place: tuple[float, float]
    ) -> None:
        """Draw a legend below the panels, one line per name, at a left edge in inches."""
        left, _ = place
        for line, (name, color) in enumerate(zip(names, colors, strict=True)):
            y = (self._bottom - 0.1 - _LEGEND_LINE_IN * line) / self.height
            for text, x, ink in (("■", left + 0.1, color), (name, left + 0.22, "black")):
                self.figure.text(x / self.width, y, text, color=ink, fontsize=SMALL, va="center")

    def write(self, title: str, footnotes: Sequence[str]) -> None:
        """Write a title, and footnotes one per line."""
        if title:
            y = 1.0 - 0.06 / self.height
            self.figure.text(0.5, y, title, ha="center", va="top", fontsize=MEDIUM)
        text = "\n".join(footnotes)
        y = 0.05 / self.height
        self.figure.text(0.5, y, text, ha="center", va="bottom", fontsize=SMALL, color="0.3")

    def _edge(self, column: int) -> float:
        return self._left + sum(self._widths[:column]) + GAP_IN * column

    def _axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)


def text_pages(sections: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Figure]:
    """Yield A4 pages of sections: a bold heading, then paragraphs, wrapped."""
    lines: list[tuple[str, str]] = []
    for heading, paragraphs in sections:
        lines += [("", "normal"), (heading, "bold")]
        for text in paragraphs:
            lines += [(part, "normal") for part in textwrap.wrap(text, _PAPER_CHARACTERS)]
    width, height = _PAPER_IN
    fitting = int((height - 2 * _PAPER_MARGIN_IN) / _PAPER_LINE_IN)
    for start in range(0, len(lines), fitting):
        figure = Figure(figsize=_PAPER_IN)
        FigureCanvasAgg(figure)
        for number, (text, weight) in enumerate(lines[start : start + fitting]):
            y = 1.0 - (_PAPER_MARGIN_IN + number * _PAPER_LINE_IN) / height
            figure.text(_PAPER_MARGIN_IN / width, y, text, fontsize=MEDIUM + 1, weight=weight)
        yield figure


def stroke(ink: str, width: float = 1.2) -> list[withStroke]:
    """Return a border that makes white or black ink readable on any background."""
    return [withStroke(linewidth=width, foreground=_BORDER[ink])]


def write_letters(axes: Axes, letters: Letters, ink: str = "w") -> None:
    """Write the patient's sides at the left, right, top and bottom of a panel."""
    places = ((0.03, 0.5), (0.97, 0.5), (0.5, 0.97), (0.5, 0.03))
    sides = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    for letter, (x, y), (ha, va) in zip(letters, places, sides, strict=True):
        axes.text(
            x, y, letter, ha=ha, va=va, fontsize=SMALL, color=ink,
            transform=axes.transAxes, path_effects=stroke(ink),
        )  # fmt: skip


def draw_scale_bar(axes: Axes, ink: str = "w") -> None:
    """Draw a bar of a round number of mm at the lower left, at most a quarter of the panel."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    width = abs(right - left)
    length = max((mm for mm in _SCALE_BARS_MM if mm <= width / 4), default=1)
    rightward = 1 if right > left else -1
    x = left + rightward * 0.04 * width
    y = bottom + 0.05 * (top - bottom)
    axes.plot(
        [x, x + rightward * length], [y, y], color=ink, linewidth=1.2, solid_capstyle="butt",
        path_effects=stroke(ink, 2.0),
    )  # fmt: skip
    axes.text(
        x, y + 0.02 * (top - bottom), f"{length} mm", color=ink, fontsize=SMALL - 1,
        ha="left", va="bottom", path_effects=stroke(ink),
    )  # fmt: skip


def check_figure_path(path: str | os.PathLike[str]) -> None:
    """Raise :class:`OutputError` if the suffix is no figure format."""
    suffix = Path(path).suffix.lower()
    if suffix not in FIGURE_SUFFIXES:
        found = f"{suffix or 'no suffix'!r} is no figure format"
        raise OutputError(explain(path, found, f"choose one of {', '.join(FIGURE_SUFFIXES)}"))


def export_settings() -> AbstractContextManager[None]:
    """Return matplotlib's settings for files; keep them until the file is closed."""
    # TrueType fonts, so that text can be searched and copied. Without a salt, an SVG's
    # internal names are random.
    return mpl.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "napari-mrisr"})


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = DPI) -> None:
    """Write a figure atomically, in the format of its suffix, over an existing file.

    The same figure gives the same bytes. Its metadata name the program and the
    notice, but no date, path or user.

    Raises
    ------
    OutputError
        If the suffix is unknown or the file cannot be written.
    """
    check_figure_path(path)
    suffix = Path(path).suffix.lower()
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Software": "napari-mrisr", "Description": RESEARCH_USE},
        ".pdf": {"Creator": "napari-mrisr", "Subject": RESEARCH_USE, "CreationDate": None},
        ".svg": {"Creator": "napari-mrisr", "Description": RESEARCH_USE, "Date": None},
    }
    try:
        with atomic_write(path) as temporary, export_settings():
            figure.savefig(
                temporary, dpi=dpi, format=suffix[1:], metadata=metadata.get(suffix), facecolor="w"
            )
    except OSError as error:
        raise write_error(path, error) from error
