"""A command's run: console output, progress, signals and exit codes.

Console output never ends a run. A stream that is closed, full or gone is replaced by
the null device at its first error; a failed standard output is reported at the end.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from napari_mrisr.core.progress import CancelToken, Progress, ProgressState, format_seconds
from napari_mrisr.errors import Cancelled, explain, install

if TYPE_CHECKING:
    from napari_mrisr.cluster.tasks import Cluster
    from napari_mrisr.core.notice import Caution

EXIT_GOOD, EXIT_UNEXPECTED, EXIT_USAGE = 0, 1, 2

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n}/{total}{postfix}"
_LINE_EVERY_S = 10.0
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


_PARAMETERS = (
    "scale",
    "spacing",
    "method",
    "bank",
    "device",
    "threads",
    "frame",
    "fill_nonfinite",
    "dtype",
    "preset",
    "degradation",
    "protocol",
    "steps",
)


class Session:
    """One run of a command, from the first argument to the exit code.

    The first Ctrl-C, SIGTERM or SIGHUP sets the cancel token, which the engine
    checks between blocks; the second one stops at once. Reading and writing do not
    check it: there (:meth:`at_once`) the first signal raises, and the atomic write
    removes its temporary file.

    Parameters
    ----------
    quiet : bool
        Show no progress and no result lines.
    verbose : bool
        Explain cautions.

    Attributes
    ----------
    cluster : Cluster or None
        The Dask cluster of ``--dask``.
    caution_counts : Counter
        Scans per kind of caution.
    """

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self.token = CancelToken()
        self.quiet, self.verbose = quiet, verbose
        self.cluster: Cluster | None = None
        self.progress = TerminalProgress(self.token, quiet=quiet)
        self.caution_counts: Counter[str] = Counter()
        self._signal = signal.SIGINT
        self._at_once = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Session:
        # Only the main thread may set signal handlers.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # nohup ignores SIGHUP so that the run outlives its terminal.
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Remove the bar and restore the signal handlers, also before a window opens."""
        self.progress.close()
        while self._handlers:
            number, handler = self._handlers.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @property
    def cancelled_code(self) -> int:
        """The exit code after a cancel, as of shells: 130 (Ctrl-C), 143 (SIGTERM), 129 (SIGHUP)."""
        return 128 + self._signal

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal raise :class:`Cancelled` immediately within the block."""
        self.token.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    @contextlib.contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """Show the write of a file, which a signal stops immediately."""
        self.progress.begin(f"writing {path.name}", 1)
        with self.at_once():
            yield
        self.progress.close()

    def say(self, text: str) -> None:
        """Print a line about a result; nothing if quiet."""
        if not self.quiet:
            self.emit(text)

    def emit(self, text: str) -> None:
        """Print what the command is for, such as a table, also if quiet."""
        self.progress.close()
        write_line("stdout", text)

    def show_cautions(self, cautions: Sequence[Caution]) -> None:
        """Show the headlines of a scan's cautions, with their texts if verbose; count them."""
        self.caution_counts.update(dict.fromkeys((caution.kind for caution in cautions), 1))
        prefix = f"{self.progress.prefix}caution: "
        if self.verbose:
            for caution in cautions:
                self.progress.message(f"{prefix}{caution.kind}. {caution.text}")
        elif cautions:
            kinds = ", ".join(dict.fromkeys(caution.kind for caution in cautions))
            self.progress.message(f"{prefix}{kinds} (--verbose explains)")

    def sum_up_cautions(self, scans: int) -> None:
        """Show how many scans of a batch had each caution."""
        if scans > 1 and self.caution_counts:
            counts = (f"{kind} ({count})" for kind, count in self.caution_counts.most_common())
            self.progress.message(f"cautions in {scans} scans: {', '.join(counts)}")

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.token.cancelled:
            raise KeyboardInterrupt
        self._signal = signal.Signals(number)
        self.token.cancel()
        if self._at_once:
            raise Cancelled("cancelled by the user")
        again = " (Ctrl-C again to stop at once)" if number == signal.SIGINT else ""
        self.progress.message(f"stopping{again}")


class TerminalProgress(Progress):
    """A bar on a terminal; in a log, a line at the start and every ten seconds.

    Parameters
    ----------
    token : CancelToken, optional
        Checked at every step.
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
        """Start a task, on a new bar or line."""
        self._new_task = True
        super().begin(task, total)

    def show(self, state: ProgressState) -> None:
        """Draw the bar, or print a line if one is due."""
        if self._quiet:
            return
        with _never_raising(self._stream):
            if self._bars:
                self._show_bar(state)
            else:
                self._show_line(state)
        self._new_task = False

    def message(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._quiet:
            return
        with _never_raising(self._stream):
            if self._bar is not None:
                self._bar.write(text, file=self._stream)
            else:
                self._print(text)

    def close(self) -> None:
        """Remove the bar."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with _never_raising(self._stream):
                bar.close()

    def _show_bar(self, state: ProgressState) -> None:
        if self._new_task:
            self.close()
        elif self._bar is None and state.done == state.total:  # removed when it was full
            return
        if self._bar is None:  # also after a result line, which removes it
            self._bar = _new_bar(self._text(state), state.total, self._stream)
        self._bar.set_postfix_str(_time_left(state), refresh=False)
        self._bar.update(state.done - self._bar.n)
        if state.done == state.total:
            self.close()

    def _show_line(self, state: ProgressState) -> None:
        now = time.monotonic()
        if self._new_task:
            self._print(self._text(state))
        elif now >= self._next_line and state.done < state.total:
            percent = 100 * state.done // max(1, state.total)
            self._print(f"{self._text(state)}: {percent} %, {_time_left(state)}")
        else:
            return
        self._next_line = now + _LINE_EVERY_S

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def _text(self, state: ProgressState) -> str:
        return f"{self.prefix}{state.task}"


def prepare_streams() -> None:
    """Make standard output and error fit for any terminal, and for none."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Closed by the caller. The null device also takes the free file descriptor,
            # which the next file opened would get, and with it stray messages.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # for terminals without ±, × and σ


def write_line(name: str, text: str) -> None:
    """Print a line on ``stdout`` or ``stderr``; never raise."""
    stream = getattr(sys, name)
    with _never_raising(stream):
        print(text, file=stream, flush=True)


def error_line(text: str) -> None:
    """Print an error on standard error."""
    write_line("stderr", f"napari-mrisr: error: {as_option(text)}")


def as_option(text: str) -> str:
    """Write a parameter that an error of the engine begins with as the user's option.

    ``scan.nii: fill_nonfinite: x`` becomes ``scan.nii: --fill-nonfinite: x``.
    """
    match = re.match(rf"(.*?: )??({'|'.join(_PARAMETERS)}): ", text)
    if match is None:
        return text
    start, end = match.span(2)
    return f"{text[:start]}--{match[2].replace('_', '-')}{text[end:]}"


def output_error() -> str:
    """Return the error line for a standard output that could not take the results, or ``""``.

    A reader that has gone, such as ``head``, is no error.
    """
    write_flush = getattr(sys.stdout, "flush", None)
    if write_flush is not None:
        with _never_raising(sys.stdout):
            write_flush()
    error = _failed.pop(id(sys.stdout), None)
    if error is None or error.errno in (None, errno.EPIPE, errno.EIO):
        return ""
    found = f"cannot be written ({error.strerror})"
    return explain("standard output", found, "send it elsewhere")


_failed: dict[int, OSError] = {}


@contextlib.contextmanager
def _never_raising(stream: TextIO) -> Iterator[None]:
    """Turn a stream that fails into the null device."""
    try:
        yield
    except (OSError, ValueError) as error:
        _failed.setdefault(id(stream), error if isinstance(error, OSError) else OSError())
        # Python flushes what is left in the buffer when it exits.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, stream.fileno())
            finally:
                os.close(null)


def no_viewer_because() -> str:
    """Return why napari cannot be opened here; ``""`` if it can."""
    if importlib.util.find_spec("napari") is None:
        return f"napari is not installed ({install('gui')})"
    on_x = sys.platform.startswith(("linux", "freebsd"))
    if on_x and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display"
    return ""


def _has_room(stream: TextIO) -> bool:
    """Return True for a terminal of known size, on which a bar can be seen."""
    try:
        size = os.get_terminal_size(stream.fileno()) if stream.isatty() else None
    except (OSError, ValueError):
        return False
    return size is not None and size.lines > 0 and size.columns > 0


def _time_left(state: ProgressState) -> str:
    return "" if state.eta_s is None else f"{format_seconds(state.eta_s)} left"


def _new_bar(text: str, total: int, stream: TextIO) -> Any:
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no monitor thread
    return tqdm(
        total=total, desc=text, file=stream, leave=False, bar_format=_BAR, dynamic_ncols=True
    )
