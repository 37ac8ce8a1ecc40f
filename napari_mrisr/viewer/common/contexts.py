"""Current OpenGL context while napari deletes a layer's objects.

When a layer is removed, napari deletes its textures, buffers and programs at once, in
whichever context is current. After our canvas has painted in its own window that is our
window's context, whose objects have the same numbers: ours are deleted. Or it is the
context of napari's window, which shares objects with the canvas but not the enabled
attributes: those of a layer that was shown in 3D and in 2D stay enabled without their
buffer. Either way the next frame crashes.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QOpenGLContext
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

_OURS = "mrisr-canvas"


def mark_as_ours(canvas: QWidget) -> None:
    """Mark a canvas as not napari's."""
    canvas.setProperty(_OURS, True)


class ContextKeeper:
    """Makes napari's canvas current before a layer is removed.

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
            if canvas.isValid() and not canvas.property(_OURS):
                canvas.makeCurrent()
                return
        # No canvas of napari's was ever painted: better no context than ours.
        context = QOpenGLContext.currentContext()
        if context is not None:
            context.doneCurrent()
