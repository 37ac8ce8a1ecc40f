"""Scenes of the reading room whose pixels can be told beforehand."""

from __future__ import annotations

import numpy as np

from napari_mrisr.comparison.scene import Outline, PanelImage, PanelView, Scene
from napari_mrisr.comparison.slices import Slice
from napari_mrisr.comparison.state import Display
from napari_mrisr.core.frames import AXIAL, CORONAL, PLANES, SAGITTAL, Plane

__all__ = ["AXIAL", "CORONAL", "PLANES", "SAGITTAL", "cut", "picture", "scene", "view"]


def cut(
    shape: tuple[int, int] = (40, 60),
    step: tuple[float, float] = (1.0, 1.0),
    origin: tuple[float, float] | None = None,
    value: float = 0.2,
    bright: tuple[float, float] | None = None,
) -> Slice:
    """A constant cut around (0, 0) mm, with 1.0 in the voxel at ``bright`` (across, upward)."""
    upward, across = shape
    left, bottom = origin or (-across * step[0] / 2, -upward * step[1] / 2)
    values = np.full(shape, value, np.float32)
    if bright is not None:
        column, row = (bright[0] - left) / step[0], (bright[1] - bottom) / step[1]
        values[int(row), int(column)] = 1.0
    return Slice(values, (left, bottom), step)


def picture(of: Slice | None, look: Display | None = None, kind: str = "volume") -> PanelImage:
    """A cut in gray from 0 to 1, or as told."""
    return PanelImage(of, look or Display(), kind)


def view(
    *pictures: PanelImage,
    plane: Plane = AXIAL,
    title: str = "",
    column: int = 0,
    blend: str = "",
    crosshair: tuple[float, float] = (0.0, 0.0),
    center: tuple[float, float] = (0.0, 0.0),
    outlines: tuple[Outline, ...] = (),
) -> PanelView:
    """A panel."""
    return PanelView(plane, title, column, pictures, blend, crosshair, center, outlines)


def scene(
    *rows: tuple[PanelView, ...],
    span_mm: float = 40.0,
    radiological: bool = True,
    smooth: bool = False,
    swipe: float = 0.5,
    checker_mm: float = 10.0,
    crosshair_shown: bool = False,
) -> Scene:
    """Panels; without the crosshair, unless told."""
    return Scene(rows, span_mm, radiological, smooth, swipe, checker_mm, crosshair_shown)
