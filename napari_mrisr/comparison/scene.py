"""From a state and volumes to what every panel shows. Pure: no window, no drawing.

The canvas and the publication figure draw the same :class:`Scene`.
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
# Cuts kept: some of every panel, so that going back and forth is free.
_KEPT = 96
_LIMIT_PERCENTILE = 99.5


@dataclass(frozen=True, eq=False)
class PanelImage:
    """One image of a panel.

    Attributes
    ----------
    cut : Slice or None
        None where the plane passes the volume by.
    look : Display
        Colormap and limits.
    kind : str
        ``volume``, ``signed`` or ``absolute`` (differences).
    title : str
        Of the volume or difference.
    """

    cut: Slice | None
    look: Display
    kind: str = "volume"
    title: str = ""


@dataclass(frozen=True, eq=False)
class Outline:
    """The border of a region of interest in a panel; (n, 2) mm (across, upward), closed."""

    name: str
    points: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PanelView:
    """What one panel shows.

    Attributes
    ----------
    plane : Plane
        Its axes.
    title : str
        Of the column.
    column : int
        Index among all columns (volumes, then differences); in the modes that
        show a pair, that of the pair's first.
    pictures : tuple of PanelImage
        One; two for swipe and checkerboard.
    blend : str
        ``""``, ``swipe`` or ``checkerboard``.
    crosshair, center : (across, upward)
        Frame mm.
    outlines : tuple of Outline
        Regions of interest that the plane cuts.
    position : float
        Of the plane along its normal, frame mm.
    inset : Outline or None
        What the figure magnifies, where the plane cuts it.
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
    """All panels, and what they share.

    Attributes
    ----------
    panels : tuple of rows of PanelView
        Rows are planes. In the modes that show a pair, one row with a panel a plane.
    span_mm, radiological, smooth, swipe, checker_mm, crosshair_shown
        As in :class:`~napari_mrisr.comparison.state.CompareState`.
    upright : bool
        Whether the frame is the world; else positions are along the scan's own axes.
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
    """Cuts through named volumes, the latest of them kept.

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
        self._kept: OrderedDict[tuple[object, ...], Slice | None] = OrderedDict()

    def forget(self, key: str) -> None:
        """A volume has other voxels: cut it anew."""
        for name in [name for name in self._kept if key in name[:2]]:
            del self._kept[name]

    def volume(self, key: str, plane: Plane, position: float) -> Slice | None:
        """The cut through a volume; position along the normal in frame mm."""
        volume = self.volumes[key]
        middle = self._middle(volume, plane, position)
        name = (key, plane.name, middle)
        if name not in self._kept:
            self._keep(name, cut(volume, self.frame, plane, middle))
        self._kept.move_to_end(name)
        return self._kept[name]

    def difference(self, pair: Difference, plane: Plane, position: float) -> Slice | None:
        """Minuend minus subtrahend at the minuend's pixels; NaN where either is missing.

        On one grid that of their voxels. On two, the subtrahend is interpolated
        linearly; so is the minuend where its axes are not the frame's.
        """
        minuend, subtrahend = self.volumes[pair.minuend], self.volumes[pair.subtrahend]
        # At the voxels' centers, where the minuend is known.
        middle = self._middle(minuend, plane, position)
        first = self.volume(pair.minuend, plane, middle)
        if first is None:
            return None
        name = (pair.minuend, pair.subtrahend, plane.name, middle, pair.absolute)
        if name not in self._kept:
            order = 0 if same_grid(minuend, subtrahend) else 1
            if order and not self.frame.is_along(minuend.grid):
                first = sample(minuend, self.frame, plane, middle, first, order)
            second = sample(subtrahend, self.frame, plane, middle, first, order)
            values = first.values - second.values
            self._keep(name, replace(first, values=np.abs(values) if pair.absolute else values))
        self._kept.move_to_end(name)
        return self._kept[name]

    def _middle(self, volume: Volume, plane: Plane, position: float) -> float:
        """Along the frame, all positions within a voxel give the cut through its center."""
        if not self.frame.is_along(volume.grid):
            return position
        affine = self.frame.affine(volume.grid)
        start, step = affine[plane.normal, 3], affine[plane.normal, plane.normal]
        return float(start + step * nearest_index((position - start) / step))

    def _keep(self, name: tuple[object, ...], made: Slice | None) -> None:
        self._kept[name] = made
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def same_grid(a: Volume, b: Volume) -> bool:
    """Whether two volumes have their voxels at the same places (to 1e-3 mm)."""
    if a.grid.shape != b.grid.shape:
        return False
    return bool(np.abs(a.grid.corners() - b.grid.corners()).max() < 1e-3)


def build_scene(state: CompareState, cutter: Cutter, titles: Mapping[str, str]) -> Scene:
    """What the panels show.

    Parameters
    ----------
    state : CompareState
        All its keys must be among the cutter's volumes.
    cutter : Cutter
        The volumes.
    titles : mapping of str to str
        What to call each volume.
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
    """Such as ``hashed − truth`` or ``|hashed − truth|``."""
    minuend, subtrahend = (titles.get(k, k) for k in (pair.minuend, pair.subtrahend))
    text = f"{minuend} − {subtrahend}"
    return f"|{text}|" if pair.absolute else text


def difference_look(pair: Difference) -> Display:
    """Diverging with zero in the middle, or from zero up."""
    limit = pair.limit or 1.0
    if pair.absolute:
        return Display(_ABSOLUTE_COLORMAP, (0.0, limit))
    return Display(DIFFERENCE_COLORMAP, (-limit, limit))


def difference_limit(cutter: Cutter, pair: Difference, position: tuple[float, ...]) -> float:
    """A limit for a difference's colors, from the three cuts at a position (frame mm)."""
    found = []
    for plane in PLANES:
        made = cutter.difference(pair, plane, position[plane.normal])
        if made is not None:
            values = np.abs(made.values)
            found.append(values[np.isfinite(values) & (values > 0)])
    values = np.concatenate(found) if found else np.empty(0)
    return float(np.percentile(values, _LIMIT_PERCENTILE)) if values.size else 1.0


def outline(roi: RoiBox, frame: Frame, plane: Plane, position: float) -> Outline | None:
    """Where a plane cuts a region of interest.

    Parameters
    ----------
    roi : RoiBox
        Aligned to its own axes, which need not be the frame's.
    frame, plane, position
        The cut; frame mm.

    Returns
    -------
    Outline or None
        None where the plane misses it. A region whose axes are not the
        frame's is drawn as though they were, about the same center.
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
