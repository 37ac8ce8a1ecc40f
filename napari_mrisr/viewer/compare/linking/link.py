"""Link between Compare and napari's viewer, in both directions.

napari's world is (inferior, posterior, left) along the axes of the first
column; see :mod:`napari_mrisr.viewer.layers.geometry`. Changes in napari take
effect at once. The widget pushes changes to napari a few times per second during a
drag, and only what differs from the state that both know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_mrisr.comparison.state import CompareState, Display, Point, as_point
from napari_mrisr.core.frames import Frame
from napari_mrisr.viewer.common.events import LayerWatch
from napari_mrisr.viewer.compare.linking.layers import (
    VOXEL_EVENTS,
    LayerVolumes,
    is_along_own_axes,
    is_mask,
    is_volume,
    look_of,
)
from napari_mrisr.viewer.compare.model.controller import Controller

if TYPE_CHECKING:
    from napari.viewer import Viewer

LOOK_EVENTS = ("contrast_limits", "colormap", "gamma")
_WORLD = Frame(np.eye(3))
# napari's axis k is the frame's axis 2 - k, the other way around.
_LAST_AXES = 3


class Link:
    """Keeps a controller and a viewer in step.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Or its model, or the proxy that plugins get.
    controller : Controller
        Gets the viewer's layers as volumes.
    layers_changed : callable
        Called when layers were added, removed or renamed.
    """

    def __init__(
        self, viewer: Viewer, controller: Controller, layers_changed: Callable[[], None]
    ) -> None:
        self._viewer = viewer
        self._controller = controller
        self._layers_changed = layers_changed
        self.volumes = LayerVolumes()
        self._layers = LayerWatch(
            viewer,
            self._refresh_layers,
            {
                "name": self._pull_name,
                **dict.fromkeys(VOXEL_EVENTS, self._pull_voxels),
                **dict.fromkeys(LOOK_EVENTS, self._pull_look),
            },
        )
        self._pushing = False
        self._attached = False
        self._known = controller.state
        self._zoom = 1.0
        self._masks: dict[str, bool] = {}

    # Life cycle.

    def attach(self) -> None:
        """Connect to the viewer."""
        if self._attached:
            return
        self._attached = True
        self._layers.attach()
        for emitter, callback in self._emitters():
            emitter.connect(callback)
        self._viewer.mouse_move_callbacks.append(self._cursor_moved)
        self._zoom = float(self._viewer.scene.camera.zoom)
        self._refresh_layers()

    def detach(self) -> None:
        """Disconnect from the viewer and its layers."""
        if not self._attached:
            return
        self._attached = False
        self._layers.detach()
        for emitter, callback in self._emitters():
            emitter.disconnect(callback)
        self._viewer.mouse_move_callbacks.remove(self._cursor_moved)
        self.volumes.offer([])

    def _emitters(self) -> list[tuple[Any, Any]]:
        camera = self._viewer.scene.camera.events
        return [
            (self._viewer.dims.events.point, self._pull_point),
            (camera.center, self._pull_camera),
            (camera.zoom, self._pull_camera),
        ]

    # Layers.

    def regions(self) -> list[Any]:
        """Return the Shapes and Labels layers and the masks, possible regions of interest."""
        kinds = Shapes | Labels
        return [x for x in self._viewer.layers if isinstance(x, kinds) or self._is_mask(x)]

    def markings(self) -> list[Any]:
        """Return the 3D Points and Labels layers and the masks, which can mark lesions."""
        layers = [x for x in self._viewer.layers if x.ndim == _LAST_AXES]
        return [x for x in layers if isinstance(x, Points | Labels) or self._is_mask(x)]

    def _is_mask(self, layer: Any) -> bool:
        """Return whether a layer is a mask; the answer is kept until its voxels change."""
        if layer.name not in self.volumes:
            return False
        if layer.name not in self._masks:
            self._masks[layer.name] = is_mask(layer)
        return self._masks[layer.name]

    def set_frame(self, frame: int) -> None:
        """Show a frame of all time series, here and in napari."""
        if self._viewer.dims.ndim > _LAST_AXES:
            self._viewer.dims.set_point(0, frame)
        self._take_frame(frame)

    def _take_frame(self, frame: int) -> None:
        if self.volumes.set_frame(frame):
            self._update_volumes()

    def looks(self) -> dict[str, Display]:
        """Return the looks of all layers."""
        return {key: look_of(self._layer(key)) for key in self.volumes}

    def start(self, state: CompareState) -> CompareState:
        """Return a state with the layers' looks."""
        return replace(state, looks={**state.looks, **self.looks()})

    def point(self) -> Point | None:
        """Return the position of napari's sliders, world mm; None while no layer exists."""
        if self._viewer.dims.ndim < _LAST_AXES:
            return None
        along = -np.asarray(self._viewer.dims.point[-_LAST_AXES:], dtype=float)[::-1]
        return as_point(self.axes().to_world(along))

    def along_axes(self) -> np.ndarray:
        """Return the crosshair along napari's axes (in RAS order), mm."""
        return self.axes().from_world(self._controller.state.crosshair)

    def _layer(self, key: str) -> Any:
        return self.volumes.layer(key)

    def _refresh_layers(self, event: Any = None) -> None:
        layers = [layer for layer in self._viewer.layers if is_volume(layer)]
        self._layers.watch(layers)
        self.volumes.offer(layers)
        self._masks = {k: known for k, known in self._masks.items() if k in self.volumes}
        self._known = replace(self._known, looks=self.looks())
        self._update_volumes()

    def _update_volumes(self) -> None:
        """Offer the layers that can be shown; remove the others from the columns."""
        controller = self._controller
        state = controller.state
        for key in filter(self._cannot_show, tuple(state.keys())):
            state = state.without(key)
        controller.state = state
        controller.set_volumes(self.volumes)
        self._layers_changed()

    def _cannot_show(self, key: str) -> bool:
        return key not in self.volumes or self.volumes.trouble(key) is not None

    def _pull_name(self, event: Any) -> None:
        names = {layer.name for layer in self._layers.layers}
        for old in list(self.volumes):
            if old not in names:
                new = self._layer(old).name
                self.volumes.rename(old, new)
                self._known = self._known.renamed(old, new)
                self._controller.rename(old, new, self.volumes)
        self._layers_changed()

    def _pull_voxels(self, event: Any) -> None:
        key = event.source.name
        if key not in self.volumes:
            return
        self.volumes.forget(key)
        self._masks.pop(key, None)
        if key in tuple(self._controller.state.keys()):
            self._update_volumes()

    def _pull_look(self, event: Any) -> None:
        if self._pushing:
            return
        key = event.source.name
        if key in self.volumes:
            look = look_of(event.source)
            self._known = replace(self._known, looks={**self._known.looks, key: look})
            if look != self._controller.state.looks.get(key):
                self._controller.follow_look(key, look)

    # Position.

    def axes(self) -> Frame:
        """Return the axes of napari's world for the first column."""
        columns = self._controller.state.columns
        layer = self._layer(columns[0]) if columns else None
        if layer is None or not is_along_own_axes(layer):
            return _WORLD
        return Frame.of(self.volumes[columns[0]].grid)

    def _pull_point(self, event: Any = None) -> None:
        if self._pushing or not self._controller.state.columns:
            return
        if self.volumes.frames() > 1 and self._viewer.dims.ndim > _LAST_AXES:
            self._take_frame(max(0, round(float(self._viewer.dims.point[0]))))
        world = self.point()
        if world is not None:
            self._controller.go_to(world)
            self._known = replace(self._known, crosshair=self._controller.state.crosshair)

    def _cursor_moved(self, viewer: Any, event: Any) -> None:
        """Move the crosshair with napari's cursor while Shift is held."""
        if "Shift" in event.modifiers and self._controller.state.columns:
            along = -np.asarray(event.position[-_LAST_AXES:], dtype=float)[::-1]
            self._controller.go_to(as_point(self.axes().to_world(along)))

    def _pull_camera(self, event: Any = None) -> None:
        if self._pushing or not self._controller.state.columns:
            return
        camera = self._viewer.scene.camera
        zoom, before = float(camera.zoom), self._zoom
        self._zoom = zoom
        shown = self._shown_axes()
        if shown is None:
            return
        state = self._controller.state
        center = np.array(state.center)
        across = self._turn()
        inside = across.T @ center
        for axis, value in zip(shown, camera.center[-2:], strict=True):
            inside[axis] = -float(value)
        self._controller.look_at(as_point(across @ inside), state.span_mm * before / zoom)
        after = self._controller.state
        self._known = replace(self._known, center=after.center, span_mm=after.span_mm)

    def _shown_axes(self) -> tuple[int, int] | None:
        """Return the frame's axes that napari shows downward and rightward; None in 3D."""
        dims = self._viewer.dims
        first = dims.ndim - _LAST_AXES
        if dims.ndisplay != 2 or first < 0:
            return None
        down, right = (2 - (axis - first) for axis in dims.displayed)
        return (down, right) if max(down, right) <= 2 else None

    def _turn(self) -> np.ndarray:
        """Return the rotation from napari's axes (RAS) to the frame's (identity for our layers)."""
        return self._controller.frame.rotation.T @ self.axes().rotation

    # To napari.

    def push(self) -> None:
        """Apply to napari what has changed since the last push."""
        state = self._controller.state
        if not self._attached or state is self._known:
            return
        with self._quiet():
            if state.crosshair != self._known.crosshair:
                self._push_point(state)
            if (state.center, state.span_mm) != (self._known.center, self._known.span_mm):
                self._push_camera(state)
            self._push_looks(state)
        self._known = state

    def settle(self) -> None:
        """Take the present state as known; leave napari as it is."""
        self._known = self._controller.state

    def _push_point(self, state: CompareState) -> None:
        dims = self._viewer.dims
        if dims.ndim < _LAST_AXES or not state.columns:
            return
        wanted = -self.axes().from_world(state.crosshair)[::-1]
        # One assignment: set_point would slice every layer three times.
        dims.point = (*dims.point[:-_LAST_AXES], *(float(v) for v in wanted))

    def _push_camera(self, state: CompareState) -> None:
        camera = self._viewer.scene.camera
        shown = self._shown_axes()
        if shown is None:
            return
        inside = self._turn().T @ np.array(state.center)
        center = [*camera.center[:-2], *(-float(inside[axis]) for axis in shown)]
        camera.center = tuple(center)
        if state.span_mm != self._known.span_mm:
            camera.zoom = camera.zoom * self._known.span_mm / state.span_mm
            self._zoom = float(camera.zoom)

    def _push_looks(self, state: CompareState) -> None:
        for key, look in state.looks.items():
            layer = self._layer(key)
            before = self._known.looks.get(key)
            if layer is None or look == before:
                continue
            if before is None or look.limits != before.limits:
                low, high = look.limits
                if high > low:
                    layer.contrast_limits = (low, high)
            if before is None or look.colormap != before.colormap:
                layer.colormap = look.colormap
            if before is None or look.gamma != before.gamma:
                layer.gamma = look.gamma

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        self._pushing = True
        try:
            yield
        finally:
            self._pushing = False
