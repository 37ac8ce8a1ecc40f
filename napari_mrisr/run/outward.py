"""A whole result, outward from where somebody looks.

Two stacks (:class:`~napari_mrisr.run.preview.Stack`) move away from the plane looked
at, one to either side, a few planes at a time; each time the nearer one. They
compute what the run in slabs (:func:`~napari_mrisr.run.upscale.run_method`)
computes, bit for bit and nothing twice, and hold less: the output and two bands,
or the groundwork, where it was laid before.
Across z the kernels' rows are as short as a step is thick, which makes them
slower; across x and y they are whole.
"""

from __future__ import annotations

from collections.abc import Callable

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import scale_label
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Region, Volume
from napari_mrisr.run.preview import Planes, Stack
from napari_mrisr.run.upscale import as_result, run_method

# Of a step: thick enough that rows and borders cost little, see benchmarks/live_preview.py.
STEP_VOXELS = 2**21

Finished = Callable[[Region], None]


def fill_method(
    planes: Planes,
    volume: Volume,
    out: FloatArray,
    *,
    axis: int,
    focus: Callable[[], int],
    finished: Finished,
    threads: int = 1,
    progress: Progress | None = None,
) -> Volume:
    """Run a method over a whole volume, outward from a plane.

    Parameters
    ----------
    planes : Planes
        What to run, and on what. A method whose voxels depend on the whole volume is run at
        once.
    volume : Volume
        Low resolution, as it was before it was normalized.
    out : (x, y, z) ndarray of float32
        Receives the result in the scan's intensities, and nothing but finished voxels.
    axis : int
        Across which planes are looked at (0 = x).
    focus : callable
        The plane looked at now, asked before each step.
    finished : callable
        Told each region of ``out`` as soon as it is done, on this thread.
    threads : int
        Threads.
    progress : Progress, optional
        Reports every step, and cancels between strips.

    Returns
    -------
    Volume
        With ``out`` as its data; equal to that of :func:`run_method`.

    Raises
    ------
    Cancelled
        When asked to stop. No thread is left; ``out`` is part done.
    """
    progress, method = progress or Progress(), planes.method
    if method.halo is None:
        whole = run_method(method, volume, threads=threads, progress=progress)
        out[:] = whole.data
        finished(Region.whole(whole.grid.shape))
    else:
        _fill(planes, out, axis, focus, finished, threads, progress)
    return as_result(method, volume, out)


def _fill(
    planes: Planes,
    out: FloatArray,
    axis: int,
    focus: Callable[[], int],
    finished: Finished,
    threads: int,
    progress: Progress,
) -> None:
    count = out.shape[axis]
    thick = max(1, min(count, STEP_VOXELS * count // out.size))
    pool = ThreadPool(threads, progress.token)
    method = planes.method
    progress.begin(f"{method.name} {scale_label(method.scale)}", count)

    def put(stack: Stack, start: int, stop: int) -> None:
        at = [0, 0, 0], list(out.shape)
        at[0][axis], at[1][axis] = start, stop
        region = Region((at[0][0], at[0][1], at[0][2]), (at[1][0], at[1][1], at[1][2]))
        out[region.slices] = stack.planes(start, stop, pool)
        finished(region)
        progress.advance(stop - start)

    low = max(0, min(focus() - thick // 2, count - thick))
    high = low + thick
    upward = planes.stack(axis)
    put(upward, low, high)
    downward = upward.copy()
    while low > 0 or high < count:
        at = focus()
        if low > 0 and (high >= count or at - low < high - 1 - at):
            low, stop = max(0, low - thick), low
            put(downward, low, stop)
        else:
            start, high = high, min(count, high + thick)
            put(upward, start, high)
