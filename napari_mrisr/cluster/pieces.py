"""Hand out pieces of work and wait for them, so that progress, cancel and deaths are seen.

The waiting thread asks the cancel token every 50 ms; what is fetched from the
cluster is fetched on a thread of its own, since large sums take a while.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

from napari_mrisr.cluster import worker
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import wait_for
from napari_mrisr.errors import ClusterError, MrisrError, explain

if TYPE_CHECKING:
    from distributed import Client, Future

Value = TypeVar("Value")

_STOP_S = 0.1


class Cluster:
    """Workers to hand pieces of work to.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    threads : int or None
        Threads of a piece; None for a worker's share of its processors.
    kill : callable, optional
        Ends the workers, where they are this run's own.
    """

    def __init__(
        self,
        client: Client,
        threads: int | None,
        kill: Callable[[], object] | None = None,
    ) -> None:
        self._client, self.threads, self._kill = client, threads, kill
        self._run = secrets.token_hex(8)
        self._fetcher = ThreadPoolExecutor(2, thread_name_prefix="mrisr-fetch")

    @property
    def slots(self) -> int:
        """How many pieces run at a time, now."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, task: Callable[..., Any], *arguments: Any, priority: int = 0) -> Future[Any]:
        """Hand out a piece.

        Parameters
        ----------
        task : callable
            A function of a module, see :func:`~napari_mrisr.cluster.worker.do`.
        arguments
            Small, or futures of what was handed out before.
        priority : int
            Higher goes first.
        """
        return self._client.submit(
            worker.do,
            self._run,
            self.threads,
            task,
            *arguments,
            pure=False,
            priority=priority,
        )

    def send(self, value: Any) -> Future[Any]:
        """Something larger that many pieces need; survives the death of workers."""
        return self._client.submit(worker.same, value, pure=False, priority=1)

    def result(self, future: Future[Value], check: Callable[[], None]) -> Value:
        """Wait for a piece.

        Parameters
        ----------
        future : Future
        check : callable
            Asked meanwhile; raises to stop.

        Raises
        ------
        ClusterError
            When workers died of it, or the scheduler is gone.
        """
        from distributed import KilledWorker

        fetched = self._fetcher.submit(future.result)
        try:
            wait_for([fetched], check)
            return fetched.result()
        except KilledWorker as error:
            found = f"{error.allowed_failures + 1} workers died at it, one after the other"
            mend = "look at their logs; give workers more memory"
            raise ClusterError(explain("cluster", found, mend)) from error
        except CancelledError as error:
            mend = "see whether the scheduler runs, and start again"
            raise ClusterError(explain("cluster", "its scheduler is gone", mend)) from error

    def each(
        self, task: Callable[..., Value], pieces: Iterable[object], progress: Progress, *shared: Any
    ) -> Generator[Value | MrisrError]:
        """Results of pieces, in their order.

        Parameters
        ----------
        task : callable
            Called with ``shared``, a piece and a pool.
        pieces : iterable
            Small.
        progress : Progress
            Advanced by a step for each piece that ends, in whatever order.
        shared
            Small, or sent.

        Yields
        ------
        value or MrisrError
            What the task returned, or the error that a person can mend.
        """
        waiting = deque(self.submit(task, *shared, piece) for piece in pieces)
        count, told = len(waiting), 0

        def tell() -> None:
            nonlocal told
            ended = count - sum(not future.done() for future in waiting)
            if ended > told:  # a worker's death may undo what had ended
                progress.advance(ended - told)
                told = ended
            progress.token.check()

        try:
            while waiting:
                found: Value | MrisrError
                try:
                    found = self.result(waiting[0], tell)
                except MrisrError as error:
                    found = error
                waiting.popleft()
                tell()
                yield found
        finally:
            self._client.cancel(list(waiting), force=True)

    def stop(self) -> None:
        """End what runs for this object."""
        if self._kill is not None:
            self._kill()
            return
        # A worker that does not answer must not hold up the user.
        telling = self._fetcher.submit(self._client.run, worker.stop, self._run, on_error="ignore")
        wait([telling], timeout=_STOP_S)

    def close(self) -> None:
        """End the threads."""
        self._fetcher.shutdown(wait=False, cancel_futures=True)
