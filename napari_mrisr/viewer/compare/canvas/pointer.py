"""Mouse events over the panels, as frozen messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qtpy.QtCore import QEvent, QObject, QPointF, Qt, Signal

from napari_mrisr.viewer.compare.model.pointing import PointerEvent

_BUTTONS = {
    Qt.MouseButton.LeftButton: "left",
    Qt.MouseButton.MiddleButton: "middle",
    Qt.MouseButton.RightButton: "right",
}
_MODIFIERS = {
    Qt.KeyboardModifier.ShiftModifier: "shift",
    Qt.KeyboardModifier.ControlModifier: "control",
    Qt.KeyboardModifier.AltModifier: "alt",
}
_NOTCH = 120.0


# From pixel (x, y), and the panel of a drag if any, to a message.
Locate = Callable[[float, float, tuple[int, int] | None], PointerEvent | None]


class Mouse(QObject):
    """Event filter for a widget's mouse events; keys pass.

    A drag belongs to the panel it began in, also outside of it.

    Parameters
    ----------
    widget : QWidget
        Source of the events.
    locate : callable
        Finds the panel under a pixel.
    """

    pressed = Signal(object)
    moved = Signal(object)
    dragged = Signal(object)
    released = Signal(object)
    wheeled = Signal(object)
    double_clicked = Signal(object)
    left = Signal()

    def __init__(self, widget: QObject, locate: Locate) -> None:
        super().__init__(widget)
        self._locate = locate
        self._held: PointerEvent | None = None
        self._handlers = {
            QEvent.Type.MouseButtonPress: self._press,
            QEvent.Type.MouseMove: self._move,
            QEvent.Type.MouseButtonRelease: self._release,
            QEvent.Type.MouseButtonDblClick: self._double_click,
            QEvent.Type.Wheel: self._wheel,
        }
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Handle the mouse events; return True for them."""
        if event.type() == QEvent.Type.Leave:
            self.left.emit()
        handler = self._handlers.get(event.type())
        if handler is None:
            return False
        handler(event)
        event.accept()
        return True

    def release(self) -> None:
        """Forget a drag: the panel under the mouse has changed."""
        self._held = None

    def _press(self, event: Any) -> None:
        button = _BUTTONS.get(event.button(), "")
        found = self._at(event.position(), event, None)
        if self._held is not None or found is None or not button:
            return
        self._held = replace(found, button=button)
        self.pressed.emit(self._held)

    def _move(self, event: Any) -> None:
        if self._held is None:
            found = self._at(event.position(), event, None)
            if found is None:
                self.left.emit()
            else:
                self.moved.emit(found)
            return
        now = self._follow(event)
        if now is not None:
            self._held = now
            self.dragged.emit(now)

    def _release(self, event: Any) -> None:
        if self._held is None or _BUTTONS.get(event.button(), "") != self._held.button:
            return
        now = self._follow(event) or self._held
        self._held = None
        self.released.emit(now)

    def _double_click(self, event: Any) -> None:
        found = self._at(event.position(), event, None)
        if found is not None and self._held is None:
            self.double_clicked.emit(replace(found, button=_BUTTONS.get(event.button(), "")))

    def _wheel(self, event: Any) -> None:
        found = self._at(event.position(), event, None)
        delta = event.angleDelta()
        # With Alt, Qt reports the wheel as horizontal.
        notches = (delta.y() or delta.x()) / _NOTCH
        if found is not None and notches:
            self.wheeled.emit(replace(found, notches=notches))

    def _follow(self, event: Any) -> PointerEvent | None:
        assert self._held is not None
        held = self._held
        now = self._at(event.position(), event, (held.row, held.column))
        if now is None:
            return None
        return replace(
            now, button=held.button, dx_px=now.x_px - held.x_px, dy_px=now.y_px - held.y_px
        )

    def _at(self, at: QPointF, event: Any, held: tuple[int, int] | None) -> PointerEvent | None:
        found = self._locate(at.x(), at.y(), held)
        if found is None:
            return None
        names = (name for flag, name in _MODIFIERS.items() if event.modifiers() & flag)
        return replace(found, modifiers=frozenset(names))
