"""Planted lesions in the dialog, found in the window by mouse and keys."""

from __future__ import annotations

import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from scipy import ndimage

from napari_mrisr.comparison.blinded.session import key_path, load_key
from napari_mrisr.comparison.blinded.unblind import unblind
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.compare.blinded import dialog as module
from napari_mrisr.viewer.compare.blinded.dialog import ReadingDialog
from napari_mrisr.viewer.compare.blinded.window import ReadingWindow


def click(button) -> None:
    """Click at the mark, which is at the left of a button as wide as its row."""
    at = QPoint(8, button.height() // 2)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)


@pytest.fixture
def head() -> Volume:
    shape = (48, 54, 51)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    texture = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(shape), 3.0)
    data = np.where(sum(a**2 for a in axes) < 0.8, 500 + 800 * texture, 0).clip(0)
    return Volume(data.astype(np.float32), Grid(shape, np.eye(4)))


@pytest.fixture
def dialog(head, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "last_folder", lambda: tmp_path)
    made = ReadingDialog(None, {"scan": head, "scan tricubic": head})
    qtbot.addWidget(made)
    made.show()
    click(made.planted_button)
    return made


def choose(dialog, *methods: str) -> None:
    for name, box in dialog.planted.methods.items():
        if box.isChecked() != (name in methods):
            click(box)


def test_the_dialog_tells_what_will_be_read(dialog):
    assert dialog.planted.isVisible() and not dialog.kind.isEnabled()
    # A result is no scan to plant in.
    assert [dialog.planted.scan.itemText(i) for i in range(dialog.planted.scan.count())] == ["scan"]
    assert "24 images: 8 lesions" in dialog.status.text()
    assert "2 mm" in dialog.status.text()
    choose(dialog, "tricubic")
    assert "choose 2 to 4" in dialog.status.text()
    click(dialog.layers_button)
    assert not dialog.planted.isVisible() and dialog.kind.isEnabled()


def test_without_an_open_scan_nothing_can_be_planted(qtbot):
    dialog = ReadingDialog(None, {})
    qtbot.addWidget(dialog)
    assert not dialog.planted_button.isEnabled()


def test_a_reading_from_the_dialog_to_the_hit_rate(dialog, qtbot):
    choose(dialog, "tricubic", "tv")
    dialog.seed.setValue(3)  # in so small a head, some seeds find no place
    dialog.planted.cases.setValue(1)
    dialog.planted.radius.setCurrentIndex(1)
    dialog.planted.contrast.setCurrentIndex(3)
    QTest.keyClick(dialog.start_button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: dialog.reading is not None, timeout=60_000)
    reading = dialog.reading
    assert load_key(key_path(reading.path))["seed"] == reading.plan.seed
    window = ReadingWindow(reading)
    window.resize(800, 600)
    window.show()
    for _ in reading.plan.items:
        qtbot.waitUntil(lambda: bool(window.controller.state.columns), timeout=60_000)
        window.controller.go_to(reading.plan.cases[0].targets[0])
        before = len(reading.answers)
        QTest.keyClick(window.view.canvas, Qt.Key.Key_1)
        assert len(reading.answers) == before + 1
    assert not reading.remaining
    rows = unblind(reading.path).method_table()[1:]
    assert [row[3].partition(":")[0] for row in rows] == ["1 of 1", "1 of 1"]
    window.close()


def test_closing_the_dialog_ends_the_planting(dialog, monkeypatch):
    def endless(volume, parameters, *, progress):
        progress.begin("placing", 10_000)
        while True:
            time.sleep(0.01)
            progress.advance()

    monkeypatch.setattr(module, "plan_of_planted", endless)
    dialog.start()
    assert not dialog.start_button.isEnabled()
    started = time.monotonic()
    dialog.reject()
    assert time.monotonic() - started < 0.2
    assert dialog.reading is None and not dialog.planter.running
