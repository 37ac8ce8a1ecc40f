"""``--dask``: a command's work on a cluster.

A worker carries a plan out with the function that does it here, in a silent session
whose messages are shown here.
"""

from __future__ import annotations

import argparse
import contextlib
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli.session import Session, TerminalProgress, write_line
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.errors import (
    Cancelled,
    MemoryEstimateError,
    MrisrError,
    describe_failure,
    explain,
)

if TYPE_CHECKING:
    from napari_mrisr.cli.jobs import FilePlan, FileResult, Work
    from napari_mrisr.cluster.tasks import Cluster
    from napari_mrisr.core.threads import ThreadPool


@dataclass(frozen=True)
class WorkerOutcome:
    """The outcome of a plan on a worker.

    Attributes
    ----------
    result : FileResult or None
        None after an unexpected exception.
    messages : tuple of str
        Shown during the work.
    cautions : tuple of str
        Kinds of cautions shown.
    failure : tuple of str
        One line about an unexpected exception, and its traceback.
    """

    result: FileResult | None
    messages: tuple[str, ...]
    cautions: tuple[str, ...]
    failure: tuple[str, str] = ("", "")


class WorkerFailure(Exception):
    """An unexpected exception on a worker."""


@contextlib.contextmanager
def connected(arguments: argparse.Namespace, session: Session) -> Iterator[None]:
    """Connect the session to its cluster, with ``--dask``, and show the dashboard's address."""
    address = getattr(arguments, "dask", None)
    if address is None:
        yield
        return
    from napari_mrisr.cluster.connect import connect

    with contextlib.ExitStack() as stack:
        with session.at_once():
            cluster, dashboard = stack.enter_context(connect(address, arguments.threads))
        session.progress.message(f"{cluster.slots} workers, {dashboard}")
        session.cluster = cluster
        try:
            yield
        finally:
            session.cluster = None


@contextlib.contextmanager
def on_cluster(
    cluster: Cluster,
    plans: Sequence[FilePlan],
    work: Work,
    arguments: argparse.Namespace,
    here: Session,
) -> Iterator[Callable[[FilePlan], FileResult]]:
    """Submit all plans; yield a function that returns each plan's result, in their order.

    Runs from and to disk are started here, one after the other, each on all workers.
    """
    from napari_mrisr.io.atomic import remove_leftovers

    submitted = [plan for plan in plans if plan.memory is None]
    if submitted:
        here.progress.begin(f"{len(submitted)} images on the cluster", len(submitted))
    outcomes = cluster.each(
        _carry_out,
        [_for_worker(plan) for plan in submitted],
        here.progress,
        work,
        _worker_arguments(arguments),
    )

    def result_of(plan: FilePlan) -> FileResult:
        if plan.memory is not None:
            return work(plan, arguments, here)
        outcome = next(outcomes)
        if isinstance(outcome, MrisrError):
            raise outcome
        for message in outcome.messages:
            here.progress.message(f"{plan.scan.path.name}: {message}")
        here.caution_counts.update(outcome.cautions)
        if outcome.result is None:
            text, trace = outcome.failure
            if here.verbose:
                write_line("stderr", trace.rstrip())
            raise WorkerFailure(text)
        return outcome.result

    try:
        yield result_of
    except BaseException:
        cluster.stop()
        raise
    finally:
        outcomes.close()
        # Of workers that died, or were stopped, while they wrote.
        for plan in submitted:
            for out in (plan.out, *plan.beside):
                remove_leftovers(out)


class _RecordedProgress(TerminalProgress):
    """Invisible progress that keeps messages."""

    def __init__(self, token: CancelToken) -> None:
        super().__init__(token, quiet=True)
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


class _WorkerSession(Session):
    """A session on a worker, cancelled by the pool's token."""

    def __init__(self, pool: ThreadPool, verbose: bool) -> None:
        super().__init__(quiet=True, verbose=verbose)
        self.token = pool.token
        self.progress: _RecordedProgress = _RecordedProgress(self.token)


def _carry_out(
    work: Work, arguments: argparse.Namespace, plan: FilePlan, pool: ThreadPool
) -> WorkerOutcome:
    """Carry a plan out, on a worker."""
    session = _WorkerSession(pool, arguments.verbose)
    arguments.threads = pool.threads
    result, failure = None, ("", "")
    try:
        result = work(plan, arguments, session)
    except (MrisrError, Cancelled):
        raise
    except MemoryError as error:
        found, remedy = "not enough memory on a worker", "give workers more memory"
        raise MemoryEstimateError(explain(plan.scan.path, found, remedy)) from error
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        failure = (describe_failure(plan.scan.path, error)[0], trace)
    cautions = tuple(session.caution_counts)
    return WorkerOutcome(result, tuple(session.progress.messages), cautions, failure)


def _worker_arguments(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the options that a plan's work needs."""
    from napari_mrisr.cluster.runs import bank_for_workers

    values: dict[str, Any] = {
        name: value for name, value in vars(arguments).items() if name not in ("run", "help_of")
    }
    if "bank" in values:
        values["bank"] = bank_for_workers(values["bank"])
    # Existing files were refused before. One may exist now, written by a worker that died
    # before it could report it.
    values["overwrite"] = True
    return argparse.Namespace(**values)


def _for_worker(plan: FilePlan) -> FilePlan:
    """Return the plan with absolute paths, and without the method and its bank's weights."""
    scan = replace(plan.scan, path=plan.scan.path.absolute())
    return replace(plan, scan=scan, out=plan.out.absolute(), method=None)
