"""One figure of a result without a truth: beside tricubic, and its trust maps."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_mrisr.core.frames import PLANES
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Region, Volume
from napari_mrisr.figures.page import RADIOLOGICAL
from napari_mrisr.figures.planes import (
    Shade,
    annotate,
    box_mm,
    draw_cut,
    head_center,
    image_range,
    page_of,
    panel_title,
    plane_cuts,
    plane_frames,
    row_name,
)
from napari_mrisr.methods import get_method
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.trust import TrustMaps

_ERROR_PERCENTILE = 99.5
_DPI = 200

SUPPORT_NAMES = ("enough", "few samples", "outside training", "both")
SUPPORT_COLORS = ("#20242b", "#e69f00", "#56b4e9", "#d55e00")

Cuts = list[NDArray[np.float32]]


def trust_figure(lr: Volume, result: Volume, maps: TrustMaps, scale: Scale) -> Figure:
    """Draw three planes of a result and what is known of its errors.

    Parameters
    ----------
    lr, result : Volume
        In the scan's intensities.
    maps : TrustMaps
    scale : tuple of int
        From ``lr`` to ``result``.

    Returns
    -------
    Figure
        Rows axial, sagittal, coronal through the middle of the head; columns
        tricubic, result, expected error (where there is one), support,
        consistency; each with a color bar in the scan's intensities.
    """
    mask = head_mask(result.data)
    position = head_center(mask)
    size = result.grid.voxel_size
    frames = plane_frames(box_mm(mask, size))
    gray = Shade("gray", image_range(result, mask), "black")
    panels: list[tuple[str, str, Cuts, Shade, tuple[float, float, float]]] = [
        ("tricubic", "", tricubic_cuts(lr, scale, position), gray, size),
        ("result", "", plane_cuts(result.data, position), gray, size),
    ]
    if maps.expected_error is not None:
        error = maps.expected_error.data
        high = float(np.percentile(error[mask] if mask.any() else error, _ERROR_PERCENTILE))
        shade = Shade("magma", Normalize(0.0, high if high > 0 else 1.0), "black")
        panels.append(("expected error", "RMSE", plane_cuts(error, position), shade, size))
    levels = BoundaryNorm(np.arange(-0.5, 4.5), 4)
    colors = ListedColormap(SUPPORT_COLORS)
    shade = Shade(colors, levels, SUPPORT_COLORS[0])
    panels.append(("support", "", plane_cuts(maps.support.data, position), shade, size))
    x, y, z = (p // s for p, s in zip(position, scale, strict=True))
    left = plane_cuts(maps.consistency.data, (x, y, z))
    limit = float(np.percentile(np.abs(maps.consistency.data), _ERROR_PERCENTILE)) or 1.0
    shade = Shade("RdBu_r", Normalize(-limit, limit), "#f7f7f7")
    caption = "degraded − measured"
    panels.append(("consistency", caption, left, shade, maps.consistency.grid.voxel_size))
    page = page_of(frames, len(panels), False, 2)
    for column, (label, caption, cuts, shade, voxel) in enumerate(panels):
        for row, plane in enumerate(PLANES):
            axes = page.panel(row, column)
            draw_cut(axes, plane, cuts[row], voxel, frames[row], shade)
            if column == 0:
                name = row_name(result, plane, position, page.height_in(row))
                annotate(axes, plane, name)
        panel_title(page.panel(0, column), label, caption)
    page.bar(gray.mappable(), "intensity (scan's units)", page.below(0, 2), "max")
    for column, (label, _, _, shade, _) in enumerate(panels[2:], start=2):
        place = page.below(column, column + 1)
        if label == "support":
            _legend(page.figure, page.width, page.height, place)
            continue
        text = "RMSE (scan's units)" if label == "expected error" else "difference (scan's units)"
        page.bar(_mappable(shade), text, place, "max" if label == "expected error" else "both")
    page.words("", [f"{RADIOLOGICAL} {RESEARCH_USE.capitalize()}."])
    return page.figure


def tricubic_cuts(lr: Volume, scale: Scale, position: tuple[int, int, int]) -> Cuts:
    """The three planes of tricubic interpolation, which is computed in them alone."""
    method, unit = get_method("tricubic", scale), lr.normalized()
    shape = lr.grid.upsampled(scale).shape
    x, y, z = position
    boxes = (
        Region((0, 0, z), (shape[0], shape[1], z + 1)),
        Region((x, 0, 0), (x + 1, shape[1], shape[2])),
        Region((0, y, 0), (shape[0], y + 1, shape[2])),
    )
    cuts: Cuts = []
    for box, axis in zip(boxes, (2, 0, 1), strict=True):
        values: FloatArray = unit.window.from_unit(method.compute(unit, box))
        cuts.append(np.squeeze(values, axis=axis))
    return cuts


def png_of(figure: Figure) -> bytes:
    """A figure as PNG, without metadata but the notice."""
    out = io.BytesIO()
    metadata = {"Software": "napari-mrisr", "Description": RESEARCH_USE}
    figure.savefig(out, dpi=_DPI, format="png", metadata=metadata, facecolor="w")
    return out.getvalue()


def _mappable(shade: Shade) -> ScalarMappable:
    return ScalarMappable(shade.norm, shade.colors)


def _legend(figure: Figure, width: float, height: float, place: tuple[float, float]) -> None:
    """The support map's colors, one below the other."""
    left, _ = place
    for line, (name, color) in enumerate(zip(SUPPORT_NAMES, SUPPORT_COLORS, strict=True)):
        y = (0.50 - 0.085 * line) / height
        figure.text((left + 0.1) / width, y, "■", color=color, fontsize=6.5, va="center")
        figure.text((left + 0.22) / width, y, name, fontsize=6, va="center")
