"""``--dask``: a command's work on a cluster.

A worker does a job with the function that does it here, in a session of its own:
silent, its messages kept for the person at the other end.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli.progress import TerminalProgress
from napari_mrisr.cli.session import Session
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.errors import MrisrError

if TYPE_CHECKING:
    from napari_mrisr.cli.jobs import Job
    from napari_mrisr.cluster.tasks import Cluster
    from napari_mrisr.core.threads import ThreadPool

Work = Callable[["Job", argparse.Namespace, Session], str]


@dataclass(frozen=True)
class Outcome:
    """What came of a job on a worker.

    Attributes
    ----------
    text : str
        What to say of its output.
    messages : tuple of str
        What was said meanwhile.
    """

    text: str
    messages: tuple[str, ...]


@contextlib.contextmanager
def connected(arguments: argparse.Namespace, session: Session) -> Iterator[None]:
    """Give the session its cluster, with ``--dask``, and say where its dashboard is."""
    where = getattr(arguments, "dask", None)
    if where is None:
        yield
        return
    from napari_mrisr.cluster.connect import connect

    with contextlib.ExitStack() as stack:
        with session.at_once():
            cluster, dashboard = stack.enter_context(connect(where, arguments.threads))
        session.progress.message(f"{cluster.slots} workers, {dashboard}")
        session.cluster = cluster
        try:
            yield
        finally:
            session.cluster = None


@contextlib.contextmanager
def on_cluster(
    cluster: Cluster, jobs: Sequence[Job], work: Work, arguments: argparse.Namespace, here: Session
) -> Iterator[Callable[[Job], str]]:
    """A function that gives each job's text, called for the jobs in their order.

    Jobs that stream are done from here, one after the other, each by all workers.
    """
    from napari_mrisr.io.atomic import leftovers

    pieces = [job for job in jobs if job.memory is None]
    if pieces:
        here.progress.begin(f"{len(pieces)} images on the cluster", len(pieces))
    outcomes = cluster.each(
        _do, [_absolute(job) for job in pieces], here.progress, work, _for_workers(arguments)
    )

    def text_of(job: Job) -> str:
        if job.memory is not None:
            return work(job, arguments, here)
        outcome = next(outcomes)
        if isinstance(outcome, MrisrError):
            raise outcome
        for message in outcome.messages:
            here.progress.message(f"{job.scan.path.name}: {message}")
        return outcome.text

    try:
        yield text_of
    except BaseException:
        cluster.stop()
        raise
    finally:
        outcomes.close()
        # Of workers that died, or were stopped, while they wrote.
        for job in pieces:
            for out in (job.out, *job.beside):
                for path in leftovers(out):
                    path.unlink(missing_ok=True)


class _Heard(TerminalProgress):
    """Progress that nobody sees, whose messages are kept."""

    def __init__(self, token: CancelToken) -> None:
        super().__init__(token, quiet=True)
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


class _WorkerSession(Session):
    """A session on a worker, which the pool's check stops."""

    def __init__(self, pool: ThreadPool) -> None:
        super().__init__(quiet=True)
        self.token = pool.token
        self.progress: _Heard = _Heard(self.token)


def _do(work: Work, arguments: argparse.Namespace, job: Job, pool: ThreadPool) -> Outcome:
    """A job, on a worker."""
    session = _WorkerSession(pool)
    arguments.threads = pool.threads
    return Outcome(work(job, arguments, session), tuple(session.progress.lines))


def _for_workers(arguments: argparse.Namespace) -> argparse.Namespace:
    """The options that a job's work asks for."""
    from napari_mrisr.cluster.runs import bank_for_workers

    values: dict[str, Any] = {
        name: value for name, value in vars(arguments).items() if name not in ("run", "help_of")
    }
    if "bank" in values:
        values["bank"] = bank_for_workers(values["bank"])
    # Whether a file may be replaced was asked before. It may be there already when the
    # worker that wrote it died before it could say so.
    values["overwrite"] = True
    return argparse.Namespace(**values)


def _absolute(job: Job) -> Job:
    """The job as a worker finds its files, wherever it works."""
    scan = replace(job.scan, path=job.scan.path.absolute())
    return replace(job, scan=scan, out=job.out.absolute())
