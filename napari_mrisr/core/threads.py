"""Threads that share out pieces of work, and ask between pieces whether to go on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from napari_mrisr.core.progress import CancelToken, Progress

Piece = TypeVar("Piece")

_POLL_S = 0.05


def _go_on() -> None:
    """Never stop."""


class _Asking(CancelToken):
    """A token that asks a function."""

    def __init__(self, ask: Callable[[], None]) -> None:
        super().__init__()
        self._ask = ask

    def check(self) -> None:
        """Ask."""
        self._ask()


class Crew:
    """A few threads for work that releases the GIL.

    Parameters
    ----------
    threads : int
        How many.
    check : callable
        Asked between pieces, on the thread that waits, and within long ones, on
        theirs; raises to stop.
    """

    def __init__(self, threads: int = 1, check: Callable[[], None] = _go_on) -> None:
        self.threads, self.check = threads, check

    @property
    def progress(self) -> Progress:
        """For functions that ask a progress: silent, and asks this crew's check."""
        return Progress(_Asking(self.check))

    def each(self, task: Callable[[Piece], object], pieces: Iterable[Piece]) -> None:
        """Call ``task`` on every piece, in any order.

        What a task raises, or ``check``, comes out here once no task runs any more.
        """
        if self.threads == 1:
            for piece in pieces:
                self.check()
                task(piece)
            return
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="mrisr-crew")
        try:
            pending: set[Future[object]] = {pool.submit(task, piece) for piece in pieces}
            while pending:
                done, pending = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                self.check()
        finally:
            pool.shutdown(cancel_futures=True)

    def walk(self, task: Callable[[Piece], Iterable[object]], pieces: Iterable[Piece]) -> None:
        """Like :meth:`each`, for long pieces: a task yields between steps, and may end there."""
        stopped = threading.Event()

        def check() -> None:
            try:
                self.check()
            except BaseException:
                stopped.set()
                raise

        def steps(piece: Piece) -> None:
            for _ in task(piece):
                if self.threads == 1:
                    self.check()
                elif stopped.is_set():
                    return

        Crew(self.threads, check).each(steps, pieces)


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
