"""Compare scenes whose pixels are known, and a state with nothing at its default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from napari_mrisr.comparison.scene import Outline, PanelImage, PanelView, Scene
from napari_mrisr.comparison.slices import Slice
from napari_mrisr.comparison.state import (
    CompareState,
    Difference,
    Display,
    LineMeasurement,
    OverlayVolume,
    RoiBox,
)
from napari_mrisr.core.frames import AXIAL, CORONAL, PLANES, SAGITTAL, Plane

__all__ = [
    "AXIAL", "CORONAL", "KEYS", "PLANES", "ROI", "SAGITTAL", "STATE",
    "cut", "picture", "scene", "view",
]  # fmt: skip

KEYS = ("Jane Doe T1", "hashed of Jane Doe", "LR of Jane Doe")
ROI = RoiBox("pons", "ellipsoid", (1.5, -2.0, 3.25), (10.0, 12.0, 8.0))
STATE = CompareState(
    columns=KEYS[:2],
    differences=(Difference(KEYS[1], KEYS[0], absolute=True, limit=12.5),),
    truth=KEYS[0],
    measured=KEYS[2],
    looks={KEYS[0]: Display("gray", (5.0, 900.0), 0.8), "gone": Display()},
    one_window=False,
    crosshair=(1.0, 2.5, -3.0),
    center=(0.5, 0.25, 9.0),
    span_mm=123.0,
    mode="swipe",
    pair=(1, 0),
    swipe=0.3,
    flicker_hz=2.0,
    flicker_second=True,
    checker_mm=15.0,
    radiological=False,
    smooth=True,
    crosshair_shown=False,
    planes=("coronal", "axial"),
    maximized=("axial", 1),
    rois=(ROI,),
    inset=replace(ROI, name="inset", shape="box"),
    measurements=(
        LineMeasurement(((0.0, 1.0, 2.0), (3.0, 5.0, 2.0))),
        LineMeasurement(((0.0, 1.0, 2.0), (3.0, 5.0, 2.0), (1.0, 1.0, 2.0))),
    ),
    overlay=OverlayVolume(KEYS[1], Display("magma", (0.0, 3.0)), 0.25, 0.5),
    slab_mm=6.0,
    slab="mean",
    mosaic_step=3,
    axes=KEYS[2],
)


def cut(
    shape: tuple[int, int] = (40, 60),
    step: tuple[float, float] = (1.0, 1.0),
    origin: tuple[float, float] | None = None,
    value: float = 0.2,
    bright: tuple[float, float] | None = None,
) -> Slice:
    """Return a constant slice around (0, 0) mm, with 1.0 in the voxel at ``bright``, mm."""
    upward, across = shape
    left, bottom = origin or (-across * step[0] / 2, -upward * step[1] / 2)
    values = np.full(shape, value, np.float32)
    if bright is not None:
        column, row = (bright[0] - left) / step[0], (bright[1] - bottom) / step[1]
        values[int(row), int(column)] = 1.0
    return Slice(values, (left, bottom), step)


def picture(of: Slice | None, look: Display | None = None, kind: str = "volume") -> PanelImage:
    """Return a panel image of a slice, in gray from 0 to 1 by default."""
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
    **more: Any,
) -> PanelView:
    """Return one panel."""
    return PanelView(plane, title, column, pictures, blend, crosshair, center, outlines, **more)


def scene(
    *rows: tuple[PanelView, ...],
    span_mm: float = 40.0,
    radiological: bool = True,
    smooth: bool = False,
    swipe: float = 0.5,
    checker_mm: float = 10.0,
    crosshair_shown: bool = False,
) -> Scene:
    """Return a scene of panels, without the crosshair by default."""
    return Scene(rows, span_mm, radiological, smooth, swipe, checker_mm, crosshair_shown)
