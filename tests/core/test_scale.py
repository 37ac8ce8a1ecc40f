from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mrisr.core.scale import Scale, format_scale, parse_scale, scale_for_spacing
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
    ],
)
def test_parse_scale(text: str | int | tuple[int, ...], scale: Scale) -> None:
    assert parse_scale(text) == scale


@pytest.mark.parametrize(
    "text",
    ["", "0", "9", "-2", "2.5", "a", "2x2", "1x1x9", "1x0x2", "1x2x3x4", "x", "1xx2", 0, 9, -1]
    + [(), (1, 2), (0, 1, 1), (1, 1, 9)],
)
def test_parse_scale_refuses_and_shows_the_value(text: str | int | tuple[int, ...]) -> None:
    with pytest.raises(ScaleError, match=r"^scale: .*1 to 8, or three such as 1x1x4$") as caught:
        parse_scale(text)
    assert repr(text) in str(caught.value)


@given(scales)
def test_format_scale_is_the_inverse(scale: Scale) -> None:
    assert parse_scale(format_scale(scale)) == scale


def test_format_scale() -> None:
    assert format_scale((2, 2, 2)) == "2"
    assert format_scale((1, 1, 4)) == "1x1x4"


@pytest.mark.parametrize(
    ("voxel_size", "spacing", "scale"),
    [
        ((1.0, 1.0, 1.0), 0.5, (2, 2, 2)),
        ((1.0, 1.0, 4.0), 1.0, (1, 1, 4)),
        ((0.5, 0.8, 5.0), 1, (1, 1, 5)),
        ((1.0, 2.0, 3.0), (1.0, 0.5, 1.5), (1, 4, 2)),
        ((1.2, 1.4, 1.5), 1.0, (1, 1, 2)),  # sqrt(2) divides 1 from 2
        ((0.94, 0.94, 1.2), 0.5, (2, 2, 2)),
        ((1.0, 1.0, 8.0), 1.0, (1, 1, 8)),
    ],
)
def test_scale_for_spacing(
    voxel_size: tuple[float, float, float],
    spacing: float | tuple[float, float, float],
    scale: Scale,
) -> None:
    assert scale_for_spacing(voxel_size, spacing) == scale


@given(st.tuples(*[st.floats(0.2, 5.0)] * 3), st.tuples(*[st.floats(0.7, 6.0)] * 3))
def test_scale_for_spacing_is_nearest_in_the_logarithm(
    voxel_size: tuple[float, float, float], spacing: tuple[float, float, float]
) -> None:
    scale = scale_for_spacing(voxel_size, spacing)
    for have, want, factor in zip(voxel_size, spacing, scale, strict=True):

        def misfit(candidate: int, have: float = have, want: float = want) -> float:
            ratio = have / candidate / want
            return max(ratio, 1 / ratio)

        assert misfit(factor) <= min(misfit(candidate) for candidate in range(1, 9)) + 1e-9


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf"), (1.0, 0.0, 1.0)])
def test_scale_for_spacing_refuses_impossible_spacing(
    spacing: float | tuple[float, float, float],
) -> None:
    with pytest.raises(ScaleError, match=re.escape(f"spacing: {spacing} mm; give a positive")):
        scale_for_spacing((1.0, 1.0, 1.0), spacing)


def test_scale_for_spacing_names_the_finest_it_can_do() -> None:
    with pytest.raises(ScaleError, match=r"needs a factor of 10; ask for at least 0.5 mm"):
        scale_for_spacing((1.0, 2.0, 4.0), 0.4)


def test_the_finest_spacing_named_is_accepted() -> None:
    assert scale_for_spacing((1.0, 2.0, 4.0), 0.5) == (2, 4, 8)
