"""Listeners to napari's viewer: its layers, the removal of a layer, and the mouse on its canvas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QOpenGLContext
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

_LIST_EVENTS = ("inserted", "removed", "reordered")

Callback = Callable[[Any], None]

THROTTLE_MS = 30

# A press that moves less than this, in canvas pixels, is a click.
_CLICK_PX = 3.0

Position = tuple[float, ...]


class ContextKeeper:
    """Makes napari's canvas current before a layer is removed.

    napari then deletes the layer's textures, buffers and programs at once, in whichever
    context is current. That may be the context of napari's window, which shares objects with
    the canvas but not the enabled attributes: those of a layer that was shown in 3D and in 2D
    stay enabled without their buffer. Then the next frame crashes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Viewer with the layers.
    widget : QWidget
        In the main window or in one of its docks, floating or not.
    """

    def __init__(self, viewer: Any, widget: QWidget) -> None:
        self._viewer, self._widget = viewer, widget
        viewer.layers.events.removing.connect(self._before_removal)

    def close(self) -> None:
        """Disconnect from the viewer."""
        self._viewer.layers.events.removing.disconnect(self._before_removal)

    def _before_removal(self, event: Any = None) -> None:
        window = self._widget
        while (parent := window.parentWidget()) is not None:  # also from a floating dock
            window = parent
        for canvas in window.findChildren(QOpenGLWidget):
            if canvas.isValid():
                canvas.makeCurrent()
                return
        # No canvas of napari's was ever painted: better no context than another.
        context = QOpenGLContext.currentContext()
        if context is not None:
            context.doneCurrent()


class LayerWatch:
    """Connects callbacks to layers, and disconnects all of them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Or its model, or the proxy that plugins get.
    listed : callable
        Called with napari's event when a layer was added, removed or moved. It calls
        :meth:`watch` with the layers that matter.
    changed : mapping of str to callable
        From the name of a layer's event, such as ``name`` or ``data``, to the
        callback for each watched layer.

    Attributes
    ----------
    layers : list of napari.layers.Layer
        The watched layers.
    """

    def __init__(self, viewer: Any, listed: Callback, changed: Mapping[str, Callback]) -> None:
        self._viewer = viewer
        self.listed = listed
        self._changed = dict(changed)
        self.layers: list[Any] = []

    def attach(self) -> None:
        """Connect to the viewer's list of layers."""
        for name in _LIST_EVENTS:
            getattr(self._viewer.layers.events, name).connect(self.listed)

    def detach(self) -> None:
        """Disconnect from the list and from all layers."""
        for name in _LIST_EVENTS:
            getattr(self._viewer.layers.events, name).disconnect(self.listed)
        self.watch([])

    def watch(self, layers: Sequence[Any]) -> None:
        """Connect to these layers, and disconnect from those before."""
        for name, callback in self._changed.items():
            for layer in self.layers:
                getattr(layer.events, name).disconnect(callback)
            for layer in layers:
                getattr(layer.events, name).connect(callback)
        self.layers = list(layers)


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
