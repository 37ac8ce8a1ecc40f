"""Which OpenGL context is current while napari frees what a layer held.

Where a layer goes, napari deletes its textures, buffers and programs at once, in
whichever context happens to be current. After our canvas has painted in a window of
its own that is our window's context, whose objects carry the same numbers: ours are
deleted. Or it is that of napari's window, which shares objects with the canvas, but not
which attributes are enabled: of a layer that was shown in 3D and in 2D these stay
enabled without their buffer. Either way the next frame crashes.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QOpenGLContext
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

_OURS = "mrisr-canvas"


def mark_as_ours(canvas: QWidget) -> None:
    """That canvas is not napari's."""
    canvas.setProperty(_OURS, True)


class ContextKeeper:
    """Makes napari's canvas current before a layer goes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers go.
    widget : QWidget
        In the main window or in a dock of it, floating or not.
    """

    def __init__(self, viewer: Any, widget: QWidget) -> None:
        self._viewer, self._widget = viewer, widget
        viewer.layers.events.removing.connect(self._layer_goes)

    def close(self) -> None:
        """Let go of the viewer."""
        self._viewer.layers.events.removing.disconnect(self._layer_goes)

    def _layer_goes(self, event: Any = None) -> None:
        window = self._widget
        while (parent := window.parentWidget()) is not None:  # of a floating dock, too
            window = parent
        for canvas in window.findChildren(QOpenGLWidget):
            if canvas.isValid() and not canvas.property(_OURS):
                canvas.makeCurrent()
                return
        # None that was ever painted: no context is better than another's.
        context = QOpenGLContext.currentContext()
        if context is not None:
            context.doneCurrent()
