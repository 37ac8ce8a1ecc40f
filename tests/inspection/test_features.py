"""Features of planted patterns, against angles worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.inspection import feature_values, look, orientation_color, stage_input


def features_of(volume, symmetry="cube"):
    cuts = patterns.PAPER_CUTS if symmetry == "none" else patterns.CUTS
    bank = patterns.planted_bank(("cell",), symmetry, cuts=cuts)
    return look(stage_input(volume, bank, 0), patterns.CENTER)


def test_plane():
    """Gradient (0.03, 0.02, 0.06): length 0.07, steepest axis z."""
    seen = features_of(patterns.plane((0.03, 0.02, 0.06)))
    values = seen.values
    assert values["elevation"] == pytest.approx(np.degrees(np.arccos(6 / 7)), abs=0.01)
    assert values["azimuth"] == pytest.approx(np.degrees(np.arctan(2 / 3)), abs=0.01)
    assert values["strength"] == pytest.approx(0.07, rel=1e-4)
    assert values["coherence"] == pytest.approx(1.0, abs=2e-3)
    assert values["asymmetry"] == pytest.approx(0.0, abs=1e-3)
    assert values["curvature"] == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(np.abs(seen.direction), np.array([3, 2, 6]) / 7, atol=1e-4)
    np.testing.assert_allclose(seen.eigenvalues, [0.0049, 0, 0], atol=1e-7)
    assert seen.ranges["strength"] == (0.05, np.inf)
    assert seen.ranges["coherence"] == (0.5, 1.0)


@pytest.mark.parametrize("degrees", [10.0, 25.0, 40.0])
def test_edge_at_a_known_angle(degrees):
    """Central differences of a sine point to (sin kx, sin ky, sin kz)."""
    # Chosen so that sin of it stands at the angle.
    slope = 0.3 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0.0])
    seen = features_of(patterns.edge(np.arcsin(slope)))
    assert seen.values["elevation"] == pytest.approx(degrees, abs=0.05)
    assert seen.values["azimuth"] == pytest.approx(0.0, abs=0.05)
    assert seen.values["coherence"] == pytest.approx(1.0, abs=5e-3)
    low, high = seen.ranges["elevation"]
    assert low <= degrees < high


@pytest.mark.parametrize(
    ("normal", "elevation", "azimuth"),
    [
        ((1, 1, 0), 90.0, 45.0),
        ((-1, 1, 0), 90.0, 135.0),
        ((1, -1, 0), 90.0, 135.0),
        ((0, 3, 4), np.degrees(np.arccos(0.8)), 90.0),
        ((0, 3, -4), 180.0 - np.degrees(np.arccos(0.8)), 90.0),
        ((0, -3, 4), 180.0 - np.degrees(np.arccos(0.8)), 90.0),
        ((2, 0, 0), 90.0, 0.0),
        ((-2, 0, 0), 90.0, 0.0),
    ],
)
def test_the_papers_angles(normal, elevation, azimuth):
    """A line has no sign: elevation to z, azimuth 0 to 180°."""
    seen = features_of(patterns.plane(np.array(normal) * 0.02), "none")
    assert seen.values["elevation"] == pytest.approx(elevation, abs=0.02)
    # 0 and 180 are the same line.
    assert (seen.values["azimuth"] - azimuth + 90) % 180 - 90 == pytest.approx(0, abs=0.02)


def test_flips():
    seen = features_of(patterns.plane((-0.03, 0.02, -0.06)), "flips")
    assert seen.values["elevation"] == pytest.approx(np.degrees(np.arccos(6 / 7)), abs=0.02)
    assert seen.values["azimuth"] == pytest.approx(np.degrees(np.arctan(2 / 3)), abs=0.02)


def test_line():
    """Across the ridge −0.008 (x, y): λ1 = λ2 = 0.008² Σwk², λ3 = 0, coherence 0."""
    seen = features_of(patterns.line())
    expected = 0.008**2 * patterns.window_variance()
    np.testing.assert_allclose(seen.eigenvalues, [expected, expected, 0], rtol=2e-3, atol=1e-8)
    assert seen.values["strength"] == pytest.approx(np.sqrt(expected), rel=1e-3)
    assert seen.values["coherence"] == pytest.approx(0.0, abs=2e-3)
    assert seen.direction[2] == pytest.approx(0.0, abs=1e-3)


def test_corner():
    """To all sides −0.004 (x, y, z): three equal eigenvalues, coherence −1/3."""
    seen = features_of(patterns.corner())
    expected = 0.004**2 * patterns.window_variance()
    np.testing.assert_allclose(seen.eigenvalues, np.full(3, expected), rtol=2e-3)
    assert seen.values["coherence"] == pytest.approx(-1 / 3, abs=2e-3)
    assert seen.ranges["coherence"] == (-1 / 3, -0.2)


def test_no_gradient_at_all():
    values = feature_values(np.array([0, 0, 0, 1, 0, 0, 0, 0], np.float32), "cube")
    assert values["coherence"] == 0.0
    assert values["strength"] == 0.0
    assert values["elevation"] == 0.0


def test_colors():
    """As diffusion maps: red left-right, green front-back, blue top-bottom."""
    direction = np.array([[-1, 0, 0], [0, 1, 0], [0, 0, -1], [0.6, 0, 0.8]])
    full = orientation_color(direction, np.ones(4))
    np.testing.assert_array_equal(
        full, [[255, 0, 0], [0, 255, 0], [0, 0, 255], [153, 0, 204]]
    )  # fmt: skip
    dark = orientation_color(direction, np.array([-1 / 3, 0.0, 1 / 3, -0.5]))
    np.testing.assert_array_equal(dark, [[0, 0, 0], [0, 64, 0], [0, 0, 128], [0, 0, 0]])
