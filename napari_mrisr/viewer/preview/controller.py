"""Controller of previews: computes results, the planes on screen first. No Qt, no napari.

A :class:`Preview` is the result of one layer with one set of parameters. The GUI thread says
which previews are shown and which of their planes are visible. One worker thread computes:

1. the visible planes;
2. then the whole results, outward from the visible planes.

The queue is derived from what is shown now, so no entry of it is ever stale. Work is
interrupted between strips when something more urgent appears or its preview is not shown any
more. Previews that are not shown stay in a cache, so that going back to another method costs
nothing.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.slices import with_slice_thickness
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Grid, Volume, scale_text
from napari_mrisr.errors import MemoryEstimateError
from napari_mrisr.methods import Method
from napari_mrisr.run.preview import Band, OutwardFill
from napari_mrisr.run.upscale import (
    UpscaleParameters,
    as_result,
    check_labels,
    check_memory,
    check_parameters,
    upscale,
)
from napari_mrisr.viewer.layers.convert import LayerSnapshot
from napari_mrisr.viewer.preview.array import PLANES_BYTES, PlaneName, PreviewArray

# All previews that are kept; those that are shown may need more.
CACHE_BYTES = 2**30

# Visible planes are announced together if the last one comes so soon after the first one.
_TOGETHER_S = 0.1

_POLL_S = 0.05


@dataclass(eq=False)
class Preview:
    """Result of a layer with some parameters.

    Attributes
    ----------
    source : LayerSnapshot
    parameters : UpscaleParameters
    needs_whole : bool
        Allocate the whole before the first plane, and fail without memory for it.
    grid : Grid
        Of the result.
    array : PreviewArray or None
        None until the layer was read.
    visible : tuple of (axis, index)
        Planes on screen, the most urgent first.
    filled : bool
        True when the array holds the whole result.
    error : Exception or None
        Reason why it cannot be computed.
    key : tuple
        Equal for previews of the same voxels, at the same place, with the same parameters.
    """

    source: LayerSnapshot
    parameters: UpscaleParameters
    needs_whole: bool = False
    array: PreviewArray | None = None
    visible: tuple[PlaneName, ...] = ()
    filled: bool = False
    error: Exception | None = None
    key: tuple[Any, ...] = field(init=False, repr=False)
    grid: Grid = field(init=False)
    _volume: Volume | None = None
    _lr: Volume | None = None
    _method: Method | None = None
    _bands: dict[int, Band] = field(default_factory=dict)
    _fill: OutwardFill | None = None
    _planes_only: bool = False

    def __post_init__(self) -> None:
        self.key = preview_key(self.source, self.parameters)
        self.grid = self.source.grid.upsampled(self.parameters.scale)

    @property
    def complete(self) -> bool:
        """True if all visible planes are computed, as far as single planes can be."""
        return self.array is not None and self._missing() is None

    @property
    def nbytes(self) -> int:
        """Memory of the voxels that are kept."""
        return self.array.nbytes if self.array is not None else 0

    def result(self) -> Volume:
        """Return the result of a filled preview, as :func:`upscale` does."""
        assert self.filled and self.array is not None and self.array.volume is not None
        assert self._method is not None and self._volume is not None
        return as_result(self._method, self._volume, self.array.volume.data)

    def _missing(self) -> PlaneName | None:
        """Return the most urgent visible plane that is not computed."""
        assert self.array is not None and self._method is not None, "not read yet"
        if self._method.halo is None:
            return None  # every voxel depends on the whole volume
        return next((plane for plane in self.visible if not self.array.holds(plane)), None)

    def _next_neighbor(self) -> PlaneName | None:
        """Return the next plane to compute where only some planes fit into memory."""
        assert self.array is not None, "not read yet"
        if not self.visible:
            return None
        axis, index = self.visible[0]
        count = self.grid.shape[axis]
        reach = PLANES_BYTES // (4 * self.array.size // count) // 3
        upward = range(index, min(count, index + reach + 1))
        for other in itertools.chain(upward, range(index, max(-1, index - reach - 1), -1)):
            if not self.array.holds((axis, other)):
                return axis, other
        return None


class _Job(NamedTuple):
    """A unit of work; ``urgency`` 0 comes before 1."""

    urgency: int
    preview: Preview
    task: Callable[[Preview, ThreadPool], object]


class _Interrupted(Exception):
    """More urgent work appeared, or the preview is not shown any more."""


class _JobToken(CancelToken):
    """Token of a job, which asks the controller."""

    def __init__(self, may_go_on: Callable[[], bool]) -> None:
        super().__init__()
        self._may_go_on = may_go_on

    def check(self) -> None:
        """Raise if the job must stop."""
        if not self._may_go_on():
            raise _Interrupted


class PreviewController:
    """Computes previews on one worker thread, which lives as long as there is work.

    Parameters
    ----------
    notify : callable
        Called on the worker thread with a preview that has new voxels or an error.
    """

    def __init__(self, notify: Callable[[Preview], object]) -> None:
        self._notify = notify
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._cache: dict[tuple[Any, ...], Preview] = {}
        self._shown: tuple[Preview, ...] = ()
        self._thread: threading.Thread | None = None

    # For the GUI thread.

    def get(
        self, source: LayerSnapshot, parameters: UpscaleParameters, *, needs_whole: bool = False
    ) -> Preview:
        """Return the preview of a layer with some parameters, new or from the cache."""
        with self._lock:
            preview = Preview(source, parameters)
            preview = self._cache.pop(preview.key, preview)
            preview.needs_whole |= needs_whole
            preview.error, preview._planes_only = None, False  # memory may be free by now
            self._cache[preview.key] = preview
            return preview

    def show(self, previews: Iterable[Preview]) -> None:
        """Compute these previews, and no others, the most urgent first."""
        with self._lock:
            self._shown = tuple(previews)
            self._evict()
            self._start()

    def look(self, preview: Preview, planes: Iterable[PlaneName]) -> None:
        """Set the visible planes of a preview."""
        with self._lock:
            preview.visible = tuple(planes)
            self._start()

    def remove(self, preview: Preview) -> None:
        """Drop a preview from the cache and from those shown."""
        with self._lock:
            self._cache = {k: kept for k, kept in self._cache.items() if kept is not preview}
            self._shown = tuple(shown for shown in self._shown if shown is not preview)

    def clear(self) -> None:
        """Drop all previews, for example when voxels may have changed in place."""
        with self._lock:
            self._cache, self._shown = {}, ()

    def close(self) -> None:
        """Drop all previews and wait for the worker thread."""
        self.clear()
        thread = self._thread
        if thread is not None:
            thread.join(2.0)

    # For another thread, that of a run.

    def wait(
        self,
        preview: Preview,
        volume: Volume,
        parameters: UpscaleParameters,
        *,
        progress: Progress,
    ) -> Volume:
        """Wait until a preview is filled; take and return what :func:`upscale` does.

        If it is not shown any more or cannot be filled, run :func:`upscale`.
        """
        progress.begin(f"{parameters.method} {scale_text(parameters.scale, volume.origin)}", 100)
        while not preview.filled:
            if preview not in self._shown or preview.error or preview._planes_only:
                return upscale(volume, parameters, progress=progress)
            share = preview.array.share if preview.array is not None else 0.0
            progress.advance(int(100 * share) - progress.state.done)
            with self._changed:
                self._changed.wait(_POLL_S)
        progress.advance(100)
        return preview.result()

    # The queue.

    def _queue(self) -> Iterator[_Job]:
        """Yield the next job of each preview, the most urgent first."""
        previews = [preview for preview in self._shown if preview.error is None]
        for preview in previews:
            array = preview.array
            if array is None:
                yield _Job(0, preview, self._read)
            elif preview.needs_whole and array.volume is None:
                yield _Job(0, preview, self._allocate)
            elif plane := preview._missing():
                yield _Job(0, preview, functools.partial(_compute, plane))
        for preview in previews:
            if preview.array is None or preview.filled:
                continue
            if not preview._planes_only:
                yield _Job(1, preview, self._fill)
            elif neighbor := preview._next_neighbor():
                yield _Job(1, preview, functools.partial(_compute, neighbor))

    def _may_go_on(self, job: _Job) -> bool:
        with self._lock:
            first = next(self._queue(), None)
            in_turn = first is None or first.urgency >= job.urgency
            return job.preview in self._shown and in_turn

    # On the worker thread.

    def _start(self) -> None:
        if self._thread is None and next(self._queue(), None) is not None:
            self._thread = threading.Thread(target=self._work, name="mrisr-preview", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        announced = time.monotonic()
        while True:
            with self._lock:
                job = next(self._queue(), None)
                if job is None:
                    self._thread = None
                    return
            preview = job.preview
            token = _JobToken(functools.partial(self._may_go_on, job))
            pool = ThreadPool(preview.parameters.thread_count, token)
            try:
                job.task(preview, pool)
            except _Interrupted:
                continue
            except Exception as error:  # the GUI thread tells any failure
                preview.error = error
            with self._changed:
                self._changed.notify_all()
            late = time.monotonic() - announced > _TOGETHER_S
            if preview.error or job.urgency or preview.complete or late:
                announced = time.monotonic()
                with contextlib.suppress(RuntimeError):  # the application is gone
                    self._notify(preview)

    def _read(self, preview: Preview, pool: ThreadPool) -> None:
        """Read the layer, unless another preview has done so, and check the parameters."""
        preview._method = check_parameters(preview.parameters)
        with self._lock:
            others = tuple(self._cache.values())
        for other in others:
            if other.array is not None and other.key[:-1] == preview.key[:-1]:
                preview._volume, preview._lr = other._volume, other._lr
        if preview._volume is None or preview._lr is None:
            thickness = preview.parameters.slice_thickness
            preview._volume = with_slice_thickness(preview.source.to_volume(), thickness)
            preview._lr = preview._volume.normalized()
            _ = preview._lr.extrema  # kept with it
        check_labels(preview._volume, preview.parameters)
        name, scale = preview.source.name, preview.parameters.scale
        preview.array = PreviewArray(name, preview._volume, scale)

    def _allocate(self, preview: Preview, pool: ThreadPool) -> None:
        """Make room for the whole, at the cost of previews that are not shown."""
        assert preview.array is not None, "read before"
        with self._lock:
            self._evict(4 * preview.array.size)
        check_memory(preview.source.grid, preview.parameters)
        preview.array.allocate()

    def _fill(self, preview: Preview, pool: ThreadPool) -> None:
        """Compute the next slab of the whole, if the whole fits into memory."""
        array, method, lr = preview.array, preview._method, preview._lr
        assert array is not None and method is not None and lr is not None, "read before"
        if array.volume is None:
            try:
                self._allocate(preview, pool)
            except (MemoryEstimateError, MemoryError):
                preview._planes_only = True
                return
        axis, focus = preview.visible[0] if preview.visible else (0, array.shape[2] // 2)
        if preview._fill is None:
            preview._fill = OutwardFill(method, lr, axis)
        fill = preview._fill
        focus = focus if axis == fill.axis else (fill.start + fill.stop) // 2
        array.put(fill.axis, *fill.step(focus, pool))
        if fill.done:  # only now, when the last slab is in the array
            preview.filled, preview._fill, preview._bands = True, None, {}

    def _evict(self, needed: int = 0) -> None:
        """Drop the oldest previews that are not shown, until ``needed`` bytes more fit."""
        total = needed + sum(preview.nbytes for preview in self._shown)
        for preview in reversed(self._cache.values()):
            if preview not in self._shown:
                total += preview.nbytes
                if total > CACHE_BYTES:
                    self.remove(preview)


def _compute(plane: PlaneName, preview: Preview, pool: ThreadPool) -> None:
    axis, index = plane
    array, method, lr = preview.array, preview._method, preview._lr
    assert array is not None and method is not None and lr is not None, "read before"
    if axis not in preview._bands:
        preview._bands[axis] = Band(method, lr, axis)
    array.put(axis, index, preview._bands[axis].planes(index, index + 1, pool))


def preview_key(source: LayerSnapshot, parameters: UpscaleParameters) -> tuple[Any, ...]:
    """Return what is equal for the same voxels, at the same place, with the same parameters."""
    data, grid = source.data, source.grid
    memory: Any = id(data)
    if isinstance(data, np.ndarray):  # frames of a series are new arrays of the same memory
        memory = (data.__array_interface__["data"][0], data.shape, data.strides, data.dtype.str)
    return memory, source.frame, grid.shape, grid.affine.tobytes(), parameters
