"""Tasks on a cluster: submit them, wait for them, cancel them.

Dask does not interrupt a running task. A run that ends early therefore calls
:func:`stop` on every worker, next to the tasks; a task finds out at the next check of
its thread pool.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.errors import Cancelled, ClusterError, MrisrError, explain

if TYPE_CHECKING:
    from distributed import Client, Future

Value = TypeVar("Value")

_POLL_S = 0.05
_STOP_S = 0.1

_stopped: set[str] = set()


class Cluster:
    """Workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    threads : int or None
        Threads per task; None for an equal share of the worker's CPUs.
    kill : callable, optional
        Ends the workers of a local cluster.
    """

    def __init__(
        self, client: Client, threads: int | None, kill: Callable[[], object] | None = None
    ) -> None:
        self._client, self.threads, self._kill = client, threads, kill
        self._run = secrets.token_hex(8)

    @property
    def slots(self) -> int:
        """Number of tasks that run at the same time."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Submit a task.

        Parameters
        ----------
        task : callable
            Function of a module. It receives the arguments and a
            :class:`~napari_mrisr.core.threads.ThreadPool`.
        arguments
            Small values, or futures.
        """
        return self._client.submit(run_task, self._run, self.threads, task, *arguments, pure=False)

    def send(self, value: Any) -> Future[Any]:
        """Send a larger value once for many tasks; it survives the death of workers."""
        return self._client.submit(_same, value, pure=False, priority=1)

    def result(self, future: Future[Value], check: Callable[[], None]) -> Value:
        """Wait for the result of a task.

        Parameters
        ----------
        future : Future
        check : callable
            Called every 50 ms; raises to stop waiting.

        Raises
        ------
        ClusterError
            If workers died of the task, or the scheduler is gone.
        """
        ((_, found),) = self._completed([future], check)
        if isinstance(found, BaseException):
            raise found
        value: Value = found
        return value

    def each(
        self, task: Callable[..., Value], items: Iterable[object], progress: Progress, *shared: Any
    ) -> Generator[Value | MrisrError]:
        """Compute on each item; yield the results in the order of the items.

        Parameters
        ----------
        task : callable
            Receives ``shared``, an item and a thread pool.
        items : iterable
            Small values.
        progress : Progress
            Advances by one step per finished task.
        shared
            Small values, or futures of :meth:`send`.

        Yields
        ------
        value or MrisrError
            The result of the task, or its error.
        """
        futures = [self.submit(task, *shared, item) for item in items]
        found: dict[Future[Any], Any] = {}
        following = iter(futures)
        try:
            awaited = next(following, None)
            for future, result in self._completed(futures, progress.token.check):
                if isinstance(result, BaseException) and not isinstance(result, MrisrError):
                    raise result
                found[future] = result
                progress.advance()
                while awaited is not None and awaited in found:
                    yield found.pop(awaited)
                    awaited = next(following, None)
        finally:
            if self._client.status == "running":
                self._client.cancel(futures, force=True)

    def _completed(
        self, futures: Sequence[Future[Any]], check: Callable[[], None]
    ) -> Iterator[tuple[Future[Any], Any]]:
        """Yield futures with their result or exception as they end."""
        from distributed import as_completed

        ended = as_completed(futures, loop=self._client.loop, with_results=True, raise_errors=False)
        while True:
            check()
            batch = ended.next_batch(block=False)
            for future, result in batch:
                if isinstance(result, CancelledError):
                    mend = "see whether the scheduler runs, and start again"
                    raise ClusterError(explain("cluster", "its scheduler is gone", mend))
                yield future, _error_of(result[1]) if future.status == "error" else result
            if ended.is_empty():
                return
            if not batch:
                time.sleep(_POLL_S)

    def stop(self) -> None:
        """End the tasks of this run."""
        if self._kill is not None:
            self._kill()
            return
        # A worker that does not answer must not delay the user.
        arguments = {"on_error": "ignore"}
        call = threading.Thread(
            target=self._client.run, args=(stop, self._run), kwargs=arguments, daemon=True
        )
        call.start()
        call.join(_STOP_S)


def _error_of(error: BaseException) -> BaseException:
    from distributed import KilledWorker

    if not isinstance(error, KilledWorker):
        return error
    found = f"{error.allowed_failures + 1} workers died at it, one after the other"
    mend = "look at their logs; give workers more memory"
    return ClusterError(explain("cluster", found, mend))


# Functions that workers run.


def run_task(run: str, threads: int | None, task: Callable[..., Value], *arguments: Any) -> Value:
    """Call a task with its arguments and a thread pool, which :func:`stop` cancels.

    Parameters
    ----------
    run : str
        Identifies the run that the task belongs to.
    threads : int or None
        Threads of the pool; None for an equal share of this worker's CPUs.
    task : callable
    """
    from threadpoolctl import threadpool_limits

    pool = ThreadPool(threads or _share_of_cpus(), CancelToken(partial(_check, run)))
    pool.check()
    # The thread pool shares the work; threads of the BLAS would compete with its threads.
    with threadpool_limits(1, user_api="blas"):
        return task(*arguments, pool)


def stop(run: str) -> None:
    """Cancel the tasks of a run in this process."""
    _stopped.add(run)


def _same(value: Value) -> Value:
    """Return the value; as a task, Dask recomputes it if its worker dies."""
    return value


def _check(run: str) -> None:
    if run in _stopped:
        raise Cancelled("the run was stopped")


def _share_of_cpus() -> int:
    from distributed import get_worker

    return max(1, processors() // get_worker().state.nthreads)
