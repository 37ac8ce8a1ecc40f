"""Scene: the content of every panel, made from a state and volumes.

The canvas and the figures draw the same :class:`Scene`.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.comparison.slices import (
    Slice,
    bounds,
    cut,
    nearest_index,
    project,
    sample,
    slab,
    slab_positions,
)
from napari_mrisr.comparison.state import (
    CHECKERBOARD,
    DIFFERENCE_COLORMAP,
    FLICKER,
    MOSAIC,
    SIDE_BY_SIDE,
    SWIPE,
    CompareState,
    Difference,
    Display,
    RoiBox,
)
from napari_mrisr.core.frames import PLANES, Frame, Plane
from napari_mrisr.core.volume import Volume

# A map of classes names them, as in "support: 0 enough, 1 few samples".
_CLASSES = re.compile(r"(?<!\S)(\d) ([^,:]+)(?:,|$)")
_PLANE_OF = {plane.name: plane for plane in PLANES}
_ABSOLUTE_COLORMAP = "magma"
_OUTLINE_POINTS = 64
# Cuts in the cache: several per panel, so that scrolling back is free.
_MAX_CUTS = 96
_LIMIT_PERCENTILE = 99.5
# Slices of a mosaic, by default and at most; its panels are in rows of this shape.
_MOSAIC, _MOST_MOSAIC, _MOSAIC_ASPECT = 24, 120, 1.8


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
    opacity : float
        0 to 1; less than 1 over another image.
    lowest : float
        Smaller values are transparent.
    percent_of : float
        Values are shown in % of this number at the color bar; 0 shows them as they are.
    classes : tuple of (value, name)
        Names of the only values there are; they replace the color bar.
    """

    cut: Slice | None
    look: Display
    kind: str = "volume"
    title: str = ""
    opacity: float = 1.0
    lowest: float = -math.inf
    percent_of: float = 0.0
    classes: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Outline:
    """Closed border of a region of interest in a panel: (n, 2) mm (across, upward)."""

    name: str
    points: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MeasuredLine:
    """Length or angle in a panel: its value as text, and (2 or 3, 2) mm (across, upward)."""

    text: str
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
    crosshair : (across, upward) or None
        Frame mm; None if it is not in the plane.
    center : (across, upward)
        Frame mm.
    outlines : tuple of Outline
        Regions of interest that the plane cuts.
    position : float
        Position of the plane along its normal, frame mm.
    inset : Outline or None
        Region that the figure magnifies, if the plane cuts it.
    place : str
        Position of the plane in words, such as ``S 12.3 mm`` (of the scanner, at the crosshair).
    over : PanelImage or None
        Volume over the images.
    lines : tuple of MeasuredLine
        Lengths and angles in the plane.
    """

    plane: Plane
    title: str
    column: int
    pictures: tuple[PanelImage, ...]
    blend: str
    crosshair: tuple[float, float] | None
    center: tuple[float, float]
    outlines: tuple[Outline, ...] = ()
    position: float = 0.0
    inset: Outline | None = None
    place: str = ""
    over: PanelImage | None = None
    lines: tuple[MeasuredLine, ...] = ()


@dataclass(frozen=True, eq=False)
class Scene:
    """All panels and their common settings.

    Attributes
    ----------
    panels : tuple of rows of PanelView
        Rows are planes. A pair has one row, with one panel per plane.
    span_mm, radiological, smooth, swipe, checker_mm, crosshair_shown
        As in :class:`~napari_mrisr.comparison.state.CompareState`.
    tilt_degrees : float
        Angle between the frame and the scanner's axes; 0 if it is the world.
    """

    panels: tuple[tuple[PanelView, ...], ...]
    span_mm: float
    radiological: bool
    smooth: bool
    swipe: float
    checker_mm: float
    crosshair_shown: bool = True
    tilt_degrees: float = 0.0


class Cutter:
    """Cuts through volumes, with a cache of the newest.

    Parameters
    ----------
    volumes : mapping of str to Volume
        In the scan's intensities.
    frame : Frame
        Axes of the planes.
    order : int
        For volumes that are oblique to the frame: 0 for the nearest voxels, 1 for trilinear
        interpolation.
    """

    def __init__(self, volumes: Mapping[str, Volume], frame: Frame, order: int = 0) -> None:
        self.volumes = volumes
        self.frame = frame
        self.order = order
        self._cuts: OrderedDict[tuple[object, ...], Slice | None] = OrderedDict()

    def forget(self, key: str) -> None:
        """Delete the cuts of a volume whose voxels have changed."""
        for name in [name for name in self._cuts if key in name[:2]]:
            del self._cuts[name]

    def volume(
        self, key: str, plane: Plane, position: float, slab_mm: float = 0.0, projection: str = ""
    ) -> Slice | None:
        """Return the cut through a volume, or the projection through a slab.

        The position is along the normal, frame mm.
        """
        volume = self.volumes[key]
        middle = self._middle(volume, plane, position)
        name = (key, plane.name, middle, slab_mm and (slab_mm, projection))
        if name not in self._cuts:
            if slab_mm > 0:
                thick = (slab_mm, projection, self.order)
                self._store(name, slab(volume, self.frame, plane, middle, *thick))
            else:
                self._store(name, cut(volume, self.frame, plane, middle, self.order))
        self._cuts.move_to_end(name)
        return self._cuts[name]

    def difference(
        self,
        pair: Difference,
        plane: Plane,
        position: float,
        slab_mm: float = 0.0,
        projection: str = "",
    ) -> Slice | None:
        """Return minuend minus subtrahend at the minuend's pixels; NaN if either is missing.

        On one grid it is the difference of voxels. On two grids the subtrahend is
        interpolated linearly, and so is a minuend that is oblique to the frame. Of a slab it
        is the projection of the differences, as of a subtracted volume.
        """
        grid = self.volumes[pair.minuend].grid
        # At the voxels' centers, where the minuend has its values.
        middle = self._middle(self.volumes[pair.minuend], plane, position)
        thick = slab_mm and (slab_mm, projection)
        name = (pair.minuend, pair.subtrahend, plane.name, middle, pair.absolute, thick)
        if name not in self._cuts:
            places = slab_positions(grid, self.frame, plane, middle, slab_mm)
            made = [self._subtract(pair, plane, place) for place in places]
            self._store(name, project(made, projection) if slab_mm > 0 else made[0])
        self._cuts.move_to_end(name)
        return self._cuts[name]

    def _subtract(self, pair: Difference, plane: Plane, position: float) -> Slice | None:
        minuend, subtrahend = self.volumes[pair.minuend], self.volumes[pair.subtrahend]
        first = cut(minuend, self.frame, plane, position, self.order)
        if first is None:
            return None
        order = 0 if same_grid(minuend, subtrahend) else 1
        if order and not self.frame.is_along(minuend.grid):
            first = sample(minuend, self.frame, plane, position, first, order)
        second = sample(subtrahend, self.frame, plane, position, first, order)
        values = first.values - second.values
        return replace(first, values=np.abs(values) if pair.absolute else values)

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
    scenery = _Scenery(state, cutter, titles)
    if state.mode == MOSAIC:
        rows = scenery.mosaic(_PLANE_OF[state.maximized[0]] if state.maximized else planes[0])
    elif state.maximized is not None and state.mode == SIDE_BY_SIDE:
        name, column = state.maximized
        rows = [[scenery.panel(_PLANE_OF[name], column)]] if column < total else []
    elif state.mode == SIDE_BY_SIDE:
        rows = [[scenery.panel(p, i) for i in range(total)] for p in planes]
    else:
        if state.maximized is not None:
            planes = [_PLANE_OF[state.maximized[0]]]
        rows = [[scenery.pair(plane) for plane in planes]]
    return Scene(
        tuple(tuple(row) for row in rows if row),
        state.span_mm,
        state.radiological,
        state.smooth,
        state.swipe,
        state.checker_mm,
        state.crosshair_shown,
        tilt_degrees(cutter.frame),
    )


class _Scenery:
    """Panels of a state; the parameters are those of :func:`build_scene`."""

    def __init__(self, state: CompareState, cutter: Cutter, titles: Mapping[str, str]) -> None:
        self.state, self.cutter, self.titles = state, cutter, titles
        self.cross = cutter.frame.from_world(state.crosshair)

    def panel(self, plane: Plane, column: int, position: float | None = None) -> PanelView:
        """Return the panel of a column, at the crosshair or another position."""
        state = self.state
        at = float(self.cross[plane.normal]) if position is None else position
        if column < len(state.columns):
            pictures = (self._picture(state.columns[column], plane, at),)
            return self._view(plane, pictures[0].title, column, pictures, at)
        pair = state.differences[column - len(state.columns)]
        title = difference_title(pair, self.titles)
        kind = "absolute" if pair.absolute else "signed"
        made = self.cutter.difference(pair, plane, at, state.slab_mm, state.slab)
        picture = PanelImage(made, difference_look(pair), kind, title)
        return self._view(plane, title, column, (picture,), at)

    def pair(self, plane: Plane) -> PanelView:
        """Return the panel of the pair of columns, in one of the modes for pairs."""
        state, at = self.state, float(self.cross[plane.normal])
        keys = [state.columns[i] for i in state.pair]
        pictures = tuple(self._picture(key, plane, at) for key in keys)
        first, second = (picture.title for picture in pictures)
        if state.mode == FLICKER:
            shown = int(state.flicker_second)
            alone = pictures[shown:][:1]
            return self._view(plane, alone[0].title, state.pair[shown], alone, at)
        title = f"{first} | {second}" if state.mode == SWIPE else f"{first} ▚ {second}"
        blend = SWIPE if state.mode == SWIPE else CHECKERBOARD
        return self._view(plane, title, state.pair[0], pictures, at, blend)

    def mosaic(self, plane: Plane) -> list[list[PanelView]]:
        """Return every n-th slice of the first volume of the pair, in rows."""
        state, frame = self.state, self.cutter.frame
        column = min(state.pair[0], len(state.columns) - 1)
        if column < 0:
            return []
        grid = self.cutter.volumes[state.columns[column]].grid
        low, high = (float(end[plane.normal]) for end in bounds(grid, frame))
        along = frame.is_along(grid)
        size = grid.voxel_size[plane.normal] if along else min(grid.voxel_size)
        count = max(1, round((high - low) / size))
        step = max(state.mosaic_step or -(-count // _MOSAIC), -(-count // _MOST_MOSAIC))
        indices = range((count - 1) % step // 2, count, step)
        panels = [self.panel(plane, column, low + (i + 0.5) * size) for i in indices]
        nearest = min(panels, key=lambda panel: abs(panel.position - self.cross[plane.normal]))
        panels = [p if p is nearest else replace(p, crosshair=None) for p in panels]
        lines = max(1, round(math.sqrt(len(panels) / _MOSAIC_ASPECT)))
        wide = -(-len(panels) // lines)
        return [panels[i : i + wide] for i in range(0, len(panels), wide)]

    def _picture(self, key: str, plane: Plane, at: float) -> PanelImage:
        state = self.state
        made = self.cutter.volume(key, plane, at, state.slab_mm, state.slab)
        return PanelImage(made, state.looks.get(key, Display()), title=self.titles.get(key, key))

    def _over(self, plane: Plane, at: float) -> PanelImage | None:
        over = self.state.overlay
        if over is None:
            return None
        history = self.cutter.volumes[over.key].history.get("map", "")
        classes = tuple((float(n), name) for n, name in _CLASSES.findall(history))
        window = 0.0
        if history and not classes and self.state.columns:
            low, high = self.state.looks.get(self.state.columns[0], Display()).limits
            window = high - low
        return PanelImage(
            self.cutter.volume(over.key, plane, at),
            over.look,
            title=self.titles.get(over.key, over.key),
            opacity=over.opacity,
            lowest=-math.inf if over.lowest is None else over.lowest,
            percent_of=window,
            classes=classes,
        )

    def _view(
        self,
        plane: Plane,
        title: str,
        column: int,
        pictures: tuple[PanelImage, ...],
        at: float,
        blend: str = "",
    ) -> PanelView:
        state, frame, cross = self.state, self.cutter.frame, self.cross.copy()
        cross[plane.normal] = at
        outlines = (outline(roi, frame, plane, at) for roi in state.rois)
        inset = None
        if state.inset is not None:
            inset = outline(replace(state.inset, shape="box"), frame, plane, at)
        place = plane_text(plane, float(frame.to_world(cross)[plane.normal]))
        if state.slab_mm > 0:
            place += f", {state.slab} of {state.slab_mm:g} mm"
        return PanelView(
            plane,
            title,
            column,
            pictures,
            blend,
            (float(cross[plane.across]), float(cross[plane.upward])),
            (state.center[plane.across], state.center[plane.upward]),
            tuple(line for line in outlines if line is not None),
            at,
            inset,
            place,
            self._over(plane, at) if pictures[0].kind == "volume" else None,
            tuple(self._lines(plane, at)),
        )

    def _lines(self, plane: Plane, at: float) -> Iterator[MeasuredLine]:
        """Yield the measurements whose points lie in the plane, to half a voxel."""
        state = self.state
        if not state.measurements or not state.columns:
            return
        near = max(self.cutter.volumes[state.columns[0]].grid.voxel_size) / 2.0
        for measured in state.measurements:
            points = self.cutter.frame.from_world(measured.points)
            if np.abs(points[:, plane.normal] - at).max() <= near:
                yield MeasuredLine(measured.text, points[:, [plane.across, plane.upward]])


def plane_text(plane: Plane, position: float) -> str:
    """Return the position of a plane, such as ``S 12.3 mm``."""
    letter = ("LR", "PA", "IS")[plane.normal][int(position >= 0)]
    return f"{letter} {abs(position):.1f} mm"


def tilt_degrees(frame: Frame) -> float:
    """Return the angle of the rotation between a frame and the scanner's axes."""
    cosine = (float(np.trace(frame.rotation)) - 1.0) / 2.0
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


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
