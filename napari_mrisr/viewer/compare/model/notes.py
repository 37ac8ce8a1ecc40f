"""Texts in the panels and below them. No Qt, no napari."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from napari_mrisr.comparison.slices import nearest_index, values_at
from napari_mrisr.comparison.state import CompareState, Point
from napari_mrisr.core.frames import Frame, Plane
from napari_mrisr.core.volume import Grid, Volume

OUTSIDE = "–"


def voxel_of(grid: Grid, world: Point) -> tuple[int, int, int] | None:
    """Return the voxel at a point of the world, mm; None outside the field of view."""
    inverse = np.linalg.inv(grid.affine)
    index = nearest_index(inverse[:3, :3] @ np.asarray(world) + inverse[:3, 3])
    if ((index < 0) | (index >= grid.shape)).any():
        return None
    return int(index[0]), int(index[1]), int(index[2])


def position_text(world: Point, grid: Grid | None) -> str:
    """Return ``R 12.3  A 4.0  S −7.5 mm · voxel 120, 88, 70`` (of the first column, from 0)."""
    letters = zip(world, ("RL", "AP", "SI"), strict=True)
    place = "  ".join(f"{pair[v < 0]} {abs(v):.1f}" for v, pair in letters) + " mm"
    if grid is None:
        return place
    voxel = voxel_of(grid, world)
    inside = ", ".join(map(str, voxel)) if voxel else "outside"
    return f"{place}  ·  voxel {inside}"


def plane_text(plane: Plane, position: float) -> str:
    """Return the position of a plane, such as ``S 12.3 mm``."""
    letter = ("LR", "PA", "IS")[plane.normal][position >= 0]
    return f"{letter} {abs(position):.1f} mm"


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
    """Return a hint about columns that are resampled; empty if none is."""
    off: Sequence[int] = [
        i + 1 for i, key in enumerate(state.columns) if not frame.is_along(volumes[key].grid)
    ]
    if not off:
        return ""
    which = "column " + ", ".join(map(str, off))
    return (
        f"{which}: other orientation than the first, resampled along its axes here; "
        "napari's canvas shows it along its own axes"
    )


def _value(volume: Volume, world: Point) -> float:
    voxel = voxel_of(volume.grid, world)
    return math.nan if voxel is None else float(volume.data[voxel])
