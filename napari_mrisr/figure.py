"""One figure that compares volumes: three planes, images and signed differences.

Drawn with matplotlib's object interface, without a display and without its
global state.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from napari_mrisr.errors import OutputError, ParameterError, explain
from napari_mrisr.io import atomic_write
from napari_mrisr.masks import BoolArray, head_mask
from napari_mrisr.planes import PLANES, Plane
from napari_mrisr.upscale import RESEARCH_USE
from napari_mrisr.volume import Volume

FIGURE_SUFFIXES = (".png", ".pdf", ".svg", ".tif", ".tiff")
CONVENTION = "Radiological convention: the patient's right is on the image's left."

_WIDTH_IN = 7.2  # two columns of a journal
_DPI = 300
_MARGIN_MM = 4.0
_SMALL, _MEDIUM = 6.5, 8.0
_GAP_IN = 0.04
_LEFT_IN, _RIGHT_IN, _TOP_IN, _BOTTOM_IN = 0.2, 0.04, 0.36, 0.5
_TITLE_IN = 0.16
_LOW_ROW_IN = 0.9
_LINE_IN, _LINE_CHARACTERS = 0.11, 140
_ASIDE = 0.07  # of the head's width
_LOWEST = 0.25  # height of a row as a part of its panels' width
_IMAGE_PERCENTILE = 99.5
_DIFFERENCE_PERCENTILE = 99.0
_SCALE_BARS_MM = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class _Shade:
    """Colors for values: a color map, its range and the color of zero."""

    colors: str
    norm: Normalize
    zero: str

    def mappable(self) -> ScalarMappable:
        """For a color bar."""
        return ScalarMappable(self.norm, self.colors)


@dataclass(frozen=True)
class _Frame:
    """The part of a plane that is shown, mm; the page's left has the highest position."""

    left: float
    width: float
    bottom: float
    height: float


def comparison_figure(
    volumes: Mapping[str, Volume],
    *,
    captions: Mapping[str, str] | None = None,
    position: tuple[int, int, int] | None = None,
    title: str = "",
    footnote: str = "",
) -> Figure:
    """Draw volumes beside the truth, and their signed differences from it.

    Parameters
    ----------
    volumes : mapping of str to Volume
        By label, the truth first. All on one grid, in one intensity unit.
    captions : mapping of str to str, optional
        Second line of a label's title, such as ``"30.1 dB"``.
    position : tuple of int, optional
        Voxel (x, y, z) through which the planes go; by default the center of
        mass of the head.
    title : str
        Above everything.
    footnote : str
        Below everything, before the convention and "not for diagnosis".

    Returns
    -------
    Figure
        Rows axial, sagittal, coronal; columns truth, the others, their
        differences. All panels have the same millimeters per inch.

    Raises
    ------
    ParameterError
        With fewer than two volumes, or volumes on different grids.
    """
    labels = list(volumes)
    _check_volumes(volumes)
    truth = volumes[labels[0]]
    mask = head_mask(truth.data)
    position = position or _center(mask)
    frames = _frames(_box_mm(mask, truth.grid.voxel_size))
    images = {label: _cuts(volumes[label].data, position) for label in labels}
    differences = {
        label: [a - b for a, b in zip(images[label], images[labels[0]], strict=True)]
        for label in labels[1:]
    }
    closing = f"{CONVENTION} {RESEARCH_USE.capitalize()}."
    notes = [*textwrap.wrap(footnote.replace("σ ", "σ\u00a0"), _LINE_CHARACTERS), closing]
    page = _Page.fit(frames, 2 * len(labels) - 1, bool(title), len(notes))
    gray = _Shade("gray", _image_range(truth, mask), "black")
    signed = _Shade("RdBu_r", _difference_range(differences.values()), "#f7f7f7")
    panels = [(label, images[label], gray) for label in labels]
    panels += [(f"{label} − {labels[0]}", cuts, signed) for label, cuts in differences.items()]
    for column, (label, cuts, shade) in enumerate(panels):
        for row, plane in enumerate(PLANES):
            axes = page.panel(row, column)
            _draw(axes, plane, cuts[row], truth.grid.voxel_size, frames[row], shade)
            if column == 0:
                _annotate(axes, plane, _row_name(truth, plane, position, page.height_in(row)))
        _head(page.panel(0, column), label, (captions or {}).get(label, ""))
    page.bars(gray, signed, len(labels))
    page.words(title, notes)
    return page.figure


def check_figure_path(path: str | os.PathLike[str]) -> None:
    """Raise :class:`OutputError` for a suffix that is no figure format."""
    suffix = Path(path).suffix.lower()
    if suffix not in FIGURE_SUFFIXES:
        found = f"{suffix or 'no suffix'!r} is no figure format"
        raise OutputError(explain(path, found, f"choose one of {', '.join(FIGURE_SUFFIXES)}"))


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = _DPI) -> None:
    """Write a figure atomically, in the format of its suffix; replaces a file.

    Raises
    ------
    OutputError
        For an unknown suffix or where the file cannot be written.
    """
    check_figure_path(path)
    suffix = Path(path).suffix.lower()
    # A fixed or absent date makes the same figure the same file.
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Software": "napari-mrisr", "Description": RESEARCH_USE},
        ".pdf": {"Creator": "napari-mrisr", "Subject": RESEARCH_USE, "CreationDate": None},
        ".svg": {"Creator": "napari-mrisr", "Description": RESEARCH_USE, "Date": None},
    }
    try:
        with atomic_write(path) as temporary:
            figure.savefig(
                temporary, dpi=dpi, format=suffix[1:], metadata=metadata.get(suffix), facecolor="w"
            )
    except OSError as error:
        found = f"cannot be written ({error.strerror or error})"
        raise OutputError(explain(path, found, "choose another folder")) from error


class _Page:
    """Where the panels lie, in inches; fixed sizes, so nothing overlaps."""

    def __init__(
        self, width: float, heights: Sequence[float], columns: int, top: float, bottom: float
    ) -> None:
        self.columns, self._width, self._heights = columns, width, list(heights)
        inner = sum(heights) + _GAP_IN * (len(heights) - 1)
        self.height = top + inner + bottom
        self._top, self._bottom = top, bottom
        self.figure = Figure(figsize=(_WIDTH_IN, self.height), dpi=_DPI)
        FigureCanvasAgg(self.figure)
        self._panels: dict[tuple[int, int], Axes] = {}

    @classmethod
    def fit(cls, frames: Sequence[_Frame], columns: int, title: bool, notes: int) -> _Page:
        """The page for equally wide frames, at one number of millimeters per inch."""
        room = _WIDTH_IN - _LEFT_IN - _RIGHT_IN - _GAP_IN * (columns - 1)
        width = room / columns
        heights = [width * frame.height / frame.width for frame in frames]
        top = _TOP_IN + (_TITLE_IN if title else 0.0)
        return cls(width, heights, columns, top, _BOTTOM_IN + notes * _LINE_IN)

    def height_in(self, row: int) -> float:
        """Height of a row's panels, inches."""
        return self._heights[row]

    def panel(self, row: int, column: int) -> Axes:
        """The axes of a panel, made on first use."""
        if (row, column) not in self._panels:
            left = _LEFT_IN + column * (self._width + _GAP_IN)
            above = sum(self._heights[: row + 1]) + _GAP_IN * row
            bottom = self.height - self._top - above
            self._panels[row, column] = self._axes(left, bottom, self._width, self._heights[row])
        return self._panels[row, column]

    def bars(self, gray: _Shade, signed: _Shade, images: int) -> None:
        """Color bars below the images and below the differences."""
        groups = ((gray, 0, images), (signed, images, self.columns))
        words = ("intensity (scan's units)", "difference (scan's units)")
        for (shade, first, last), label in zip(groups, words, strict=True):
            span = (last - first) * (self._width + _GAP_IN) - _GAP_IN
            left = _LEFT_IN + first * (self._width + _GAP_IN)
            length = min(span, 2.0)
            axes = self._axes(left + (span - length) / 2, self._bottom - 0.14, length, 0.07)
            # What is beyond the range has the color of the arrow.
            extend = "max" if shade is gray else "both"
            bar = self.figure.colorbar(
                shade.mappable(), cax=axes, orientation="horizontal", extend=extend
            )
            bar.set_label(label, fontsize=_SMALL, labelpad=1)
            bar.ax.tick_params(labelsize=_SMALL, length=2, width=0.5, pad=1)
            bar.outline.set_linewidth(0.5)
            bar.ax.locator_params(nbins=5)

    def words(self, title: str, footnotes: Sequence[str]) -> None:
        """Title, and footnotes one a line."""
        if title:
            y = 1.0 - 0.06 / self.height
            self.figure.text(0.5, y, title, ha="center", va="top", fontsize=_MEDIUM)
        text = "\n".join(footnotes)
        y = 0.05 / self.height
        self.figure.text(0.5, y, text, ha="center", va="bottom", fontsize=_SMALL, color="0.3")

    def _axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        box = (left / _WIDTH_IN, bottom / self.height, width / _WIDTH_IN, height / self.height)
        return self.figure.add_axes(box)


def _draw(
    axes: Axes,
    plane: Plane,
    cut: NDArray[np.float32],
    voxel_size: tuple[float, float, float],
    frame: _Frame,
    shade: _Shade,
) -> None:
    """Show a cut, indexed (across, upward), in millimeters."""
    width = cut.shape[0] * voxel_size[plane.across]
    height = cut.shape[1] * voxel_size[plane.upward]
    axes.set_facecolor(shade.zero)
    axes.imshow(
        cut.T,
        cmap=shade.colors,
        norm=shade.norm,
        origin="lower",
        extent=(0.0, width, 0.0, height),
        interpolation="nearest",
        aspect="auto",
    )
    axes.set_xlim(frame.left, frame.left - frame.width)
    axes.set_ylim(frame.bottom, frame.bottom + frame.height)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(linewidth=0.4, color="0.5")


def _row_name(truth: Volume, plane: Plane, position: tuple[int, int, int], height_in: float) -> str:
    """Name of the plane and where it cuts; the name alone on a low row."""
    if height_in < _LOW_ROW_IN:
        return plane.name
    where = round((truth.grid.affine @ [*position, 1.0])[plane.normal])
    return f"{plane.name}, {'xyz'[plane.normal]} = {where} mm".replace("-", "−")


def _annotate(axes: Axes, plane: Plane, name: str) -> None:
    """Row name, orientation letters and scale bar, on the first column."""
    axes.set_ylabel(name, fontsize=_SMALL, labelpad=3)
    places = ((0.03, 0.5), (0.97, 0.5), (0.5, 0.97), (0.5, 0.03))
    sides = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    outline = [withStroke(linewidth=1.2, foreground="black")]
    for letter, (x, y), (ha, va) in zip(plane.letters(), places, sides, strict=True):
        axes.text(
            x, y, letter, ha=ha, va=va, fontsize=_SMALL, color="w",
            transform=axes.transAxes, path_effects=outline,
        )  # fmt: skip
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    length = max((mm for mm in _SCALE_BARS_MM if mm <= (left - right) / 4), default=1)
    x = left - 0.04 * (left - right)
    y = bottom + 0.05 * (top - bottom)
    axes.plot([x, x - length], [y, y], color="w", linewidth=1.2, solid_capstyle="butt")
    axes.text(
        x, y + 0.02 * (top - bottom), f"{length} mm", color="w", fontsize=_SMALL - 1,
        ha="left", va="bottom", path_effects=outline,
    )  # fmt: skip


def _head(axes: Axes, label: str, caption: str) -> None:
    axes.set_title(label, fontsize=_MEDIUM, pad=11)
    axes.text(
        0.5, 1.01, caption, ha="center", va="bottom", fontsize=_SMALL, transform=axes.transAxes
    )


def _cuts(data: NDArray[np.float32], position: tuple[int, int, int]) -> list[NDArray[np.float32]]:
    """The three planes, each indexed (across, upward)."""
    x, y, z = position
    return [data[:, :, z], data[x], data[:, y]]


def _center(mask: BoolArray) -> tuple[int, int, int]:
    """Center of mass, moved aside from the midline, where there is little to see."""
    if not mask.any():
        x, y, z = (n // 2 for n in mask.shape)
        return x, y, z
    x, y, z = (round(float(index.mean())) for index in np.nonzero(mask))
    width = int(np.count_nonzero(mask.any(axis=(1, 2))))
    return min(x + round(_ASIDE * width), mask.shape[0] - 1), y, z


def _box_mm(mask: BoolArray, voxel_size: tuple[float, float, float]) -> NDArray[np.float64]:
    """What to show of each axis, shape (3, 2), mm from the first voxel's edge."""
    box = np.empty((3, 2))
    for axis, (n, size) in enumerate(zip(mask.shape, voxel_size, strict=True)):
        used = np.nonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))[0]
        first, last = (used[0], used[-1] + 1) if used.size else (0, n)
        box[axis] = max(0.0, first * size - _MARGIN_MM), min(n * size, last * size + _MARGIN_MM)
    return box


def _frames(box: NDArray[np.float64]) -> list[_Frame]:
    """What each plane's panels show: equally wide, and not too low to read."""
    extent = box[:, 1] - box[:, 0]
    width = float(max(extent[plane.across] for plane in PLANES))
    frames = []
    for plane in PLANES:
        height = max(float(extent[plane.upward]), _LOWEST * width)
        middle = box.mean(axis=1)
        left = float(middle[plane.across]) + width / 2
        frames.append(_Frame(left, width, float(middle[plane.upward]) - height / 2, height))
    return frames


def _image_range(truth: Volume, mask: BoolArray) -> Normalize:
    inside = truth.data[mask] if mask.any() else truth.data
    low = min(0.0, float(truth.data.min()))
    high = float(np.percentile(inside, _IMAGE_PERCENTILE))
    return Normalize(low, high if high > low else low + 1.0)


def _difference_range(cuts: Any) -> Normalize:
    """Symmetric, one for all differences shown, so that colors compare."""
    values = np.concatenate([np.abs(cut).ravel() for group in cuts for cut in group])
    values = values[values > 0]
    limit = float(np.percentile(values, _DIFFERENCE_PERCENTILE)) if values.size else 1.0
    return Normalize(-limit, limit)


def _check_volumes(volumes: Mapping[str, Volume]) -> None:
    if len(volumes) < 2:
        raise ParameterError(
            explain("figure", f"{len(volumes)} volumes", "give the truth and more")
        )
    first, *others = volumes.items()
    for label, volume in others:
        if volume.grid.shape != first[1].grid.shape:
            found = f"{label} of shape {volume.grid.shape}, {first[0]} of {first[1].grid.shape}"
            raise ParameterError(explain("figure", found, "bring all onto one grid"))
