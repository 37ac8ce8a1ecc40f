"""Background work of a widget: one thread, signals in the GUI thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

from napari_mrisr.core.progress import CancelToken, Progress, ProgressState
from napari_mrisr.errors import Cancelled

_log = logging.getLogger(__name__)

# The eye follows no more, and each update costs the GUI thread a repaint.
_SHOW_EVERY_S = 0.1


class Worker(QObject):
    """Runs one piece of work at a time on a background thread.

    All methods are for the GUI thread, and all signals arrive there. New work
    cancels the work that runs and starts when that has stopped, so only the latest
    submission counts: nothing that older work reports is emitted. A widget that
    refuses new work while some is running asks :attr:`running` first.

    Give it no Qt parent: it must outlive its widget for as long as the thread runs.

    Signals
    -------
    progressed : ProgressState
        Steps are done; at most ten times per second.
    messaged : str
        A line to show, such as that kernels are being compiled.
    reported : object
        An event that the work passed to :meth:`WorkerProgress.report`.
    finished : object
        The result. :attr:`seconds` says how long it took.
    failed : Exception
        The work raised it.
    cancelled
        The work stopped after :meth:`cancel`, and no other work waits.
    """

    progressed = Signal(object)
    messaged = Signal(str)
    reported = Signal(object)
    finished = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    _posted = Signal(int, str, object)

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._generation = 0
        self._thread: threading.Thread | None = None
        self._token = CancelToken()
        self._next: Work | None = None
        self._posted.connect(self._receive, Qt.ConnectionType.QueuedConnection)

    @property
    def running(self) -> bool:
        """True until the thread has ended."""
        return self._thread is not None

    @property
    def stopping(self) -> bool:
        """True while cancelled work has not stopped yet."""
        return self.running and self._token.cancelled

    @property
    def busy(self) -> bool:
        """True while a result is still to come."""
        return self._next is not None or (self.running and not self.stopping)

    def submit(self, work: Work) -> None:
        """Run work as soon as the thread is free; cancel the work that occupies it.

        Parameters
        ----------
        work : callable
            Called on the thread with a :class:`WorkerProgress`; returns the result.
        """
        self._next = work
        if self.running:
            self._token.cancel()
        else:
            self._start()

    def cancel(self) -> None:
        """Cancel the work; return before it has stopped."""
        self._next = None
        if self.running:
            self._token.cancel()

    def close(self, timeout: float = 2.0) -> bool:
        """Cancel the work, wait for the thread, and emit nothing more.

        Returns
        -------
        bool
            True if the thread has ended.
        """
        self._next = None
        self._generation += 1
        self._token.cancel()
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _start(self) -> None:
        work, self._next = self._next, None
        if work is None:
            return
        self._generation += 1
        self._token = CancelToken()
        progress = WorkerProgress(self._token, self._generation, self._post)
        # A daemon: a kernel that runs long must not delay the exit of the program.
        self._thread = threading.Thread(
            target=progress.run, args=(work,), name=f"mrisr-job-{self._generation}", daemon=True
        )
        self._thread.start()

    def _post(self, generation: int, kind: str, content: Any) -> None:
        """Send to the GUI thread, from the working thread."""
        # RuntimeError: the application, and with it Qt's part of this object, is gone.
        try:
            self._posted.emit(generation, kind, content)
        except RuntimeError:
            _log.debug("message after the end: %s", content)

    def _receive(self, generation: int, kind: str, content: Any) -> None:
        if generation != self._generation or self._thread is None:
            return
        if kind in _ENDS:
            self._end(kind, content)
        elif not self._token.cancelled:
            getattr(self, kind).emit(content)

    def _end(self, kind: str, content: Any) -> None:
        assert self._thread is not None
        self._thread.join()
        self._thread = None
        # A result may have been on its way when the work was cancelled.
        was_cancelled = self._token.cancelled or kind == "cancelled"
        if self._next is not None:
            self._start()
        elif was_cancelled:
            self.cancelled.emit()
        if was_cancelled:
            return
        if kind == "finished":
            result, self.seconds = content
            self.finished.emit(result)
        else:
            self.failed.emit(content)


_ENDS = ("finished", "failed", "cancelled")


class WorkerProgress(Progress):
    """Progress that a :class:`Worker` turns into signals."""

    def __init__(
        self, token: CancelToken, generation: int, post: Callable[[int, str, Any], None]
    ) -> None:
        super().__init__(token)
        self._generation = generation
        self._post = post
        self._shown_at = -1.0
        self._shown_task: str | None = None

    def show(self, state: ProgressState) -> None:
        """Post the state, unless one of the same task was posted a moment ago."""
        now = time.monotonic()
        due = now - self._shown_at >= _SHOW_EVERY_S or state.task != self._shown_task
        if due or state.done == state.total:
            self._shown_at, self._shown_task = now, state.task
            self._post(self._generation, "progressed", state)

    def message(self, text: str) -> None:
        """Post a line to show."""
        self._post(self._generation, "messaged", text)

    def report(self, event: Any) -> None:
        """Post an event that the owner of the worker understands."""
        self._post(self._generation, "reported", event)

    def run(self, work: Work) -> None:
        """Call the work; post its result, or what it raised."""
        started = time.monotonic()
        try:
            result = work(self)
        except Cancelled:
            self._post(self._generation, "cancelled", None)
        except Exception as error:  # any failure must reach the GUI
            self._post(self._generation, "failed", error)
        else:
            self._post(self._generation, "finished", (result, time.monotonic() - started))


Work = Callable[[WorkerProgress], Any]
