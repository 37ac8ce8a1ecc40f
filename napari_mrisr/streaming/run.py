"""Run a plan in this process: threads, progress, cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import scale_label
from napari_mrisr.core.threads import Crew
from napari_mrisr.methods import Method
from napari_mrisr.run.upscale import compile_kernels
from napari_mrisr.streaming.plan import StreamPlan, prepare
from napari_mrisr.streaming.request import StreamRequest

_POLL_S = 0.05

Begun = Callable[[StreamPlan], object]


def stream(
    request: StreamRequest, progress: Progress | None = None, begun: Begun | None = None
) -> StreamPlan:
    """Super-resolve from disk to disk.

    Parameters
    ----------
    request : StreamRequest
        What to do.
    progress : Progress, optional
        Reports every piece, and cancels between pieces.
    begun : callable, optional
        Given the plan before the first block.

    Returns
    -------
    StreamPlan
        The plan that was run; the output is in place.

    Raises
    ------
    MrisrError
        For an input or output that cannot serve, a full disk.
    Cancelled
        When asked to stop. After this, as after an error, nothing is left behind,
        unless ``request.resume`` was set: then what is done waits to be resumed.
    """
    progress = progress or Progress()
    plan = prepare(request, progress)
    try:
        if begun is not None:
            begun(plan)
        run_blocks(plan, progress)
        plan.complete(progress)
    except BaseException:
        if not request.resume:
            plan.discard()
        raise
    return plan


def run_blocks(plan: StreamPlan, progress: Progress) -> None:
    """Compute all blocks that are not finished."""
    blocks, finished = plan.blocks, plan.finished()
    left = [number for number in range(len(blocks)) if number not in finished]
    if not left:
        return
    with plan.opened() as run:
        _warm_up(run.method, progress)
        steps = sum(run.steps(blocks[number]) for number in left)
        task = f"{run.method.name} {scale_label(run.method.scale)}, {len(blocks)} blocks"
        progress.begin(task, steps)
        tally = _Tally(progress)
        crew = Crew(plan.request.parameters.thread_count, tally.check)
        for number in left:
            plan.compute_with(run, number, crew, tally.add)
            tally.check()


class _Tally:
    """Counts pieces on any thread; reports them on the one that waits."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._new = 0

    def add(self) -> None:
        """Count a piece."""
        with self._lock:
            self._new += 1

    def check(self) -> None:
        """Report what came, and raise when asked to stop."""
        with self._lock:
            new, self._new = self._new, 0
        if new:
            self._progress.advance(new)
        self._progress.token.check()


def _warm_up(method: Method, progress: Progress) -> None:
    """Compile what the method runs; a cancel does not wait for it."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="mrisr")
    try:
        future = pool.submit(compile_kernels, method, progress)
        while not wait([future], timeout=_POLL_S).done:
            progress.token.check()
        future.result()
    finally:
        pool.shutdown(wait=False)
