"""A comparison with nothing at its default, of volumes with a patient's name."""

from __future__ import annotations

from dataclasses import replace

from napari_mrisr.comparison.state import CompareState, Difference, Display, RoiBox

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
)
