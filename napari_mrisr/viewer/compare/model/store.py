"""State of Compare, its volumes and its listeners. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_mrisr.comparison.scene import Cutter, PanelView, Scene, build_scene, difference_limit
from napari_mrisr.comparison.slices import bounds
from napari_mrisr.comparison.state import CompareState, Difference, Point, RoiBox, as_point
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Volume
from napari_mrisr.viewer.compare.model.regions import RegionOutlines

Listener = Callable[[CompareState], None]

_UPRIGHT = Frame(np.eye(3))


class Store:
    """Holds the state, changes it, and calls the listeners.

    Parameters
    ----------
    volumes : mapping of str to Volume
        All volumes that can be shown, in the scan's intensities. Only those in the
        state are looked up.
    titles : mapping of str to str, optional
        Names to show; by default the keys.

    Attributes
    ----------
    state : CompareState
        Present state.
    outlines : RegionOutlines or None
        Outlines of the regions of a napari layer.
    chooses_columns : bool
        New volumes become columns, until the user chooses columns.
    """

    def __init__(
        self, volumes: Mapping[str, Volume] | None = None, titles: Mapping[str, str] | None = None
    ) -> None:
        self.state = CompareState()
        self.titles: Mapping[str, str] = titles or {}
        self.outlines: RegionOutlines | None = None
        self.chooses_columns = True
        self._volumes: Mapping[str, Volume] = volumes or {}
        self._listeners: list[Listener] = []
        self._cutter = Cutter(self._volumes, _UPRIGHT)

    # Listeners.

    def subscribe(self, listener: Listener) -> None:
        """Call a function with the new state after each change."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Stop calling a function."""
        self._listeners.remove(listener)

    def become(self, state: CompareState) -> None:
        """Show a state; call the listeners if it differs."""
        if state == self.state:
            return
        self.state = state
        self.announce()

    def announce(self) -> None:
        """Call the listeners, also if only the volumes have changed."""
        for listener in tuple(self._listeners):
            listener(self.state)

    def change(self, **changes: Any) -> None:
        """Replace some of the state's attributes."""
        self.become(replace(self.state, **changes))

    # Contents.

    @property
    def frame(self) -> Frame:
        """Return the axes of the planes: those of the first column, unless others are chosen."""
        return self._cutter.frame

    @property
    def volumes(self) -> Mapping[str, Volume]:
        """Return all volumes that can be shown."""
        return self._volumes

    @property
    def first_volume(self) -> Volume | None:
        """Return the first column, which defines axes and steps."""
        return self._volumes[self.state.columns[0]] if self.state.columns else None

    def scene(self, titles: Mapping[str, str] | None = None, inset: RoiBox | None = None) -> Scene:
        """Return what the panels show; a figure may have other titles and a magnified region."""
        state = self.state if inset is None else replace(self.state, inset=inset)
        made = build_scene(state, self._cutter, self.titles if titles is None else titles)
        if self.outlines is None:
            return made
        more = self.outlines
        rows = (tuple(_with(panel, more) for panel in row) for row in made.panels)
        return replace(made, panels=tuple(rows))

    def colormaps(self) -> set[str]:
        """Return the names of the columns' colormaps."""
        looks = (self.state.looks[key] for key in self.state.columns if key in self.state.looks)
        return {look.colormap for look in looks}

    def title(self, key: str) -> str:
        """Return the name of a volume."""
        return self.titles.get(key, key)

    def titles_of_state(self) -> dict[str, str]:
        """Return the names of the volumes in the state."""
        return {key: self.title(key) for key in tuple(self.state.keys())}

    def volumes_of_state(self) -> dict[str, Volume]:
        """Return the volumes in the state."""
        return {key: self._volumes[key] for key in tuple(self.state.keys())}

    def position(self) -> np.ndarray:
        """Return the crosshair in the frame, mm."""
        return self.frame.from_world(self.state.crosshair)

    def set_volumes(
        self, volumes: Mapping[str, Volume], titles: Mapping[str, str] | None = None
    ) -> None:
        """Take new volumes or voxels; keep the state as far as possible."""
        self._volumes = volumes
        self.titles = self.titles if titles is None else titles
        state = self.state
        for key in tuple(state.keys()):
            if key not in volumes:
                state = state.without(key)
        self.follow(state)
        self.announce()

    def forget_slices(self, key: str) -> None:
        """Forget the slices of a volume whose voxels have changed; call no listener."""
        self._cutter.forget(key)

    def rename(self, old: str, new: str, volumes: Mapping[str, Volume]) -> None:
        """Rename a volume."""
        self._volumes = volumes
        self.follow(self.state.renamed(old, new))
        self.announce()

    def restore(self, state: CompareState) -> None:
        """Show a saved state."""
        self.show(state)
        self.announce()

    def inside(self, world: Point) -> Point:
        """Return the nearest point in the first column's field of view, world mm."""
        volume = self.first_volume
        if volume is None:
            return as_point(world)
        low, high = bounds(volume.grid, self.frame)
        # Half-open: the upper border belongs to no voxel.
        at = np.clip(self.frame.from_world(world), low, high - 1e-3)
        return as_point(self.frame.to_world(at))

    def follow(self, state: CompareState) -> None:
        """Take a state with other columns: the frame changes, the position stays."""
        old, shown = self._cutter.frame, bool(self.state.columns)
        self.show(state)
        if shown and not np.array_equal(old.rotation, self.frame.rotation):
            center = self.frame.from_world(old.to_world(state.center))
            self.state = replace(self.state, center=as_point(center))

    def show(self, state: CompareState) -> None:
        """Take any state; call no listener."""
        leading = state.axes or (state.columns[0] if state.columns else None)
        frame = Frame.of(self._volumes[leading].grid) if leading else _UPRIGHT
        # Along the axes of another scan, oblique volumes are resliced; else voxels are shown.
        self._cutter = Cutter(self._volumes, frame, order=1 if state.axes else 0)
        self.state = replace(state, differences=self._measured(state))

    def _measured(self, state: CompareState) -> tuple[Difference, ...]:
        """Return the state's differences; those without a limit get the widest, for equal colors.

        That is the widest known limit, or else measured at the crosshair.
        """
        known = [d.limit for d in state.differences if d.limit]
        if not known:
            at = as_point(self._cutter.frame.from_world(state.crosshair))
            known = [difference_limit(self._cutter, d, at) for d in state.differences]
        return tuple(d if d.limit else replace(d, limit=max(known)) for d in state.differences)


def _with(panel: PanelView, more: RegionOutlines) -> PanelView:
    found = more.at(panel.plane, panel.position)
    return replace(panel, outlines=panel.outlines + found) if found else panel
