"""A volume that is streamed, on a cluster: a block is a piece."""

from __future__ import annotations

from dataclasses import replace

from napari_mrisr.cluster.pieces import Cluster
from napari_mrisr.cluster.worker import bank_for_workers
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import scale_label
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import MrisrError
from napari_mrisr.streaming import StreamPlan, StreamRequest, prepare
from napari_mrisr.streaming.run import Begun


def stream_on(
    cluster: Cluster,
    request: StreamRequest,
    progress: Progress | None = None,
    begun: Begun | None = None,
) -> StreamPlan:
    """As :func:`~napari_mrisr.streaming.stream`: the same file, and resumed as that is.

    Parameters
    ----------
    cluster : Cluster
        Its workers write blocks into the partial output.
    request : StreamRequest
        Its memory is that of each worker.
    progress : Progress, optional
        One step a block.
    begun : callable, optional
        Given the plan before the first block.
    """
    progress = progress or Progress()
    old = request.parameters
    parameters = replace(
        old, bank=bank_for_workers(old.bank), threads=cluster.threads or old.threads
    )
    plan = prepare(replace(request, parameters=parameters), progress)
    try:
        if begun is not None:
            begun(plan)
        left = sorted(set(range(len(plan.blocks))) - plan.finished())
        label = f"{parameters.method} {scale_label(parameters.scale)}"
        progress.begin(f"{label}, {len(left)} blocks on the cluster", len(left))
        for found in cluster.each(_compute, left, progress, plan):
            if isinstance(found, MrisrError):
                raise found
        plan.complete(progress)
    except BaseException:
        # First, so that no worker writes into what is taken away.
        cluster.stop()
        if not request.resume:
            plan.discard()
        raise
    return plan


def _compute(plan: StreamPlan, number: int, pool: ThreadPool) -> None:
    """A block, unless a worker that died had written it."""
    if number not in plan.finished():
        threads = min(pool.threads, plan.request.parameters.thread_count)
        with plan.opened() as run:
            plan.compute_with(run, number, ThreadPool(threads, pool.token))
