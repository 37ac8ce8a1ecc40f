"""A layer that shows a result before it is computed: the slices that are looked at.

napari itself says what to compute: it slices the layer's data, a
:class:`~napari_mrisr.viewer.live_array.LiveArray`, which tells of the plane
that it does not have. That plane is computed on a thread, then its neighbors,
which somebody who goes through a scan asks for next, and the other two planes
through the same point.

Only the latest request counts. When another result is asked for, what is under
way is cancelled, and the layer keeps showing what it shows until the first
plane of the new one is there; the planes of the one before are kept for a
while, since methods are compared by going back and forth. When another place is
asked for, the plane under way is finished first, unless nobody had asked for
it: while somebody drags, planes come at the pace at which they can be computed,
instead of none at all.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_mrisr.errors import MrisrError
from napari_mrisr.progress import Progress
from napari_mrisr.upscale import UpscaleParameters, check_memory
from napari_mrisr.viewer import geometry
from napari_mrisr.viewer.ahead import planes_beside
from napari_mrisr.viewer.latest import Latest
from napari_mrisr.viewer.layers import METADATA_KEY, LayerData, LayerSnapshot, ScanRecord
from napari_mrisr.viewer.live_array import LiveArray, PlaneName
from napari_mrisr.viewer.workshop import Subject, Workshop, fill_array
from napari_mrisr.volume import Grid, Volume

_log = logging.getLogger(__name__)

UNFINISHED = {"note": "preview: only the slices looked at are computed"}

Places = Callable[[Grid], list[PlaneName]]

# After the plane on screen: first it is painted, for which software OpenGL needs all processors,
# and a person who goes on scrolling has asked for the next before the other two are computed.
_NEIGHBORS_AFTER_MS = 80
_OTHERS_AFTER_MS = 250

# Results whose planes are kept, the one that is shown included.
_KEPT = 3


class LiveLayer(QObject):
    """Shows what a layer would become.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Gets the layer.
    workshop : Workshop, optional
        Shared with other live layers.
    places : callable, optional
        Given the result's grid, the planes that are wanted at once, the first first. By
        default those that napari slices, and the others of the three a little later.

    Signals
    -------
    arrived
        New voxels are there.
    failed : Exception
        They cannot be computed.

    Attributes
    ----------
    layer : napari.layers.Image or None
        None until the first plane is there.
    """

    arrived = Signal()
    failed = Signal(object)
    _asked = Signal(object)

    def __init__(
        self, viewer: Any, workshop: Workshop | None = None, places: Places | None = None
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self.workshop = workshop or Workshop()
        self._places = places
        self._wanted: deque[PlaneName] = deque()
        self._ahead: deque[PlaneName] = deque()
        self._looked_at: list[PlaneName] = []  # the plane on screen, after the one before
        self._kept: deque[tuple[Subject, LiveArray]] = deque(maxlen=_KEPT)
        self.layer: Any = None
        self._name = ""
        self._subject: Subject | None = None
        self._done: Subject | None = None
        self._array: LiveArray | None = None
        self._latest = Latest()
        self._latest.told.connect(self._receive)
        self._latest.finished.connect(self._planes_done)
        self._latest.failed.connect(self._fail)
        # Queued: napari is in the middle of slicing when it asks.
        self._asked.connect(self._want_shown, Qt.ConnectionType.QueuedConnection)
        self._neighbors = self._timer(_NEIGHBORS_AFTER_MS, self._want_neighbors)
        self._others = self._timer(_OTHERS_AFTER_MS, self._want_others)

    def _timer(self, milliseconds: int, call: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(call)
        return timer

    # What is wanted.

    @property
    def busy(self) -> bool:
        """Whether planes are being computed."""
        return self._latest.busy

    @property
    def subject(self) -> Subject | None:
        """What is shown, or will be as soon as it is there."""
        return self._subject

    @property
    def array(self) -> LiveArray | None:
        """What the layer shows; None until the first plane of the latest subject is there."""
        return self._array

    def show(self, source: LayerSnapshot, parameters: UpscaleParameters, name: str) -> None:
        """Show what would come out, as a layer of that name; nothing if that is so already."""
        subject = Subject(source, parameters)
        if subject.same(self._subject) or subject.same(self._done):
            return
        self._keep()
        self._latest.drop()
        self._subject, self._done, self._array, self._name = subject, None, None, name
        grid = source.grid.upsampled(parameters.scale)
        wanted = self._places(grid) if self._places else self._planes_through_point(grid)[:1]
        kept = next((array for known, array in self._kept if subject.same(known)), None)
        if kept is not None and all(kept.holds(plane) for plane in wanted):
            self._array = kept
            self._put_in_place(kept)
        self._want(wanted)
        if self._array is None:
            self._begin(kept)

    def look(self) -> None:
        """What ``places`` says has changed."""
        if self._array is not None and self._places is not None:
            self._want(self._places(self._array.grid))

    def clear(self) -> None:
        """Show nothing; the layer goes."""
        self._subject = self._done = None
        self._let_go(remove=True)

    def retire(self) -> None:
        """The whole result is there by other means: do not show it again until asked anew."""
        self._done, self._subject = self._subject, None
        self._let_go(remove=True)

    def forget(self) -> None:
        """The layer's voxels may have changed in place."""
        self.workshop.forget()
        self._kept.clear()
        self._subject = self._done = None

    def close(self, *, remove: bool = True) -> None:
        """End all work; with ``remove``, take the layer out of the viewer."""
        self._subject = None
        self._let_go(remove=remove)
        self._latest.close()

    def _let_go(self, *, remove: bool) -> None:
        self._rest()
        self._wanted, self._ahead = deque(), deque()
        self._kept.clear()
        self._latest.drop()
        layer, self.layer, self._array = self.layer, None, None
        if remove and layer is not None and layer in self._viewer.layers:
            with self._place_kept():
                self._viewer.layers.remove(layer)

    @contextmanager
    def _place_kept(self) -> Iterator[None]:
        """Where a layer with finer steps goes, napari's sliders would move: they stay."""
        dims = self._viewer.dims
        place = dims.point
        yield
        if dims.ndim == len(place) and dims.point != place:
            dims.point = place

    # The whole.

    @property
    def fills(self) -> Callable[..., Volume] | None:
        """What runs in place of ``upscale`` and fills this layer; None while there is none.

        It takes the same arguments, on a working thread.
        """
        array = self._array
        if array is None or self.layer is None:
            return None

        def fill(volume: Volume, parameters: UpscaleParameters, *, progress: Progress) -> Volume:
            return fill_array(array, volume, parameters, progress=progress)

        return fill

    def refresh(self) -> None:
        """Some of the whole is there: show it."""
        if self.layer is not None:
            self.layer.refresh(thumbnail=False, highlight=False, extent=False)
        self.arrived.emit()

    def stop(self) -> None:
        """The run was cancelled or failed: be a preview again."""
        if self._array is not None:
            self._array.drop()
            self.refresh()

    def finish(self, made: LayerData) -> Any:
        """The run's result becomes the layer's; returns the layer, which is no preview any more.

        None when the layer has gone meanwhile.
        """
        layer = self.layer
        if layer is None or layer not in self._viewer.layers:
            return None
        data, kwargs, _ = made
        self._done, self._subject = self._subject, None
        self._rest()
        self._latest.drop()
        self.layer = self._array = None
        layer.metadata = kwargs["metadata"]
        layer.data = data
        layer.name = kwargs["name"]
        return layer

    # Planes.

    def _want(self, names: list[PlaneName]) -> None:
        """These are wanted now, and no others."""
        self._rest()
        array = self._array
        self._ahead = deque()
        self._wanted = deque(n for n in names if array is None or not array.holds(n))
        if array is not None and self._wanted and not self._latest.busy:
            self._begin()

    def _begin(self, kept: LiveArray | None = None) -> None:
        """Compute what is wanted, then ahead; into a kept array, if none is shown."""
        subject, name, array = self._subject, self._name, self._array or kept
        if subject is None:
            return
        whole = self._places is not None
        unasked: PlaneName | None = None

        def make_array(volume: Volume) -> LiveArray:
            if whole:
                check_memory(volume.grid, subject.parameters)
            return LiveArray(name, volume, subject.parameters.scale, self._asked.emit, whole)

        def take() -> PlaneName | None:
            nonlocal unasked
            wanted, ahead = self._wanted, self._ahead  # replaced by the GUI's thread, never changed
            # Read before asking whose they are: what is asked for next must be left to the next.
            if self._subject is not subject:
                return None
            if wanted:
                return wanted.popleft()
            unasked = ahead.popleft() if ahead else None
            return unasked

        def superseded(plane: PlaneName) -> bool:
            wanted = self._wanted
            return plane == unasked and bool(wanted) and plane not in wanted

        self._latest.ask(
            lambda progress: self.workshop.compute(
                subject, array, make_array, take, superseded, progress
            )
        )

    def _want_shown(self, names: list[PlaneName]) -> None:
        array = self._array
        # Of several requests that came at once the last counts.
        if array is None or array.shown not in names:
            return
        if self._places is not None:
            self._want([*names, *self._places(array.grid)])
            return
        if self._looked_at[-1:] != [array.shown]:
            self._looked_at = [*self._looked_at[-1:], array.shown]
        self._want(names)
        if not self._wanted:
            self._look_ahead(array)

    def _rest(self) -> None:
        """Nothing is to be computed ahead."""
        self._neighbors.stop()
        self._others.stop()

    def _look_ahead(self, array: LiveArray) -> None:
        """What is shown is there: compute soon what may be asked for next."""
        if not all(array.holds(name) for name in self._planes_beside(array)):
            self._neighbors.start()
        if not all(array.holds(name) for name in self._planes_through_point(array.grid)):
            self._others.start()

    def _want_neighbors(self) -> None:
        if self._array is not None:
            self._compute_ahead(self._array, self._planes_beside(self._array))

    def _want_others(self) -> None:
        array = self._array
        if array is not None:
            others = self._planes_through_point(array.grid)
            self._compute_ahead(array, [*others, *self._planes_beside(array)])

    def _compute_ahead(self, array: LiveArray, names: list[PlaneName]) -> None:
        self._ahead = deque(name for name in names if not array.holds(name))
        if self._ahead and not self._latest.busy:
            self._begin()

    def _planes_beside(self, array: LiveArray) -> list[PlaneName]:
        before = self._looked_at[0] if self._looked_at else array.shown
        return planes_beside(array.shown, before, array.grid.shape[array.shown[0]])

    def _planes_through_point(self, grid: Grid) -> list[PlaneName]:
        """The three planes where the viewer's sliders stand, those on screen first."""
        dims = self._viewer.dims
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

    # What the thread tells.

    def _receive(self, told: tuple[LiveArray, PlaneName | None]) -> None:
        array, name = told
        if array is not self._array:
            self._array = array
            self._put_in_place(array)
        elif name is None or array.awaits(name):
            self.layer.refresh(thumbnail=False, highlight=False, extent=False)
        elif self._places is None:
            return  # computed ahead: nothing to see
        self.arrived.emit()

    def _planes_done(self, _: object) -> None:
        array = self._array
        if array is None:
            return
        if self._wanted:  # since the thread looked for the last time
            self._begin()
        elif self._places is None:
            self._look_ahead(array)

    def _keep(self) -> None:
        """Keep the planes of what was shown, for when it is asked for again."""
        subject, array = self._subject, self._array
        if subject is None or array is None or array.volume is not None:
            return
        others = [(s, a) for s, a in self._kept if a is not array]
        self._kept = deque([(subject, array), *others], maxlen=_KEPT)

    def _put_in_place(self, array: LiveArray) -> None:
        assert self._subject is not None, "planes of nothing"
        scale, translate = geometry.scale_and_translate(array.grid)
        layer = self.layer
        if layer is None or layer not in self._viewer.layers:
            with self._place_kept():
                self.layer = self._viewer.add_image(
                    array,
                    name=self._name,
                    scale=scale,
                    translate=translate,
                    units=("mm", "mm", "mm"),
                    axis_labels=geometry.AXIS_LABELS,
                    metadata={METADATA_KEY: ScanRecord(array.grid, history=UNFINISHED)},
                    **self._subject.source.look,
                )
            return
        with self._place_kept():
            if not np.array_equal(layer.scale, scale):  # each costs napari some 10 ms
                layer.scale = scale
            if not np.array_equal(layer.translate, translate):
                layer.translate = translate
            layer.metadata = {METADATA_KEY: ScanRecord(array.grid, history=UNFINISHED)}
            layer.data = array
        layer.name = self._name

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, MrisrError):
            _log.error("preview", exc_info=error)
        self.failed.emit(error)
