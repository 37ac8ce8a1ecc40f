"""The layer of a live array: it comes, changes and goes without moving the viewer's sliders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.layers.convert import METADATA_KEY, ScanRecord
from napari_mrisr.viewer.preview.array import LiveArray

UNFINISHED = {"note": "preview: only the slices looked at are computed"}


class LiveImage:
    """One image layer of a viewer, or none.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose.

    Attributes
    ----------
    layer : napari.layers.Image or None
        None before :meth:`put`, and after it was let go or removed.
    moving : bool
        Whether what the viewer slices now is not where its sliders will stand.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.layer: Any = None
        self.moving = False

    @property
    def is_there(self) -> bool:
        """Whether there is a layer, and nobody has deleted it."""
        return self.layer is not None and self.layer in self._viewer.layers

    @property
    def is_seen(self) -> bool:
        """Whether it is there and not hidden."""
        return self.is_there and bool(self.layer.visible)

    def put(self, array: LiveArray, name: str, look: Mapping[str, Any]) -> None:
        """Show an array; ``look`` is how a new layer is to look."""
        scale, translate = geometry.scale_and_translate(array.grid)
        record = {METADATA_KEY: ScanRecord(array.grid, history=UNFINISHED)}
        layer = self.layer
        with self._place_kept():
            if not self.is_there:
                self.layer = self._viewer.add_image(
                    array,
                    name=name,
                    scale=scale,
                    translate=translate,
                    units=("mm", "mm", "mm"),
                    axis_labels=geometry.AXIS_LABELS,
                    metadata=record,
                    **look,
                )
                return
            if not np.array_equal(layer.scale, scale):  # each costs napari some 10 ms
                layer.scale = scale
            if not np.array_equal(layer.translate, translate):
                layer.translate = translate
            layer.metadata = record
            layer.data = array
        layer.name = name

    def refresh(self) -> None:
        """Slice the array again."""
        if self.layer is not None:
            self.layer.refresh(thumbnail=False, highlight=False, extent=False)

    def let_go(self) -> Any:
        """The layer stays, but is somebody else's; returns it."""
        layer, self.layer = self.layer, None
        return layer

    def remove(self) -> None:
        """The layer goes."""
        there, layer = self.is_there, self.let_go()  # first: nobody else has deleted it
        if there:
            with self._place_kept():
                self._viewer.layers.remove(layer)

    @contextmanager
    def _place_kept(self) -> Iterator[None]:
        """Where a layer with finer steps comes or goes, napari's sliders would move: they stay."""
        dims = self._viewer.dims
        place, self.moving = dims.point, True
        try:
            yield
        finally:
            self.moving = False
        if dims.ndim == len(place) and dims.point != place:
            dims.point = place
