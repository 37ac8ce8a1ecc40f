from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.explain.draw import new_figure
from napari_mrisr.explain.patches import (
    VIEWS,
    Mark,
    center_mark,
    draw_planes,
    draw_slices,
    gray_range,
    short,
)
from napari_mrisr.explain.sheet import ON_DARK, Sheet

# Voxels toward R, A and S.
SIDES = {"R": (4, 2, 2), "A": (2, 4, 2), "S": (2, 2, 4)}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_planes_lie_as_in_the_viewer(view):
    for letter, place in SIDES.items():
        patch = np.zeros((5, 5, 5))
        patch[place] = 1.0
        shown = view.cut(patch)
        if letter == view.left_letter:
            assert shown[2, 0] == 1.0
        elif letter == view.top_letter:
            assert shown[0, 2] == 1.0
        else:
            assert not shown.any()


def test_cut_of_an_oblong_patch():
    patch = np.arange(2 * 4 * 6.0).reshape(2, 4, 6)
    assert [view.cut(patch).shape for view in VIEWS] == [(4, 2), (6, 2), (6, 4)]
    assert VIEWS[0].cut(patch, 5)[0, 0] == patch[1, 3, 5]


def test_mark_is_drawn_around_its_voxel():
    patch = np.zeros((5, 7, 9))
    sheet = Sheet(new_figure(6, 3, 100), ON_DARK, (0, 0, 6, 3))
    mark = Mark((3.0, 5.0, 1.0), (1.0, 1.0, 1.0), "red")
    for axes, view in draw_planes(sheet, patch, (mark, center_mark(patch, "blue"))):
        shown = view.cut(np.where(np.indices(patch.shape).sum(0) < 0, 0.0, patch), None)
        box, middle = axes.patches[-2:]
        column, row = box.get_x() + 0.5, box.get_y() + 0.5
        planted = patch.copy()
        planted[3, 5, 1] = 1.0
        at = {0: 3, 1: 5, 2: 1}[view.through]
        assert view.cut(planted, at)[round(row), round(column)] == 1.0
        assert (middle.get_x() + 0.5, middle.get_y() + 0.5) == (
            shown.shape[1] // 2, shown.shape[0] // 2,
        )  # fmt: skip


def test_slices_show_their_sums(rng):
    patch, weights = rng.normal(size=(2, 3, 3, 3))
    sheet = Sheet(new_figure(4, 4, 100), ON_DARK, (0, 0, 4, 4))
    draw_slices(sheet, (("a", patch), ("b", weights), ("c", patch * weights)), ("×", "="))
    texts = {text.get_text() for text in sheet.figure.texts}
    for z in range(3):
        assert f"{(patch * weights)[:, :, z].sum():+.3f}".replace("-", "−") in texts
    assert f"sum {(patch * weights).sum():+.4f}".replace("-", "−") in texts
    assert {"×", "=", "a", "b", "c"} <= texts


def test_noise_is_not_stretched_to_black_and_white():
    low, high = gray_range(np.array([0.50, 0.52]))
    assert (low, high) == (pytest.approx(0.46), pytest.approx(0.56))
    assert gray_range(np.array([0.0, 1.0])) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("value", "text"), [(0.534, ".53"), (-0.02, "−.02"), (0.999, "1.00"), (1.04, "1.04")]
)
def test_short_numbers(value, text):
    assert short(value) == text
