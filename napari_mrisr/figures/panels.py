"""One panel of a figure: images, swipe and checkerboard, regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import (
    Colormap,
    LinearSegmentedColormap,
    ListedColormap,
    Normalize,
    PowerNorm,
    is_color_like,
)
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Bbox
from numpy.typing import NDArray

from napari_mrisr.comparison.scene import PanelView, Scene
from napari_mrisr.comparison.state import CHECKERBOARD, SWIPE, Display
from napari_mrisr.figures.page import SMALL, stroke

INSET_COLOR = "#ffd640"
_ON_DARK, _ON_LIGHT = "#40e6ff", "#00708a"  # colors of regions
_SIZE = SMALL - 0.5
_SMALLEST_MM = 0.5  # a region that the plane only touches is not drawn
_MAX_FIELDS = 200  # of a checkerboard, along an axis

ColorTables = Mapping[str, NDArray[np.float64]]
"""Colors from 0 to 1, shape (n, 3 or 4), of colormaps that matplotlib does not know."""


@dataclass(frozen=True)
class Colors:
    """Colormap and limits of an image."""

    colormap: Colormap
    norm: Normalize

    @classmethod
    def of(cls, look: Display, tables: ColorTables) -> Colors:
        """Return the colors of a look; ``tables`` has those unknown to matplotlib."""
        low, high = look.limits
        high = high if high > low else low + 1.0
        norm = Normalize(low, high) if look.gamma == 1 else PowerNorm(look.gamma, low, high)
        return cls(_colormap(look.colormap, tables), norm)

    def mappable(self) -> ScalarMappable:
        """Return the mappable of a color bar."""
        return ScalarMappable(self.norm, self.colormap)

    @property
    def background(self) -> tuple[float, float, float, float]:
        """Color of zero if the limits are symmetric, else of the lowest value."""
        middle = self.norm.vmin == -(self.norm.vmax or 0.0)
        red, green, blue, alpha = self.colormap(0.5 if middle else 0.0)
        return red, green, blue, alpha

    @property
    def ink(self) -> str:
        """White on a dark background, black on a light one."""
        return "w" if sum(self.background[:3]) < 1.5 else "black"


def _colormap(name: str, tables: ColorTables) -> Colormap:
    if name in tables:
        return ListedColormap(tables[name])
    if name in mpl.colormaps:
        return mpl.colormaps[name]
    if is_color_like(name):  # napari's "green" goes from black to green
        return LinearSegmentedColormap.from_list(name, ["black", name])
    return mpl.colormaps["gray"]


def draw_images(
    axes: Axes, panel: PanelView, scene: Scene, tables: ColorTables, across: tuple[float, float]
) -> None:
    """Draw the images of a panel.

    Parameters
    ----------
    axes : Axes
        Axes of the panel.
    panel : PanelView
        Images to draw.
    scene : Scene
        Swipe position, checkerboard and interpolation.
    tables : mapping of str to (n, 3 or 4) ndarray
        See :data:`ColorTables`.
    across : (left, right)
        Range that the panel shows, frame mm.
    """
    colors = [Colors.of(image.look, tables) for image in panel.pictures]
    axes.set_facecolor(colors[0].background)
    for which, (image, color) in enumerate(zip(panel.pictures, colors, strict=True)):
        if image.cut is None:
            continue
        drawn = axes.imshow(
            image.cut.values,
            cmap=color.colormap,
            norm=color.norm,
            origin="lower",
            extent=image.cut.extent,
            interpolation="bilinear" if scene.smooth else "nearest",
            aspect="auto",
        )
        if panel.blend == SWIPE:
            left, width = (scene.swipe, 1 - scene.swipe) if which else (0.0, scene.swipe)
            drawn.set_clip_path(Rectangle((left, 0), width, 1, transform=axes.transAxes))
        elif panel.blend == CHECKERBOARD:
            fields = _checkerboard(image.cut.extent, scene.checker_mm, which)
            drawn.set_clip_path(fields, axes.transData)
    over = panel.over
    if over is not None and over.cut is not None:
        color, shown = Colors.of(over.look, tables), over.cut.values
        axes.imshow(
            np.ma.masked_where(~(shown >= over.lowest), shown),
            cmap=color.colormap,
            norm=color.norm,
            origin="lower",
            extent=over.cut.extent,
            interpolation="nearest",
            aspect="auto",
            alpha=over.opacity,
        )
    if panel.blend == SWIPE:
        x = across[0] + scene.swipe * (across[1] - across[0])
        axes.axvline(x, color=INSET_COLOR, linewidth=0.8)


def _checkerboard(extent: tuple[float, float, float, float], edge_mm: float, parity: int) -> Path:
    """Return the squares of one parity, frame mm, where the canvas draws them too."""
    left, right, bottom, top = extent
    edge = max(edge_mm, (right - left) / _MAX_FIELDS, (top - bottom) / _MAX_FIELDS)
    squares = [
        Path([(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1), (i, j)])
        for i in range(int(np.floor(left / edge)), int(np.ceil(right / edge)))
        for j in range(int(np.floor(bottom / edge)), int(np.ceil(top / edge)))
        if (i + j) % 2 == parity
    ]
    return Path.make_compound_path(*squares).transformed(Affine2D().scale(edge))


def ink_of(panel: PanelView, tables: ColorTables) -> str:
    """Return the color of text and lines that can be read on a panel."""
    return Colors.of(panel.pictures[0].look, tables).ink


def draw_regions(axes: Axes, panel: PanelView, ink: str, named: bool) -> None:
    """Draw the borders of regions, with names where there is room, and lengths and angles."""
    color = _ON_DARK if ink == "w" else _ON_LIGHT
    taken: list[Bbox] = []
    for line in panel.outlines:
        low, high = line.points.min(axis=0), line.points.max(axis=0)
        if (high - low).min() < _SMALLEST_MM:
            continue
        axes.plot(*line.points.T, color=color, linewidth=0.8, path_effects=stroke(ink, 1.6))
        if named:
            _write_name(axes, line.name, (low, high), taken, color, ink)
    for measured in panel.lines:
        low, high = measured.points.min(axis=0), measured.points.max(axis=0)
        axes.plot(
            *measured.points.T, color=INSET_COLOR, linewidth=0.8, path_effects=stroke(ink, 1.6)
        )
        _write_name(axes, measured.text, (low, high), taken, INSET_COLOR, ink)


def _write_name(
    axes: Axes,
    name: str,
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    taken: list[Bbox],
    color: str,
    ink: str,
) -> None:
    low, high = ends
    middle = (low[0] + high[0]) / 2
    point = axes.figure.dpi / 72
    half, height = len(name) * _SIZE * 0.3 * point, _SIZE * 1.2 * point
    for y, offset, side in ((high[1], 1.5, "bottom"), (low[1], -1.5, "top")):
        x, bottom = axes.transData.transform((middle, y))
        bottom += offset * point - (height if side == "top" else 0)
        box = Bbox.from_extents(x - half, bottom, x + half, bottom + height)
        if not any(box.overlaps(other) for other in taken):
            break
    taken.append(box)
    axes.annotate(
        name, (middle, y), xytext=(0, offset), textcoords="offset points", ha="center", va=side,
        fontsize=_SIZE, color=color, path_effects=stroke(ink), annotation_clip=True,
    )  # fmt: skip
