"""One piece of work at a time on a background thread. No Qt, no napari.

The thread tells what happens by frozen messages, handed to ``post``, which
must bring them to the GUI's thread (a Qt signal does). There,
:meth:`Jobs.accept` says which still count: each start and each
:meth:`Jobs.abandon` has a new generation number, and what comes from an older
one is dropped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_mrisr.core.progress import CancelToken, Progress, ProgressState
from napari_mrisr.errors import Cancelled

# A person reads no more; each message costs the GUI's thread a paint.
_SHOW_EVERY_S = 0.1


@dataclass(frozen=True)
class Message:
    """Base of what the thread tells. ``generation`` says which run it is from."""

    generation: int


@dataclass(frozen=True)
class Progressed(Message):
    """Some steps are done."""

    state: ProgressState


@dataclass(frozen=True)
class Said(Message):
    """A line to show, such as that kernels are being compiled."""

    text: str


@dataclass(frozen=True)
class Told(Message):
    """Something that the work tells of itself, for those who know its events."""

    event: Any


@dataclass(frozen=True)
class Ended(Message):
    """The last message of every run."""


@dataclass(frozen=True)
class Finished(Ended):
    """The work's result, and how long it took."""

    result: Any
    seconds: float


@dataclass(frozen=True)
class Failed(Ended):
    """The work raised."""

    error: Exception


@dataclass(frozen=True)
class Stopped(Ended):
    """The work was cancelled."""


Post = Callable[[Message], None]


class PostedProgress(Progress):
    """Progress that becomes messages, about ten a second."""

    def __init__(self, token: CancelToken, generation: int, post: Post) -> None:
        super().__init__(token)
        self._generation = generation
        self._post = post
        self._shown_at = -1.0
        self._shown_task: str | None = None

    def show(self, state: ProgressState) -> None:
        """Post the state, unless one of the same task was posted just now."""
        now = time.monotonic()
        due = now - self._shown_at >= _SHOW_EVERY_S or state.task != self._shown_task
        if due or state.done == state.total:
            self._shown_at, self._shown_task = now, state.task
            self._post(Progressed(self._generation, state))

    def message(self, text: str) -> None:
        """Post the line."""
        self._post(Said(self._generation, text))

    def tell(self, event: Any) -> None:
        """Post an event of the work's own."""
        self._post(Told(self._generation, event))


Work = Callable[[PostedProgress], Any]


class Jobs:
    """Starts, cancels and abandons work, one at a time.

    All methods are for the GUI's thread.

    Parameters
    ----------
    post : callable
        Called on the working thread with each :class:`Message`.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._generation = 0
        self._thread: threading.Thread | None = None
        self._token = CancelToken()

    @property
    def running(self) -> bool:
        """Whether work has not ended yet."""
        return self._thread is not None

    @property
    def cancelled(self) -> bool:
        """Whether the present work was asked to stop."""
        return self.running and self._token.cancelled

    def start(self, work: Work) -> int:
        """Start work; return its generation number.

        Parameters
        ----------
        work : callable
            Called on a new thread with a :class:`PostedProgress`.

        Raises
        ------
        RuntimeError
            When work is still running.
        """
        if self._thread is not None:
            raise RuntimeError("work is still running")
        self._generation += 1
        self._token = CancelToken()
        progress = PostedProgress(self._token, self._generation, self._post)
        # A daemon, so that a kernel that takes its time cannot hold up the exit.
        self._thread = threading.Thread(
            target=_run,
            args=(work, progress, self._generation, self._post),
            name=f"mrisr-job-{self._generation}",
            daemon=True,
        )
        self._thread.start()
        return self._generation

    def cancel(self) -> None:
        """Ask the work to stop; it answers with :class:`Stopped`."""
        self._token.cancel()

    def accept(self, message: Message) -> Message | None:
        """The message as it counts now; None when it is stale.

        A result that was under way when :meth:`cancel` was called becomes
        :class:`Stopped`. The last message of a run ends it.
        """
        if message.generation != self._generation or self._thread is None:
            return None
        if not isinstance(message, Ended):
            return None if self._token.cancelled else message
        self._thread.join()
        self._thread = None
        if self._token.cancelled:
            return Stopped(message.generation)
        return message

    def abandon(self, timeout: float = 2.0) -> bool:
        """Cancel, wait, and drop whatever may still be told.

        Returns
        -------
        bool
            Whether the thread has ended.
        """
        self._generation += 1
        self._token.cancel()
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()


def _run(work: Work, progress: PostedProgress, generation: int, post: Post) -> None:
    started = time.monotonic()
    last: Ended
    try:
        result = work(progress)
        last = Finished(generation, result, time.monotonic() - started)
    except Cancelled:
        last = Stopped(generation)
    except Exception as error:  # the GUI's thread must hear of any failure
        last = Failed(generation, error)
    post(last)
