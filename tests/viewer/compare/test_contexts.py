"""Layers that go while the reading room is a window of its own take none of its pictures along."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QApplication
from vispy import gloo

from napari_mrisr.viewer.compare.docking import dock_of
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.layers import layer_data


def programs(canvas):
    """Whether each of a canvas's programs exists, in its own context."""
    objects = canvas._canvas.context.shared.parser._objects.values()
    handles = [o._handle for o in objects if type(o).__name__ == "GlirProgram"]
    canvas.native.makeCurrent()
    alive = [bool(gloo.gl.glIsProgram(handle)) for handle in handles]
    canvas.native.doneCurrent()
    return alive


@pytest.mark.parametrize("floating", [True, False])
def test_a_layer_that_goes_takes_no_program_of_ours(make_napari_viewer, qtbot, volumes, floating):
    viewer = make_napari_viewer(show=True)
    for name, volume in volumes.items():
        data, kwargs, _ = layer_data(volume, name)
        viewer.add_image(data, **kwargs)
    widget = CompareWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compare", area="right")
    dock_of(widget).setFloating(floating)
    canvas = widget.view.canvas
    qtbot.waitUntil(lambda: canvas._painters is not None)
    qtbot.wait(100)
    shown = canvas.grab()
    assert all(programs(canvas))
    for step in range(6):
        layer = viewer.add_image(np.ones((9, 8, 7)) * step)
        qtbot.wait(20)
        # As it is after a frame of ours: the window's context, which shares with ours.
        canvas.native.repaint()
        QApplication.processEvents()
        canvas.native.makeCurrent()
        viewer.layers.remove(layer)
        assert QOpenGLContext.currentContext() != canvas.native.context()
        assert all(programs(canvas))
    qtbot.wait(50)
    assert canvas.grab().shape == shown.shape
