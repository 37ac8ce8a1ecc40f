"""Mouse handler of napari's canvas: clicks, and the latest position of the cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from qtpy.QtCore import QObject, QTimer

THROTTLE_MS = 30

# A press that moves less than this, in canvas pixels, is a click.
_CLICK_PX = 3.0

Position = tuple[float, ...]


class CanvasMouse(QObject):
    """Reports clicks (a press without a drag) and moves over a 2D canvas.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    clicked : callable
        Called with the position of a click in napari's world.
    moved : callable, optional
        Called with the latest position of the cursor, at most every 30 ms.
    """

    def __init__(
        self,
        viewer: Any,
        clicked: Callable[[Position], None],
        moved: Callable[[Position], None] | None = None,
    ) -> None:
        super().__init__()
        self._viewer, self._clicked, self._moved = viewer, clicked, moved
        self._latest: Position | None = None
        self._attached = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(THROTTLE_MS)
        self._timer.timeout.connect(self._report_move)

    def attach(self) -> None:
        """Connect to the viewer."""
        if not self._attached:
            self._attached = True
            self._viewer.mouse_drag_callbacks.append(self._on_press)
            if self._moved is not None:
                self._viewer.mouse_move_callbacks.append(self._on_move)

    def detach(self) -> None:
        """Disconnect from the viewer."""
        self._timer.stop()
        if self._attached:
            self._attached = False
            self._viewer.mouse_drag_callbacks.remove(self._on_press)
            if self._moved is not None:
                self._viewer.mouse_move_callbacks.remove(self._on_move)

    def _on_move(self, viewer: Any, event: Any) -> None:
        if viewer.dims.ndisplay != 2:
            return
        self._latest = tuple(event.position)
        if not self._timer.isActive():
            self._timer.start()

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        if viewer.dims.ndisplay != 2 or event.button != 1 or event.modifiers:
            return
        start, position = event.pos, tuple(event.position)
        yield
        while event.type == "mouse_move":
            yield
        if max(abs(a - b) for a, b in zip(start, event.pos, strict=True)) < _CLICK_PX:
            self._clicked(position)

    def _report_move(self) -> None:
        position, self._latest = self._latest, None
        if position is not None and self._moved is not None:
            self._moved(position)
