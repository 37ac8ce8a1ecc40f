"""Keys and the mouse: what each does, once, for the keyboard and for the help. No Qt, no napari."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """A key and what it does.

    Attributes
    ----------
    keys : tuple of str
        Qt's portable names, such as ``Ctrl+S``.
    action : str
        Name of the view's action.
    text : str
        For the help.
    """

    keys: tuple[str, ...]
    action: str
    text: str


KEYS = (
    Key(("PgUp", ","), "step_up", "next slice (in the plane under the pointer)"),
    Key(("PgDown", "."), "step_down", "previous slice"),
    Key(("Left",), "left", "crosshair by one voxel"),
    Key(("Right",), "right", ""),
    Key(("Up",), "up", ""),
    Key(("Down",), "down", ""),
    Key(("1",), "side_by_side", "side by side"),
    Key(("2",), "swipe", "swipe: drag the curtain"),
    Key(("3",), "flicker_mode", "flicker"),
    Key(("4",), "checkerboard", "checkerboard"),
    Key(("Space",), "flicker", "flicker by hand"),
    Key(("P",), "next_pair", "next two columns (Shift: previous)"),
    Key(("Shift+P",), "previous_pair", ""),
    Key(("D",), "difference", "difference of the two, on or off"),
    Key(("A",), "absolute", "absolute difference, on or off"),
    Key(("W",), "reset_window", "window as at first"),
    Key(("L",), "link_windows", "window all columns together, or each"),
    Key(("F",), "fit", "fit everything into view"),
    Key(("C",), "center", "center on the crosshair"),
    Key(("+", "="), "zoom_in", "zoom in"),
    Key(("-",), "zoom_out", "zoom out"),
    Key(("M",), "maximize", "one panel, or all"),
    Key(("X",), "crosshair", "crosshair on or off"),
    Key(("R",), "convention", "radiological or neurological"),
    Key(("I",), "smooth", "interpolate pixels on screen, or not"),
    Key(("B",), "draw_box", "draw a box"),
    Key(("E",), "draw_ellipse", "draw an ellipsoid"),
    Key(("Delete", "Backspace"), "delete_roi", "delete the chosen region"),
    Key(("T",), "numbers", "numbers on or off"),
    Key(("F11",), "full_screen", "full screen"),
    Key(("Esc",), "escape", "back"),
    Key(("H", "?"), "help", "this help, on or off"),
)

MOUSE = (
    ("left drag", "crosshair; or curtain, or a region's outline"),
    ("wheel", "slices; with Ctrl zoom"),
    ("middle or Shift+left drag", "pan"),
    ("right drag", "window (across) and level (up); with Ctrl one column only"),
    ("double click", "one panel, or all"),
)


def help_lines() -> list[tuple[str, str]]:
    """(keys, what they do), the mouse first; arrow keys share a line."""
    lines = list(MOUSE)
    for key in KEYS:
        if not key.text:
            continue
        names = "arrows" if key.action == "left" else " ".join(map(_shown, key.keys))
        lines.append((names, key.text))
    return lines


def help_text() -> str:
    """The same as text, for the overlay."""
    lines = help_lines()
    width = max(len(names) for names, _ in lines)
    return "\n".join(f"{names:<{width}}   {text}" for names, text in lines)


def _shown(key: str) -> str:
    return {"PgUp": "Page Up", "PgDown": "Page Down"}.get(key, key)
