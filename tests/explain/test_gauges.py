from __future__ import annotations

import math

import pytest

from napari_mrisr.explain.draw import new_figure
from napari_mrisr.explain.gauges import Gauge, draw_sum
from napari_mrisr.explain.sheet import ON_DARK, Sheet


@pytest.mark.parametrize(
    ("value", "bin_"), [(10.0, (0.0, 15.0)), (15.0, (15.0, 30.0)), (50.0, (30.0, 54.7))]
)
def test_the_bin_of_a_value(value, bin_):
    """Low end included, as the engine has it."""
    assert Gauge("elevation", "", value, (0.0, 54.7), (15.0, 30.0)).bin == bin_


def test_open_scales_reach_beyond_value_and_cuts():
    gauge = Gauge("curvature", "", -2.0, (-math.inf, math.inf), (-0.3, 0.3))
    low, high = gauge.shown
    assert low < -2.0
    assert 0.3 < high < 3.0
    assert gauge.bin == (low, -0.3)


def test_bars_add_up():
    sheet = Sheet(new_figure(4, 2, 100), ON_DARK, (0, 0, 4, 2))
    draw_sum(sheet, ("start", 0.5), [("stage 1", 0.2), ("stage 2", -0.1)], "result", 0.63)
    (axes,) = sheet.figure.axes
    bars = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches]
    assert bars[0][1] == pytest.approx(0.5)
    assert bars[1] == (pytest.approx(0.5), pytest.approx(0.7))
    assert bars[2] == (pytest.approx(0.7), pytest.approx(0.6))
    assert bars[3][1] == pytest.approx(0.6)
    texts = [text.get_text() for text in axes.texts]
    assert {"0.500", "+0.200", "−0.100", "0.600", "truth\n0.630"} <= set(texts)
