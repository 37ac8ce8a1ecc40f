"""Pixels and the slices that they show."""

from __future__ import annotations

import numpy as np
from helpers.scenes import cut, picture, scene, view

from napari_mrisr.viewer.compare.canvas.layout import Layout, Rect
from napari_mrisr.viewer.compare.canvas.patches import covered, fields, patches_of

LAYOUT = Layout(width=300, height=124, rows=1, columns=1, header=24, gap=2)


def test_a_cut_covers_its_extent_within_the_panel() -> None:
    place = LAYOUT.place(scene((view(),), span_mm=50.0), 0, 0)
    # 2 pixels a mm, panel's middle at (150, 74); across grows to the left.
    small = cut((10, 20), (1.0, 2.0), origin=(3.0, -8.0))
    assert covered(small, place) == Rect(104.0, 50.0, 144.0, 90.0)
    assert covered(cut((100, 400)), place) == Rect(0, 24, 300, 124)
    away = covered(cut((5, 5), origin=(900.0, 0.0)), place)
    assert away.width <= 0


def test_no_patch_without_pixels() -> None:
    away = cut((5, 5), origin=(900.0, 0.0))
    assert patches_of(scene((view(picture(None), picture(away)),)), LAYOUT) == []
    both = view(picture(cut()), picture(cut()), blend="swipe")
    assert len(patches_of(scene((both,), swipe=0.0), LAYOUT)) == 1


def test_fields_tile_the_panel_once() -> None:
    place = LAYOUT.place(scene((view(center=(3.3, 1.7)),), span_mm=50.0), 0, 0)
    shown = Rect(10.0, 30.0, 250.0, 110.0)
    count = np.zeros((124, 300), int)
    for parity in (0, 1):
        for left, top, right, bottom in fields(shown, place, 7.0, parity):
            x, y = np.arange(300) + 0.5, np.arange(124) + 0.5
            inside = ((y >= top) & (y < bottom))[:, None] & (x >= left) & (x < right)
            across, upward = place.to_mm(x, y)
            number = np.floor(across / 7.0)[None, :] + np.floor(upward / 7.0)[:, None]
            assert (number[inside] % 2 == parity).all()
            count += inside
    assert (count[30:110, 10:250] == 1).all()
    assert count.sum() == 80 * 240


def test_tiny_fields_stay_visible() -> None:
    place = LAYOUT.place(scene((view(),), span_mm=50.0), 0, 0)
    rects = fields(place.rect, place, 1e-6, 0)
    assert len(rects) <= 300 * 100 / 36
