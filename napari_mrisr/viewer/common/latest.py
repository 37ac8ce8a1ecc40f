"""Work of which only the latest asked for counts: a drag, a click, another choice."""

from __future__ import annotations

from qtpy.QtCore import QObject, Qt, Signal

from napari_mrisr.viewer.common.jobs import (
    Ended,
    Failed,
    Finished,
    Jobs,
    Message,
    Progressed,
    Told,
    Work,
)
from napari_mrisr.viewer.common.mailbox import Mailbox


class Latest(QObject):
    """Runs the latest work that was asked for; the one before is cancelled first.

    Signals
    -------
    finished : object
        What the work returned. Of work that was dropped or replaced nothing is told.
    failed : Exception
        What it raised.
    progressed
        It went on.
    told : object
        It told an event of its own.
    """

    finished = Signal(object)
    failed = Signal(object)
    progressed = Signal()
    told = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._mailbox = Mailbox()
        self._mailbox.posted.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self.jobs = Jobs(self._mailbox.post)
        self._next: Work | None = None

    @property
    def busy(self) -> bool:
        """Whether something runs that still counts."""
        return self._next is not None or (self.jobs.running and not self.jobs.cancelled)

    def ask(self, work: Work) -> None:
        """Run this as soon as what runs has stopped."""
        self._next = work
        if self.jobs.running:
            self.jobs.cancel()
        else:
            self._start()

    def drop(self) -> None:
        """Nothing is wanted any more."""
        self._next = None
        if self.jobs.running:
            self.jobs.cancel()

    def close(self) -> None:
        """Stop, and wait until it has."""
        self._next = None
        self.jobs.abandon()

    def _start(self) -> None:
        work, self._next = self._next, None
        if work is not None:
            self.jobs.start(work)

    def _receive(self, message: Message) -> None:
        accepted = self.jobs.accept(message)
        if isinstance(accepted, Progressed):
            self.progressed.emit()
        elif isinstance(accepted, Told):
            self.told.emit(accepted.event)
        if not isinstance(accepted, Ended):
            return
        self._start()
        # What was replaced or dropped was cancelled, and comes as Stopped.
        if isinstance(accepted, Finished):
            self.finished.emit(accepted.result)
        elif isinstance(accepted, Failed):
            self.failed.emit(accepted.error)
