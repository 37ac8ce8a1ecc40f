"""napari layers of previews.

:class:`PreviewImage` adds, changes and removes the layer of one preview.
:class:`LayerPreview` is the preview of the Super-resolve dock: it tells the controller which
plane napari shows, and refreshes the layer when voxels arrive.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Qt, Signal

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.layers.convert import (
    METADATA_KEY,
    LayerData,
    LayerSnapshot,
    ScanRecord,
)
from napari_mrisr.viewer.preview.array import PlaneName, PreviewArray
from napari_mrisr.viewer.preview.controller import Preview, PreviewController, preview_key

_log = logging.getLogger(__name__)

_UNFINISHED = {"note": "preview: not finished"}


class PreviewImage:
    """One image layer of a viewer, or none.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer that gets the layer. Its sliders stay where they are.

    Attributes
    ----------
    layer : napari.layers.Image or None
        None before :meth:`put`, and after the layer was kept or removed.
    changing : bool
        True while napari moves its sliders because layers change.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.layer: Any = None
        self.changing = False
        self._array: PreviewArray | None = None
        self._filled = False  # napari has sliced a filled array

    @property
    def exists(self) -> bool:
        """True if there is a layer and the user has not deleted it."""
        return self.layer is not None and self.layer in self._viewer.layers

    def shows(self, preview: Preview) -> bool:
        """Return True if the layer shows the array of a preview."""
        # Not by the layer's data, which the viewer that plugins get wraps in a proxy.
        return self.exists and self._array is preview.array

    def put(self, preview: Preview, name: str) -> None:
        """Show the array of a preview; a new layer gets the look of its source."""
        array, source = preview.array, preview.source
        assert array is not None, "not read yet"
        self._array, self._filled = array, preview.filled
        scale, translate = geometry.scale_and_translate(array.grid)
        scan = ScanRecord(array.grid, history=_UNFINISHED, source_id=source.layer_id)
        record = {METADATA_KEY: scan}
        layer = self.layer
        with self._sliders_kept():
            if not self.exists:
                self.layer = self._viewer.add_image(
                    array,
                    name=name,
                    scale=scale,
                    translate=translate,
                    units=("mm", "mm", "mm"),
                    axis_labels=geometry.AXIS_LABELS,
                    metadata=record,
                    **source.look,
                )
                return
            if not np.array_equal(layer.scale, scale):  # each costs napari some 10 ms
                layer.scale = scale
            if not np.array_equal(layer.translate, translate):
                layer.translate = translate
            layer.metadata = record
            layer.data = array
        layer.name = name

    def refresh(self, preview: Preview) -> bool:
        """Slice the array again if it has other voxels than napari shows; True if so."""
        array = preview.array
        if self.layer is None or array is None:
            return False
        in_3d = self._viewer.dims.ndisplay == 3 and preview.filled and not self._filled
        if not in_3d and not any(array.holds(plane) for plane in array.missing):
            return False
        self._filled = preview.filled
        self.layer.refresh(thumbnail=False, highlight=False, extent=False)
        return True

    def keep(self, result: LayerData | None = None) -> Any:
        """Leave the layer to the user, with a result in it; return the layer."""
        layer, self.layer, self._array = self.layer, None, None
        if result is not None:
            data, kwargs, _ = result
            layer.metadata = kwargs["metadata"]
            layer.data = data
            layer.name = kwargs["name"]
        return layer

    def remove(self) -> None:
        """Remove the layer from the viewer."""
        exists, layer = self.exists, self.keep()  # first: the user has not deleted it
        if exists:
            with self._sliders_kept():
                self._viewer.layers.remove(layer)

    @contextmanager
    def _sliders_kept(self) -> Iterator[None]:
        """Keep napari's sliders in place when a layer with finer steps comes or goes."""
        dims = self._viewer.dims
        place, self.changing = dims.point, True
        try:
            yield
        finally:
            self.changing = False
        if dims.ndim == len(place) and dims.point != place:
            dims.point = place


class LayerPreview(QObject):
    """Shows what Super-resolve would make of a layer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer that gets the layer.

    Signals
    -------
    arrived
        There are new voxels.
    failed : Exception
        They cannot be computed.
    """

    arrived = Signal()
    failed = Signal(object)
    _computed = Signal(object)

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._computed.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self.controller = PreviewController(self._computed.emit)
        self.preview: Preview | None = None
        self._name = ""
        self._image = PreviewImage(viewer)
        self._finished: tuple[Any, ...] | None = None
        self._listening = False

    @property
    def layer(self) -> Any:
        """The layer, or None until its first plane is computed."""
        return self._image.layer

    @property
    def busy(self) -> bool:
        """True while visible planes are being computed."""
        preview = self.preview
        return preview is not None and preview.error is None and not preview.complete

    def show(self, source: LayerSnapshot, parameters: UpscaleParameters, name: str) -> None:
        """Show the result of a layer, as a layer of that name."""
        key = preview_key(source, parameters)
        if key in (self._finished, None if self.preview is None else self.preview.key):
            return
        self._finished, self._name = None, name
        self.preview = self.controller.get(source, parameters)
        self._listen(True)
        self._look()
        self.controller.show([self.preview])
        self._receive(self.preview)

    def clear(self) -> None:
        """Remove the layer and drop all previews."""
        self._stop()
        self._finished = None

    def retire(self) -> None:
        """Remove the layer: a run has made the same result."""
        # First: the dock asks again when the layer is removed.
        self._finished = None if self.preview is None else self.preview.key
        self._stop()

    def forget(self) -> None:
        """Compute anew when asked next: voxels of the layer may have changed in place."""
        self.controller.clear()
        self.preview = self._finished = None

    def close(self, *, remove: bool = True) -> None:
        """End all work; with ``remove``, remove the layer from the viewer."""
        if not remove:
            self._image.keep()
        self._stop()
        self.controller.close()

    def _stop(self) -> None:
        self._listen(False)
        self.controller.clear()
        self.preview = None
        self._image.remove()

    # The run.

    @property
    def result(self) -> Callable[..., Volume] | None:
        """A replacement of ``upscale`` that waits for the preview; None without a preview."""
        if self.preview is None:
            return None
        return functools.partial(self.controller.wait, self.preview)

    def finish(self, made: LayerData) -> Any:
        """Make the run's result of the layer and return it; None if it was deleted."""
        if self.preview is None or not self._image.exists:
            return None
        preview, self.preview = self.preview, None
        self._listen(False)
        self.controller.remove(preview)
        self._finished = preview.key
        return self._image.keep(made)

    # Planes.

    def _listen(self, on: bool) -> None:
        if on is not self._listening:
            self._listening = on
            events = self._viewer.dims.events
            for event in (events.point, events.order):
                if on:
                    event.connect(self._look, position="last")  # after napari has sliced
                else:
                    event.disconnect(self._look)

    def _look(self, event: Any = None) -> None:
        """Tell the controller which planes napari shows."""
        preview = self.preview
        if preview is None or self._image.changing:
            return
        planes = planes_at(self._viewer.dims, preview.grid)[:1]
        if preview.array is not None:
            # Between two planes napari may have rounded to the other; thick slices have several.
            planes += [plane for plane in preview.array.missing if plane not in planes]
        self.controller.look(preview, planes)
        self._update(preview)

    def _receive(self, preview: Preview) -> None:
        if preview is not self.preview:
            return
        if preview.error is None:
            self._update(preview)
            return
        self._image.remove()
        if not isinstance(preview.error, MrisrError):
            _log.error("preview failed", exc_info=preview.error)
        self.failed.emit(preview.error)

    def _update(self, preview: Preview) -> None:
        """Show new voxels. Until the visible planes are there, the layer stays as it is."""
        if not preview.complete:
            return
        if not self._image.shows(preview):
            self._image.put(preview, self._name)
        elif not self._image.refresh(preview):
            return
        self.arrived.emit()
        self._look()  # napari may have sliced other planes


def planes_at(dims: Any, grid: Grid) -> list[PlaneName]:
    """Return the three planes at a viewer's sliders, the one on screen first.

    Parameters
    ----------
    dims : napari.components.Dims
        The viewer's. There are no planes with fewer than three dimensions.
    grid : Grid
        Grid of the result.
    """
    scale, translate = geometry.scale_and_translate(grid)
    shape = grid.shape[::-1]
    point = np.asarray(dims.point[-3:], dtype=float)
    if point.size < 3:
        return []
    place = np.round((point - translate) / scale)
    index = np.clip(place, 0, np.array(shape) - 1).astype(int)
    first = dims.ndim - 3
    hidden = [axis - first for axis in dims.not_displayed if axis >= first]
    order = [*hidden, *(axis for axis in range(3) if axis not in hidden)]
    return [(2 - axis, int(shape[axis] - 1 - index[axis])) for axis in order]
