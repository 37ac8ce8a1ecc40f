"""Errors are readable on napari's own themes."""

from __future__ import annotations

import pytest
from napari.utils.theme import available_themes, get_theme

from napari_mrisr.viewer.common.theme import error_color, is_dark


def luminance(color: str) -> float:
    """Relative luminance of ``#rrggbb``, as WCAG 2.1 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_dark_is_told_from_light(theme):
    assert is_dark(theme) == (theme == "dark")


@pytest.mark.parametrize("theme", sorted({*available_themes()} - {"system"}))
def test_errors_are_readable(theme):
    """WCAG asks a contrast of 4.5 of text."""
    ground = get_theme(theme).background.as_rgb_tuple()[:3]
    background = "#" + "".join(f"{int(c):02x}" for c in ground)
    low, high = sorted((luminance(error_color(theme)), luminance(background)))
    assert (high + 0.05) / (low + 0.05) >= 4.5
