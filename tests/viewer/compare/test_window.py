"""The window beside a real viewer."""

from __future__ import annotations

import gc
import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from helpers import leaks
from helpers.desk import Desk, Pulse
from napari.settings import get_settings
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QWidget,
)
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.blinded.cases import plan_of_volumes
from napari_mrisr.comparison.blinded.session import Reading
from napari_mrisr.comparison.readouts import NumberBook
from napari_mrisr.comparison.state import CompareState, LineMeasurement, RoiBox
from napari_mrisr.core.frames import PLANES
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Origin, Volume
from napari_mrisr.io import read_volume, write_volume
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.compare.blinded import dialog
from napari_mrisr.viewer.compare.blinded.window import ReadingWindow
from napari_mrisr.viewer.compare.linking.layers import reference_points
from napari_mrisr.viewer.compare.opening import add_comparison
from napari_mrisr.viewer.compare.settings import as_remembered
from napari_mrisr.viewer.compare.view import CompareView
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.layers.convert import (
    layer_data,
    result_layer_data,
    series_layer_data,
    snapshot,
)

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


class CompareDesk(Desk):
    """A viewer with the dock; ``window`` is the comparison."""

    def dock(self) -> None:
        self.widget = CompareWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name="Compare", area="right")

    @property
    def window(self):
        return self.widget.comparison

    def add_all(self, volumes: dict[str, Volume]) -> None:
        for name, volume in volumes.items():
            self.add(volume, name)

    @property
    def state(self):
        return self.window.controller.state

    @property
    def table(self):
        return self.window.numbers.table

    def measured(self) -> None:
        self.qtbot.waitUntil(lambda: not self.window.meter.busy)

    def regions(self) -> set[str]:
        return {row.region for row in self.table.rows}


@pytest.fixture
def desk(open_desk):
    desk = open_desk("Compare", CompareDesk)
    assert isinstance(desk.widget, CompareWidget)
    return desk


def test_empty_one_and_many_layers(desk, volumes):
    assert "Open two or more" in desk.window.view.message
    assert desk.state.columns == ()
    assert not desk.window.numbers.isVisibleTo(desk.window)
    desk.add(volumes["truth"], "truth")
    assert desk.state.columns == ("truth",)
    assert not desk.window.toolbar.modes["swipe"].isEnabled()
    for name in ("tricubic", "LR", "hashed"):
        desk.add(volumes[name], name)
    # By history: the reference first, then the measured scan and the results.
    assert desk.state.columns == ("truth", "LR", "tricubic", "hashed")
    assert (desk.state.truth, desk.state.measured) == ("truth", "LR")
    # New layers do not change a choice of the user.
    desk.window._pick_columns(["hashed", "truth"])
    desk.add(volumes["truth"], "more")
    assert desk.state.columns == ("hashed", "truth")
    desk.viewer.layers.clear()
    assert desk.state.columns == ()


def test_numbers_of_head_and_regions(desk, volumes):
    desk.add_all(volumes)
    desk.measured()
    assert desk.regions() == {"head"}
    assert [row.volume for row in desk.table.rows] == ["truth", "LR", "tricubic", "hashed"]
    grid = desk.window.numbers.grid
    psnr = [grid.item(line, 2).text() for line in range(4)]
    assert psnr[0] == "–"
    assert float(psnr[3]) > float(psnr[2])
    assert "this is the reference" in grid.item(0, 2).toolTip()
    assert "data range" in grid.item(3, 2).toolTip()
    desk.window.controller.put_roi(RoiBox("ROI 1", "box", (0.0, 0.0, 0.0), (14.0, 15.0, 16.0)))
    desk.measured()
    assert desk.regions() == {"ROI 1", "head"}
    first = desk.table.rows[3]
    desk.window.controller.put_roi(RoiBox("ROI 1", "box", (3.0, 0.0, 0.0), (14.0, 15.0, 16.0)))
    desk.measured()
    assert desk.table.rows[3].values["psnr"].value != first.values["psnr"].value
    # Without a truth other quantities.
    desk.window._pick_role("truth", None)
    desk.measured()
    assert "Sharpness" in " ".join(desk.table.headings())
    desk.window.numbers_button.setChecked(False)
    assert not desk.window.numbers.isVisibleTo(desk.window)
    assert not desk.window.meter.busy


def test_the_scan_that_a_result_was_computed_from_is_measured_and_there_is_no_reference(desk):
    """Fault: a thick-slice scan was taken for the truth, with a PSNR of 129 dB."""
    rng = np.random.default_rng(0)
    thick = Volume(
        rng.random((24, 28, 8), dtype=np.float32), Grid((24, 28, 8), np.diag([1, 1, 4, 1.0]))
    )
    other = replace(thick, data=thick.data[::-1].copy())
    scan = desk.add(thick, "scan")
    desk.add(other, "other scan")
    result = upscale(thick, UpscaleParameters((1, 1, 4), "tricubic", threads=1))
    data, kwargs, _ = result_layer_data(result, "result", snapshot(scan))
    desk.viewer.add_image(data, **kwargs)
    support = replace(result, history={**result.history, "map": "support"})
    desk.add(support, "support map")
    assert desk.state.columns == ("scan", "result")
    assert (desk.state.truth, desk.state.measured) == (None, "scan")
    assert desk.window.side.truth.currentText() == "–"
    desk.measured()
    assert desk.table.rows
    assert "PSNR" not in [quantity.title for quantity in desk.table.quantities]


def test_a_layer_is_the_reference_or_the_measured_scan_never_both(desk, volumes):
    desk.add_all(volumes)
    desk.window._pick_role("truth", "LR")
    assert (desk.state.truth, desk.state.measured) == ("LR", None)
    desk.window._pick_role("measured", "LR")
    assert (desk.state.truth, desk.state.measured) == (None, "LR")


def test_labels_and_shapes_as_regions(desk, volumes):
    # napari would compile 10 s for a rectangle.
    get_settings().experimental.triangulation_backend = "pure_python"
    desk.add_all(volumes)
    layer = desk.viewer.layers["truth"]
    labels = np.zeros(layer.data.shape, int)
    labels[20:34, 20:34, 10:24], labels[36:50, 8:22, 12:26] = 2, 5
    desk.viewer.dims.set_point(0, float(layer.data_to_world((27, 0, 0))[0]))
    desk.viewer.add_labels(labels, scale=layer.scale, translate=layer.translate, name="lesions")
    assert desk.window.side.regions.findText("lesions") > 0
    desk.window._pick_regions("lesions")
    desk.measured()
    assert desk.regions() >= {"label 2", "label 5"}
    row = next(r for r in desk.table.rows if r.region == "label 2" and r.volume == "truth")
    axial = desk.window.controller.scene().panels[0][0]
    assert {line.name for line in axial.outlines} & {"label 2", "label 5"}
    assert row.values["n"].value == 14**3
    inside = layer.data[labels == 2].astype(float)
    assert row.values["mean"].value == pytest.approx(inside.mean(), rel=1e-6)
    # A rectangle in the axial plane, as napari's tool draws it.
    z = float(desk.viewer.dims.point[0])
    corners = np.array([[z, -8.0, -9.0], [z, -8.0, 7.0], [z, 9.0, 7.0], [z, 9.0, -9.0]])
    desk.viewer.add_shapes([corners], shape_type="rectangle", name="drawn")
    desk.window._pick_regions("drawn")
    desk.measured()
    row = next(r for r in desk.table.rows if r.region == "shape 1" and r.volume == "truth")
    depth = desk.window.side.depth.value()
    assert row.values["n"].value == pytest.approx(17 * 16 * depth / 0.99, rel=0.1)
    desk.viewer.layers.remove("drawn")
    desk.measured()
    assert "shape 1" not in desk.regions()


def test_alignment_of_oblique_flipped_and_coarser_layers(make_napari_viewer, qtbot, rng):
    """A bright voxel appears under the crosshair in every column and in napari's canvas."""
    turn = Rotation.from_euler("xz", (14, -9), degrees=True).as_matrix()
    # On a voxel center of all three grids.
    target = turn @ np.array([4.5, -7.5, 10.5])

    def planted(shape, step, flip) -> Volume:
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag(np.array(step) * flip)
        middle = np.array([n // 2 for n in shape])
        affine[:3, 3] = target - affine[:3, :3] @ (middle + (1, 2, -1))
        data = rng.random(shape, dtype=np.float32) * 10
        data[tuple(middle + (1, 2, -1))] = 100
        if flip == -1:
            # Stored left-right reversed; a volume is RAS+, so it is turned back.
            data, affine[:3, 3] = (
                data[::-1, ::-1, ::-1],
                affine[:3, 3] + affine[:3, :3] @ (np.array(shape) - 1),
            )
            affine[:3, :3] *= -1
        return Volume(data, Grid(shape, affine))

    volumes = {
        "a": planted((41, 43, 47), (1.0, 1.0, 1.0), 1),
        "b": planted((21, 23, 25), (2.0, 2.0, 2.0), -1),
        "c": planted((30, 45, 28), (1.5, 1.0, 2.0), 1),
    }
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1100, 700)
    widget = add_comparison(viewer, volumes, None, truth=None, measured="b")
    for layer in viewer.layers:
        layer.contrast_limits = (0.0, 100.0)
    widget.controller.go_to(tuple(target))
    widget.controller.toggle("crosshair_shown")
    widget.controller.center_on_crosshair()
    widget.controller.zoom(2.5)
    qtbot.wait(250)
    canvas = widget.view.canvas
    assert widget.controller.state.columns == ("a", "b", "c")
    picture = canvas.image().astype(float).mean(axis=-1)
    at = widget.controller.position()
    for row, plane in enumerate(PLANES):
        for column in range(3):
            x, y = canvas.to_pixels(row, column, at[plane.across], at[plane.upward])
            assert picture[round(y), round(x)] > 200
            off = canvas.to_pixels(row, column, at[plane.across] + 5.5, at[plane.upward])
            assert picture[round(off[1]), round(off[0])] < 90
    for name in "abc":
        for layer in viewer.layers:
            layer.visible = layer.name == name
        viewer.scene.camera.center = (0.0, -at[1], -at[0])
        viewer.scene.camera.zoom = 10.0
        qtbot.wait(60)
        shown = viewer.screenshot(canvas_only=True, flash=False)[..., :3].mean(axis=-1)
        rows, columns = np.nonzero(shown > 200)
        middle = np.array(shown.shape) / 2
        assert abs(rows.mean() - middle[0]) < 4
        assert abs(columns.mean() - middle[1]) < 4
        assert rows.size < 25 * 25


def test_a_drag_reaches_napari_and_back(make_napari_viewer, qtbot, volumes):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1100, 700)
    widget = add_comparison(viewer, volumes, None, truth="truth", measured="LR")
    qtbot.wait(50)
    canvas = widget.view.canvas
    x, y = canvas.to_pixels(1, 0, 3.0, 6.0)
    QTest.mouseClick(canvas, LEFT, NONE, QPoint(round(x), round(y)))
    assert widget.controller.state.crosshair[1:] == pytest.approx((3.0, 6.0), abs=0.5)
    qtbot.waitUntil(lambda: abs(viewer.dims.point[0] + 6.0) < 0.6)
    viewer.dims.set_point(0, -1.0)
    assert widget.controller.state.crosshair[2] == pytest.approx(1.0, abs=0.5)
    # Keys of ours are ours while the panels have the focus: napari's "1" or Ctrl+R stay away.
    widget.view.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_4)
    assert widget.controller.state.mode == "checkerboard"
    # The window is a top-level one: full screen and back, by keys.
    assert widget.isWindow()
    assert widget.parentWidget() is None
    QTest.keyClick(canvas, Qt.Key.Key_F11)
    assert widget.isFullScreen()
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert not widget.isFullScreen()


def test_looks_and_names_follow_the_layers(desk, volumes):
    desk.add_all(volumes)
    layer = desk.viewer.layers["hashed"]
    layer.colormap = "magma"
    assert desk.state.looks["hashed"].colormap == "magma"
    layer.name = "a name as long as the paths that some scanners make " * 4
    assert desk.state.columns[3] == layer.name
    assert desk.window.minimumSizeHint().width() < 800
    desk.window.view.act("reset_window")
    limits = {desk.state.looks[key].limits for key in desk.state.columns}
    assert len(limits) == 1
    desk.viewer.theme = "light"
    desk.viewer.layers.remove(layer)
    assert len(desk.state.columns) == 3


def test_the_convention_is_remembered(desk, volumes):
    desk.add_all(volumes)
    assert desk.state.radiological
    desk.window.view.convention.setCurrentIndex(1)
    desk.window.view.convention.activated.emit(1)
    assert not desk.state.radiological
    desk.viewer.window.remove_dock_widget(desk.widget)
    desk.dock()
    assert desk.state.columns
    assert not desk.state.radiological
    desk.window.view.act("convention")
    assert as_remembered(CompareState(radiological=False)).radiological


def test_what_cannot_be_shown_is_told(desk, volumes):
    desk.add_all(volumes)
    broken = volumes["truth"].data.copy()
    broken[0] = np.nan
    desk.viewer.add_image(broken, name="broken", contrast_limits=(0, 1))
    assert "broken" not in desk.state.columns
    desk.window._pick_columns(["truth", "broken"])
    assert desk.state.columns == ("truth",)
    assert "NaN" in desk.window.numbers.error.text()
    assert "NaN" in str(notification_manager.records[-1].message)
    desk.window._pick_columns(["truth", "hashed"])
    assert desk.window.numbers.error.text() == ""


def test_exports_name_nobody(desk, volumes, tmp_path, monkeypatch):
    secret = "DOE^JANE 1970"
    volumes = {f"{secret} {key}": volume for key, volume in volumes.items()}
    desk.add_all(volumes)
    desk.window.open([*volumes], f"{secret} truth", f"{secret} LR")
    desk.window.controller.put_roi(RoiBox("ROI 1", "box", (0.0, 0.0, 0.0), (14.0, 15.0, 16.0)))
    desk.measured()
    exporter = desk.window.exporter
    names = {"table": "t.csv", "figure": "f.svg", "state": "s.json"}
    for kind, name in names.items():
        path = str(tmp_path / name)
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, path=path: (path, ""))
        getattr(exporter, f"save_{kind}")()
        desk.qtbot.waitUntil(lambda: not exporter.busy)
        text = (tmp_path / name).read_text("utf-8")
        assert "DOE" not in text
        assert str(tmp_path) not in text
    exporter.copy_table()
    assert "hashed 2x" in QApplication.clipboard().text()
    assert "DOE" not in QApplication.clipboard().text()
    state = json.loads((tmp_path / "s.json").read_text("utf-8"))
    assert state["napari_mrisr_comparison"]
    exporter.names.setChecked(True)
    exporter.copy_table()
    assert "DOE" in QApplication.clipboard().text()
    exporter.save_table(str(tmp_path / "no such folder" / "t.csv"))
    desk.qtbot.waitUntil(lambda: not exporter.busy)
    assert "no such folder" in desk.window.numbers.error.text()


@pytest.fixture
def endless(monkeypatch):
    """Replace the numbers of the head by work that never ends."""
    running = threading.Event()

    def head(self: NumberBook, progress: Progress) -> Any:
        progress.begin("endless", 10_000)
        while True:
            running.set()
            time.sleep(0.01)
            progress.advance()

    monkeypatch.setattr(NumberBook, "head", head)
    return running


def test_closing_leaves_nothing_five_times(desk, volumes, endless):
    desk.add_all(volumes)
    viewer = desk.viewer
    for _ in range(5):
        assert endless.wait(60)
        endless.clear()
        viewer.window.remove_dock_widget(desk.widget)
        assert not [t for t in threading.enumerate() if t.name.startswith("mrisr")]
        assert list(leaks.callbacks(viewer)) == []
        desk.widget.deleteLater()
        desk.widget = None
        leaks.sweep()
        assert leaks.ours_alive() == []
        desk.dock()
    assert list(leaks.callbacks(viewer)) != []  # the watch itself works


def test_closed_and_docked_again(desk, volumes):
    desk.add_all(volumes)
    desk.viewer.window.remove_dock_widget(desk.widget)
    desk.viewer.layers.remove("LR")
    desk.viewer.window.add_dock_widget(desk.widget, name="again")
    assert desk.state.columns == ("truth", "tricubic", "hashed")
    leaks.sweep()
    assert [e for e in leaks.ours_alive() if type(e) is CompareView] == [desk.window.view]


def test_closing_napari_stops_the_numbers(make_napari_viewer, qtbot, volumes, endless):
    viewer = make_napari_viewer(show=True)
    add_comparison(viewer, volumes, None, truth="truth", measured="LR")
    assert endless.wait(60)
    viewer.close()
    qtbot.wait(10)
    assert not [t for t in threading.enumerate() if t.name.startswith("mrisr")]


def test_stale_numbers_are_dropped(desk, volumes):
    desk.add_all(volumes)
    for columns in (["truth", "tricubic"], ["truth", "hashed"], ["truth", "LR"]):
        desk.window._pick_columns(columns)
    desk.measured()
    assert [row.volume for row in desk.table.rows] == ["truth", "LR"]
    before = desk.table.rows[1].values["bias"].value
    new = replace(volumes["LR"], data=volumes["LR"].data + 3)
    desk.viewer.layers["LR"].data = layer_data(new, "")[0]
    desk.measured()
    bias = desk.table.rows[1].values["bias"].value
    assert bias - before == pytest.approx(3.0, abs=0.01)


def test_the_gui_goes_on_while_the_head_is_measured(desk, rng):
    shape = (120, 120, 120)
    data = rng.random(shape, dtype=np.float32) * 100
    grid = Grid(shape, np.eye(4))
    made = {"truth": Volume(data, grid)}
    for method in ("tricubic", "hashed"):
        made[method] = Volume(data + 1, grid, history={"method": method})
    desk.add_all({"truth": made["truth"], "tricubic": made["tricubic"]})
    desk.measured()  # what is loaded and compiled once
    desk.add(made["hashed"], "hashed")
    QApplication.processEvents()
    with Pulse(lambda: desk.window.meter.busy) as pulse:
        desk.measured()
    # Several times what is promised, and all threads count.
    assert pulse.count > 5
    assert pulse.longest < 0.3


def test_the_window_stays_beside_napari_and_opens_again(desk, volumes):
    desk.add_all(volumes)
    window = desk.window
    desk.widget.show()
    window.close()
    # Only the dock listens.
    assert not [text for text in leaks.callbacks(desk.viewer) if "Link" in text]
    desk.viewer.layers.remove("tricubic")
    desk.panel.open_button.click()
    assert desk.window is window
    assert window.isVisible()
    assert desk.state.columns == ("truth", "LR", "hashed")
    assert "hashed" in desk.panel.columns.text()
    desk.measured()


def test_size_and_parts_are_remembered(desk, volumes):
    desk.add_all(volumes)
    desk.window.setGeometry(40, 30, 777, 555)
    desk.window.view.act("side_panel")
    desk.window.view.act("numbers")
    QApplication.processEvents()
    desk.viewer.window.remove_dock_widget(desk.widget)
    desk.dock()
    assert (desk.window.width(), desk.window.height()) == (777, 555)
    assert desk.window.side_scroll.isVisibleTo(desk.window)
    assert not desk.window.numbers.isVisibleTo(desk.window)


def test_images_have_two_thirds_of_the_window(desk, volumes):
    desk.add_all(volumes)
    for size in ((1280, 720), (1600, 1000), (1920, 1080)):
        desk.window.resize(*size)
        QApplication.processEvents()
        canvas = desk.window.view.canvas
        share = canvas.width() * canvas.height() / (size[0] * size[1])
        assert share >= 2 / 3


def test_keys_work_after_a_click_anywhere_and_fields_keep_theirs(desk, volumes):
    desk.add_all(volumes)
    desk.measured()
    window = desk.window
    window.activateWindow()
    window.view.setFocus()
    grid = window.numbers.grid
    QTest.mouseClick(grid.viewport(), LEFT, NONE, QPoint(20, 10))
    QTest.mouseClick(window.toolbar.modes["swipe"], LEFT)
    QTest.keyClick(window, Qt.Key.Key_4)
    assert desk.state.mode == "checkerboard"
    # Nothing but fields for text can have the focus.
    for widget in window.findChildren(QWidget):
        typed = isinstance(widget, QLineEdit | QAbstractSpinBox)
        if widget.focusPolicy() & Qt.FocusPolicy.ClickFocus and not typed:
            assert widget is window.view.canvas or not widget.isVisibleTo(window), widget
    window.view.act("go_to")
    window.place.setText("L 3 P 8 S 5")
    QTest.keyClick(window.place, Qt.Key.Key_Return)
    assert desk.state.crosshair == pytest.approx((-3.0, -8.0, 5.0), abs=1e-3)
    window.place.setText("nowhere")
    QTest.keyClick(window.place, Qt.Key.Key_Return)
    assert "type R 12" in window.numbers.error.text()


def test_the_wheel_changes_no_field(desk, volumes):
    desk.add_all(volumes)
    window = desk.window
    fields = [
        w
        for w in [*window.findChildren(QComboBox), *window.findChildren(QAbstractSpinBox)]
        if w.isEnabled()
    ]
    before = [f.currentIndex() if isinstance(f, QComboBox) else f.text() for f in fields]
    for field in fields:
        at = QPointF(5, 5)
        event = QWheelEvent(
            at, QPointF(field.mapToGlobal(QPoint(5, 5))), QPoint(), QPoint(0, 120),
            Qt.MouseButton.NoButton, NONE, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(field, event)
    assert [f.currentIndex() if isinstance(f, QComboBox) else f.text() for f in fields] == before
    assert len(fields) > 8


def test_a_moved_layer_says_so_and_is_put_back(desk, volumes):
    desk.add_all(volumes)
    layer = desk.viewer.layers["hashed"]
    assert not desk.window.notice.isVisibleTo(desk.window)
    before = layer.translate.copy()
    layer.translate = before + (3.0, 0.0, 4.0)
    assert desk.window.notice.text.text() == "hashed was moved 5.0 mm by hand"
    assert desk.window.notice.isVisibleTo(desk.window)
    shifted = desk.window.controller.volumes["hashed"].grid.affine[:3, 3]
    shifted = shifted - volumes["hashed"].grid.affine[:3, 3]
    assert shifted == pytest.approx((-4.0, 0.0, -3.0))
    desk.window.notice.put_back.click()
    assert not desk.window.notice.isVisibleTo(desk.window)
    assert layer.translate == pytest.approx(before)


def test_empty_columns_are_replaced_at_once(desk, volumes):
    desk.add_all(volumes)
    desk.window._pick_columns(["hashed", "tricubic"])
    for name in ("hashed", "tricubic"):
        desk.viewer.layers.remove(name)
    assert desk.state.columns == ("truth", "LR")
    desk.add(volumes["hashed"], "new")
    assert "new" in desk.state.columns


def test_a_frame_of_a_time_series_is_chosen(desk, volumes):
    frames = np.stack([volumes["truth"].data + 10 * i for i in range(3)])
    header = nib.Nifti1Header()
    header.set_data_shape((*volumes["truth"].data.shape, 3))
    header.set_xyzt_units("mm", "msec")
    header["pixdim"][4] = 2500
    first = replace(volumes["truth"], origin=Origin("series.nii.gz", header=header))
    data, kwargs, _ = series_layer_data(frames, first, "series")
    desk.viewer.add_image(data, **kwargs)
    window = desk.window
    assert desk.state.columns == ("series",)
    assert window.side.frame.maximum() == 2
    np.testing.assert_allclose(window.controller.volumes["series"].data, frames[0])
    window.side.frame.setValue(2)
    assert window.side.frame.text() == "2 of 2   at 5 s"
    assert "TR): 2.5 s" in window.side.frame.toolTip()
    np.testing.assert_allclose(window.controller.volumes["series"].data, frames[2])
    assert desk.viewer.dims.point[0] == 2
    desk.viewer.dims.set_point(0, 1)
    np.testing.assert_allclose(window.controller.volumes["series"].data, frames[1])
    assert window.side.frame.value() == 1


def test_a_mask_is_outlined_and_measured(desk, volumes):
    desk.add_all(volumes)
    layer = desk.viewer.layers["truth"]
    mask = np.zeros(layer.data.shape, np.float32)
    mask[20:34, 20:34, 10:24] = 1.0
    kwargs = {"scale": layer.scale, "translate": layer.translate, "units": layer.units}
    desk.viewer.add_image(mask, name="lesions", **kwargs)
    assert desk.window.side.regions.findText("lesions") > 0
    assert desk.window.side.regions.findText("hashed") < 0
    assert "lesions" not in desk.state.columns
    desk.window._pick_regions("lesions")
    desk.measured()
    row = next(r for r in desk.table.rows if r.region == "label 1" and r.volume == "truth")
    assert row.values["n"].value == 14**3


def test_a_saved_comparison_opens_in_the_window(desk, volumes, tmp_path):
    desk.add_all(volumes)
    window = desk.window
    window.controller.set_columns(["hashed", "truth"])
    window.controller.put_measurement(LineMeasurement(((0.0, 0.0, 0.0), (3.0, 4.0, 0.0))))
    window.exporter.save_state(str(tmp_path / "c.json"))
    desk.qtbot.waitUntil(lambda: not window.exporter.busy)
    write_volume(volumes["hashed"], tmp_path / "result.nii.gz")
    desk.viewer.layers.remove("hashed")
    window.controller.change(measurements=())
    window.exporter.open_state(str(tmp_path / "c.json"))
    desk.qtbot.waitUntil(lambda: not window.exporter.busy)
    assert desk.state.columns == ("result", "truth")
    assert len(desk.state.measurements) == 1
    assert len(desk.viewer.layers) == 4


def test_columns_are_named_by_role(desk, volumes):
    long = "sub-0001_ses-2024_acq-mprage_run-1_T1w_desc-preproc"
    desk.add(volumes["truth"], "truth")
    desk.add(volumes["LR"], "LR")
    desk.add(volumes["hashed"], f"{long} hashed")
    titles = [panel.title for panel in desk.window.controller.scene().panels[0]]
    assert titles == ["reference", "LR 2x", "hashed 2x"]
    # Choices have the full names.
    assert desk.window.side.columns[2].currentText() == f"{long} hashed"


def test_contrast_presets_and_typed_values(desk, volumes):
    desk.add_all(volumes)
    window, data = desk.window, volumes["truth"].data
    window.toolbar.contrast_menu.actions()[0].trigger()
    low, high = desk.state.looks["truth"].limits
    assert (low, high) == pytest.approx((data.min(), data.max()))
    window.side.width_field.setValue(50.0)
    window.side.level_field.setValue(30.0)
    assert desk.state.looks["hashed"].limits == (5.0, 55.0)
    window.toolbar.contrast_menu.actions()[2].trigger()
    assert "Select a region first" in window.numbers.status.text()


def test_regions_are_listed_and_renamed(desk, volumes):
    desk.add_all(volumes)
    window = desk.window
    window.controller.put_roi(RoiBox("ROI 1", "box", (-3.0, 2.0, 0.0), (10.0, 20.0, 5.0)))
    texts = [window.side.list.item(0, place).text() for place in range(3)]
    assert texts == ["ROI 1", "1,000", "L 3.0  A 2.0  S 0.0 mm"]
    window.side.list.item(0, 0).setText("pons")
    assert [roi.name for roi in desk.state.rois] == ["pons"]
    desk.measured()
    assert "pons" in desk.regions()


def test_a_column_is_saved_as_a_volume(desk, volumes, tmp_path, monkeypatch):
    desk.add_all(volumes)
    exporter = desk.window.exporter
    exporter.volume_menu.aboutToShow.emit()
    texts = [action.text() for action in exporter.volume_menu.actions()]
    assert len(texts) == 4 and "hashed" in " ".join(texts)
    suggested = []

    def chosen(parent, title, name, kinds):
        suggested.append(Path(name).name)
        return str(tmp_path / "res"), "NIfTI, compressed (*.nii.gz)"

    monkeypatch.setattr(QFileDialog, "getSaveFileName", chosen)
    exporter.save_volume("hashed")
    desk.qtbot.waitUntil(lambda: not exporter.busy)
    assert suggested == ["hashed_desc-sr2xhashed.nii.gz"]
    saved = read_volume(tmp_path / "res.nii.gz")
    np.testing.assert_array_equal(saved.data, volumes["hashed"].data)
    status = desk.window.numbers.status
    assert status.text().startswith("Saved res.nii.gz (") and "open folder" in status.text()
    assert status.openExternalLinks()
    # The end of a measurement takes away its own line, and no other.
    desk.window.meter.status_changed.emit("")
    assert status.text().startswith("Saved res.nii.gz (")
    desk.window.meter.status_changed.emit("Measuring the head…")
    desk.window.meter.status_changed.emit("")
    assert status.text().startswith("Draw a box")


def test_points_labels_and_masks_mark_lesions(desk, volumes):
    desk.add_all(volumes)
    window, layer = desk.window, desk.viewer.layers["truth"]
    place = {"scale": layer.scale, "translate": layer.translate, "units": layer.units}
    affine = volumes["truth"].grid.affine
    index = np.array([10, 20, 33])
    shape = volumes["truth"].data.shape
    # napari shows (slice, row, column) from the top, front and right.
    shown = (np.array(shape) - 1 - index)[::-1]
    desk.viewer.add_points([shown], name="spots", **place)
    parts = np.zeros(shape[::-1], int)
    parts[shown[0], shown[1], shown[2]] = 4
    parts[4:7, 5:8, 30:33] = 4  # the same label, elsewhere
    desk.viewer.add_labels(parts, name="lesions", **place)
    assert [layer.name for layer in window.link.markings()] == ["spots", "lesions"]
    expected = (affine @ [*index, 1])[:3]
    spots, lesions = (
        reference_points(layer, window.link.axes()) for layer in window.link.markings()
    )
    assert spots == [pytest.approx(expected)]
    other = (affine @ [shape[0] - 1 - 31, shape[1] - 1 - 6, shape[2] - 1 - 5, 1])[:3]
    np.testing.assert_allclose(sorted(lesions), sorted([tuple(expected), tuple(other)]))


def test_a_reading_stays_open_until_it_is_closed(desk, volumes, tmp_path, monkeypatch):
    """Fault: garbage collection closed it, since only its own signals refer to it."""

    def windows():
        found = [w for w in QApplication.topLevelWidgets() if type(w) is ReadingWindow]
        return [w for w in found if w.isVisible()]

    desk.add_all(volumes)
    methods = {name: volumes[name] for name in ("tricubic", "hashed")}
    made = [Reading(plan_of_volumes(methods), tmp_path / "reading.csv")]
    monkeypatch.setattr(dialog, "ask_reading", lambda *_: made.pop())
    desk.window.start_reading()
    gc.collect()
    assert len(windows()) == 1
    desk.qtbot.waitUntil(lambda: bool(windows()[0].controller.state.columns))
    windows()[0].close()
    assert windows() == []
