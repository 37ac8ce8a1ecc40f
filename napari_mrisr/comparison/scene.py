"""Scene: the content of every panel, made from a state and volumes.

The canvas and the figures draw the same :class:`Scene`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.comparison.slices import Slice, cut, nearest_index, sample
from napari_mrisr.comparison.state import (
    CHECKERBOARD,
    DIFFERENCE_COLORMAP,
    FLICKER,
    SIDE_BY_SIDE,
    SWIPE,
    CompareState,
    Difference,
    Display,
    RoiBox,
)
from napari_mrisr.core.frames import PLANES, Frame, Plane
from napari_mrisr.core.volume import Volume

_PLANE_OF = {plane.name: plane for plane in PLANES}
_ABSOLUTE_COLORMAP = "magma"
_OUTLINE_POINTS = 64
# Cuts in the cache: several per panel, so that scrolling back is free.
_MAX_CUTS = 96
_LIMIT_PERCENTILE = 99.5


@dataclass(frozen=True, eq=False)
class PanelImage:
    """Image of a panel.

    Attributes
    ----------
    cut : Slice or None
        None if the plane misses the volume.
    look : Display
        Colormap and limits.
    kind : str
        ``volume``, ``signed`` or ``absolute`` (differences).
    title : str
        Name of the volume or difference.
    """

    cut: Slice | None
    look: Display
    kind: str = "volume"
    title: str = ""


@dataclass(frozen=True, eq=False)
class Outline:
    """Closed border of a region of interest in a panel: (n, 2) mm (across, upward)."""

    name: str
    points: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PanelView:
    """Content of one panel.

    Attributes
    ----------
    plane : Plane
        Axes of the panel.
    title : str
        Title of the column.
    column : int
        Index among all columns (volumes, then differences); for a pair, that of
        its first volume.
    pictures : tuple of PanelImage
        One image; two for swipe and checkerboard.
    blend : str
        ``""``, ``swipe`` or ``checkerboard``.
    crosshair, center : (across, upward)
        Frame mm.
    outlines : tuple of Outline
        Regions of interest that the plane cuts.
    position : float
        Position of the plane along its normal, frame mm.
    inset : Outline or None
        Region that the figure magnifies, if the plane cuts it.
    """

    plane: Plane
    title: str
    column: int
    pictures: tuple[PanelImage, ...]
    blend: str
    crosshair: tuple[float, float]
    center: tuple[float, float]
    outlines: tuple[Outline, ...] = ()
    position: float = 0.0
    inset: Outline | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """All panels and their common settings.

    Attributes
    ----------
    panels : tuple of rows of PanelView
        Rows are planes. A pair has one row, with one panel per plane.
    span_mm, radiological, smooth, swipe, checker_mm, crosshair_shown
        As in :class:`~napari_mrisr.comparison.state.CompareState`.
    upright : bool
        True if the frame is the world; else positions are along the scan's own axes.
    """

    panels: tuple[tuple[PanelView, ...], ...]
    span_mm: float
    radiological: bool
    smooth: bool
    swipe: float
    checker_mm: float
    crosshair_shown: bool = True
    upright: bool = True


class Cutter:
    """Cuts through volumes, with a cache of the newest.

    Parameters
    ----------
    volumes : mapping of str to Volume
        In the scan's intensities.
    frame : Frame
        Axes of the planes.
    """

    def __init__(self, volumes: Mapping[str, Volume], frame: Frame) -> None:
        self.volumes = volumes
        self.frame = frame
        self._cuts: OrderedDict[tuple[object, ...], Slice | None] = OrderedDict()

    def forget(self, key: str) -> None:
        """Delete the cuts of a volume whose voxels have changed."""
        for name in [name for name in self._cuts if key in name[:2]]:
            del self._cuts[name]

    def volume(self, key: str, plane: Plane, position: float) -> Slice | None:
        """Return the cut through a volume; position along the normal in frame mm."""
        volume = self.volumes[key]
        middle = self._middle(volume, plane, position)
        name = (key, plane.name, middle)
        if name not in self._cuts:
            self._store(name, cut(volume, self.frame, plane, middle))
        self._cuts.move_to_end(name)
        return self._cuts[name]

    def difference(self, pair: Difference, plane: Plane, position: float) -> Slice | None:
        """Return minuend minus subtrahend at the minuend's pixels; NaN if either is missing.

        On one grid it is the difference of voxels. On two grids the subtrahend is
        interpolated linearly, and so is a minuend that is oblique to the frame.
        """
        minuend, subtrahend = self.volumes[pair.minuend], self.volumes[pair.subtrahend]
        # At the voxels' centers, where the minuend has its values.
        middle = self._middle(minuend, plane, position)
        first = self.volume(pair.minuend, plane, middle)
        if first is None:
            return None
        name = (pair.minuend, pair.subtrahend, plane.name, middle, pair.absolute)
        if name not in self._cuts:
            order = 0 if same_grid(minuend, subtrahend) else 1
            if order and not self.frame.is_along(minuend.grid):
                first = sample(minuend, self.frame, plane, middle, first, order)
            second = sample(subtrahend, self.frame, plane, middle, first, order)
            values = first.values - second.values
            self._store(name, replace(first, values=np.abs(values) if pair.absolute else values))
        self._cuts.move_to_end(name)
        return self._cuts[name]

    def _middle(self, volume: Volume, plane: Plane, position: float) -> float:
        """Return the center of the voxel at a position, for a volume along the frame."""
        if not self.frame.is_along(volume.grid):
            return position
        affine = self.frame.affine(volume.grid)
        start, step = affine[plane.normal, 3], affine[plane.normal, plane.normal]
        return float(start + step * nearest_index((position - start) / step))

    def _store(self, name: tuple[object, ...], made: Slice | None) -> None:
        self._cuts[name] = made
        while len(self._cuts) > _MAX_CUTS:
            self._cuts.popitem(last=False)


def same_grid(a: Volume, b: Volume) -> bool:
    """Return whether two volumes have the same voxel positions (to 1e-3 mm)."""
    if a.grid.shape != b.grid.shape:
        return False
    return bool(np.abs(a.grid.corners() - b.grid.corners()).max() < 1e-3)


def build_scene(state: CompareState, cutter: Cutter, titles: Mapping[str, str]) -> Scene:
    """Return the scene of a state.

    Parameters
    ----------
    state : CompareState
        All its keys must be among the cutter's volumes.
    cutter : Cutter
        Cuts through the volumes.
    titles : mapping of str to str
        Names of the volumes; by default their keys.
    """
    planes = [_PLANE_OF[name] for name in state.planes]
    total = len(state.columns) + len(state.differences)
    if state.maximized is not None and state.mode == SIDE_BY_SIDE:
        name, column = state.maximized
        rows = [[_panel(state, cutter, titles, _PLANE_OF[name], column)]] if column < total else []
    elif state.mode == SIDE_BY_SIDE:
        rows = [[_panel(state, cutter, titles, p, i) for i in range(total)] for p in planes]
    else:
        if state.maximized is not None:
            planes = [_PLANE_OF[state.maximized[0]]]
        rows = [[_pair_panel(state, cutter, titles, plane) for plane in planes]]
    return Scene(
        tuple(tuple(row) for row in rows if row),
        state.span_mm,
        state.radiological,
        state.smooth,
        state.swipe,
        state.checker_mm,
        state.crosshair_shown,
        bool((cutter.frame.rotation == np.eye(3)).all()),
    )


def _panel(
    state: CompareState, cutter: Cutter, titles: Mapping[str, str], plane: Plane, column: int
) -> PanelView:
    position = float(cutter.frame.from_world(state.crosshair)[plane.normal])
    if column < len(state.columns):
        key = state.columns[column]
        title = titles.get(key, key)
        picture = _picture(state, cutter, key, title, plane, position)
    else:
        pair = state.differences[column - len(state.columns)]
        made = cutter.difference(pair, plane, position)
        title = difference_title(pair, titles)
        kind = "absolute" if pair.absolute else "signed"
        picture = PanelImage(made, difference_look(pair), kind, title)
    return _view(state, cutter, plane, title, column, (picture,), "")


def _pair_panel(
    state: CompareState, cutter: Cutter, titles: Mapping[str, str], plane: Plane
) -> PanelView:
    position = float(cutter.frame.from_world(state.crosshair)[plane.normal])
    keys = [state.columns[i] for i in state.pair]
    first, second = (titles.get(key, key) for key in keys)
    pictures = tuple(
        _picture(state, cutter, key, title, plane, position)
        for key, title in zip(keys, (first, second), strict=True)
    )
    column = state.pair[0]
    if state.mode == FLICKER:
        shown = int(state.flicker_second)
        title = (first, second)[shown]
        return _view(state, cutter, plane, title, state.pair[shown], pictures[shown:][:1], "")
    title = f"{first} | {second}" if state.mode == SWIPE else f"{first} ▚ {second}"
    blend = SWIPE if state.mode == SWIPE else CHECKERBOARD
    return _view(state, cutter, plane, title, column, pictures, blend)


def _picture(
    state: CompareState, cutter: Cutter, key: str, title: str, plane: Plane, position: float
) -> PanelImage:
    made = cutter.volume(key, plane, position)
    return PanelImage(made, state.looks.get(key, Display()), title=title)


def _view(
    state: CompareState,
    cutter: Cutter,
    plane: Plane,
    title: str,
    column: int,
    pictures: tuple[PanelImage, ...],
    blend: str,
) -> PanelView:
    cross = cutter.frame.from_world(state.crosshair)
    position = float(cross[plane.normal])
    outlines = (outline(roi, cutter.frame, plane, position) for roi in state.rois)
    inset = None
    if state.inset is not None:
        inset = outline(replace(state.inset, shape="box"), cutter.frame, plane, position)
    return PanelView(
        plane,
        title,
        column,
        pictures,
        blend,
        (float(cross[plane.across]), float(cross[plane.upward])),
        (state.center[plane.across], state.center[plane.upward]),
        tuple(line for line in outlines if line is not None),
        position,
        inset,
    )


def difference_title(pair: Difference, titles: Mapping[str, str]) -> str:
    """Return a title such as ``hashed − reference`` or ``|hashed − reference|``."""
    minuend, subtrahend = (titles.get(k, k) for k in (pair.minuend, pair.subtrahend))
    text = f"{minuend} − {subtrahend}"
    return f"|{text}|" if pair.absolute else text


def difference_look(pair: Difference) -> Display:
    """Return diverging colors about zero, or colors from zero up for an absolute one."""
    limit = pair.limit or 1.0
    if pair.absolute:
        return Display(_ABSOLUTE_COLORMAP, (0.0, limit))
    return Display(DIFFERENCE_COLORMAP, (-limit, limit))


def difference_limit(cutter: Cutter, pair: Difference, position: tuple[float, ...]) -> float:
    """Return a color limit of a difference, from its three cuts at a position (frame mm)."""
    found = []
    for plane in PLANES:
        made = cutter.difference(pair, plane, position[plane.normal])
        if made is not None:
            values = np.abs(made.values)
            found.append(values[np.isfinite(values) & (values > 0)])
    values = np.concatenate(found) if found else np.empty(0)
    return float(np.percentile(values, _LIMIT_PERCENTILE)) if values.size else 1.0


def outline(roi: RoiBox, frame: Frame, plane: Plane, position: float) -> Outline | None:
    """Return the border of a region of interest in a plane.

    Parameters
    ----------
    roi : RoiBox
        Aligned to its own axes, which need not be the frame's.
    frame, plane, position
        The cut; frame mm.

    Returns
    -------
    Outline or None
        None if the plane misses the region. A region that is oblique to the frame is
        drawn along the frame, about the same center.
    """
    center = frame.from_world(roi.center)
    half = np.array(roi.size) / 2.0
    off = position - float(center[plane.normal])
    if abs(off) > half[plane.normal]:
        return None
    a, u = plane.across, plane.upward
    if roi.shape == "box":
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)], dtype=np.float64)
        points = corners * half[[a, u]]
    else:
        shrink = math.sqrt(max(0.0, 1.0 - (off / half[plane.normal]) ** 2))
        angle = np.linspace(0.0, 2.0 * np.pi, _OUTLINE_POINTS + 1)
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * half[[a, u]] * shrink
    return Outline(roi.name, points + center[[a, u]])
