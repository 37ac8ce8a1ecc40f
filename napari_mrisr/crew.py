"""Threads that share out pieces of work, and ask between pieces whether to go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

from napari_mrisr.progress import CancelToken, Progress

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
        Asked between pieces, on the thread that waits; raises to stop.
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


class Lanes:
    """Work that must keep its order within a lane; lanes run side by side.

    Parameters
    ----------
    crew : Crew
        Its threads are the lanes.
    waiting : int
        Pieces that may wait for each lane; then :meth:`put` waits.
    """

    def __init__(self, crew: Crew, waiting: int = 1) -> None:
        self._pools = [
            ThreadPoolExecutor(1, thread_name_prefix="mrisr-lane") for _ in range(crew.threads)
        ]
        self._room = threading.Semaphore((waiting + 1) * crew.threads)
        self._errors: list[BaseException] = []

    def put(self, lane: int, task: Callable[[], object]) -> None:
        """Add a piece at the end of a lane (any number, counted around).

        Raises
        ------
        BaseException
            What an earlier piece raised.
        """
        if self._errors:
            raise self._errors[0]
        self._room.acquire()
        self._pools[lane % len(self._pools)].submit(self._do, task)

    def _do(self, task: Callable[[], object]) -> None:
        try:
            if not self._errors:
                task()
        except BaseException as error:
            self._errors.append(error)
        finally:
            self._room.release()

    def __enter__(self) -> Lanes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for what was put; after an error, drop what has not begun."""
        for pool in self._pools:
            pool.shutdown(cancel_futures=error is not None)
        if error is None and self._errors:
            raise self._errors[0]
