"""Planes of volumes, drawn on a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from numpy.typing import NDArray

from napari_mrisr.core.frames import PLANES, Plane
from napari_mrisr.core.volume import Volume
from napari_mrisr.figures.page import (
    BOTTOM_IN,
    GAP_IN,
    LEFT_IN,
    LINE_IN,
    MEDIUM,
    RIGHT_IN,
    SMALL,
    TITLE_IN,
    TOP_IN,
    WIDTH_IN,
    Page,
    draw_scale_bar,
    write_letters,
)
from napari_mrisr.scan.masks import BoolArray

_MARGIN_MM = 4.0


_LOW_ROW_IN = 0.9


_ASIDE = 0.07  # of the head's width


_LOWEST = 0.25  # height of a row as a part of its panels' width


_IMAGE_PERCENTILE = 99.5


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
class PlaneBox:
    """The part of a plane that is shown, mm; the page's left has the highest position."""

    left: float
    width: float
    bottom: float
    height: float


def page_of(frames: list[PlaneBox], columns: int, title: bool, notes: int) -> Page:
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
    frame: PlaneBox,
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
    """Write a panel's title and a smaller caption below it."""
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


def plane_frames(box: NDArray[np.float64]) -> list[PlaneBox]:
    """What each plane's panels show: equally wide, and not too low to read."""
    extent = box[:, 1] - box[:, 0]
    width = float(max(extent[plane.across] for plane in PLANES))
    frames = []
    for plane in PLANES:
        height = max(float(extent[plane.upward]), _LOWEST * width)
        middle = box.mean(axis=1)
        left = float(middle[plane.across]) + width / 2
        frames.append(PlaneBox(left, width, float(middle[plane.upward]) - height / 2, height))
    return frames


def image_range(truth: Volume, mask: BoolArray) -> Normalize:
    """Return the gray range of a volume: 0 to a high percentile inside the mask."""
    inside = truth.data[mask] if mask.any() else truth.data
    low = min(0.0, float(truth.data.min()))
    high = float(np.percentile(inside, _IMAGE_PERCENTILE))
    return Normalize(low, high if high > low else low + 1.0)
