"""Texts in place."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_mrisr.inspection.texts import Fact
from napari_mrisr.viewer.inspect.readout import Lines, Readout


class Watch(QObject):
    def __init__(self):
        super().__init__()
        self.count = 0

    def eventFilter(self, watched, event):
        self.count += event.type() == QEvent.Type.LayoutRequest
        return False


def test_facts_are_shown_and_cost_no_layout(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    readout, line = Readout(4, window), Lines(1, window)
    layout = QVBoxLayout(window)
    layout.addWidget(readout)
    layout.addWidget(line)
    window.show()
    QApplication.processEvents()
    watch = Watch()
    window.installEventFilter(watch)
    blank = readout.grab().toImage()
    readout.show_facts("Voxel 1", [Fact("gain", "1.50 dB", "over tricubic"), Fact("x", "2")])
    line.setText("a line that is much longer than the window is wide " * 5)
    QApplication.processEvents()
    assert readout.grab().toImage() != blank
    assert watch.count == 0
    assert readout.value("gain") == "1.50 dB"
    assert readout.value("other") == ""
    assert "gain: 1.50 dB  over tricubic" in readout.accessibleDescription()
    assert line.toolTip() == line.text()
    window.removeEventFilter(watch)


def test_room_for_all_lines(qtbot):
    readout = Readout(14)
    qtbot.addWidget(readout)
    assert readout.sizeHint().height() >= 15 * readout.fontMetrics().height()
    assert Lines(3).sizeHint().height() >= 3 * readout.fontMetrics().height()
