"""When to compute what nobody has asked for: while nobody does anything, the likeliest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_mrisr.viewer.preview.array import LiveArray, PlaneName
from napari_mrisr.viewer.preview.prefetch import planes_at, planes_beside

# After the plane on screen: first it is painted, for which software OpenGL needs all processors,
# and a person who goes on scrolling has asked for the next before the other two are computed.
_NEIGHBORS_AFTER_MS = 80
_OTHERS_AFTER_MS = 250
_IDLE_AFTER_MS = 250  # after these


class Foresight(QObject):
    """Says what to compute ahead while somebody looks at a live array.

    Parameters
    ----------
    dims : napari.components.Dims
        The viewer's, whose sliders say where somebody looks.

    Signals
    -------
    planes : list of (axis, index)
        These are likely to be asked for.
    idle
        Whatever is likely is there.
    """

    planes = Signal(object)
    idle = Signal()

    def __init__(self, dims: Any) -> None:
        super().__init__()
        self._dims = dims
        self._array: LiveArray | None = None
        self._seen: list[PlaneName] = []  # the plane on screen, after the one before
        self._neighbors = self._timer(_NEIGHBORS_AFTER_MS, self._want_neighbors)
        self._others = self._timer(_OTHERS_AFTER_MS, self._want_others)
        self._idle = self._timer(_IDLE_AFTER_MS, self.idle.emit)

    def _timer(self, milliseconds: int, call: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(call)
        return timer

    @property
    def waiting(self) -> bool:
        """Whether something will be said soon."""
        return any(timer.isActive() for timer in (self._neighbors, self._others, self._idle))

    def saw(self, plane: PlaneName) -> None:
        """That plane is looked at."""
        if self._seen[-1:] != [plane]:
            self._seen = [*self._seen[-1:], plane]

    def start(self, array: LiveArray) -> None:
        """What an array shows is there: say soon what may be asked for next."""
        self._array = array
        if not all(array.holds(name) for name in self._planes_beside(array)):
            self._neighbors.start()
        if not all(array.holds(name) for name in planes_at(self._dims, array.grid)):
            self._others.start()
        else:
            self._idle.start()

    def stop(self) -> None:
        """Something is asked for: say nothing."""
        for timer in (self._neighbors, self._others, self._idle):
            timer.stop()

    def forget(self) -> None:
        """The array is not looked at any more."""
        self.stop()
        self._array = None

    def _want_neighbors(self) -> None:
        if self._array is not None:
            self._say(self._array, self._planes_beside(self._array))

    def _want_others(self) -> None:
        array = self._array
        if array is not None:
            others = planes_at(self._dims, array.grid)
            self._say(array, [*others, *self._planes_beside(array)])

    def _say(self, array: LiveArray, names: list[PlaneName]) -> None:
        missing = [name for name in names if not array.holds(name)]
        if missing:
            self.planes.emit(missing)

    def _planes_beside(self, array: LiveArray) -> list[PlaneName]:
        before = self._seen[0] if self._seen else array.shown
        return planes_beside(array.shown, before, array.grid.shape[array.shown[0]])
