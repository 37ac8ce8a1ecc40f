"""The row of buttons: what has no room is behind a button that can be seen."""

from __future__ import annotations

from qtpy.QtGui import QColor
from qtpy.QtWidgets import QToolButton

from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.toolbar import Toolbar


def test_the_button_for_more_buttons_can_be_seen(qtbot):
    """Fault: Qt draws it black, so that File and Blinded… could not be found at 1280 pixels."""
    toolbar = Toolbar(Controller())
    qtbot.addWidget(toolbar)
    toolbar.set_colors("#414851", "#445fcc", "#f0f1f2")
    toolbar.resize(300, 40)
    toolbar.show()
    (more,) = (b for b in toolbar.findChildren(QToolButton) if "ext" in b.objectName())
    assert more.isVisible() and more.toolTip() == "More buttons"
    image = toolbar.grab(more.geometry()).toImage()
    colors = [
        QColor(image.pixel(x, y)).lightness()
        for x in range(image.width())
        for y in range(image.height())
    ]
    assert max(colors) - min(colors) > 60
