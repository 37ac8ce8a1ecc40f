"""Follow napari's cursor over a canvas in 2D: at most so often, held by a click."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from qtpy.QtCore import QObject, QTimer

THROTTLE_MS = 30

# A press that moves less than this, in canvas pixels, is a click.
_CLICK_PX = 3.0


class Follower(QObject):
    """Tells where the cursor is, the latest place only.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    moved : callable
        Given a position of napari's world, at most every 30 ms.
    clicked : callable
        Given the position of a click (a press without a drag).
    """

    def __init__(
        self,
        viewer: Any,
        moved: Callable[[tuple[float, ...]], None],
        clicked: Callable[[tuple[float, ...]], None],
    ) -> None:
        super().__init__()
        self._viewer, self._moved, self._clicked = viewer, moved, clicked
        self._latest: tuple[float, ...] | None = None
        self._attached = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(THROTTLE_MS)
        self._timer.timeout.connect(self._tell)

    def attach(self) -> None:
        """Listen to the viewer."""
        if not self._attached:
            self._attached = True
            self._viewer.mouse_move_callbacks.append(self._on_move)
            self._viewer.mouse_drag_callbacks.append(self._on_press)

    def detach(self) -> None:
        """Let go of the viewer."""
        self._timer.stop()
        if self._attached:
            self._attached = False
            self._viewer.mouse_move_callbacks.remove(self._on_move)
            self._viewer.mouse_drag_callbacks.remove(self._on_press)

    def _on_move(self, viewer: Any, event: Any) -> None:
        if viewer.dims.ndisplay != 2:
            return
        self._latest = tuple(event.position)
        if not self._timer.isActive():
            self._timer.start()

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        if viewer.dims.ndisplay != 2 or event.button != 1 or event.modifiers:
            return
        start, place = event.pos, tuple(event.position)
        yield
        while event.type == "mouse_move":
            yield
        if max(abs(a - b) for a, b in zip(start, event.pos, strict=True)) < _CLICK_PX:
            self._clicked(place)

    def _tell(self) -> None:
        place, self._latest = self._latest, None
        if place is not None:
            self._moved(place)
