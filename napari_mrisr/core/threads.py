"""A thread pool with progress and cancel, for work that releases the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from napari_mrisr.core.progress import CancelToken, Progress

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL_S = 0.05


class ThreadPool:
    """A number of threads and the token that cancels their work.

    Parameters
    ----------
    threads : int
        Number of threads. One thread means the caller's own.
    token : CancelToken, optional
        Checked between items by the thread that waits. Long tasks check it too,
        on their own threads.
    """

    def __init__(self, threads: int = 1, token: CancelToken | None = None) -> None:
        self.threads, self.token = threads, token or CancelToken()

    def check(self) -> None:
        """Raise what the token raises when the work is cancelled."""
        self.token.check()

    @property
    def progress(self) -> Progress:
        """Silent progress with the token of this pool."""
        return Progress(self.token)

    def each(
        self,
        task: Callable[[Item], object],
        items: Iterable[Item],
        ended: Callable[[int], object] | None = None,
        *,
        wait_for_running: bool = True,
    ) -> None:
        """Call ``task`` on every item, in any order.

        An exception of a task, of ``ended`` or of the token is raised here.

        Parameters
        ----------
        task : callable
            Receives an item, on any thread.
        items : iterable
        ended : callable, optional
            Receives the number of items that ended since its last call, on the
            calling thread; for example :meth:`Progress.advance`.
        wait_for_running : bool
            Let running tasks end before an exception is raised. Without it a cancel
            takes effect at once, also with one thread.
        """
        if self.threads == 1 and wait_for_running:
            for item in items:
                self.check()
                task(item)
                if ended is not None:
                    ended(1)
            return
        executor = ThreadPoolExecutor(self.threads, thread_name_prefix="mrisr")
        try:
            wait_for([executor.submit(task, item) for item in items], self.check, ended)
        except BaseException:
            executor.shutdown(wait_for_running, cancel_futures=True)
            raise
        executor.shutdown()


def wait_for(
    futures: Iterable[Future[Any]],
    check: Callable[[], None],
    ended: Callable[[int], object] | None = None,
) -> None:
    """Wait for futures and raise the first exception among them.

    Parameters
    ----------
    futures : iterable of Future
    check : callable
        Called at least every 50 ms; raises to stop waiting.
    ended : callable, optional
        Receives the number of futures that ended since its last call.
    """
    pending = set(futures)
    while pending:
        check()
        done, pending = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        if ended is not None and done:
            ended(len(done))


def call_in_thread(task: Callable[[], Result], check: Callable[[], None]) -> Result:
    """Call a function on another thread; a cancel does not wait for its end.

    Parameters
    ----------
    task : callable
    check : callable
        Called at least every 50 ms; raises to stop waiting.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="mrisr")
    try:
        future = executor.submit(task)
        wait_for([future], check)
        return future.result()
    finally:
        executor.shutdown(wait=False)


def processors() -> int:
    """Count the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
