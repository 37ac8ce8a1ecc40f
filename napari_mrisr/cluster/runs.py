"""Evaluation, streaming and training on a cluster; the results are those of one process.

The tasks of an evaluation are files, those of a streamed volume are blocks, and those
of a training are a few volumes each.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

from napari_mrisr.bank.folder import user_banks
from napari_mrisr.bank.model import bundled_banks
from napari_mrisr.cluster.tasks import Cluster
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Origin, scale_text
from napari_mrisr.errors import MrisrError, VolumeError, explain
from napari_mrisr.evaluation.experiment import (
    EvaluateParameters,
    FileJob,
    FileOutcome,
    add_outcome,
    evaluate_file,
    plan_evaluation,
)
from napari_mrisr.evaluation.tables import EvaluationReport
from napari_mrisr.io.atomic import exclusive
from napari_mrisr.streaming import StreamPlan, StreamRequest, prepare
from napari_mrisr.streaming.plan import Prepared
from napari_mrisr.training.accumulate import accumulator
from napari_mrisr.training.executor import Local, StageJob, VolumeSums
from napari_mrisr.training.sources import TrainingFile, TrainingVolume

Item = TypeVar("Item")
Value = TypeVar("Value")

# A worker that dies loses a task; tasks of fewer volumes would send more sums.
_VOLUMES_PER_TASK = 4
_TASKS_PER_SLOT = 2


def bank_for_workers(bank: str | None) -> str | None:
    """Return a bundled bank's name or the absolute path of another bank."""
    if bank is None or bank in bundled_banks():
        return bank
    return str(user_banks().get(bank, Path(bank)).absolute())


def evaluate_on(
    cluster: Cluster,
    paths: Sequence[str | os.PathLike[str]],
    parameters: EvaluateParameters,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Run :func:`~napari_mrisr.evaluation.experiment.evaluate` on a cluster.

    Parameters
    ----------
    cluster : Cluster
    paths : sequence of path
        Workers must find the files under the same names.
    parameters : EvaluateParameters
        ``threads`` has no effect; the cluster determines it.
    progress : Progress, optional
        Advances by one step per file.

    Returns
    -------
    EvaluationReport
        Lists the files that failed, including those at which workers died.
    """
    progress = progress or Progress()
    report, jobs = plan_evaluation(paths, parameters)
    progress.begin("evaluating on the cluster", len(jobs))
    parameters = replace(parameters, bank=bank_for_workers(parameters.bank))
    items = [(job, job.path.absolute()) for job in jobs]
    outcomes = cluster.each(_evaluate, items, progress, parameters)
    for job, found in zip(jobs, outcomes, strict=True):
        if isinstance(found, MrisrError):
            found = FileOutcome((), f"{job.path}: {found}")
        add_outcome(report, job, found)
    return report


def _evaluate(
    parameters: EvaluateParameters, item: tuple[FileJob, Path], pool: ThreadPool
) -> FileOutcome:
    """Evaluate a file; the rows keep the name that the user gave."""
    job, path = item
    parameters = replace(parameters, threads=pool.threads)
    found = evaluate_file(replace(job, path=path), parameters, pool.progress)
    rows = tuple(replace(row, file=str(job.path)) for row in found.rows)
    return FileOutcome(rows, found.error)


def stream_on(
    cluster: Cluster,
    request: StreamRequest,
    progress: Progress | None = None,
    prepared: Prepared | None = None,
) -> StreamPlan:
    """Run :func:`~napari_mrisr.streaming.stream` on a cluster.

    Parameters
    ----------
    cluster : Cluster
        Its workers write blocks into the partial output.
    request : StreamRequest
        Its memory is that of each worker.
    progress : Progress, optional
        Advances by one step per block.
    prepared : callable, optional
        Receives the plan before the first block.
    """
    progress = progress or Progress()
    old = request.parameters
    parameters = replace(
        old, bank=bank_for_workers(old.bank), threads=cluster.threads or old.threads
    )
    with exclusive(request.out):
        plan = prepare(replace(request, parameters=parameters), progress)
        try:
            if prepared is not None:
                prepared(plan)
            left = sorted(set(range(len(plan.blocks))) - plan.finished())
            label = f"{parameters.method} {scale_text(parameters.scale, Origin('', plan.codes))}"
            progress.begin(f"{label}, {len(left)} blocks on the cluster", len(left))
            for found in cluster.each(_compute_block, left, progress, plan):
                if isinstance(found, MrisrError):
                    raise found
            plan.complete(progress)
        except BaseException:
            # First, so that no worker writes into a removed folder.
            cluster.stop()
            if not request.resume:
                plan.discard()
            raise
    return plan


def _compute_block(plan: StreamPlan, number: int, pool: ThreadPool) -> None:
    """Compute a block, unless a worker that died had written it."""
    if number not in plan.finished():
        threads = min(pool.threads, plan.request.parameters.thread_count)
        with plan.opened() as run:
            plan.compute_with(run, number, ThreadPool(threads, pool.token))


@dataclass(frozen=True)
class OnCluster:
    """Executor of a training on a cluster; see :class:`~napari_mrisr.training.executor.Executor`.

    Workers add the sums of a few volumes per task. The sums are exact, so the bank equals
    that of one process bit for bit if the processors are alike.

    Attributes
    ----------
    cluster : Cluster
    pool : ThreadPool
        Its token is checked while waiting.
    device : str
        Device on which workers add samples.
    """

    cluster: Cluster
    pool: ThreadPool
    device: str = "auto"

    def sums(
        self, job: StageJob, volumes: Sequence[TrainingVolume], *, singly: bool
    ) -> Iterator[VolumeSums]:
        """Yield the sums of as many volumes as keep the workers busy for a while."""
        shared, slots = self.cluster.send(job), self.cluster.slots
        size = 1 if singly else volumes_per_task(len(volumes), slots)
        tasks = batches([_with_path(volume) for volume in volumes], size)
        rounds = deque(batches(tasks, 1 if singly else slots))
        # Workers begin the next round while this process adds and saves one.
        ahead = slots + 1 if singly else 2
        submitted: deque[list[Any]] = deque()
        started = time.perf_counter()
        while rounds or submitted:
            while rounds and len(submitted) < ahead:
                submitted.append(
                    [
                        self.cluster.submit(add_volumes, shared, self.device, task)
                        for task in rounds.popleft()
                    ]
                )
            parts = (self.cluster.result(f, self.pool.check) for f in submitted.popleft())
            found: VolumeSums = reduce(VolumeSums.__add__, parts)
            now = time.perf_counter()
            yield replace(found, seconds=now - started)
            started = now

    def each(
        self, task: Callable[..., Value], volumes: Iterable[TrainingVolume], *shared: Any
    ) -> Iterator[Value]:
        """Yield the results of the task in the order of the volumes."""
        sent = [self.cluster.send(value) for value in shared]
        items = [_with_path(volume) for volume in volumes]
        for found in self.cluster.each(task, items, self.pool.progress, *sent):
            if isinstance(found, MrisrError):
                raise found
            yield found


def volumes_per_task(volumes: int, slots: int) -> int:
    """Choose how many volumes a task has, so that every slot gets some tasks."""
    return max(1, min(_VOLUMES_PER_TASK, volumes // (slots * _TASKS_PER_SLOT)))


def batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Split a sequence into batches of a size."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def add_volumes(
    job: StageJob, device: str, volumes: Sequence[TrainingVolume], pool: ThreadPool
) -> VolumeSums:
    """Add the samples of volumes, on a worker."""
    executor = Local(pool, accumulator(device, lambda text: None))
    return reduce(VolumeSums.__add__, executor.sums(job, volumes, singly=True))


def _with_path(volume: TrainingVolume) -> TrainingVolume:
    """Return the volume with the absolute path of its file."""
    path = volume.source.path
    if path is None:
        mend = "save it, and train on the file"
        raise VolumeError(explain(volume.source.name, "is no file, which a cluster needs", mend))
    return replace(volume, source=TrainingFile(path.absolute()))
