"""Keys and mouse with their actions, and texts in and below the panels. No Qt, no napari."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_mrisr.comparison.scene import tilt_degrees
from napari_mrisr.comparison.slices import nearest_index, values_at
from napari_mrisr.comparison.state import CompareState, Point, as_point, point_text
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import ParameterError, explain

OUTSIDE = "–"
# A smaller tilt, in degrees, is rounding.
_TILT_SHOWN = 0.5


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
    Key(("5",), "mosaic", "mosaic of the slices of one volume"),
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
    Key(("K",), "ruler", "measure a length: drag"),
    Key(("J",), "angle", "measure an angle: drag to its corner, then click"),
    Key(("Delete", "Backspace"), "delete_roi", "delete the selected region or the last length"),
    Key(("Ctrl+Z",), "undo", "undo: regions, lengths, angles"),
    Key(("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "redo"),
    Key(("G",), "go_to", "go to a position: type it"),
    Key(("T",), "numbers", "numbers on or off"),
    Key(("S",), "side_panel", "side panel on or off"),
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
_NOT_IN_READING = {
    "angle", "delete_roi", "draw_box", "draw_ellipse", "go_to", "mosaic", "numbers", "redo",
    "ruler", "side_panel", "undo",
}  # fmt: skip


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


def voxel_of(grid: Grid, world: Point) -> tuple[int, int, int] | None:
    """Return the voxel at a point of the world, mm; None outside the field of view."""
    inverse = np.linalg.inv(grid.affine)
    index = nearest_index(inverse[:3, :3] @ np.asarray(world) + inverse[:3, 3])
    if ((index < 0) | (index >= grid.shape)).any():
        return None
    return int(index[0]), int(index[1]), int(index[2])


def position_text(world: Point, grid: Grid | None) -> str:
    """Return ``R 12.3  A 4.0  S 7.5 mm · voxel 120, 88, 70`` (of the first column, from 0)."""
    place = point_text(world)
    if grid is None:
        return place
    voxel = voxel_of(grid, world)
    inside = ", ".join(map(str, voxel)) if voxel else "outside"
    return f"{place}  ·  voxel {inside}"


_NUMBER = r"[-+−]?\d+(?:[.]\d+)?"


def parse_position(text: str, grid: Grid) -> Point:
    """Return the point of the world, mm, that a text names.

    Parameters
    ----------
    text : str
        By the patient's sides in any order (``R 12 P 4.5 S 7``), as x, y, z in mm toward right,
        anterior and superior (``12 -4.5 7``), or as a voxel from 0 (``voxel 120 88 70``).
    grid : Grid
        Grid of the voxels.

    Raises
    ------
    ParameterError
        If the text names no position.
    """
    plain = text.strip().replace(",", " ").replace("−", "-").removesuffix("mm").strip()
    sides = re.findall(rf"([RLAPSI])\s*({_NUMBER})", plain, re.IGNORECASE)
    axes = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    if len(sides) == 3 and len({axes[letter.upper()] for letter, _ in sides}) == 3:
        at = [0.0, 0.0, 0.0]
        for letter, number in sides:
            at[axes[letter.upper()]] = float(number) * (1 if letter.upper() in "RAS" else -1)
        return as_point(at)
    words = plain.split()
    is_voxel = bool(words) and words[0].lower().startswith("vox")
    try:
        x, y, z = map(float, words[1:] if is_voxel else words)
    except ValueError:
        remedy = "type R 12 P 4.5 S 7, three numbers in mm, or voxel 120 88 70"
        raise ParameterError(explain("position", f"{text!r} is none", remedy)) from None
    if is_voxel:
        return as_point((grid.affine @ (x, y, z, 1.0))[:3])
    return as_point((x, y, z))


def window_text(limits: tuple[float, float]) -> str:
    """Return ``W 120  L 60``: window width and level."""
    low, high = limits
    return f"W {value_text(high - low)}  L {value_text((low + high) / 2)}"


def value_text(value: float) -> str:
    """Return an intensity with four digits; a dash outside the field of view."""
    if not math.isfinite(value):
        return OUTSIDE
    if value and abs(value) < 1e-3:
        return f"{value:.2e}"
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(digits, 4)}f}".replace("-", "−")


def values(state: CompareState, volumes: Mapping[str, Volume], world: Point) -> list[float]:
    """Return the value at a point per column: volumes by nearest voxel, then differences.

    A difference of volumes on different grids is interpolated, as in its column.
    """
    known = {key: _value(volumes[key], world) for key in state.columns}
    found = [known[key] for key in state.columns]
    for pair in state.differences:
        first = volumes[pair.minuend]
        voxel = voxel_of(first.grid, world)
        if voxel is None:
            found.append(math.nan)
            continue
        # At the center of the minuend's voxel, as in the column.
        center = first.grid.affine[:3, :3] @ voxel + first.grid.affine[:3, 3]
        second = float(values_at(volumes[pair.subtrahend], center, order=1))
        value = float(first.data[voxel]) - second
        found.append(abs(value) if pair.absolute else value)
    return found


def panel_notes(state: CompareState, volumes: Mapping[str, Volume], world: Point) -> list[str]:
    """Return the value at a point per column, as text."""
    return [value_text(v) for v in values(state, volumes, world)]


def hint(state: CompareState, volumes: Mapping[str, Volume], frame: Frame) -> str:
    """Return the tilt of the planes, and which columns are resampled; empty if none is."""
    tilt = tilt_degrees(frame)
    parts = [f"oblique {tilt:.0f}°"] if tilt >= _TILT_SHOWN else []
    off: Sequence[int] = [
        i + 1 for i, key in enumerate(state.columns) if not frame.is_along(volumes[key].grid)
    ]
    if off:
        which = "column " + ", ".join(map(str, off))
        parts.append(f"{which}: {'resliced' if state.axes else 'resampled'} along these axes")
    return "  ·  ".join(parts)


def _value(volume: Volume, world: Point) -> float:
    voxel = voxel_of(volume.grid, world)
    return math.nan if voxel is None else float(volume.data[voxel])
