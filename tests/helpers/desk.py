"""Viewer with one dock of ours, and the actions of its user."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.volume import Volume
from napari_mrisr.viewer.layers.convert import layer_data


def our_threads() -> list[str]:
    """Return the names of the package's threads that run."""
    return [t.name for t in threading.enumerate() if t.name.startswith("mrisr")]


class Endless:
    """Work that ends only when it is cancelled; ``steps`` counts its checks."""

    def __init__(self) -> None:
        self.running, self.steps = threading.Event(), 0

    def __call__(self, progress: Any) -> None:
        progress.begin("endless", 1_000_000)
        while True:
            self.running.set()
            time.sleep(0.005)
            progress.advance()
            self.steps += 1


class Pulse:
    """Turns of the GUI's event loop while work runs, as a context manager.

    Between two turns it takes the processor time of all threads of this process. The
    time on the clock would depend on the other programs that keep the machine busy.

    Parameters
    ----------
    busy : callable
        Returns True while turns count.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy, self._turns, self._timer = busy, [], QTimer()
        self._timer.timeout.connect(self._turn)

    def __enter__(self) -> Pulse:
        self._timer.start(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()

    def _turn(self) -> None:
        if self._busy():
            self._turns.append(time.process_time())

    @property
    def count(self) -> int:
        """Number of turns."""
        return len(self._turns)

    @property
    def longest(self) -> float:
        """Longest processor time between two turns, in seconds."""
        return float(np.diff(self._turns).max())


class Desk:
    """A viewer and one dock; test files derive what they need more.

    Made by the fixtures ``model_desk`` and ``open_desk``.
    """

    def __init__(self, viewer: Any, widget: Any, qtbot: Any) -> None:
        self.viewer, self.widget, self.qtbot = viewer, widget, qtbot

    @property
    def panel(self) -> Any:
        return self.widget.panel

    @property
    def status(self) -> str:
        return self.panel.status.text()

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.viewer.layers]

    def add(self, volume: Volume, name: str = "scan") -> Any:
        data, kwargs, _ = layer_data(volume, name)
        return self.viewer.add_image(data, **kwargs)

    def busy(self) -> bool:
        return self.widget.busy

    def wait(self) -> None:
        """Wait until the dock's work has ended."""
        self.qtbot.waitUntil(lambda: not self.busy())

    def close(self) -> None:
        """Close the dock as a user does; a widget outside of a dock as a window."""
        dock = self.widget.parentWidget()
        while dock is not None and not hasattr(dock, "destroyOnClose"):
            dock = dock.parentWidget()
        if dock is None:
            self.widget.close()
        else:
            dock.destroyOnClose()
        QApplication.processEvents()
