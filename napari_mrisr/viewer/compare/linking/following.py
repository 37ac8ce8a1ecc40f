"""When napari's own window follows the reading room."""

from __future__ import annotations

import time
from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

# napari follows a drag this often: each of its own paints costs as much as ours.
_AFTER_MS = 200
# While planes are computed it waits: its paint would delay them, with software OpenGL by as much
# again. But not for ever, since while somebody drags there is always one under way.
_AT_MOST_S = 1.0


class Following(QObject):
    """Lets napari follow some time after a change.

    Parameters
    ----------
    follow : callable
        Sets in napari what has changed.
    busy : callable
        Whether what the change asked for is still being computed.
    """

    def __init__(self, follow: Callable[[], None], busy: Callable[[], bool]) -> None:
        super().__init__()
        self._follow, self._busy = follow, busy
        self._since = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_AFTER_MS)
        self._timer.timeout.connect(self._be_due)

    def soon(self) -> None:
        """Something has changed."""
        if not self._timer.isActive():
            self._since = time.monotonic()
            self._timer.start()
        elif self._must_wait():
            self._timer.start()

    def stop(self) -> None:
        """Do not follow any more."""
        self._timer.stop()

    def _be_due(self) -> None:
        if self._must_wait():
            self._timer.start()
        else:
            self._follow()

    def _must_wait(self) -> bool:
        return self._busy() and time.monotonic() - self._since < _AT_MOST_S
