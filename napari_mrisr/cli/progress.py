"""Progress on a terminal: a bar, or a few plain lines where there is none."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, TextIO

from napari_mrisr.core.progress import CancelToken, Progress, ProgressState, format_seconds

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n}/{total}{postfix}"
_LINE_EVERY_S = 10.0


class TerminalProgress(Progress):
    """A bar on a terminal; in a log, a line at the start and every ten seconds.

    Parameters
    ----------
    token : CancelToken, optional
        Asked at every step.
    stream : text stream, optional
        Standard error by default.
    quiet : bool
        Show nothing.
    """

    def __init__(
        self,
        token: CancelToken | None = None,
        *,
        stream: TextIO | None = None,
        quiet: bool = False,
    ) -> None:
        super().__init__(token)
        self._stream = stream if stream is not None else sys.stderr
        self._quiet = quiet
        self._bars = _has_room(self._stream)
        self._bar: Any = None
        self._next_line = 0.0
        self._new_task = True
        self.prefix = ""

    def begin(self, task: str, total: int) -> None:
        """See the base class."""
        self._new_task = True
        super().begin(task, total)

    def show(self, state: ProgressState) -> None:
        """See the base class."""
        if self._quiet:
            return
        if self._bars:
            self._show_bar(state)
        else:
            self._show_line(state)
        self._new_task = False

    def message(self, text: str) -> None:
        """One line, above the bar if there is one."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show_bar(self, state: ProgressState) -> None:
        if self._new_task:
            self.close()
        elif self._bar is None and state.done == state.total:  # done before
            return
        if self._bar is None:  # also where a line in between took it away
            self._bar = _new_bar(self._text(state), state.total, self._stream)
        self._bar.set_postfix_str(_left(state), refresh=False)
        self._bar.update(state.done - self._bar.n)
        if state.done == state.total:
            self.close()

    def _show_line(self, state: ProgressState) -> None:
        now = time.monotonic()
        if self._new_task:
            print(self._text(state), file=self._stream, flush=True)
        elif now >= self._next_line and state.done < state.total:
            percent = 100 * state.done // max(1, state.total)
            line = f"{self._text(state)}: {percent} %, {_left(state)}"
            print(line, file=self._stream, flush=True)
        else:
            return
        self._next_line = now + _LINE_EVERY_S

    def _text(self, state: ProgressState) -> str:
        return f"{self.prefix}{state.task}"


def _has_room(stream: TextIO) -> bool:
    """Whether a bar can be seen: on a terminal, and one that knows its size."""
    if not stream.isatty():
        return False
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        return False
    return size.lines > 0 and size.columns > 0


def _left(state: ProgressState) -> str:
    return "" if state.eta_s is None else f"{format_seconds(state.eta_s)} left"


def _new_bar(text: str, total: int, stream: TextIO) -> Any:
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own
    return tqdm(
        total=total, desc=text, file=stream, leave=False, bar_format=_BAR, dynamic_ncols=True
    )
