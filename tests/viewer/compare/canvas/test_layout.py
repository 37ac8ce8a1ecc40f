"""Panels and millimeters, calculated by hand."""

from __future__ import annotations

import pytest
from helpers.scenes import AXIAL, SAGITTAL, cut, picture, scene, view

from napari_mrisr.viewer.compare.canvas.layout import Layout, Rect


def test_panels_have_one_size_and_a_gap() -> None:
    layout = Layout(width=1000, height=500, rows=2, columns=3, header=20, gap=2)
    # (1000 - 4) / 3 = 332; (500 - 20 - 2) / 2 = 239.
    assert layout.rect(0, 0) == Rect(0, 20, 332, 259)
    assert layout.rect(1, 2) == Rect(668, 261, 1000, 500)
    assert layout.panel_at(331.9, 20) == (0, 0)
    assert layout.panel_at(333, 100) is None
    assert layout.panel_at(334, 261) == (1, 1)
    assert layout.panel_at(10, 19) is None


def test_a_canvas_without_room_does_not_fail() -> None:
    layout = Layout.of(scene((view(picture(cut())),) * 6), 3, 3)
    rect = layout.rect(0, 5)
    assert (rect.width, rect.height) == (1, 1)
    assert Layout.of(scene(), 100, 100).panel_at(50, 50) is None


@pytest.mark.parametrize(
    ("plane", "radiological", "rightward"),
    [(AXIAL, True, -1), (AXIAL, False, 1), (SAGITTAL, True, -1), (SAGITTAL, False, -1)],
)
def test_the_shorter_side_shows_the_span(plane, radiological: bool, rightward: int) -> None:
    what = scene((view(plane=plane, center=(5.0, -7.0)),), span_mm=50.0, radiological=radiological)
    layout = Layout(width=300, height=120, rows=1, columns=1, header=20, gap=2)
    place = layout.place(what, 0, 0)
    # 100 pixels high, 50 mm: half a millimeter a pixel.
    assert place.mm_per_px == 0.5
    assert place.to_pixels(5.0, -7.0) == (150.0, 70.0)
    assert place.to_pixels(15.0, -2.0) == (150.0 + 20 * rightward, 60.0)
    assert place.to_mm(150.0 + 20 * rightward, 60.0) == (15.0, -2.0)


def test_dense_screens_have_a_larger_header() -> None:
    what = scene((view(),))
    one, two = (Layout.of(what, 800, 600, ratio) for ratio in (1.0, 2.0))
    assert two.header == 2 * one.header
    assert two.gap == 2 * one.gap
