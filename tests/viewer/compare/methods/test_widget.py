"""The dock: the results of upscale as layers and columns, a cancel, and the page."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pypdf
import pytest
from helpers.desk import Desk, Endless, our_threads
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_mrisr.evaluation.bench import GAIN
from napari_mrisr.evaluation.one_scan import run_methods
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.compare.methods import requests
from napari_mrisr.viewer.compare.methods import widget as module
from napari_mrisr.viewer.compare.methods.widget import MethodsWidget
from napari_mrisr.viewer.layers.convert import snapshot


class MethodsDesk(Desk):
    def check(self, *names: str) -> None:
        """Check these methods and no others, with the mouse."""
        table = self.panel.table
        for row, name in enumerate(table.names()):
            item = table.item(row, 0)
            if (item.checkState() == Qt.CheckState.Checked) != (name in names):
                table.scrollToItem(item)
                box = table.visualItemRect(item)
                at = QPoint(box.left() + 10, box.center().y())
                QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=at)

    def click(self, button) -> None:
        at = QPoint(8, button.height() // 2)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)


@pytest.fixture(autouse=True)
def _speeds(monkeypatch):
    """Known speeds: no test waits for their measurement."""
    monkeypatch.setattr(
        requests, "seconds_per_voxel", lambda volume, parameters, progress: 1 / 1000
    )


@pytest.fixture
def desk(model_desk, monkeypatch):
    desk = model_desk(MethodsWidget, MethodsDesk)
    desk.widget.resize(420, 700)
    desk.widget.show()
    opened = desk.opened = []
    monkeypatch.setattr(MethodsWidget, "_open_comparison", lambda _, *found: opened.append(found))
    return desk


def wait_for_speeds(desk) -> None:
    desk.qtbot.waitUntil(lambda: "about" in desk.panel.plan.text())


def test_empty_state(desk):
    assert "Open an MRI volume" in desk.status
    assert not desk.panel.run_button.isEnabled()
    assert not desk.panel.save_button.isEnabled()


def test_one_method_of_each_family_is_checked_where_it_fits(desk, volume):
    desk.add(volume)
    assert desk.panel.table.chosen() == ("tricubic", "tv", "hashed", "network")
    # No bank has a factor of 7; the reason is told.
    desk.panel.scale.scale = (7, 7, 7)
    assert desk.panel.table.chosen() == ("tricubic", "tv")
    row = desk.panel.table.names().index("hashed")
    item = desk.panel.table.item(row, 0)
    assert not item.flags() & Qt.ItemFlag.ItemIsEnabled
    assert "hashed" in item.toolTip() or "bank" in item.toolTip()
    # The user's choice comes back with the scale.
    desk.panel.scale.scale = (2, 2, 2)
    assert desk.panel.table.chosen() == ("tricubic", "tv", "hashed", "network")


def test_times_are_told_before_the_start(desk, volume):
    desk.add(volume)
    desk.check("nearest", "tricubic")
    wait_for_speeds(desk)
    # 5 × 6 × 7 low-resolution voxels at a thousand per second, twice.
    assert "about 0.4 s" in desk.panel.plan.text()
    row = desk.panel.table.names().index("nearest")
    assert desk.panel.table.item(row, 1).text() == "≈ 0.2 s"
    seconds = {"tv": 200.0, "tricubic": 1.0}
    assert requests.time_text(seconds, 2) == "about 3 min 21 s; slow: tv about 3 min 20 s"
    assert "measuring" in requests.time_text(seconds, 3)


def test_another_scale_does_not_wait_for_the_speeds_of_the_last_one(desk, volume, monkeypatch):
    def slow_at_two(volume, parameters, progress):
        progress.begin("endless", 10_000)
        while parameters.scale == (2, 2, 2):
            time.sleep(0.01)
            progress.advance()
        return 1 / 1000

    monkeypatch.setattr(requests, "seconds_per_voxel", slow_at_two)
    desk.add(volume)
    assert "Open an MRI volume" not in desk.status
    desk.check("nearest")
    assert "measuring" in desk.panel.plan.text()
    desk.panel.scale.scale = (1, 1, 2)
    wait_for_speeds(desk)


def test_a_simulated_scan_and_its_results_are_those_of_the_engine(desk, volume):
    source = desk.add(volume, "truth")
    desk.check("nearest", "tricubic")
    wait_for_speeds(desk)
    desk.click(desk.panel.run_button)
    desk.wait()
    names = ["truth", "truth LR 2x", "truth LR 2x nearest 2x", "truth LR 2x tricubic 2x"]
    assert desk.names == names
    report = run_methods(volume, ["nearest", "tricubic"], (2, 2, 2), simulate=True)
    low = snapshot(desk.viewer.layers[1]).to_volume()
    np.testing.assert_array_equal(low.data, report.low.data)
    np.testing.assert_array_equal(low.data, degrade(report.truth, (2, 2, 2)).data)
    for layer, method in zip(desk.viewer.layers[2:], ("nearest", "tricubic"), strict=True):
        result = snapshot(layer).to_volume()
        expected = upscale(low, UpscaleParameters((2, 2, 2), method))
        np.testing.assert_array_equal(result.data, expected.data)
        np.testing.assert_allclose(result.grid.affine, expected.grid.affine)
    assert desk.opened == [(["truth", *names[2:]], "truth", "truth LR 2x")]
    assert desk.panel.layer.layer is source
    # The table has the gain of each method.
    row = desk.panel.table.names().index("tricubic")
    heading = desk.panel.table.horizontalHeaderItem(3).text()
    assert heading == "gain\n(dB)"
    assert desk.panel.table.horizontalHeaderItem(3).toolTip() == GAIN
    assert desk.panel.table.item(row, 3).text() == "0"


def test_a_thick_scan_itself_is_super_resolved(desk, volume):
    thick = replace(volume, grid=replace(volume.grid, affine=np.diag([1.0, 1.0, 4.0, 1.0])))
    desk.add(thick)
    assert desk.panel.direct.isChecked()
    desk.check("nearest", "tricubic", "lanczos", "linear", "zero-fill")
    desk.click(desk.panel.run_button)
    desk.wait()
    expected = upscale(thick, UpscaleParameters((1, 1, 4), "lanczos"))
    layer = next(layer for layer in desk.viewer.layers if "lanczos" in layer.name)
    np.testing.assert_array_equal(snapshot(layer).to_volume().data, expected.data)
    ((columns, truth, measured),) = desk.opened
    assert truth is None and measured == "scan"
    assert columns == ["scan", *(f"scan {m} 1x1x4x" for m in ("nearest", "lanczos", "zero-fill"))]
    headings = [desk.panel.table.horizontalHeaderItem(i).text() for i in range(2, 4)]
    assert headings == ["edge width\n(mm)", "noise\n(%)"]


def test_another_layer_in_the_viewer_changes_nothing(desk, volume):
    desk.add(volume)
    desk.check("nearest", "tricubic")
    desk.click(desk.panel.direct)
    desk.click(desk.panel.run_button)
    desk.wait()
    desk.add(volume, "other")
    desk.panel.layer.layer = desk.viewer.layers[0]
    desk.viewer.layers.remove(desk.viewer.layers[-2])
    assert desk.panel.direct.isChecked() and desk.widget.report is not None
    desk.viewer.layers[0].scale = (2.0, 2.0, 2.0)
    assert desk.widget.report is None


def test_cancel_leaves_nothing(desk, volume, monkeypatch):
    endless = Endless()

    def run(volume, methods, scale, *, simulate, progress):
        endless(progress)

    monkeypatch.setattr(requests, "run_methods", run)
    desk.add(volume)
    wait_for_speeds(desk)
    desk.click(desk.panel.run_button)
    desk.qtbot.waitUntil(endless.running.is_set)
    assert not desk.panel.table.isEnabled()
    before = endless.steps
    desk.click(desk.panel.cancel_button)
    desk.wait()
    assert endless.steps - before < 40  # steps of 5 ms
    assert desk.names == ["scan"] and not desk.opened and our_threads() == []
    assert "Cancelled" in desk.status
    assert desk.panel.run_button.isEnabled() and not desk.panel.save_button.isEnabled()


def test_results_that_do_not_fit_into_memory_are_refused_before_the_start(
    desk, volume, monkeypatch
):
    desk.add(volume)
    monkeypatch.setattr("napari_mrisr.core.memory.free_memory", lambda: 1000)
    desk.check("tricubic", "nearest")
    assert "2 methods need" in desk.status
    assert not desk.panel.run_button.isEnabled()


def test_the_page_holds_the_table_and_no_name(desk, volume, tmp_path, monkeypatch):
    desk.add(volume, "Jane Doe")
    desk.check("nearest", "tricubic")
    desk.click(desk.panel.run_button)
    desk.wait()
    path = tmp_path / "page.pdf"
    monkeypatch.setattr(
        module.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "page"), "")
    )
    desk.click(desk.panel.save_button)
    desk.wait()
    assert "Saved page.pdf" in desk.status
    reader = pypdf.PdfReader(path)
    text = reader.pages[0].extract_text()
    assert len(reader.pages) == 1
    for row in desk.widget.report.table():
        assert all(cell in text for cell in row)
    assert "Jane" not in text and b"Jane" not in path.read_bytes()
    # A page belongs to what the form shows.
    desk.panel.scale.scale = (3, 3, 3)
    assert not desk.panel.save_button.isEnabled()


def test_keys_check_a_method_and_start(desk, volume):
    desk.add(volume)
    desk.check("tricubic")
    table = desk.panel.table
    table.setFocus()
    table.setCurrentCell(0, 0)
    QTest.keyClick(table, Qt.Key.Key_Space)
    assert table.chosen() == ("nearest", "tricubic")
    QTest.keyClick(table, Qt.Key.Key_Down)
    QTest.keyClick(table, Qt.Key.Key_Space)
    assert table.chosen() == ("nearest", "linear", "tricubic")
    desk.panel.run_button.setFocus()
    QTest.keyClick(desk.panel.run_button, Qt.Key.Key_Space)
    assert desk.busy()
    desk.wait()
    assert len(desk.opened) == 1


def test_the_docks_open_one_another_and_the_results_are_columns(open_desk, volume, banks):
    desk = open_desk("Super-resolve", MethodsDesk)
    layer = desk.add(volume)
    desk.panel.methods_button.click()
    _, widget = desk.viewer.window.add_plugin_dock_widget("napari-mrisr", "Compare methods")
    assert widget.panel.layer.layer is layer
    methods = MethodsDesk(desk.viewer, widget, desk.qtbot)
    for row, name in enumerate(widget.panel.table.names()):
        on = name in ("nearest", "tricubic")
        state = Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
        widget.panel.table.item(row, 0).setCheckState(state)
    widget.run()
    methods.wait()
    _, compare = desk.viewer.window.add_plugin_dock_widget("napari-mrisr", "Compare")
    state = compare.comparison.controller.state
    assert len(state.columns) == 3 and state.truth == "scan" and state.measured == "scan LR 2x"
    compare.comparison.methods.trigger()
    assert desk.viewer.window.add_plugin_dock_widget("napari-mrisr", "Compare methods")[1] is widget
