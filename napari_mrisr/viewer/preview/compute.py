"""What live planes are computed with, kept from one request to the next. No Qt, no napari.

A request is for planes; what is done unasked, while nobody waits, makes later requests cheap.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Region, Volume
from napari_mrisr.errors import MemoryEstimateError, MrisrError
from napari_mrisr.run.outward import fill_method
from napari_mrisr.run.preview import Planes
from napari_mrisr.run.upscale import UpscaleParameters, check_memory, check_parameters
from napari_mrisr.viewer.common.jobs import PostedProgress
from napari_mrisr.viewer.layers.convert import LayerSnapshot
from napari_mrisr.viewer.preview.array import LiveArray, PlaneName

# Voxels of a result of which anything is computed unasked: the groundwork of more than these
# takes half a gigabyte and many seconds.
MOST_LAID = 2**27

# Planes that were asked for together are painted together, if the last comes so soon after the
# first; the first ones of a new layer, too, which takes the GUI a while to add.
PATIENCE_S = 0.06
NEW_PATIENCE_S = 0.5


@dataclass(frozen=True, eq=False)
class Subject:
    """What is previewed: a layer, and what is to become of it."""

    source: LayerSnapshot
    parameters: UpscaleParameters

    def same_source(self, other: Subject | None) -> bool:
        """Whether both are of the same voxels at the same place."""
        if other is None or self.source.frame != other.source.frame:
            return False
        a, b = self.source.grid, other.source.grid
        same_place = a.shape == b.shape and np.array_equal(a.affine, b.affine)
        return same_place and _place(self.source.data) == _place(other.source.data)

    def same(self, other: Subject | None) -> bool:
        """Whether both ask for the same result."""
        return self.same_source(other) and self.parameters == other.parameters  # type: ignore[union-attr]


class Shelf:
    """The planes of a few results, for when they are asked for, again or for the first time."""

    _MOST = 8

    def __init__(self) -> None:
        self._arrays: list[tuple[Subject, LiveArray]] = []

    def get(self, subject: Subject) -> LiveArray | None:
        """Those of a result, if they are kept."""
        return next((array for known, array in self._arrays if subject.same(known)), None)

    def put(self, subject: Subject, array: LiveArray) -> None:
        """Keep planes, but no array that is whole."""
        if array.volume is None:
            others = [entry for entry in self._arrays if entry[1] is not array]
            self._arrays = [(subject, array), *others][: self._MOST]

    def clear(self) -> None:
        """Keep nothing."""
        self._arrays = []


class Taken(NamedTuple):
    """A plane to compute, and whether somebody asked for it or it may only be asked for."""

    plane: PlaneName
    asked: bool


class _Superseded(Exception):
    """Something else is wanted first."""


class Workshop:
    """Keeps the normalized volume and the planes' bands of what was asked for last.

    Its methods are for working threads; one subject's planes are for one at a time.

    Parameters
    ----------
    results : int
        Of so many results the planes' bands are kept.
    """

    def __init__(self, results: int = 8) -> None:
        # Two, so that letting go of planes does not wait for a volume being normalized.
        self._lock, self._volume_lock = threading.Lock(), threading.Lock()
        self._results = results
        self._volume: tuple[Subject, Volume, Volume] | None = None
        self._planes: list[tuple[Subject, Planes]] = []

    def forget(self) -> None:
        """The voxels may have changed in place."""
        with self._volume_lock, self._lock:
            self._volume, self._planes = None, []

    def let_go(self, subject: Subject | None = None) -> None:
        """That result is not wanted any more; without a subject, none is."""
        with self._lock:
            kept = [] if subject is None else self._planes
            self._planes = [entry for entry in kept if not entry[0].same(subject)]

    def volume(self, subject: Subject) -> tuple[Volume, Volume]:
        """The layer's volume in the scan's intensities, and normalized.

        Raises
        ------
        VolumeError
            When it cannot be used.
        """
        with self._volume_lock:
            known = self._volume
            if known is None or not subject.same_source(known[0]):
                volume = subject.source.to_volume()
                normalized = volume.normalized()
                _ = normalized.extrema  # found once, and kept with it
                self._volume = known = (subject, volume, normalized)
            return known[1], known[2]

    def planes(self, subject: Subject, place: int = 0) -> Planes:
        """What computes the subject's planes; those at the end of the line are let go first."""
        with self._lock:
            for entry in self._planes:
                if subject.same(entry[0]):
                    self._planes.remove(entry)
                    self._planes.insert(place, entry)
                    return entry[1]
        planes = Planes(check_parameters(subject.parameters), self.volume(subject)[1])
        with self._lock:
            self._planes.insert(place, (subject, planes))
            del self._planes[self._results :]
        return planes

    def compute(
        self,
        subject: Subject,
        array: LiveArray | None,
        make_array: Callable[[Volume], LiveArray],
        take: Callable[[], Taken | None],
        superseded: Callable[[Taken], bool],
        progress: PostedProgress,
    ) -> None:
        """Compute planes as long as some are wanted; tell of those that are there.

        Parameters
        ----------
        subject : Subject
            Whose.
        array : LiveArray or None
            Where to put them; None for a new one.
        make_array : callable
            Makes a new one of the layer's volume.
        take : callable
            The next plane; None when there is none.
        superseded : callable
            Whether a plane is better left for another; asked between strips.
        progress : PostedProgress
            Told the array and the plane after each, those that were asked for together
            at once if that is soon; asked between strips.
        """
        # A new layer keeps the GUI's thread, and with it Python, busy for a while.
        patience = PATIENCE_S if array is not None else NEW_PATIENCE_S
        if array is None:
            array = make_array(self.volume(subject)[0])
        planes = self.planes(subject)
        threads = subject.parameters.thread_count
        ready: list[PlaneName] = []
        since = 0.0
        while (taken := take()) is not None:
            if ready and not (taken.asked and time.monotonic() - since < patience):
                _tell(progress, array, ready)
            if array.holds(taken.plane):
                continue

            def check(taken: Taken = taken) -> None:
                progress.token.check()
                if superseded(taken):
                    raise _Superseded

            with contextlib.suppress(_Superseded):
                array.put(planes.plane(*taken.plane, ThreadPool(threads, CancelToken(check))))
                since = since if ready else time.monotonic()
                ready.append(taken.plane)
        _tell(progress, array, ready)

    def foresee(
        self,
        subject: Subject,
        array: LiveArray,
        plane: PlaneName,
        superseded: Callable[[], bool],
        progress: PostedProgress,
    ) -> bool:
        """Compute a plane that nobody has asked for; parameters as of :meth:`lay`.

        Returns
        -------
        bool
            Whether the array has it now. Not where the result is large, nor where it
            cannot be computed: who asks for it will be told why.
        """
        if array.holds(plane):
            return True
        if array.size > MOST_LAID:
            return False
        with contextlib.suppress(_Superseded, MrisrError):
            pool = self._pool(subject, superseded, progress)
            # Not before what is shown, whose groundwork is to stay.
            array.put(self.planes(subject, place=1).plane(*plane, pool))
            return True
        return False

    def lay(
        self, subject: Subject, superseded: Callable[[], bool], progress: PostedProgress
    ) -> bool:
        """Lay groundwork, so that any plane costs its last pass only.

        Parameters
        ----------
        subject : Subject
            Whose.
        superseded : callable
            Whether something else is better done first; asked between strips.
        progress : PostedProgress
            Asked between strips.

        Returns
        -------
        bool
            Whether there is nothing left to lay. So it is where the result is large or
            memory short: the groundwork takes as much again.
        """
        planes = self.planes(subject)
        if math.prod(planes.shape) > MOST_LAID:
            return True
        try:
            check_memory(planes.lr.grid, subject.parameters)
        except MemoryEstimateError:
            return True
        pool = self._pool(subject, superseded, progress)
        with contextlib.suppress(_Superseded):
            while not planes.laid:
                planes.lay(pool)
        return planes.laid

    @staticmethod
    def _pool(
        subject: Subject, superseded: Callable[[], bool], progress: PostedProgress
    ) -> ThreadPool:
        def check() -> None:
            progress.token.check()
            if superseded():
                raise _Superseded

        return ThreadPool(subject.parameters.thread_count, CancelToken(check))


def fill_array(
    array: LiveArray,
    planes: Planes,
    volume: Volume,
    parameters: UpscaleParameters,
    *,
    progress: Progress,
) -> Volume:
    """Fill a live array outward from the plane that is shown; for a working thread.

    As :func:`napari_mrisr.run.upscale.upscale`, with planes to go on from; after each
    step the progress, if it can, tells the array.
    """
    check_memory(volume.grid, parameters)
    give_way()
    out = array.begin() if array.volume is None else array.volume.data
    axis = array.shown[0]
    looked_at = array.shown[1]

    def focus() -> int:
        nonlocal looked_at
        if array.shown[0] == axis:
            looked_at = array.shown[1]
        return looked_at

    def finished(region: Region) -> None:
        array.finished(region)
        if isinstance(progress, PostedProgress):
            progress.tell(array)

    return fill_method(
        planes,
        volume,
        out,
        axis=axis,
        focus=focus,
        finished=finished,
        threads=parameters.thread_count,
        progress=progress,
    )


def _tell(progress: PostedProgress, array: LiveArray, ready: list[PlaneName]) -> None:
    for name in ready:
        progress.tell((array, name))
    ready.clear()


def give_way() -> None:
    """Let other threads go first where both want a processor; threads started from here too."""
    if sys.platform == "linux":  # elsewhere this number is not a thread's
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _place(data: Any) -> Any:
    """Where voxels lie; frames of a series are new arrays each time they are asked for."""
    if isinstance(data, np.ndarray):
        return data.__array_interface__["data"][0], data.shape, data.strides, data.dtype
    return id(data)
