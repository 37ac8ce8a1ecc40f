"""Computed columns: the planes at the crosshair first, then the whole; cancelled ones go."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from helpers.desk import Desk
from qtpy.QtWidgets import QMenu

from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MemoryEstimateError
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run import preview as engine
from napari_mrisr.run.preview import OutwardFill
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.compare.live import choices, empty, fill_menu
from napari_mrisr.viewer.layers.convert import snapshot
from napari_mrisr.viewer.preview import controller as previews
from napari_mrisr.viewer.preview.array import PreviewArray

TRICUBIC = UpscaleParameters((2, 2, 2), "tricubic", threads=1)
NEAREST = UpscaleParameters((2, 2, 2), "nearest", threads=1)


class LiveDesk(Desk):
    """Compare of a reference and the scan simulated from it."""

    @property
    def columns(self):
        return self.widget.comparison.controller.state.columns

    def toggle(self, parameters):
        self.widget.comparison.toggle_live(self.viewer.layers["LR"], parameters)

    def column(self, name="LR tricubic 2x (live)"):
        self.qtbot.waitUntil(lambda: name in self.columns)
        return self.viewer.layers[name]

    def seen(self, name="LR tricubic 2x (live)"):
        """The three cuts that the panels show, by plane."""
        column = self.columns.index(name)
        return {
            row[column].plane.name: row[column].pictures[0].cut.values
            for row in self.widget.comparison.controller.scene().panels
        }

    def shows(self, expected, name="LR tricubic 2x (live)"):
        """Return whether the panels show the slices of a whole volume."""
        controller = self.widget.comparison.controller
        index = np.linalg.solve(expected.grid.affine, [*controller.state.crosshair, 1.0])[:3]
        x, y, z = (int(i) for i in np.floor(index + 0.5 + 1e-6))
        wanted = {
            "axial": expected.data[:, :, z].T,
            "coronal": expected.data[:, y].T,
            "sagittal": expected.data[x].T,
        }
        return all(np.array_equal(wanted[plane], cut) for plane, cut in self.seen(name).items())


@pytest.fixture
def desk(open_desk, volumes):
    desk = open_desk("Compare", LiveDesk)
    desk.truth = volumes["truth"]
    desk.lr = degrade(desk.truth, (2, 2, 2))
    desk.add(desk.truth, "truth")
    desk.add(desk.lr, "LR")
    return desk


@pytest.fixture
def no_fill(monkeypatch):
    """The fill never gets beyond its first slab."""

    def endless(self, focus, pool):
        while True:
            pool.check()
            time.sleep(0.005)

    monkeypatch.setattr(OutwardFill, "step", endless)


@pytest.mark.usefixtures("no_fill")
def test_planes_at_the_crosshair_are_those_of_the_run(desk):
    expected = upscale(desk.lr, TRICUBIC)
    desk.toggle(TRICUBIC)
    layer = desk.column()
    assert desk.names == ["truth", "LR", "LR tricubic 2x (live)"]
    assert isinstance(layer.data, PreviewArray)
    desk.qtbot.waitUntil(lambda: desk.shows(expected))
    look = desk.widget.comparison.controller.look("LR tricubic 2x (live)")
    assert look.limits == tuple(desk.viewer.layers["LR"].contrast_limits)
    before = desk.widget.comparison.controller.state.crosshair
    desk.widget.comparison.controller.go_to((before[0] + 7.0, before[1] - 5.0, before[2] + 9.0))
    desk.qtbot.waitUntil(lambda: desk.shows(expected))
    # Elsewhere there are the measured voxels, and no number is made of them.
    whole = desk.widget.comparison.controller.volumes["LR tricubic 2x (live)"]
    assert not np.array_equal(whole.data, expected.data)
    corner = desk.lr.data[:2, :2, :2].repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(whole.data[:4, :4, :4], corner)


@pytest.mark.usefixtures("no_fill")
def test_no_numbers_before_it_is_whole(desk):
    desk.toggle(TRICUBIC)
    desk.column()
    widget = desk.widget.comparison
    desk.qtbot.waitUntil(lambda: not widget.meter.busy)
    assert {row.volume for row in widget.numbers.table.rows} <= {"truth", "LR"}
    assert "LR tricubic 2x (live) computed; its numbers follow" in widget.numbers.status.text()
    widget.controller.change(truth="LR tricubic 2x (live)")
    desk.qtbot.waitUntil(lambda: not widget.meter.busy)
    assert all("PSNR" not in row.values for row in widget.numbers.table.rows)
    widget.exporter.save_state("nowhere.json")
    assert widget.numbers.status.text().startswith("Wait until LR tricubic 2x (live)")
    assert not widget.exporter.busy


def test_becomes_a_result_with_numbers(desk, monkeypatch):
    monkeypatch.setattr(engine, "SLAB_VOXELS", 20_000)
    expected = upscale(desk.lr, TRICUBIC)
    desk.toggle(TRICUBIC)
    layer = desk.column("LR tricubic 2x")
    assert isinstance(layer.data, np.ndarray)
    np.testing.assert_array_equal(snapshot(layer).to_volume().data, expected.data)
    assert layer.metadata["history"]["method"] == "tricubic"
    assert desk.shows(expected, "LR tricubic 2x")
    assert desk.widget.comparison.live.names() == []
    desk.qtbot.waitUntil(lambda: not desk.widget.comparison.meter.busy)
    found = {row.volume for row in desk.widget.comparison.numbers.table.rows}
    assert "LR tricubic 2x" in found
    assert desk.widget.comparison.numbers.status.text().startswith("Draw a box")


@pytest.mark.usefixtures("no_fill")
def test_several_columns_and_out_again(desk):
    desk.toggle(TRICUBIC)
    desk.column()
    desk.toggle(NEAREST)
    desk.column("LR nearest 2x (live)")
    assert desk.columns[-2:] == ("LR tricubic 2x (live)", "LR nearest 2x (live)")
    source = desk.viewer.layers["LR"]
    assert desk.widget.comparison.live.is_on(source, NEAREST)
    desk.toggle(NEAREST)
    assert not desk.widget.comparison.live.is_on(source, NEAREST)
    assert desk.names == ["truth", "LR", "LR tricubic 2x (live)"]
    # Taken out of the columns, it goes.
    desk.widget.comparison._pick_columns(["truth", "LR"])
    assert desk.names == ["truth", "LR"]
    assert desk.widget.comparison.live.names() == []


@pytest.mark.usefixtures("no_fill")
def test_deleted_in_napari(desk):
    desk.toggle(TRICUBIC)
    desk.viewer.layers.remove(desk.column())
    assert desk.columns == ("truth", "LR")
    assert desk.widget.comparison.live.names() == []


@pytest.mark.usefixtures("no_fill")
def test_closing_ends_the_fill_and_takes_the_column_away(desk):
    desk.toggle(TRICUBIC)
    desk.column()
    desk.viewer.window.remove_dock_widget(desk.widget)
    assert desk.names == ["truth", "LR"]
    assert not [t for t in threading.enumerate() if t.name.startswith("mrisr")]


def test_an_error_takes_it_away_and_is_told(desk, monkeypatch):
    def full(*_):
        raise MemoryEstimateError("memory: none; buy some")

    monkeypatch.setattr(previews, "check_memory", full)
    desk.toggle(TRICUBIC)
    error = desk.widget.comparison.numbers.error
    desk.qtbot.waitUntil(lambda: "buy some" in error.text())
    assert desk.names == ["truth", "LR"]


@pytest.mark.usefixtures("no_fill")
def test_a_column_that_was_taken_out_comes_back_at_once(desk):
    desk.toggle(TRICUBIC)
    desk.column()
    desk.qtbot.waitUntil(lambda: desk.shows(upscale(desk.lr, TRICUBIC)))
    desk.toggle(TRICUBIC)
    assert desk.names == ["truth", "LR"]
    desk.toggle(TRICUBIC)
    assert desk.names == ["truth", "LR", "LR tricubic 2x (live)"]
    assert desk.shows(upscale(desk.lr, TRICUBIC))


def test_menu_offers_methods_of_the_measured_layer_first(qtbot):
    menu = QMenu()
    qtbot.addWidget(menu)
    chosen = []
    fill_menu(
        menu,
        {"scan": "layer 1", "LR": "layer 2"},
        "LR",
        lambda layer, parameters: parameters.method == "tricubic",
        lambda *choice: chosen.append(choice),
    )
    texts = [action.text() for action in menu.actions()]
    assert texts[:2] == ["Of LR", "hashed: learned filters"]
    names = {text.partition(":")[0] for text in texts}
    assert {"hashed", "tricubic", "nearest"} <= names
    assert texts[-1] == "Of another layer"
    below = next(action.menu() for action in menu.actions() if "tricubic: " in action.text())
    first = below.actions()[0]
    assert (first.text(), first.isChecked()) == ("2×", True)
    first.trigger()
    assert chosen == [("layer 2", UpscaleParameters((2, 2, 2), "tricubic"))]
    empty(menu)
    assert menu.actions() == []
    fill_menu(menu, {}, None, *2 * [lambda *_: False])
    assert [action.text() for action in menu.actions()] == ["Open a volume first"]


def test_banks_are_offered_beside_the_usual_one():
    found = dict(choices("hashed"))
    assert found["2×"] == UpscaleParameters((2, 2, 2), "hashed")
    assert found["2×   paper-2x"] == UpscaleParameters((2, 2, 2), "hashed", "paper-2x")
    assert not any("default-2x" in text and "paper" not in text for text in found)


def test_a_thick_slice_scan_can_be_made_isotropic():
    found = choices("tricubic", Grid((9, 9, 9), np.diag([1.0, 1.0, 3.5, 1.0])))
    assert found[0] == (
        "Make isotropic (1 mm)",
        UpscaleParameters((1, 1, 3.5), "tricubic"),
    )
    assert choices("tricubic", Grid((9, 9, 9), np.eye(4)))[0][0] == "2×"
