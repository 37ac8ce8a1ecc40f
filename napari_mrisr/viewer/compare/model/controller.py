"""Actions of Compare on its state. No Qt, no napari.

Views listen to the store; mouse, keys and controls call methods of the controller.
Each action changes the state at most once and calls the listeners at most once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.comparison.roi import Roi
from napari_mrisr.comparison.slices import bounds, nearest_index
from napari_mrisr.comparison.state import (
    FLICKER,
    MAX_COLUMNS,
    MOSAIC,
    PAIR_MODES,
    SIDE_BY_SIDE,
    CompareState,
    Difference,
    Display,
    LineMeasurement,
    OverlayVolume,
    Point,
    RoiBox,
    as_point,
)
from napari_mrisr.core.frames import AXIAL, PLANES, Plane
from napari_mrisr.core.volume import Volume
from napari_mrisr.viewer.compare.model.store import Store

# Margin around the largest extent, for the letters at the borders.
_MARGIN = 1.08
_SPANS_MM = (4.0, 2000.0)
# Voxels that percentiles are taken from, and steps of undo.
_SAMPLES = 500_000
_MOST_STEPS = 100
_OVERLAY_COLORMAP = "magma"
_MAP_SHOWN_FROM = 0.02

Drawn = tuple[tuple[RoiBox, ...], tuple[LineMeasurement, ...]]


class Controller(Store):
    """Actions; see :class:`~napari_mrisr.viewer.compare.model.store.Store`."""

    def __init__(
        self, volumes: Mapping[str, Volume] | None = None, titles: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(volumes, titles)
        self._undo: list[Drawn] = []
        self._redo: list[Drawn] = []

    def open(self, state: CompareState, at: Point | None = None) -> None:
        """Show a new state: crosshair at a point of the world, everything in view."""
        self.show(state)
        if at is not None:
            self.state = replace(self.state, crosshair=self.inside(at))
        if self.first_volume is not None:
            self.state = replace(self.state, **self._fitted(self.state))
        self.announce()

    # Position.

    def go_to(self, world: Point) -> None:
        """Move the crosshair to a point of the world, mm, inside the first column."""
        self.change(crosshair=self.inside(world))

    def point_at(
        self, plane: Plane, across: float, upward: float, position: float | None = None
    ) -> None:
        """Move the crosshair to a place in a plane, through the crosshair or at a position.

        All in frame mm.
        """
        self.go_to(self.world_at(plane, across, upward, position))

    def world_at(
        self, plane: Plane, across: float, upward: float, position: float | None = None
    ) -> Point:
        """Return the point of the world at a place in a plane; see :meth:`point_at`."""
        at = self.position()
        at[plane.across], at[plane.upward] = across, upward
        if position is not None:
            at[plane.normal] = position
        return as_point(self.frame.to_world(at))

    def step(self, plane: Plane, count: int) -> None:
        """Move by voxels of the first column along a plane's normal."""
        self._step(plane.normal, count)

    def nudge(self, plane: Plane, rightward: int, upward: int) -> None:
        """Move by voxels of the first column, in the directions of the screen."""
        grows = plane.grows_rightward(self.state.radiological)
        self._step(plane.across, rightward if grows else -rightward)
        self._step(plane.upward, upward)

    def _step(self, axis: int, count: int) -> None:
        volume = self.first_volume
        if volume is None or not count:
            return
        if not self.frame.is_along(volume.grid):
            at = self.position()
            at[axis] += count * min(volume.grid.voxel_size)
            self.go_to(as_point(self.frame.to_world(at)))
            return
        affine = self.frame.affine(volume.grid)
        index = np.linalg.solve(affine[:3, :3], self.position() - affine[:3, 3])
        # From voxel center to voxel center.
        index[axis] = nearest_index(index[axis]) + count
        index[axis] = np.clip(index[axis], 0, volume.grid.shape[axis] - 1)
        at = self.position()
        at[axis] = (affine[:3, :3] @ index + affine[:3, 3])[axis]
        self.change(crosshair=as_point(self.frame.to_world(at)))

    def pan(self, plane: Plane, across_mm: float, upward_mm: float) -> None:
        """Shift the view of all panels; the image follows the pointer."""
        center = list(self.state.center)
        center[plane.across] -= across_mm
        center[plane.upward] -= upward_mm
        self.change(center=as_point(center))

    def zoom(self, factor: float, about: tuple[Plane, float, float] | None = None) -> None:
        """Enlarge all panels; the point ``about`` (plane, across, upward) keeps its place."""
        state = self.state
        span = float(np.clip(state.span_mm / factor, *_SPANS_MM))
        shrink = span / state.span_mm
        center = list(state.center)
        if about is not None:
            plane, across, upward = about
            for axis, fixed in ((plane.across, across), (plane.upward, upward)):
                center[axis] = fixed + (center[axis] - fixed) * shrink
        self.change(span_mm=span, center=as_point(center))

    def look_at(self, center: Point, span_mm: float) -> None:
        """Set the center of the panels, frame mm, and the extent of their shorter side."""
        self.change(center=as_point(center), span_mm=float(np.clip(span_mm, *_SPANS_MM)))

    def fit(self) -> None:
        """Show everything."""
        if self.first_volume is not None:
            self.change(**self._fitted(self.state))

    def center_on_crosshair(self) -> None:
        """Center all panels on the crosshair."""
        self.change(center=as_point(self.position()))

    def _fitted(self, state: CompareState) -> dict[str, Any]:
        ends = [bounds(self._volumes[key].grid, self.frame) for key in state.columns]
        low = np.min([e[0] for e in ends], axis=0)
        high = np.max([e[1] for e in ends], axis=0)
        span = float((high - low).max()) * _MARGIN
        return {"center": as_point((low + high) / 2.0), "span_mm": span}

    def toggle_maximized(self, plane: Plane, column: int) -> None:
        """Show only this panel, or all again."""
        one = (plane.name, column)
        self.change(maximized=None if self.state.maximized else one)

    def toggle_plane(self, name: str) -> None:
        """Show or hide the row of a plane; one row always stays."""
        shown = set(self.state.planes) ^ {name}
        planes = tuple(plane.name for plane in PLANES if plane.name in shown)
        if planes:
            self.change(planes=planes, maximized=None)

    # Contrast.

    def window(self, column: int, level: float, width: float, alone: bool = False) -> None:
        """Shift level (in widths) and scale width, of all volumes or of one.

        Parameters
        ----------
        column : int
            Column of the drag. Differences have their own limits, which
            ``width`` scales.
        level : float
            Change of the level, in window widths.
        width : float
            Factor of the width.
        alone : bool
            Change only this column even if all are linked.
        """
        state = self.state
        count, apart = len(state.columns), alone or not state.one_window
        if column >= count:
            one = state.differences[column - count]
            self.change(
                differences=tuple(
                    replace(d, limit=(d.limit or 1.0) * width) if d is one or not apart else d
                    for d in state.differences
                )
            )
            return
        keys = (state.columns[column],) if apart else state.columns
        self.set_looks({key: self.look(key).moved(level, width) for key in keys})

    def reset_windows(self) -> None:
        """Set contrast, gamma and limits of differences as in a new comparison."""
        state = self.state
        if not state.columns:
            return
        new = opening_state(self.volumes, state.columns, state.truth)
        self.set_looks(
            {
                key: replace(self.look(key), limits=look.limits, gamma=1.0)
                for key, look in new.looks.items()
            }
        )
        self.set_differences([replace(d, limit=None) for d in state.differences])

    def set_limits(self, column: int, limits: tuple[float, float]) -> None:
        """Set the window of a column, and of the others if all have the same."""
        state = self.state
        if column >= len(state.columns) or not limits[1] > limits[0]:
            return
        keys = state.columns if state.one_window else (state.columns[column],)
        self.set_looks({key: replace(self.look(key), limits=limits) for key in keys})

    def preset_limits(
        self, column: int, low: float, high: float, roi: Roi | None = None
    ) -> tuple[float, float] | None:
        """Return percentiles of a column's volume, or of its voxels in a region.

        Parameters
        ----------
        column : int
            Index among the volumes.
        low, high : float
            0 to 100.
        roi : Roi, optional
            Region of interest.

        Returns
        -------
        (float, float) or None
            None without a voxel.
        """
        if column >= len(self.state.columns):
            return None
        volume = self._volumes[self.state.columns[column]]
        if roi is not None:
            found = roi.select(volume.grid)
            if found is None or not found.count:
                return None
            values = volume.data[found.region.slices][found.mask]
        else:
            step = max(1, round((volume.data.size / _SAMPLES) ** (1 / 3)))
            whole = (low, high) == (0.0, 100.0)
            values = volume.data if whole else volume.data[::step, ::step, ::step]
        if (low, high) == (0.0, 100.0):
            return float(np.nanmin(values)), float(np.nanmax(values))
        first, last = np.nanpercentile(values, (low, high))
        return float(first), float(last)

    def apply_percentiles(self, low: float, high: float, roi: Roi | None = None) -> None:
        """Set the windows of the columns to percentiles; linked columns get the first one's."""
        count = len(self.state.columns)
        for column in range(min(count, 1) if self.state.one_window else count):
            limits = self.preset_limits(column, low, high, roi)
            if limits is not None:
                self.set_limits(column, limits)

    def look(self, key: str) -> Display:
        """Return the colormap and limits of a volume."""
        return self.state.looks.get(key, Display())

    def set_looks(self, looks: Mapping[str, Display]) -> None:
        """Replace the looks of some volumes."""
        self.change(looks={**self.state.looks, **looks})

    def follow_look(self, key: str, look: Display) -> None:
        """Take a look set in napari; linked columns change by the same amount."""
        before = self.look(key)
        looks = {key: look}
        if self.state.one_window and key in self.state.columns and look.limits != before.limits:
            level, width = _moved_by(before.limits, look.limits)
            others = [other for other in self.state.columns if other != key]
            looks.update({other: self.look(other).moved(level, width) for other in others})
        self.set_looks(looks)

    # Comparison of columns.

    def set_columns(self, columns: Sequence[str]) -> None:
        """Show these volumes, left to right, each once."""
        chosen = tuple(dict.fromkeys(columns))[:MAX_COLUMNS]
        if chosen == self.state.columns:
            return
        first, second = self.state.pair
        last = max(0, len(chosen) - 1)
        pair = (min(first, last), min(second, last))
        if pair[0] == pair[1]:
            pair = (0, min(1, last))
        mode = self.state.mode if self.state.mode == MOSAIC or len(chosen) > 1 else SIDE_BY_SIDE
        before = self.state.columns
        self.follow(replace(self.state, columns=chosen, pair=pair, mode=mode, maximized=None))
        if chosen and not before:
            self.state = replace(self.state, **self._fitted(self.state))
        self.announce()

    def set_mode(self, mode: str) -> bool:
        """Choose the mode; return False if there are not two columns."""
        if mode in PAIR_MODES and len(self.state.columns) < 2:
            return False
        self.change(mode=mode, flicker_second=False)
        return True

    def set_pair(self, first: int, second: int) -> None:
        """Choose the pair of columns."""
        count = len(self.state.columns)
        if first != second and 0 <= first < count and 0 <= second < count:
            self.change(pair=(first, second))

    def next_pair(self, direction: int = 1) -> None:
        """Choose the next pair of columns: (0, 1), (0, 2), (1, 2) and so on."""
        count = len(self.state.columns)
        pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
        if pairs:
            first, second = sorted(self.state.pair)
            index = pairs.index((first, second)) if (first, second) in pairs else 0
            self.change(pair=pairs[(index + direction) % len(pairs)])

    def flicker(self) -> None:
        """Show the other column of the pair; enter the mode if needed."""
        if self.state.mode != FLICKER:
            self.set_mode(FLICKER)
        else:
            self.change(flicker_second=not self.state.flicker_second)

    def set_swipe(self, fraction: float) -> None:
        """Set the position of the swipe line, 0 (left) to 1 (right)."""
        self.change(swipe=float(np.clip(fraction, 0.0, 1.0)))

    def set_differences(self, differences: Sequence[Difference]) -> None:
        """Show differences as further columns, each with limits that fit the slice."""
        maximized = self.state.maximized
        if maximized and maximized[1] >= len(self.state.columns):
            maximized = None
        state = replace(self.state, differences=tuple(differences), maximized=maximized)
        self.become(replace(state, differences=self._measured(state)))

    def toggle_difference(self, absolute: bool = False) -> None:
        """Show or hide the difference of the pair as a column."""
        state = self.state
        if len(state.columns) < 2:
            return
        first, second = (state.columns[i] for i in state.pair)
        pair = Difference(second, first, absolute)
        if state.truth in (first, second) and state.truth == second:
            pair = Difference(first, second, absolute)
        known = [d for d in state.differences if d.is_like(pair)]
        if known:
            self.set_differences([d for d in state.differences if d not in known])
        else:
            self.set_differences([*state.differences, pair])

    def set_overlay(self, key: str | None, look: Display | None = None) -> None:
        """Show a volume in color over the columns; None for none.

        A map is transparent where it is about zero, any other volume where it is black.
        """
        if key is None or look is None:
            self.change(overlay=None)
            return
        if look.colormap == "gray":
            look = replace(look, colormap=_OVERLAY_COLORMAP)
        low, high = look.limits
        is_map = "map" in self._volumes[key].history
        lowest = low + _MAP_SHOWN_FROM * (high - low) if is_map else low
        self.change(overlay=OverlayVolume(key, look, lowest=lowest))

    def set_axes(self, key: str | None) -> None:
        """Cut along the axes of a volume, which reslices the others; None: the first column's."""
        if key == self.state.axes:
            return
        self.follow(replace(self.state, axes=key))
        if self.first_volume is not None:
            self.state = replace(self.state, **self._fitted(self.state))
        self.announce()

    def toggle(self, name: str) -> None:
        """Toggle ``radiological``, ``smooth``, ``one_window`` or ``crosshair_shown``."""
        self.change(**{name: not getattr(self.state, name)})

    # Regions of interest.

    def roi(self, name: str) -> RoiBox | None:
        """Return the region of a name."""
        return next((roi for roi in self.state.rois if roi.name == name), None)

    def new_roi_name(self) -> str:
        """Return ``ROI 1``, or the next free name."""
        taken = {roi.name for roi in self.state.rois}
        return next(f"ROI {i}" for i in range(1, len(taken) + 2) if f"ROI {i}" not in taken)

    def put_roi(self, roi: RoiBox) -> None:
        """Add a region, or replace the one of the same name."""
        rois = self.state.rois
        if self.roi(roi.name) is None:
            self.change(rois=(*rois, roi))
        else:
            self.change(rois=tuple(roi if r.name == roi.name else r for r in rois))

    def remove_roi(self, name: str) -> None:
        """Drop a region."""
        self.mark()
        self.change(rois=tuple(roi for roi in self.state.rois if roi.name != name))

    def rename_roi(self, old: str, new: str) -> bool:
        """Rename a region; return False if the name is empty or taken."""
        new = new.strip()
        if not new or new == old or self.roi(new) is not None:
            return False
        self.mark()
        rois = (replace(r, name=new) if r.name == old else r for r in self.state.rois)
        self.change(rois=tuple(rois))
        return True

    def put_measurement(self, measured: LineMeasurement, place: int | None = None) -> None:
        """Add a length or an angle, or replace the one at a place."""
        all_ = list(self.state.measurements)
        if place is None:
            all_.append(measured)
        else:
            all_[place] = measured
        self.change(measurements=tuple(all_))

    def remove_measurement(self) -> None:
        """Drop the newest length or angle."""
        if self.state.measurements:
            self.mark()
            self.change(measurements=self.state.measurements[:-1])

    # Undo of regions, lengths and angles.

    def mark(self) -> None:
        """Keep the present regions, lengths and angles, to come back to."""
        drawn = (self.state.rois, self.state.measurements)
        if not self._undo or self._undo[-1] != drawn:
            self._undo.append(drawn)
            del self._undo[:-_MOST_STEPS]
        self._redo.clear()

    def undo(self) -> bool:
        """Take back the last change of regions, lengths and angles; False if there is none."""
        return self._swap(self._undo, self._redo)

    def redo(self) -> bool:
        """Make the change again that was taken back last."""
        return self._swap(self._redo, self._undo)

    def _swap(self, source: list[Drawn], target: list[Drawn]) -> bool:
        present = (self.state.rois, self.state.measurements)
        while source and source[-1] == present:
            source.pop()
        if not source:
            return False
        target.append(present)
        rois, measurements = source.pop()
        self.change(rois=rois, measurements=measurements)
        return True

    def set_depth(self, name: str, plane: Plane, depth_mm: float) -> None:
        """Set the size of a region along a plane's normal."""
        roi = self.roi(name)
        if roi is not None and depth_mm > 0:
            size = list(roi.size)
            size[plane.normal] = depth_mm
            self.put_roi(replace(roi, size=as_point(size)))


def default_plane(state: CompareState) -> Plane:
    """Return the plane that keys act on while the pointer is in no panel."""
    name = state.maximized[0] if state.maximized else state.planes[0]
    return next((plane for plane in PLANES if plane.name == name), AXIAL)


def _moved_by(before: tuple[float, float], after: tuple[float, float]) -> tuple[float, float]:
    """Return the change of level (in widths) and width, as in :meth:`Display.moved`."""
    span = before[1] - before[0]
    if not span > 0 or not math.isfinite(span):
        return 0.0, 1.0
    level = (after[0] + after[1] - before[0] - before[1]) / 2.0 / span
    return level, (after[1] - after[0]) / span
