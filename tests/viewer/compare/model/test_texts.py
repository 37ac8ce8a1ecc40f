"""Texts of keys and panels, without a window."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qtpy.QtGui import QKeySequence

from napari_mrisr.comparison.state import CompareState, Difference
from napari_mrisr.errors import ParameterError
from napari_mrisr.viewer.compare.model import texts
from napari_mrisr.viewer.compare.model.texts import KEYS, READING_KEYS, help_lines, help_text


@pytest.mark.parametrize("keys", [KEYS, READING_KEYS])
def test_every_key_is_known_to_qt_and_used_once(keys):
    names = [name for key in keys for name in key.keys]
    assert all(QKeySequence(name).toString() for name in names)
    assert len({QKeySequence(name).toString() for name in names}) == len(names)


def test_the_help_names_every_action():
    assert len(help_lines()) == len(help_text().splitlines())
    texts = dict(help_lines())
    assert texts["Space"] == "flicker manually"
    assert texts["arrows"] == "move the crosshair by one voxel"
    assert dict(help_lines(READING_KEYS))["1 to 5"] == "the answer"
    assert "F2" in dict(help_lines(READING_KEYS))
    assert "B" not in dict(help_lines(READING_KEYS))


def test_position(volumes):
    grid = volumes["truth"].grid
    text = texts.position_text((-3.0, 2.5, -5.2), grid)
    assert text.startswith("L 3.0  A 2.5  I 5.2 mm")
    assert text.endswith("voxel 17, 30, 22")
    assert texts.position_text((500.0, 0.0, 0.0), grid).endswith("voxel outside")


def test_typed_positions(volumes):
    grid = volumes["truth"].grid
    at = (12.0, -4.5, 7.0)
    for text in ("R 12 P 4.5 S 7", "s7 r12 p4.5 mm", "12 -4.5 7", "12, −4.5, 7 mm"):
        assert texts.parse_position(text, grid) == pytest.approx(at)
    voxel = texts.parse_position("voxel 3 4 5", grid)
    assert voxel == pytest.approx((-17.0, -30 + 4.4, -25 + 4.5))
    # What the status line shows can be typed again.
    shown = texts.position_text(at, grid).split("·")[0]
    assert texts.parse_position(shown, grid) == pytest.approx(at)
    for wrong in ("", "R 12 L 4 S 7", "12 4", "somewhere"):
        with pytest.raises(ParameterError, match=r"type R 12 P 4\.5 S 7"):
            texts.parse_position(wrong, grid)


def test_window_and_level():
    assert texts.window_text((-20.0, 100.0)) == "W 120.0  L 40.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.nan, "–"), (0.0, "0"), (1234.5, "1234"), (-12.345, "−12.35"), (0.00012, "1.20e-04")],
)
def test_values_have_four_digits(value, text):
    assert texts.value_text(value) == text


def test_values_of_all_columns_and_differences(volumes):
    differences = (Difference("hashed", "truth"), Difference("hashed", "LR", absolute=True))
    state = CompareState(("truth", "LR", "hashed"), differences)
    index = np.array((12, 20, 31))
    world = tuple(volumes["truth"].grid.affine[:3, :3] @ index + (-20, -30, -25))
    found = texts.values(state, volumes, world)
    expected = [volumes["truth"].data[12, 20, 31], volumes["LR"].data[6, 10, 15]]
    expected.append(volumes["hashed"].data[12, 20, 31])
    np.testing.assert_allclose(found[:3], expected, rtol=1e-6)
    assert found[3] == pytest.approx(expected[2] - expected[0], rel=1e-5)
    # At this voxel's center the LR volume is interpolated; by hand, a quarter voxel away.
    low = volumes["LR"].data
    weights = [(0.75, 5, 6), (0.75, 9, 10), (0.25, 15, 16)]
    value = 0.0
    for a in (0, 1):
        for b in (0, 1):
            for c in (0, 1):
                part = 1.0
                place = []
                for (far, near, up), side in zip(weights, (a, b, c), strict=True):
                    part *= far if side else 1 - far
                    place.append(up if side else near)
                value += part * low[tuple(place)]
    assert found[4] == pytest.approx(abs(expected[2] - value), rel=1e-4)
    assert all(map(math.isnan, texts.values(state, volumes, (900.0, 0.0, 0.0))))
