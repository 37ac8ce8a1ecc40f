"""What a command runs in: progress, Ctrl-C, and lines for a person."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli.progress import TerminalProgress
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.errors import Cancelled, install

if TYPE_CHECKING:
    from napari_mrisr.cluster.tasks import Cluster

EXIT_GOOD, EXIT_USAGE, EXIT_CANCELLED = 0, 2, 130


class Session:
    """One run of a command, from the first argument to the exit code.

    The first Ctrl-C sets the cancel token, which the engine asks between
    blocks; the second stops at once. Reading and writing do not ask: there
    (:meth:`at_once`) the first stops, and the atomic write cleans up.

    Parameters
    ----------
    quiet : bool
        No progress and no lines about results.

    Attributes
    ----------
    cluster : Cluster or None
        Where the command's work is done, with ``--dask``.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.token = CancelToken()
        self.quiet = quiet
        self.cluster: Cluster | None = None
        self.progress = TerminalProgress(self.token, quiet=quiet)
        self._at_once = False
        self._before: Any = None

    def __enter__(self) -> Session:
        # Only the main thread may set signal handlers.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.progress.close()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """A stretch in which Ctrl-C raises :class:`Cancelled` where it stands."""
        self.token.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    @contextlib.contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """The write of a file: shown, and stopped at once by Ctrl-C."""
        self.progress.begin(f"writing {path.name}", 1)
        with self.at_once():
            yield
        self.progress.close()

    def say(self, text: str) -> None:
        """A line on standard output about a result; nothing when quiet."""
        if not self.quiet:
            self.progress.close()
            print(text, flush=True)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.token.cancelled:
            raise KeyboardInterrupt
        self.token.cancel()
        if self._at_once:
            raise Cancelled("cancelled by the user")
        self.progress.message("stopping (Ctrl-C again to stop at once)")


def error_line(text: str) -> None:
    """One line on standard error."""
    print(f"napari-mrisr: error: {text}", file=sys.stderr, flush=True)


def no_viewer_because() -> str:
    """Why napari cannot be opened here; empty where it can."""
    if importlib.util.find_spec("napari") is None:
        return f"napari is not installed ({install('gui')})"
    on_x = sys.platform.startswith(("linux", "freebsd"))
    if on_x and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display"
    return ""
