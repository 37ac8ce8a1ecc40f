"""Run a plan in this process: threads, progress, cancel."""

from __future__ import annotations

from collections.abc import Callable

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import scale_label
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.run.upscale import compile_kernels
from napari_mrisr.streaming.plan import StreamPlan, prepare
from napari_mrisr.streaming.request import StreamRequest

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
        compile_kernels(run.method, progress)
        steps = sum(run.steps(blocks[number]) for number in left)
        task = f"{run.method.name} {scale_label(run.method.scale)}, {len(blocks)} blocks"
        progress.begin(task, steps)
        pool = ThreadPool(plan.request.parameters.thread_count, progress.token)
        for number in left:
            plan.compute_with(run, number, pool, progress.advance)
