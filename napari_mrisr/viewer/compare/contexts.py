"""Which OpenGL context is current while napari frees what a layer held.

Where a layer goes, napari deletes its textures and programs at once, in whichever
context happens to be current. After our canvas has painted in a window of its own
that is our window's context, whose objects carry the same numbers: ours would be
deleted, and our next frame would crash.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget


class ContextKeeper:
    """Makes napari's canvas current before a layer goes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers go.
    canvas : QWidget
        Ours, in the main window or in a dock of it, floating or not.
    """

    def __init__(self, viewer: Any, canvas: QWidget) -> None:
        self._viewer, self._canvas = viewer, canvas
        viewer.layers.events.removing.connect(self._layer_goes)

    def close(self) -> None:
        """Let go of the viewer."""
        self._viewer.layers.events.removing.disconnect(self._layer_goes)

    def _layer_goes(self, event: Any = None) -> None:
        window = self._canvas
        while (parent := window.parentWidget()) is not None:  # of a floating dock, too
            window = parent
        for canvas in window.findChildren(QOpenGLWidget):
            if canvas is not self._canvas and canvas.isValid():
                canvas.makeCurrent()
                return
        # None that was ever painted: no context is better than ours.
        self._canvas.makeCurrent()
        self._canvas.doneCurrent()
