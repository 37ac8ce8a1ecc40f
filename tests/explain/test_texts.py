from __future__ import annotations

import pytest

from napari_mrisr.explain.texts import (
    factor_text,
    feature_text,
    plain,
    range_text,
    signed,
    small,
    stage_label,
    voxel_text,
)


@pytest.mark.parametrize(
    ("value", "text"), [(0.5314, "0.531"), (-0.0126, "−0.013"), (-0.0004, "0.000"), (1.0, "1.000")]
)
def test_plain(value, text):
    assert plain(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.012, "+0.012"), (-0.5, "−0.500"), (-2e-4, "0.000")])
def test_signed(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.0123"), (-3.3e-3, "−3.30 × 10⁻³"), (12345.0, "1.23 × 10⁴")],
)
def test_small(value, text):
    assert small(value) == text


def test_features_with_their_units():
    assert feature_text("azimuth", 24.14) == "24.1°"
    assert feature_text("strength", 0.0561) == "0.0561 a voxel"
    assert feature_text("coherence", -0.1) == "−0.100"


def test_ranges():
    inf = float("inf")
    assert range_text("elevation", 15.0, 30.0) == "15 to 30°"
    assert range_text("curvature", -inf, -0.3) == "below −0.3"
    assert range_text("strength", 0.05, inf) == "0.05 and more"


def test_labels(cascade):
    assert voxel_text((3, 1, 2)) == "x 3, y 1, z 2"
    assert factor_text(cascade) == "2 × 2 × 2"
    change = signed(cascade.stages[1].change)
    assert stage_label(cascade, 1) == f"2: {change} (upsampled voxels)"
