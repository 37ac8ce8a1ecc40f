"""Progress and cancel. Standard library only.

Compute code receives a :class:`Progress`, calls :meth:`Progress.begin` with the
number of steps and :meth:`Progress.advance` after each step. ``advance`` raises
:class:`~napari_mrisr.errors.Cancelled` when the token is set, so every loop that
reports progress can be cancelled. Subclasses show the progress: they override
:meth:`Progress.show` and :meth:`Progress.message`. ``show`` is called on the
computing thread.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from napari_mrisr.errors import Cancelled


class CancelToken:
    """A flag that any thread may set and that the computing thread checks.

    Parameters
    ----------
    condition : callable, optional
        A further condition to stop: called by every :meth:`check`, raises to stop.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> token = sr.CancelToken()
    >>> token.cancel()
    >>> sr.upscale("scan.nii.gz", 2, progress=sr.Progress(token))
    Traceback (most recent call last):
    ...
    napari_mrisr.errors.Cancelled: cancelled by the user
    """

    def __init__(self, condition: Callable[[], None] | None = None) -> None:
        self._event, self._condition = threading.Event(), condition

    def cancel(self) -> None:
        """Make the computation stop at its next step."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """True once :meth:`cancel` was called."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise :class:`Cancelled` if :meth:`cancel` was called."""
        if self._event.is_set():
            raise Cancelled("cancelled by the user")
        if self._condition is not None:
            self._condition()


@dataclass(frozen=True)
class ProgressState:
    """Progress at one moment.

    Attributes
    ----------
    task : str
        Name of the task, for the user.
    done, total : int
        Finished steps and all steps.
    elapsed_s : float
        Seconds since :meth:`Progress.begin`.
    """

    task: str
    done: int
    total: int
    elapsed_s: float

    @property
    def eta_s(self) -> float | None:
        """Estimated seconds left; None before the first step."""
        if self.done == 0:
            return None
        return self.elapsed_s / self.done * (self.total - self.done)


class Progress:
    """Silent progress, and the base class of visible ones.

    Parameters
    ----------
    token : CancelToken, optional
        Checked at every step. A new token by default.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> class Percent(sr.Progress):
    ...     def show(self, state):
    ...         print(f"{state.task}: {100 * state.done // state.total} %")
    >>> progress = Percent()
    >>> progress.begin("smoothing", total=2)
    smoothing: 0 %
    >>> progress.advance()
    smoothing: 50 %
    """

    def __init__(self, token: CancelToken | None = None) -> None:
        self.token = token if token is not None else CancelToken()
        self._task, self._done, self._total = "", 0, 0
        self._started = time.monotonic()

    def begin(self, task: str, total: int) -> None:
        """Start a task of ``total`` steps; it replaces the previous task."""
        self.token.check()
        self._task, self._done, self._total = task, 0, total
        self._started = time.monotonic()
        self.show(self.state)

    def advance(self, steps: int = 1) -> None:
        """Count finished steps; raise :class:`Cancelled` if the token is set."""
        self._done = min(self._done + steps, self._total)
        self.show(self.state)
        self.token.check()

    @property
    def state(self) -> ProgressState:
        """Current state."""
        elapsed = time.monotonic() - self._started
        return ProgressState(self._task, self._done, self._total, elapsed)

    def show(self, state: ProgressState) -> None:
        """Show a state; subclasses override this."""

    def message(self, text: str) -> None:
        """Show a line of text; subclasses override this."""


class InnerProgress(Progress):
    """Progress of steps inside a longer task: cancels with it and passes messages on."""

    def __init__(self, outer: Progress) -> None:
        super().__init__(outer.token)
        self._outer = outer

    def message(self, text: str) -> None:
        """Show a line of text."""
        self._outer.message(text)


@contextlib.contextmanager
def message_after(
    seconds: float, message: Callable[[str], object], text: str
) -> Iterator[threading.Timer]:
    """Show a text if the block takes longer than ``seconds``; yield the timer, to cancel it."""
    timer = threading.Timer(seconds, message, [text])
    timer.daemon = True
    timer.start()
    try:
        yield timer
    finally:
        timer.cancel()
        timer.join()


def format_seconds(seconds: float) -> str:
    """Format seconds as ``8 s``, ``2 min 05 s`` or ``1 h 03 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
