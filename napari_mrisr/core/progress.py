"""Progress and cancelling, asked once a block. Standard library only.

Compute code receives one :class:`Progress`, calls :meth:`Progress.begin` with
the number of steps and :meth:`Progress.advance` after each. ``advance`` raises
:class:`~napari_mrisr.errors.Cancelled` when the token was set, so a loop that
reports is a loop that can be stopped. What is shown, and where, is the
subclass's business: it overrides :meth:`Progress.show` and
:meth:`Progress.message`. ``show`` is called on the computing thread.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from napari_mrisr.errors import Cancelled


class CancelToken:
    """A flag that any thread may set and the computing thread asks for."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the computation to stop at its next step."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise :class:`Cancelled` if :meth:`cancel` was called."""
        if self._event.is_set():
            raise Cancelled("cancelled by the user")


@dataclass(frozen=True)
class ProgressState:
    """A snapshot to show.

    Attributes
    ----------
    task : str
        What is being done, for a person.
    done, total : int
        Steps finished and steps in all.
    elapsed_s : float
        Seconds since :meth:`Progress.begin`.
    """

    task: str
    done: int
    total: int
    elapsed_s: float

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the pace so far; None before the first step."""
        if self.done == 0:
            return None
        return self.elapsed_s / self.done * (self.total - self.done)


class Progress:
    """Silent progress; the base of those that show something.

    Parameters
    ----------
    token : CancelToken, optional
        Asked at every step. A fresh one by default.
    """

    def __init__(self, token: CancelToken | None = None) -> None:
        self.token = token if token is not None else CancelToken()
        self._task, self._done, self._total = "", 0, 0
        self._started = time.monotonic()

    def begin(self, task: str, total: int) -> None:
        """Start a task of ``total`` steps (replaces the task before it)."""
        self.token.check()
        self._task, self._done, self._total = task, 0, total
        self._started = time.monotonic()
        self.show(self.state)

    def advance(self, steps: int = 1) -> None:
        """Count finished steps; raise :class:`Cancelled` when asked to stop."""
        self._done = min(self._done + steps, self._total)
        self.show(self.state)
        self.token.check()

    @property
    def state(self) -> ProgressState:
        """The present state."""
        elapsed = time.monotonic() - self._started
        return ProgressState(self._task, self._done, self._total, elapsed)

    def show(self, state: ProgressState) -> None:
        """Show a state. Overridden by what has a screen."""

    def message(self, text: str) -> None:
        """Say something once, such as "compiling kernels (first run)"."""


def format_seconds(seconds: float) -> str:
    """Seconds as a person says them: ``8 s``, ``2 min 05 s``, ``1 h 03 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
