"""Removed layers leave the OpenGL objects of others alone."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QApplication
from vispy import gloo

from napari_mrisr.viewer.common.dock import Dock, FormPanel
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.compare.window import dock_of
from napari_mrisr.viewer.layers.convert import layer_data


def alive(canvas):
    """Return which programs and buffers of a vispy canvas exist in its own context."""
    objects = canvas.context.shared.parser._objects.values()
    asks = {"GlirProgram": gloo.gl.glIsProgram, "GlirVertexBuffer": gloo.gl.glIsBuffer}
    canvas.native.makeCurrent()
    found = [bool(asks[type(o).__name__](o._handle)) for o in objects if type(o).__name__ in asks]
    canvas.native.doneCurrent()
    assert len(found) > 1
    return found


@pytest.mark.usefixtures("numbers_compiled")
@pytest.mark.parametrize("floating", [True, False])
def test_a_removed_layer_leaves_our_objects_alone(make_napari_viewer, qtbot, volume, floating):
    viewer = make_napari_viewer(show=True)
    data, kwargs, _ = layer_data(volume, "scan")
    viewer.add_image(data, **kwargs)
    widget = CompareWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compare", area="right")
    dock_of(widget).setFloating(floating)
    canvas = widget.view.canvas
    qtbot.waitUntil(lambda: canvas._painters is not None)
    qtbot.wait(100)
    shown = canvas.grab()
    assert all(alive(canvas._canvas))
    for step in range(3):
        layer = viewer.add_image(np.ones((9, 8, 7)) * step)
        qtbot.wait(20)
        # As it is after a frame of ours: the window's context, which shares with ours.
        canvas.native.repaint()
        QApplication.processEvents()
        canvas.native.makeCurrent()
        viewer.layers.remove(layer)
        assert QOpenGLContext.currentContext() != canvas.native.context()
        assert all(alive(canvas._canvas))
    qtbot.wait(50)
    assert canvas.grab().shape == shown.shape
    viewer.window.remove_dock_widget(widget)


def test_napari_frees_a_layer_in_its_own_context(make_napari_viewer, qtbot):
    """In Qt's, attributes of a layer shown in 3D and in 2D stay enabled: the next frame crashes."""
    viewer = make_napari_viewer(show=True)
    viewer.window.add_dock_widget(Dock(viewer, "ours", FormPanel()), name="ours", area="right")
    viewer.add_image(np.random.default_rng(0).random((20, 30, 40)), contrast_limits=(0, 1))
    layer = viewer.add_image(np.ones((25, 35, 45)), contrast_limits=(0, 2))
    for ndisplay in (2, 3, 2):
        viewer.dims.ndisplay = ndisplay
        qtbot.wait(50)
    seen = []
    viewer.layers.events.removed.connect(
        lambda event: seen.append(QOpenGLContext.currentContext()), position="first"
    )
    viewer.layers.remove(layer)
    assert seen == [viewer.window._qt_viewer.canvas.native.context()]
    qtbot.wait(50)
    viewer.dims.set_point(0, 3)
    qtbot.wait(50)
