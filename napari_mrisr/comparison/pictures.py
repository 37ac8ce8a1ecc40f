"""One panel's images in matplotlib: looks, the swipe's curtain, the checkerboard."""

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

INSET = "#ffd640"
REGION, REGION_ON_WHITE = "#40e6ff", "#00708a"
_SIZE = SMALL - 0.5
_SMALLEST_MM = 0.5  # what is left of a region that the plane just touches is not drawn
_MOST_FIELDS = 200  # along an axis, of a checkerboard


@dataclass(frozen=True)
class Colors:
    """Values to colors: a look's map, and its limits with gamma."""

    colormap: Colormap
    norm: Normalize

    @classmethod
    def of(cls, look: Display, colormaps: Mapping[str, NDArray[np.float64]]) -> Colors:
        """``colormaps`` has those that matplotlib does not know by name."""
        low, high = look.limits
        high = high if high > low else low + 1.0
        norm = Normalize(low, high) if look.gamma == 1 else PowerNorm(look.gamma, low, high)
        return cls(_colormap(look.colormap, colormaps), norm)

    def mappable(self) -> ScalarMappable:
        """For a color bar."""
        return ScalarMappable(self.norm, self.colormap)


def _colormap(name: str, colormaps: Mapping[str, NDArray[np.float64]]) -> Colormap:
    if name in colormaps:
        return ListedColormap(colormaps[name])
    if name in mpl.colormaps:
        return mpl.colormaps[name]
    if is_color_like(name):  # napari's "green" goes from black to green
        return LinearSegmentedColormap.from_list(name, ["black", name])
    return mpl.colormaps["gray"]


def draw_pictures(
    axes: Axes,
    panel: PanelView,
    scene: Scene,
    colormaps: Mapping[str, NDArray[np.float64]],
    across: tuple[float, float],
) -> None:
    """Images of a panel that shows the range ``across`` (left, right), frame mm."""
    colors = [Colors.of(picture.look, colormaps) for picture in panel.pictures]
    first = panel.pictures[0]
    middle = 0.5 if first.kind == "signed" else 0.0
    axes.set_facecolor(colors[0].colormap(middle) if first.kind != "volume" else "black")
    for which, (picture, color) in enumerate(zip(panel.pictures, colors, strict=True)):
        if picture.cut is None:
            continue
        image = axes.imshow(
            picture.cut.values,
            cmap=color.colormap,
            norm=color.norm,
            origin="lower",
            extent=picture.cut.extent,
            interpolation="bilinear" if scene.smooth else "nearest",
            aspect="auto",
        )
        if panel.blend == SWIPE:
            left, width = (scene.swipe, 1 - scene.swipe) if which else (0.0, scene.swipe)
            image.set_clip_path(Rectangle((left, 0), width, 1, transform=axes.transAxes))
        elif panel.blend == CHECKERBOARD:
            image.set_clip_path(
                _fields(picture.cut.extent, scene.checker_mm, which), axes.transData
            )
    if panel.blend == SWIPE:
        x = across[0] + scene.swipe * (across[1] - across[0])
        axes.axvline(x, color=INSET, linewidth=0.8)


def ink_on(panel: PanelView) -> str:
    """White on dark pictures, black on a signed difference, which is white at zero."""
    return "black" if panel.pictures[0].kind == "signed" else "w"


def mark_regions(axes: Axes, panel: PanelView, named: bool) -> None:
    """Draw the borders of regions; names where no other name is, above or below."""
    ink = ink_on(panel)
    color = REGION if ink == "w" else REGION_ON_WHITE
    taken: list[Bbox] = []
    for line in panel.outlines:
        low, high = line.points.min(axis=0), line.points.max(axis=0)
        if (high - low).min() < _SMALLEST_MM:
            continue
        axes.plot(*line.points.T, color=color, linewidth=0.8, path_effects=stroke(ink, 1.6))
        if named:
            _name(axes, line.name, (low, high), taken, color, ink)


def _name(
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
    for y, off, side in ((high[1], 1.5, "bottom"), (low[1], -1.5, "top")):
        x, at = axes.transData.transform((middle, y))
        at += off * point - (height if side == "top" else 0)
        box = Bbox.from_extents(x - half, at, x + half, at + height)
        if not any(box.overlaps(other) for other in taken):
            break
    taken.append(box)
    axes.annotate(
        name, (middle, y), xytext=(0, off), textcoords="offset points", ha="center", va=side,
        fontsize=_SIZE, color=color, path_effects=stroke(ink), annotation_clip=True,
    )  # fmt: skip


def _fields(extent: tuple[float, float, float, float], edge_mm: float, parity: int) -> Path:
    """A checkerboard's fields of one color, frame mm.

    As on screen: a field's number is that of the multiples of its edge below it,
    across plus upward; the even ones have parity 0.
    """
    left, right, bottom, top = extent
    edge = max(edge_mm, (right - left) / _MOST_FIELDS, (top - bottom) / _MOST_FIELDS)
    fields = [
        Path([(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1), (i, j)])
        for i in range(int(np.floor(left / edge)), int(np.ceil(right / edge)))
        for j in range(int(np.floor(bottom / edge)), int(np.ceil(top / edge)))
        if (i + j) % 2 == parity
    ]
    return Path.make_compound_path(*fields).transformed(Affine2D().scale(edge))
