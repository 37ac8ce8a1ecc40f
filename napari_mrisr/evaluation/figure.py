"""One figure that compares volumes: three planes, images and signed differences."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from napari_mrisr.core.frames import PLANES
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.figures.page import (
    LINE_CHARACTERS,
    RADIOLOGICAL,
    check_figure_path,
    save_figure,
)
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
from napari_mrisr.scan.masks import head_mask

__all__ = ["check_figure_path", "comparison_figure", "save_figure"]

_DIFFERENCE_PERCENTILE = 99.0


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
