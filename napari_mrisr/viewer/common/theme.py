"""Colors that fit napari's theme."""

from __future__ import annotations

from napari.utils.theme import get_theme

# napari's own error color is hard to read as text on its dark theme.
_ERROR_ON_DARK, _ERROR_ON_LIGHT = "#ff8a75", "#b00020"


def is_dark(theme: str) -> bool:
    """Return whether a theme of napari's, by name, has a dark background."""
    red, green, blue = get_theme(theme).background.as_rgb_tuple()[:3]
    return red + green + blue < 3 * 128


def error_color(theme: str) -> str:
    """Return the color of error texts, ``#rrggbb``."""
    return _ERROR_ON_DARK if is_dark(theme) else _ERROR_ON_LIGHT
