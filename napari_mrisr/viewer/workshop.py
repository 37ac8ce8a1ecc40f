"""What live planes are computed with, kept from one request to the next. No Qt, no napari."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mrisr.crew import Crew
from napari_mrisr.fill import fill_method
from napari_mrisr.preview import Planes
from napari_mrisr.progress import Progress
from napari_mrisr.upscale import UpscaleParameters, check_memory, check_parameters
from napari_mrisr.viewer.jobs import PostedProgress
from napari_mrisr.viewer.layers import LayerSnapshot
from napari_mrisr.viewer.live_array import LiveArray, PlaneName
from napari_mrisr.volume import Region, Volume


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

    def __init__(self, results: int = 2) -> None:
        self._lock = threading.Lock()
        self._results = results
        self._volume: tuple[Subject, Volume, Volume] | None = None
        self._planes: list[tuple[Subject, Planes]] = []

    def forget(self) -> None:
        """The voxels may have changed in place."""
        with self._lock:
            self._volume, self._planes = None, []

    def volume(self, subject: Subject) -> tuple[Volume, Volume]:
        """The layer's volume in the scan's intensities, and normalized.

        Raises
        ------
        VolumeError
            When it cannot be used.
        """
        with self._lock:
            known = self._volume
            if known is None or not subject.same_source(known[0]):
                volume = subject.source.to_volume()
                normalized = volume.normalized()
                _ = normalized.extrema  # found once, and kept with it
                self._volume = known = (subject, volume, normalized)
            return known[1], known[2]

    def planes(self, subject: Subject) -> Planes:
        """What computes the subject's planes."""
        with self._lock:
            for known, planes in self._planes:
                if subject.same(known):
                    return planes
        planes = Planes(check_parameters(subject.parameters), self.volume(subject)[1])
        with self._lock:
            self._planes = [(subject, planes), *self._planes][: self._results]
        return planes

    def compute(
        self,
        subject: Subject,
        array: LiveArray | None,
        make_array: Callable[[Volume], LiveArray],
        take: Callable[[], PlaneName | None],
        superseded: Callable[[PlaneName], bool],
        progress: PostedProgress,
    ) -> None:
        """Compute planes as long as some are wanted; tell of each as soon as it is there.

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
            Told the array and the plane after each; asked between strips.
        """
        if array is None:
            array = make_array(self.volume(subject)[0])
            if array.volume is not None:
                progress.tell((array, None))
        planes = self.planes(subject)
        while (name := take()) is not None:
            if array.holds(name):
                continue

            def check(name: PlaneName = name) -> None:
                progress.token.check()
                if superseded(name):
                    raise _Superseded

            with contextlib.suppress(_Superseded):
                crew = Crew(subject.parameters.thread_count, check)
                array.put(planes.plane(*name, crew))
                progress.tell((array, name))


def fill_array(
    array: LiveArray, volume: Volume, parameters: UpscaleParameters, *, progress: Progress
) -> Volume:
    """Fill a live array outward from the plane that is shown; for a working thread.

    As :func:`napari_mrisr.upscale.upscale`; after each step the progress, if it
    can, tells the array.
    """
    method = check_parameters(parameters)
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
        method,
        volume,
        out,
        axis=axis,
        focus=focus,
        finished=finished,
        threads=parameters.thread_count,
        progress=progress,
    )


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
