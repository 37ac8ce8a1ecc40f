"""The layer that shows which voxel is explained, and clicks that pick one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mrisr.core.volume import Shape
from napari_mrisr.explain.sheet import ON_DARK
from napari_mrisr.viewer.explain.places import Places

if TYPE_CHECKING:
    from napari.viewer import Viewer

NAME = "explained voxel"

# Voxels across: the voxel itself, and a ring that is seen from afar.
_SIZES = (1.0, 9.0)
# Parts of the size.
_BORDERS = (0.12, 0.03)


class Marker:
    """A square around the voxel and a ring to find it by.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Any = None

    @property
    def shown(self) -> bool:
        """Whether the layer is there; a person may have deleted it."""
        return self._layer is not None and self._layer in self._viewer.layers

    def show(self, places: Places, voxel: Shape, units: Any) -> None:
        """Mark a voxel and bring it into the slices that are shown."""
        index = np.repeat(places.index_of(voxel)[None], 2, axis=0)
        if self.shown:
            # Each of these slices and paints anew.
            if not np.array_equal(self._layer.affine.affine_matrix, places.affine):
                self._layer.affine = places.affine
            if not np.array_equal(self._layer.data, index):
                self._layer.data = index
        else:
            chosen = self._viewer.layers.selection.active
            self._layer = self._viewer.add_points(
                index, name=NAME, affine=places.affine, units=units, size=_SIZES,
                symbol=["square", "disc"], face_color="transparent", border_color=ON_DARK.voxel,
                border_width=_BORDERS, blending="translucent_no_depth",
            )  # fmt: skip
            if chosen is not None:
                self._viewer.layers.selection.active = chosen
        dims = self._viewer.dims
        # At once: set_point would slice every layer three times.
        dims.point = (*dims.point[:-3], *places.world_of(voxel))

    def remove(self) -> None:
        """Take the layer away."""
        if self.shown:
            self._viewer.layers.remove(self._layer)
        self._layer = None


class Picker:
    """Tells where a person clicked, without a drag, in a 2D view.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    picked : callable
        Gets the place in napari's world.
    """

    def __init__(self, viewer: Viewer, picked: Callable[[tuple[float, ...]], None]) -> None:
        self._viewer = viewer
        self._picked = picked
        self.on = True

    def attach(self) -> None:
        """Listen."""
        self._viewer.mouse_drag_callbacks.append(self._pressed)

    def detach(self) -> None:
        """Listen no more."""
        if self._pressed in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._pressed)

    def _pressed(self, viewer: Any, event: Any) -> Iterator[None]:
        if not self.on or event.button != 1 or event.modifiers or viewer.dims.ndisplay != 2:
            return
        position, moved = tuple(event.position), 0
        yield
        while event.type == "mouse_move":
            # A hand is not that steady.
            moved += tuple(event.position) != position
            yield
        if moved < 3:
            self._picked(position)
