"""What a worker process runs: a piece of work on its threads, until somebody says stop.

Dask does not interrupt a piece that runs. :func:`stop` is therefore called on every
worker when a run ends early, beside the piece; the piece finds out between blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from napari_mrisr.bank.folder import user_banks
from napari_mrisr.bank.model import bundled_banks
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.errors import Cancelled

Value = TypeVar("Value")

_stopped: set[str] = set()


def do(run: str, threads: int | None, task: Callable[..., Value], *arguments: Any) -> Value:
    """Call a task with its arguments and a pool.

    Parameters
    ----------
    run : str
        Name of the run that the piece is of.
    threads : int or None
        For the pool; None for this worker's share of the processors.
    task : callable
        Its last argument is a :class:`~napari_mrisr.core.threads.ThreadPool`, whose check raises
        :class:`~napari_mrisr.errors.Cancelled` when the run was stopped.
    """
    from threadpoolctl import threadpool_limits

    pool = ThreadPool(threads or _share(), CancelToken(partial(_check, run)))
    pool.check()
    # The pool shares out the work; threads of BLAS's own would wait for one another.
    with threadpool_limits(1, user_api="blas"):
        return task(*arguments, pool)


def stop(run: str) -> None:
    """End the pieces of a run in this process."""
    _stopped.add(run)


def same(value: Value) -> Value:
    """The value: as a task, so that it is kept where it is needed and made again when lost."""
    return value


def bank_for_workers(bank: str | None) -> str | None:
    """A bank's name or file, as workers find it wherever they work."""
    if bank is None or bank in bundled_banks():
        return bank
    return str(user_banks().get(bank, Path(bank)).absolute())


def version() -> str:
    """Of this package, as the worker has it."""
    from napari_mrisr._version import __version__

    return __version__


def _check(run: str) -> None:
    if run in _stopped:
        raise Cancelled("the run was stopped")


def _share() -> int:
    """Processors for each of the pieces that this worker takes at a time."""
    from distributed import get_worker

    return max(1, processors() // get_worker().state.nthreads)
