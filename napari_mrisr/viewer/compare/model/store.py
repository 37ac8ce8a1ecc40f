"""The state of the reading room, its volumes, and who listens. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_mrisr.comparison.scene import Cutter, PanelView, Scene, build_scene, difference_limit
from napari_mrisr.comparison.slices import bounds
from napari_mrisr.comparison.state import CompareState, Difference, Point, RoiBox
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Volume
from napari_mrisr.viewer.compare.model.outlines import RegionOutlines

Listener = Callable[[CompareState], None]

_UPRIGHT = Frame(np.eye(3))


class Store:
    """Keeps the state; changes it by actions; tells listeners.

    Parameters
    ----------
    volumes : mapping of str to Volume
        All that may be shown, in the scan's intensities. Only those that the
        state names are asked for.
    titles : mapping of str to str, optional
        What to call each; by default its key.

    Attributes
    ----------
    state : CompareState
        What is shown.
    outlines : RegionOutlines or None
        Of regions that the state does not have: those of a layer.
    generation : int
        Grows with every change; what was computed for an older one is stale.
    """

    def __init__(
        self, volumes: Mapping[str, Volume] | None = None, titles: Mapping[str, str] | None = None
    ) -> None:
        self.state = CompareState()
        self.titles: Mapping[str, str] = titles or {}
        self.outlines: RegionOutlines | None = None
        self.generation = 0
        self._volumes: Mapping[str, Volume] = volumes or {}
        self._listeners: list[Listener] = []
        self._cutter = Cutter(self._volumes, _UPRIGHT)

    # Who listens.

    def subscribe(self, listener: Listener) -> None:
        """Call this with the new state after each change."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """No longer call it."""
        self._listeners.remove(listener)

    def become(self, state: CompareState) -> None:
        """Show this; tell it, if it is another one."""
        if state == self.state:
            return
        self.state = state
        self.announce()

    def announce(self) -> None:
        """Tell the state, also when it is the volumes that have changed."""
        self.generation += 1
        for listener in tuple(self._listeners):
            listener(self.state)

    def change(self, **changes: Any) -> None:
        """Replace some of the state's attributes."""
        self.become(replace(self.state, **changes))

    # What there is.

    @property
    def frame(self) -> Frame:
        """Axes of the planes: those of the first column."""
        return self._cutter.frame

    @property
    def volumes(self) -> Mapping[str, Volume]:
        """All volumes that may be shown."""
        return self._volumes

    @property
    def reference(self) -> Volume | None:
        """The first column, whose axes and voxels steps follow."""
        return self._volumes[self.state.columns[0]] if self.state.columns else None

    def scene(self, titles: Mapping[str, str] | None = None, inset: RoiBox | None = None) -> Scene:
        """What the panels show; for a figure with other titles and a magnified region."""
        state = self.state if inset is None else replace(self.state, inset=inset)
        made = build_scene(state, self._cutter, self.titles if titles is None else titles)
        if self.outlines is None:
            return made
        more = self.outlines
        rows = (tuple(_with(panel, more) for panel in row) for row in made.panels)
        return replace(made, panels=tuple(rows))

    def colormaps(self) -> set[str]:
        """Names of those that the columns have."""
        looks = (self.state.looks[key] for key in self.state.columns if key in self.state.looks)
        return {look.colormap for look in looks}

    def title(self, key: str) -> str:
        """What a volume is called."""
        return self.titles.get(key, key)

    def titles_of_state(self) -> dict[str, str]:
        """What the volumes are called that the state names."""
        return {key: self.title(key) for key in tuple(self.state.keys())}

    def volumes_of_state(self) -> dict[str, Volume]:
        """The volumes that the state names."""
        return {key: self._volumes[key] for key in tuple(self.state.keys())}

    def position(self) -> np.ndarray:
        """The crosshair in the frame, mm."""
        return self.frame.from_world(self.state.crosshair)

    def set_volumes(
        self, volumes: Mapping[str, Volume], titles: Mapping[str, str] | None = None
    ) -> None:
        """Other volumes, or other voxels; the state stays as far as they allow."""
        self._volumes = volumes
        self.titles = self.titles if titles is None else titles
        state = self.state
        for key in tuple(state.keys()):
            if key not in volumes:
                state = state.without(key)
        self.follow(state)
        self.announce()

    def cut_anew(self, key: str) -> None:
        """A volume has other voxels than a moment ago; nothing is told."""
        self._cutter.forget(key)
        self.generation += 1

    def rename(self, old: str, new: str, volumes: Mapping[str, Volume]) -> None:
        """A volume's key has changed."""
        self._volumes = volumes
        self.follow(self.state.renamed(old, new))
        self.announce()

    def restore(self, state: CompareState) -> None:
        """Show a saved state as it is."""
        self.show(state)
        self.announce()

    def inside(self, world: Point) -> Point:
        """The nearest point of the world in the first column's field of view."""
        volume = self.reference
        if volume is None:
            return point(world)
        low, high = bounds(volume.grid, self.frame)
        # Half-open: the upper border belongs to no voxel.
        at = np.clip(self.frame.from_world(world), low, high - 1e-3)
        return point(self.frame.to_world(at))

    def follow(self, state: CompareState) -> None:
        """Take the present state with other columns: the frame follows, the place stays."""
        old, shown = self._cutter.frame, bool(self.state.columns)
        self.show(state)
        if shown and not np.array_equal(old.rotation, self.frame.rotation):
            center = self.frame.from_world(old.to_world(state.center))
            self.state = replace(self.state, center=point(center))

    def show(self, state: CompareState) -> None:
        """Take a state with whatever columns; nothing is told."""
        frame = Frame.of(self._volumes[state.columns[0]].grid) if state.columns else _UPRIGHT
        self._cutter = Cutter(self._volumes, frame)
        self.state = replace(state, differences=self._measured(state))

    def _measured(self, state: CompareState) -> tuple[Difference, ...]:
        """The state's differences; those without a limit share the widest, so that colors compare.

        It is that of those that have one, or measured where the crosshair is.
        """
        known = [d.limit for d in state.differences if d.limit]
        if not known:
            at = point(self._cutter.frame.from_world(state.crosshair))
            known = [difference_limit(self._cutter, d, at) for d in state.differences]
        return tuple(d if d.limit else replace(d, limit=max(known)) for d in state.differences)


def _with(panel: PanelView, more: RegionOutlines) -> PanelView:
    found = more.at(panel.plane, panel.position)
    return replace(panel, outlines=panel.outlines + found) if found else panel


def point(values: Any) -> Point:
    """Three floats."""
    x, y, z = (float(v) for v in values)
    return x, y, z
