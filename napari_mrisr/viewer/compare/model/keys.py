"""Keys and mouse with their actions, for keyboard and help. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Key:
    """Key and its action.

    Attributes
    ----------
    keys : tuple of str
        Qt's portable names, such as ``Ctrl+S``.
    action : str
        Name of the view's action.
    text : str
        Text of the help; empty for no line.
    """

    keys: tuple[str, ...]
    action: str
    text: str


KEYS = (
    Key(("PgUp", ","), "step_up", "next slice of the plane under the pointer"),
    Key(("PgDown", "."), "step_down", "previous slice"),
    Key(("Left",), "left", "move the crosshair by one voxel"),
    Key(("Right",), "right", ""),
    Key(("Up",), "up", ""),
    Key(("Down",), "down", ""),
    Key(("1",), "side_by_side", "side by side"),
    Key(("2",), "swipe", "swipe: drag the line"),
    Key(("3",), "flicker_mode", "flicker"),
    Key(("4",), "checkerboard", "checkerboard"),
    Key(("Space",), "flicker", "flicker manually"),
    Key(("P",), "next_pair", "next pair of columns (Shift: previous)"),
    Key(("Shift+P",), "previous_pair", ""),
    Key(("D",), "difference", "difference of the pair, on or off"),
    Key(("A",), "absolute", "absolute difference, on or off"),
    Key(("W",), "reset_window", "reset contrast"),
    Key(("L",), "link_windows", "link window and level of all columns, or not"),
    Key(("F",), "fit", "fit everything into view"),
    Key(("C",), "center", "center on the crosshair"),
    Key(("+", "="), "zoom_in", "zoom in"),
    Key(("-",), "zoom_out", "zoom out"),
    Key(("M",), "maximize", "one panel, or all panels"),
    Key(("X",), "crosshair", "crosshair on or off"),
    Key(("R",), "convention", "radiological or neurological"),
    Key(("I",), "smooth", "smooth the display, or not"),
    Key(("B",), "draw_box", "draw a box"),
    Key(("E",), "draw_ellipse", "draw an ellipsoid"),
    Key(("Delete", "Backspace"), "delete_roi", "delete the selected region"),
    Key(("T",), "numbers", "numbers on or off"),
    Key(("F11",), "full_screen", "full screen"),
    Key(("Esc",), "escape", "back"),
    Key(("H", "?"), "help", "this help, on or off"),
)

MOUSE = (
    ("left drag", "move the crosshair, the swipe line or a region"),
    ("wheel", "slices; with Ctrl: zoom"),
    ("middle or Shift+left drag", "pan"),
    ("right drag", "window (across) and level (up); with Ctrl: one column only"),
    ("double click", "one panel, or all panels"),
)


_READING_MODES = {
    "side_by_side": "F1",
    "swipe": "F2",
    "flicker_mode": "F3",
    "checkerboard": "F4",
}
_NOT_IN_READING = {"numbers", "delete_roi", "draw_box", "draw_ellipse"}


def _reading_keys() -> tuple[Key, ...]:
    """Return the keys of a blinded reading: digits answer, function keys choose the mode."""
    answers = [Key((str(i),), f"answer_{i}", "the answer" if i == 1 else "") for i in range(1, 6)]
    others = [
        replace(key, keys=(_READING_MODES[key.action],)) if key.action in _READING_MODES else key
        for key in KEYS
        if key.action not in _NOT_IN_READING
    ]
    return (*answers, Key(("Backspace",), "take_back", "withdraw the last answer"), *others)


READING_KEYS = _reading_keys()


def help_lines(keys: Sequence[Key] = KEYS) -> list[tuple[str, str]]:
    """Return pairs of keys and action, the mouse first; arrow keys share a line."""
    lines = list(MOUSE)
    joined = {"left": "arrows", "answer_1": "1 to 5"}
    for key in keys:
        if key.text:
            names = " ".join(map(_shown, key.keys))
            lines.append((joined.get(key.action, names), key.text))
    return lines


def help_text(keys: Sequence[Key] = KEYS) -> str:
    """Return the help as text for the canvas, keys and action separated by a tab."""
    return "\n".join("\t".join(line) for line in help_lines(keys))


def _shown(key: str) -> str:
    return {"PgUp": "Page Up", "PgDown": "Page Down"}.get(key, key)
