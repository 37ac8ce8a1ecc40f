from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_mrisr as sr
from napari_mrisr.core.scale import (
    RealScale,
    Scale,
    format_scale,
    isotropic_scale,
    parse_scale,
    scale_for_spacing,
    upsampled_size,
    whole_scale,
)
from napari_mrisr.errors import ScaleError

scales = st.tuples(*[st.integers(1, 8)] * 3)


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("2", (2, 2, 2)),
        (3, (3, 3, 3)),
        ("1x1x4", (1, 1, 4)),
        ("8x1x2", (8, 1, 2)),
        ("1X2X3", (1, 2, 3)),
        ("1×2×3", (1, 2, 3)),
        ("2×", (2, 2, 2)),
        (" 1 x 2 x 3 ", (1, 2, 3)),
        ((2,), (2, 2, 2)),
        ((1, 2, 3), (1, 2, 3)),
        ("1x1x4.8", (1, 1, 4.8)),
        ("2.50", (2.5, 2.5, 2.5)),
        (9.5, (9.5, 9.5, 9.5)),
        ((1.0, 2.0, 3.25), (1, 2, 3.25)),
        ("10", (10, 10, 10)),
    ],
)
def test_parse_scale(text: str | float | tuple[float, ...], scale: RealScale) -> None:
    found = parse_scale(text)
    assert found == scale
    assert [type(factor) for factor in found] == [type(factor) for factor in scale]


@pytest.mark.parametrize(
    "text",
    ["", "0", "11", "-2", "0.9", "a", "2x2", "1x1x11", "1x0x2", "1x2x3x4", "x", "1xx2", 0, -1]
    + [(), (1, 2), (0, 1, 1), (1, 1, 11), 10.5, "1e0", "2.", float("nan"), float("inf")],
)
def test_parse_scale_refuses_and_shows_the_value(text: str | int | tuple[int, ...]) -> None:
    with pytest.raises(ScaleError, match=r"^scale: .*1 to 10, or three such as 1x1x4$") as caught:
        parse_scale(text)
    assert repr(text) in str(caught.value)


@given(scales)
def test_format_scale_is_the_inverse(scale: Scale) -> None:
    assert parse_scale(format_scale(scale)) == scale


def test_format_scale() -> None:
    assert format_scale((2, 2, 2)) == "2"
    assert format_scale((1, 1, 4)) == "1x1x4"
    assert format_scale((1, 1, 4.8)) == "1x1x4.8"
    assert format_scale((2.5, 2.5, 2.5)) == "2.5"


@pytest.mark.parametrize("scale", [(1, 1, 4.8), (1, 1, 9), (2.5, 2.5, 2.5)])
def test_whole_scale_names_who_needs_it(scale: RealScale) -> None:
    assert whole_scale((1, 2, 8)) == (1, 2, 8)
    text = rf"^scale: degrade needs whole factors up to 8, not {re.escape(format_scale(scale))}; "
    with pytest.raises(ScaleError, match=text):
        whole_scale(scale, "degrade")


@given(st.integers(2, 600), st.floats(1, 10))
def test_the_size_is_the_nearest_number_of_voxels(n: int, factor: float) -> None:
    assert abs(upsampled_size(n, factor) - n * factor) <= 0.5
    assert upsampled_size(n, 3) == 3 * n


@pytest.mark.parametrize(
    ("voxel_size", "spacing", "scale"),
    [
        ((1.0, 1.0, 1.0), 0.5, (2, 2, 2)),
        ((1.0, 1.0, 4.0), 1.0, (1, 1, 4)),
        ((0.5, 0.8, 5.0), 1, (1, 1, 5)),
        ((1.0, 2.0, 3.0), (1.0, 0.5, 1.5), (1, 4, 2)),
        ((1.2, 1.4, 1.5), 1.0, (1.2, 1.4, 1.5)),
        ((0.71875, 0.71875, 3.9999971), 0.5, (1.4375, 1.4375, 8)),
        ((0.99998, 1.00003, 8.0), 1.0, (1, 1, 8)),
        ((1.0, 1.0, 3.3), 1.0, (1, 1, 3.3)),
    ],
)
def test_scale_for_spacing(
    voxel_size: tuple[float, float, float],
    spacing: float | tuple[float, float, float],
    scale: RealScale,
) -> None:
    found = scale_for_spacing(voxel_size, spacing)
    assert found == pytest.approx(scale, abs=1e-6)
    assert [type(factor) for factor in found] == [type(factor) for factor in scale]


@pytest.mark.parametrize(
    ("voxel_size", "scale"),
    [
        ((1.0, 1.0, 1.0), (1, 1, 1)),
        ((1.0, 1.1, 1.19), (1, 1, 1)),
        ((3.3, 0.75, 0.8), (4.4, 1, 1)),
        ((0.5, 0.5, 5.0), (1, 1, 8)),
        ((0.71875, 0.71875, 2.8750003), (1, 1, 4)),
        ((1.0, 2.0, 4.0), (1, 2, 4)),
    ],
)
def test_isotropic_scale_raises_the_coarse_axes(
    voxel_size: tuple[float, float, float], scale: RealScale
) -> None:
    assert isotropic_scale(voxel_size) == pytest.approx(scale)


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf"), (1.0, 0.0, 1.0)])
def test_scale_for_spacing_refuses_impossible_spacing(
    spacing: float | tuple[float, float, float],
) -> None:
    with pytest.raises(ScaleError, match=re.escape(f"spacing: {spacing} mm; give a positive")):
        scale_for_spacing((1.0, 1.0, 1.0), spacing)


def test_scale_for_spacing_names_the_finest_it_can_do() -> None:
    with pytest.raises(ScaleError, match=r"needs a factor of 13.33; ask for at least 0.4 mm"):
        scale_for_spacing((1.0, 2.0, 4.0), 0.3)


def test_the_finest_spacing_named_is_accepted() -> None:
    assert scale_for_spacing((1.0, 2.0, 4.0), 0.4) == (2.5, 5, 10)


def test_what_needs_whole_factors_says_so() -> None:
    volume = sr.Volume(np.ones((8, 8, 8), np.float32), sr.Grid((8, 8, 8), np.eye(4)))
    scale: Any = (1, 1, 2.5)
    for use in (
        lambda: sr.degrade(volume, scale),
        lambda: sr.TrainParameters(scale=scale),
        lambda: sr.EvaluateParameters(scales=(scale,)),
    ):
        with pytest.raises(ScaleError, match=r"needs whole factors up to 8, not 1x1x2\.5"):
            use()
