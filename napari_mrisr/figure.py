"""One figure that compares volumes: three planes, images and signed differences."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.masks import BoolArray, head_mask
from napari_mrisr.page import (
    BOTTOM_IN,
    GAP_IN,
    LEFT_IN,
    LINE_CHARACTERS,
    LINE_IN,
    MEDIUM,
    RADIOLOGICAL,
    RIGHT_IN,
    SMALL,
    TITLE_IN,
    TOP_IN,
    WIDTH_IN,
    Page,
    check_figure_path,
    draw_scale_bar,
    save_figure,
    write_letters,
)
from napari_mrisr.planes import PLANES, Plane
from napari_mrisr.upscale import RESEARCH_USE
from napari_mrisr.volume import Volume

__all__ = ["check_figure_path", "comparison_figure", "save_figure"]

_MARGIN_MM = 4.0
_LOW_ROW_IN = 0.9
_ASIDE = 0.07  # of the head's width
_LOWEST = 0.25  # height of a row as a part of its panels' width
_IMAGE_PERCENTILE = 99.5
_DIFFERENCE_PERCENTILE = 99.0


@dataclass(frozen=True)
class Shade:
    """Colors for values: a color map, its range and the color of zero."""

    colors: str | Colormap
    norm: Normalize
    zero: str

    def mappable(self) -> ScalarMappable:
        """For a color bar."""
        return ScalarMappable(self.norm, self.colors)


@dataclass(frozen=True)
class Frame:
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
    position = position or head_center(mask)
    frames = plane_frames(box_mm(mask, truth.grid.voxel_size))
    images = {label: plane_cuts(volumes[label].data, position) for label in labels}
    differences = {
        label: [a - b for a, b in zip(images[label], images[labels[0]], strict=True)]
        for label in labels[1:]
    }
    closing = f"{RADIOLOGICAL} {RESEARCH_USE.capitalize()}."
    notes = [*textwrap.wrap(footnote.replace("σ ", "σ\u00a0"), LINE_CHARACTERS), closing]
    page = page_of(frames, 2 * len(labels) - 1, bool(title), len(notes))
    gray = Shade("gray", image_range(truth, mask), "black")
    signed = Shade("RdBu_r", _difference_range(differences.values()), "#f7f7f7")
    panels = [(label, images[label], gray) for label in labels]
    panels += [(f"{label} − {labels[0]}", cuts, signed) for label, cuts in differences.items()]
    for column, (label, cuts, shade) in enumerate(panels):
        for row, plane in enumerate(PLANES):
            axes = page.panel(row, column)
            draw_cut(axes, plane, cuts[row], truth.grid.voxel_size, frames[row], shade)
            if column == 0:
                annotate(axes, plane, row_name(truth, plane, position, page.height_in(row)))
        panel_title(page.panel(0, column), label, (captions or {}).get(label, ""))
    left, right = page.below(0, len(labels)), page.below(len(labels), len(panels))
    page.bar(gray.mappable(), "intensity (scan's units)", left, "max")
    page.bar(signed.mappable(), "difference (scan's units)", right)
    page.words(title, notes)
    return page.figure


def page_of(frames: list[Frame], columns: int, title: bool, notes: int) -> Page:
    """The page for equally wide frames, at one number of millimeters per inch."""
    width = (WIDTH_IN - LEFT_IN - RIGHT_IN - GAP_IN * (columns - 1)) / columns
    heights = [width * frame.height / frame.width for frame in frames]
    top = TOP_IN + (TITLE_IN if title else 0.0)
    return Page([width] * columns, heights, top, BOTTOM_IN + notes * LINE_IN)


def draw_cut(
    axes: Axes,
    plane: Plane,
    cut: NDArray[np.float32],
    voxel_size: tuple[float, float, float],
    frame: Frame,
    shade: Shade,
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


def row_name(truth: Volume, plane: Plane, position: tuple[int, int, int], height_in: float) -> str:
    """Name of the plane and where it cuts; the name alone on a low row."""
    if height_in < _LOW_ROW_IN:
        return plane.name
    where = round((truth.grid.affine @ [*position, 1.0])[plane.normal])
    return f"{plane.name}, {'xyz'[plane.normal]} = {where} mm".replace("-", "−")


def annotate(axes: Axes, plane: Plane, name: str) -> None:
    """Row name, orientation letters and scale bar, on the first column."""
    axes.set_ylabel(name, fontsize=SMALL, labelpad=3)
    write_letters(axes, plane.letters())
    draw_scale_bar(axes)


def panel_title(axes: Axes, label: str, caption: str) -> None:
    axes.set_title(label, fontsize=MEDIUM, pad=11)
    axes.text(
        0.5, 1.01, caption, ha="center", va="bottom", fontsize=SMALL, transform=axes.transAxes
    )


def plane_cuts(
    data: NDArray[np.float32], position: tuple[int, int, int]
) -> list[NDArray[np.float32]]:
    """The three planes, each indexed (across, upward)."""
    x, y, z = position
    return [data[:, :, z], data[x], data[:, y]]


def head_center(mask: BoolArray) -> tuple[int, int, int]:
    """Center of mass, moved aside from the midline, where there is little to see."""
    if not mask.any():
        x, y, z = (n // 2 for n in mask.shape)
        return x, y, z
    x, y, z = (round(float(index.mean())) for index in np.nonzero(mask))
    width = int(np.count_nonzero(mask.any(axis=(1, 2))))
    return min(x + round(_ASIDE * width), mask.shape[0] - 1), y, z


def box_mm(mask: BoolArray, voxel_size: tuple[float, float, float]) -> NDArray[np.float64]:
    """What to show of each axis, shape (3, 2), mm from the first voxel's edge."""
    box = np.empty((3, 2))
    for axis, (n, size) in enumerate(zip(mask.shape, voxel_size, strict=True)):
        used = np.nonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))[0]
        first, last = (used[0], used[-1] + 1) if used.size else (0, n)
        box[axis] = max(0.0, first * size - _MARGIN_MM), min(n * size, last * size + _MARGIN_MM)
    return box


def plane_frames(box: NDArray[np.float64]) -> list[Frame]:
    """What each plane's panels show: equally wide, and not too low to read."""
    extent = box[:, 1] - box[:, 0]
    width = float(max(extent[plane.across] for plane in PLANES))
    frames = []
    for plane in PLANES:
        height = max(float(extent[plane.upward]), _LOWEST * width)
        middle = box.mean(axis=1)
        left = float(middle[plane.across]) + width / 2
        frames.append(Frame(left, width, float(middle[plane.upward]) - height / 2, height))
    return frames


def image_range(truth: Volume, mask: BoolArray) -> Normalize:
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
