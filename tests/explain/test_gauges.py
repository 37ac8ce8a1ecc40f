from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.explain.draw import new_figure
from napari_mrisr.explain.gauges import SCREEN, Gauge, draw_sum, ellipsoid_faces, semi_axes
from napari_mrisr.explain.sheet import ON_DARK, Sheet


@pytest.mark.parametrize(
    ("value", "bin_"), [(10.0, (0.0, 15.0)), (15.0, (15.0, 30.0)), (50.0, (30.0, 54.7))]
)
def test_the_bin_of_a_value(value, bin_):
    """The lower end of a bin belongs to it, as in the engine."""
    assert Gauge("elevation", "", value, (0.0, 54.7), (15.0, 30.0)).bin == bin_


def test_open_scales_reach_beyond_value_and_cuts():
    gauge = Gauge("curvature", "", -2.0, (-math.inf, math.inf), (-0.3, 0.3))
    low, high = gauge.shown
    assert low < -2.0
    assert 0.3 < high < 3.0
    assert gauge.bin == (low, -0.3)


def test_bars_add_up_to_the_result():
    sheet = Sheet(new_figure(4, 2, 100), ON_DARK, (0, 0, 4, 2))
    draw_sum(sheet, ("start", 0.5), [("stage 1", 0.2), ("stage 2", -0.1)], "result", 0.63)
    (axes,) = sheet.figure.axes
    bars = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches]
    assert bars[0][1] == pytest.approx(0.5)
    assert bars[1] == (pytest.approx(0.5), pytest.approx(0.7))
    assert bars[2] == (pytest.approx(0.7), pytest.approx(0.6))
    assert bars[3][1] == pytest.approx(0.6)
    texts = [text.get_text() for text in axes.texts]
    assert {"0.500", "+0.200", "−0.100", "0.600", "reference\n0.630"} <= set(texts)


def test_ellipsoid_is_seen_from_the_front():
    np.testing.assert_allclose(SCREEN @ SCREEN.T, np.eye(2), atol=1e-12)
    right, anterior, superior = SCREEN.T
    assert right[0] < -0.5  # the patient's right is at the left
    assert superior[1] > 0.5
    assert abs(superior[0]) < 1e-12
    assert anterior[1] < 0.0  # toward the eye, which looks down


def test_faces_lie_on_the_ellipsoid():
    turn = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()
    lengths = np.array([1.0, 0.5, 0.2])
    corners, normals = ellipsoid_faces(lengths, turn)
    inside = corners.reshape(-1, 3) @ turn / lengths
    np.testing.assert_allclose(np.linalg.norm(inside, axis=1), 1.0, atol=1e-9)
    # Outward and perpendicular to the surface.
    middles = corners.mean(axis=1)
    assert ((middles * normals).sum(axis=1) > 0).all()
    edges = corners[:, 2] - corners[:, 0]
    slope = np.abs((edges * normals).sum(axis=1)) / np.maximum(np.linalg.norm(edges, axis=1), 1e-9)
    assert np.median(slope) < 0.05


def test_half_axes():
    np.testing.assert_allclose(semi_axes(np.array([4.0, 1.0, 0.0])), (1.0, 0.5, 0.0))
    assert semi_axes(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert semi_axes(np.array([1e-12, 0.0, 0.0]))[0] == pytest.approx(1.0)
