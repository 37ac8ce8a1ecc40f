"""A layer that shows a result before it is computed: the slices that are looked at.

napari itself says what to compute: it slices the layer's data, a
:class:`~napari_mrisr.viewer.preview.array.LiveArray`, which tells of the plane
that it does not have. That plane is computed on a thread, then its neighbors,
which somebody who goes through a scan asks for next, the other two planes
through the same point, and then the groundwork for all others.

Only the latest request counts. When another result is asked for, what is under
way is cancelled, and the layer keeps showing what it shows until the first
plane of the new one is there; the planes of the one before are kept for a
while, since methods are compared by going back and forth. When another place is
asked for, the plane under way is finished first, unless nobody had asked for
it: while somebody drags, planes come at the pace at which they can be computed,
instead of none at all.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QObject, Qt, QThread, Signal

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.run.upscale import UpscaleParameters, check_memory
from napari_mrisr.viewer.common.jobs import PostedProgress
from napari_mrisr.viewer.common.latest import Latest
from napari_mrisr.viewer.layers.convert import LayerData, LayerSnapshot
from napari_mrisr.viewer.preview.array import LiveArray, PlaneName
from napari_mrisr.viewer.preview.compute import Shelf, Subject, Workshop, fill_array
from napari_mrisr.viewer.preview.foresight import Foresight
from napari_mrisr.viewer.preview.image import LiveImage
from napari_mrisr.viewer.preview.prefetch import planes_at
from napari_mrisr.viewer.preview.queue import Wishes

_log = logging.getLogger(__name__)

Places = Callable[[Grid], list[PlaneName]]


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
    """

    arrived = Signal()
    failed = Signal(object)
    _asked = Signal(object)

    def __init__(
        self, viewer: Any, workshop: Workshop | None = None, places: Places | None = None
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self.workshop, self._alone = workshop or Workshop(), workshop is None
        self._places = places
        self._now = Wishes()
        self._alternatives: Sequence[UpscaleParameters] = ()
        self._kept = Shelf()
        self._image = LiveImage(viewer)
        self._name = ""
        self._done: Subject | None = None
        self._held = False
        self._latest = Latest()
        self._latest.told.connect(self._receive)
        self._latest.finished.connect(self._planes_done)
        self._latest.failed.connect(self._fail)
        self._asked.connect(self._want_shown, Qt.ConnectionType.QueuedConnection)
        self._foresight = Foresight(viewer.dims)
        self._foresight.planes.connect(self._compute_ahead)
        self._foresight.idle.connect(self._use_time)
        self._laid: Subject | None = None
        self._foreseen: tuple[Subject, PlaneName] | None = None

    # What is wanted.

    @property
    def layer(self) -> Any:
        """The layer, None until the first plane is there."""
        return self._image.layer

    @property
    def busy(self) -> bool:
        """Whether planes are being computed."""
        return self._latest.busy

    @property
    def subject(self) -> Subject | None:
        """What is shown, or will be as soon as it is there."""
        return self._now.subject

    @property
    def array(self) -> LiveArray | None:
        """What the layer shows; None until the first plane of the latest subject is there."""
        return self._now.array

    def show(
        self,
        source: LayerSnapshot,
        parameters: UpscaleParameters,
        name: str,
        alternatives: Sequence[UpscaleParameters] = (),
    ) -> None:
        """Show what would come out, as a layer of that name; nothing if that is so already.

        ``alternatives`` may be asked for next, the likeliest first.
        """
        subject, self._alternatives = Subject(source, parameters), alternatives
        if subject.same(self._now.subject) or subject.same(self._done):
            return
        if self._now.subject is not None and self._now.array is not None:
            self._kept.put(self._now.subject, self._now.array)
        self._latest.drop()
        self._now.subject, self._done, self._now.array, self._name = subject, None, None, name
        grid = source.grid.upsampled(parameters.scale)
        wanted = self._places(grid) if self._places else planes_at(self._viewer.dims, grid)[:1]
        kept = self._kept.get(subject)
        if kept is not None:
            kept.name = name  # computed unasked, it had another's
        if kept is not None and all(kept.holds(plane) for plane in wanted):
            self._now.array = kept
            self._image.put(kept, name, source.look)
        self._want(wanted)
        if self._now.array is None:
            self._begin(kept)

    def hold(self) -> None:
        """Compute what is to be shown, but do not show it yet."""
        self._held = True

    def release(self) -> None:
        """Show it, as soon as there is something to show."""
        self._held = False
        if self._now.subject is not None and self._now.array is not None:
            self._image.put(self._now.array, self._name, self._now.subject.source.look)
            self.arrived.emit()

    def look(self) -> None:
        """What ``places`` says has changed."""
        if self._now.array is not None and self._places is not None:
            self._want(self._places(self._now.array.grid))

    def clear(self) -> None:
        """Show nothing; the layer goes."""
        self._done = None
        self._let_go(remove=True)

    def retire(self) -> None:
        """The whole result is there by other means: do not show it again until asked anew."""
        self._done = self._now.subject
        self._let_go(remove=True)

    def forget(self) -> None:
        """The layer's voxels may have changed in place."""
        self.workshop.forget()
        self._kept.clear()
        self._now.subject = self._done = None

    def close(self, *, remove: bool = True) -> None:
        """End all work; with ``remove``, take the layer out of the viewer."""
        self._let_go(remove=remove)
        self._latest.close()

    def _let_go(self, *, remove: bool) -> None:
        self._stop()
        self._now.want([])
        self._kept.clear()
        self._now.array = None
        if remove:
            self._image.remove()
        else:
            self._image.let_go()

    def _stop(self) -> None:
        """Nothing of the subject is wanted any more, nor what it is computed with."""
        self._foresight.forget()
        self._laid = self._foreseen = None
        self._latest.drop()
        subject, self._now.subject = self._now.subject, None
        if self._alone or subject is not None:
            self.workshop.let_go(None if self._alone else subject)

    # The whole.

    @property
    def fills(self) -> Callable[..., Volume] | None:
        """What runs in place of ``upscale`` and fills this layer; None while there is none.

        It takes the same arguments, on a working thread.
        """
        array, subject, workshop = self._now.array, self._now.subject, self.workshop
        if array is None or subject is None or self.layer is None:
            return None

        def fill(volume: Volume, parameters: UpscaleParameters, *, progress: Progress) -> Volume:
            planes = workshop.planes(subject)
            return fill_array(array, planes, volume, parameters, progress=progress)

        return fill

    def refresh(self) -> None:
        """Some of the whole is there: show it."""
        self._image.refresh()
        self.arrived.emit()

    def stop(self) -> None:
        """The run was cancelled or failed: be a preview again."""
        if self._now.array is not None:
            self._now.array.drop()
            self.refresh()

    def finish(self, made: LayerData) -> Any:
        """The run's result becomes the layer's; returns the layer, which is no preview any more.

        None when the layer has gone meanwhile.
        """
        if not self._image.is_there:
            return None
        data, kwargs, _ = made
        self._done = self._now.subject
        self._stop()
        layer, self._now.array = self._image.let_go(), None
        layer.metadata = kwargs["metadata"]
        layer.data = data
        layer.name = kwargs["name"]
        return layer

    # Planes.

    def _want(self, names: list[PlaneName]) -> None:
        """These are wanted now, and no others."""
        self._foresight.stop()
        self._now.want(names)
        if self._now.array is not None and self._now.planes and not self._latest.busy:
            self._begin()

    def _begin(self, kept: LiveArray | None = None) -> None:
        """Compute what is wanted, then ahead; into a kept array, if none is shown."""
        work = self._computation(kept)
        if work is not None:
            self._latest.ask(work)

    def _computation(
        self, kept: LiveArray | None = None
    ) -> Callable[[PostedProgress], None] | None:
        """What a thread is to do; None when there is nothing to show."""
        subject, array = self._now.subject, self._now.array or kept
        if subject is None:
            return None

        def make_array(volume: Volume) -> LiveArray:
            return self._new_array(subject, volume)

        take = self._now.taker(subject)
        return lambda progress: self.workshop.compute(
            subject, array, make_array, take, self._now.supersede, progress
        )

    def _new_array(self, subject: Subject, volume: Volume) -> LiveArray:
        whole = self._places is not None
        if whole:
            check_memory(volume.grid, subject.parameters)
        return LiveArray(self._name, volume, subject.parameters.scale, self._tell_asked, whole)

    def _tell_asked(self, names: list[PlaneName]) -> bool:
        """The array is sliced, by napari or whoever; on any thread. Whether to wait a little."""
        if self._image.moving or QThread.currentThread() is not self.thread():
            self._asked.emit(names)  # while the sliders move by themselves, the last place counts
            return False
        self._want_shown(names)
        return self.busy and self._now.array is not None

    def _want_shown(self, names: list[PlaneName]) -> None:
        array = self._now.array
        # Of several requests that came at once the last counts.
        if array is None or array.shown not in names:
            return
        if self._places is not None:
            self._want([*names, *self._places(array.grid)])
            return
        self._foresight.saw(array.shown)
        self._want(names)
        if not self._now.planes:
            self._foresight.start(array)

    def _compute_ahead(self, names: list[PlaneName]) -> None:
        self._now.ahead = deque(names)
        if not self._latest.busy:
            self._begin()

    def _use_time(self) -> None:
        """Nobody does anything: lay groundwork, then compute what else may be shown here."""
        array = self._now.array
        if self._latest.busy or self._places is not None or array is None or array.is_begun:
            return
        if self._laid is not self._now.subject:
            self._lay()
        else:
            self._compute_alternatives()

    def _lay(self) -> None:
        """Lay groundwork, until somebody looks on; then compute what that needs."""
        subject, compute, superseded = (
            self._now.subject,
            self._computation(),
            self._now.interruption(),
        )
        if subject is None or compute is None:
            return

        def mark() -> None:
            self._laid = subject

        def lay(progress: PostedProgress) -> Callable[[], None] | None:
            laid = self.workshop.lay(subject, superseded, progress)
            compute(progress)
            return mark if laid else None

        self._latest.ask(lay)

    def _compute_alternatives(self) -> None:
        """Compute the plane on screen as it would be with other parameters; once."""
        subject, compute, array = self._now.subject, self._computation(), self._now.array
        if subject is None or compute is None or array is None:
            return
        here, superseded = (subject, array.shown), self._now.interruption()
        if self._foreseen == here:
            return
        source = subject.source
        others = [Subject(source, parameters) for parameters in self._alternatives]
        known = [(other, self._kept.get(other), self._plane_of(other)) for other in others]

        def keep(made: list[tuple[Subject, LiveArray]]) -> None:
            self._foreseen = here
            for other, kept in reversed(made):
                self._kept.put(other, kept)

        def work(progress: PostedProgress) -> Callable[[], None] | None:
            made = []
            for other, kept, plane in known:
                kept = kept or self._new_array(other, self.workshop.volume(other)[0])
                if self.workshop.foresee(other, kept, plane, superseded, progress):
                    made.append((other, kept))
            finished = not superseded()
            compute(progress)
            return functools.partial(keep, made) if finished else None

        self._latest.ask(work)

    def _plane_of(self, subject: Subject) -> PlaneName:
        """What napari would slice of it first."""
        grid = subject.source.grid.upsampled(subject.parameters.scale)
        return planes_at(self._viewer.dims, grid)[0]

    # What the thread tells.

    def _receive(self, told: tuple[LiveArray, PlaneName]) -> None:
        array, name = told
        if array is not self._now.array:
            assert self._now.subject is not None, "planes of nothing"
            self._now.array = array
            if not self._held:
                self._image.put(array, self._name, self._now.subject.source.look)
        elif array.awaits(name):
            self._image.refresh()
        elif self._places is None and name != array.shown:
            return  # computed ahead: nothing to see
        if not self._held:
            self.arrived.emit()

    def _planes_done(self, then: Callable[[], None] | None) -> None:
        array = self._now.array
        if then is not None:
            then()
        if array is None:
            return
        if self._now.planes or self._now.ahead:  # since the thread looked for the last time
            self._begin()
        elif self._places is None and self._image.is_seen:
            self._foresight.start(array)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, MrisrError):
            _log.error("preview", exc_info=error)
        self.failed.emit(error)
