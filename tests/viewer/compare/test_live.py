"""Live columns: at once where the crosshair is, whole in the end, nothing half-done left."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from helpers.desk import Desk
from qtpy.QtWidgets import QMenu

from napari_mrisr.errors import MemoryEstimateError
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run import outward as fill
from napari_mrisr.run.preview import Planes
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.compare import live as module
from napari_mrisr.viewer.compare.live_menu import choices, empty, fill_menu
from napari_mrisr.viewer.layers.convert import snapshot
from napari_mrisr.viewer.preview import compute as workshop
from napari_mrisr.viewer.preview import layer as live_layer
from napari_mrisr.viewer.preview.array import LiveArray

TRICUBIC = UpscaleParameters((2, 2, 2), "tricubic", threads=1)
NEAREST = UpscaleParameters((2, 2, 2), "nearest", threads=1)


class LiveDesk(Desk):
    """Compare of a reference and the scan simulated from it."""

    @property
    def columns(self):
        return self.widget.controller.state.columns

    def toggle(self, parameters):
        self.widget.toggle_live(self.viewer.layers["LR"], parameters)

    def column(self, name="LR tricubic 2x (live)"):
        self.qtbot.waitUntil(lambda: name in self.columns, timeout=20_000)
        return self.viewer.layers[name]

    def seen(self, name="LR tricubic 2x (live)"):
        """The three cuts that the panels show, by plane."""
        column = self.columns.index(name)
        return {
            row[column].plane.name: row[column].pictures[0].cut.values
            for row in self.widget.controller.scene().panels
        }

    def shows(self, expected, name="LR tricubic 2x (live)"):
        """Whether the panels show what they would of a whole volume."""
        controller = self.widget.controller
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
    """Only what is looked at is computed."""
    monkeypatch.setattr(module, "_FILL_AFTER_MS", 10_000_000)


@pytest.mark.usefixtures("no_fill")
def test_planes_at_the_crosshair_are_those_of_the_run(desk):
    expected = upscale(desk.lr, TRICUBIC)
    desk.toggle(TRICUBIC)
    layer = desk.column()
    assert desk.names == ["truth", "LR", "LR tricubic 2x (live)"]
    assert isinstance(layer.data, LiveArray)
    desk.qtbot.waitUntil(lambda: desk.shows(expected), timeout=20_000)
    look = desk.widget.controller.look("LR tricubic 2x (live)")
    assert look.limits == tuple(desk.viewer.layers["LR"].contrast_limits)
    before = desk.widget.controller.state.crosshair
    desk.widget.controller.go_to((before[0] + 7.0, before[1] - 5.0, before[2] + 9.0))
    desk.qtbot.waitUntil(lambda: desk.shows(expected), timeout=20_000)
    # Elsewhere there are the measured voxels, and no number is made of them.
    whole = desk.widget.controller.volumes["LR tricubic 2x (live)"]
    assert not np.array_equal(whole.data, expected.data)
    corner = desk.lr.data[:2, :2, :2].repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(whole.data[:4, :4, :4], corner)


@pytest.mark.usefixtures("no_fill")
def test_frames_wait_for_planes_that_came_soon_the_last_time(desk, monkeypatch):
    live, postponed = desk.widget.live, []
    desk.toggle(TRICUBIC)
    desk.column()
    x, y, z = desk.widget.controller.state.crosshair
    with monkeypatch.context() as patch:
        patch.setattr(desk.widget.view, "postpone", lambda: postponed.append(1))
        for step, last, waits in ((1, 10.0, 0), (2, 0.01, 1)):
            desk.qtbot.waitUntil(lambda: not live.busy)
            live._took = last
            desk.widget.controller.go_to((x + step, y + step, z + step))
            assert len(postponed) == waits
            desk.qtbot.waitUntil(lambda last=last: live._took != last)
            assert 0.0 < live._took < 10.0


@pytest.mark.usefixtures("no_fill")
def test_no_numbers_before_it_is_whole(desk):
    desk.toggle(TRICUBIC)
    desk.column()
    widget = desk.widget
    desk.qtbot.waitUntil(lambda: not widget.meter.busy, timeout=20_000)
    assert {row.volume for row in widget.numbers.table.rows} <= {"truth", "LR"}
    assert "LR tricubic 2x (live) is computed; numbers follow" in widget.numbers.status.text()
    widget.controller.change(truth="LR tricubic 2x (live)")
    desk.qtbot.waitUntil(lambda: not widget.meter.busy, timeout=20_000)
    assert all("PSNR" not in row.values for row in widget.numbers.table.rows)
    widget.exporter.save_state("nowhere.json")
    assert widget.numbers.status.text().startswith("Wait until LR tricubic 2x (live)")
    assert not widget.exporter.busy


def test_becomes_a_result_with_numbers(desk, monkeypatch):
    monkeypatch.setattr(fill, "STEP_VOXELS", 20_000)
    expected = upscale(desk.lr, TRICUBIC)
    desk.toggle(TRICUBIC)
    layer = desk.column()
    desk.qtbot.waitUntil(lambda: "LR tricubic 2x" in desk.columns, timeout=30_000)
    assert isinstance(layer.data, np.ndarray)
    np.testing.assert_array_equal(snapshot(layer).to_volume().data, expected.data)
    assert layer.metadata["history"]["method"] == "tricubic"
    assert desk.shows(expected, "LR tricubic 2x")
    assert desk.widget.live.names() == []
    desk.qtbot.waitUntil(lambda: not desk.widget.meter.busy, timeout=30_000)
    found = {row.volume for row in desk.widget.numbers.table.rows}
    assert "LR tricubic 2x" in found
    assert desk.widget.numbers.status.text().startswith("Draw a box")


@pytest.mark.usefixtures("no_fill")
def test_several_columns_and_out_again(desk):
    desk.toggle(TRICUBIC)
    desk.column()
    desk.toggle(NEAREST)
    desk.column("LR nearest 2x (live)")
    assert desk.columns[-2:] == ("LR tricubic 2x (live)", "LR nearest 2x (live)")
    source = desk.viewer.layers["LR"]
    assert desk.widget.live.is_on(source, NEAREST)
    desk.toggle(NEAREST)
    assert not desk.widget.live.is_on(source, NEAREST)
    assert desk.names == ["truth", "LR", "LR tricubic 2x (live)"]
    # Taken out of the columns, it goes.
    desk.widget._pick_columns(["truth", "LR"])
    assert desk.names == ["truth", "LR"]
    assert desk.widget.live.names() == []


@pytest.mark.usefixtures("no_fill")
def test_deleted_in_napari(desk):
    desk.toggle(TRICUBIC)
    desk.viewer.layers.remove(desk.column())
    assert desk.columns == ("truth", "LR")
    assert desk.widget.live.names() == []


def test_closing_ends_the_fill_and_takes_the_column_away(desk, monkeypatch):
    running = threading.Event()

    def endless(method, volume, out, *, progress, **others):
        running.set()
        while True:
            threading.Event().wait(0.01)
            progress.token.check()

    monkeypatch.setattr(workshop, "fill_method", endless)
    desk.toggle(TRICUBIC)
    desk.column()
    desk.qtbot.waitUntil(running.is_set, timeout=20_000)
    desk.viewer.window.remove_dock_widget(desk.widget)
    assert desk.names == ["truth", "LR"]
    assert not [t for t in threading.enumerate() if t.name.startswith("mrisr")]


def test_an_error_takes_it_away_and_is_told(desk, monkeypatch):
    def full(*_):
        raise MemoryEstimateError("memory: none; buy some")

    monkeypatch.setattr(live_layer, "check_memory", full)
    desk.toggle(TRICUBIC)
    error = desk.widget.numbers.error
    desk.qtbot.waitUntil(lambda: "buy some" in error.text(), timeout=20_000)
    assert desk.names == ["truth", "LR"]


def test_what_was_foreseen_is_there_at_once(desk, monkeypatch):
    live, layer = desk.widget.live, desk.viewer.layers["LR"]
    live.foresee(layer, NEAREST)
    live.foresee(layer, TRICUBIC)
    column = live._foreseen
    assert column.subject.parameters == TRICUBIC
    desk.qtbot.waitUntil(lambda: column._live.array is not None and not column.busy)
    assert desk.names == ["truth", "LR"]
    assert live.names() == []
    monkeypatch.setattr(Planes, "plane", None)
    desk.toggle(TRICUBIC)
    assert live._foreseen is None
    assert desk.names == ["truth", "LR", "LR tricubic 2x (live)"]
    assert desk.shows(upscale(desk.lr, TRICUBIC))


@pytest.mark.usefixtures("no_fill")
def test_what_is_foreseen_puts_nothing_of_the_columns_away(desk):
    live, layer = desk.widget.live, desk.viewer.layers["LR"]
    desk.toggle(TRICUBIC)
    desk.column()
    shown = live._columns[0].subject
    planes = live._workshop.planes(shown)
    for factor in range(2, 9):
        live.foresee(layer, UpscaleParameters((factor, 1, 1), "nearest", threads=1))
        desk.qtbot.waitUntil(lambda: not live._foreseen.busy, timeout=20_000)
    assert live._workshop.planes(shown) is planes


def test_what_is_asked_for_while_it_is_foreseen_comes(desk):
    desk.widget.live.foresee(desk.viewer.layers["LR"], TRICUBIC)
    desk.toggle(TRICUBIC)
    desk.column()
    desk.qtbot.waitUntil(lambda: desk.shows(upscale(desk.lr, TRICUBIC)), timeout=20_000)


def test_what_was_foreseen_in_vain_goes(desk, monkeypatch):
    live, layer = desk.widget.live, desk.viewer.layers["LR"]
    live.foresee(layer, TRICUBIC)
    desk.toggle(NEAREST)
    assert live._foreseen is None
    desk.column("LR nearest 2x (live)")
    monkeypatch.setattr(module, "_FORESEEN_MS", 50)
    live.foresee(layer, TRICUBIC)
    assert live._foreseen is not None
    desk.qtbot.waitUntil(lambda: live._foreseen is None)
    live.foresee(layer, NEAREST)  # a column already
    live.foresee(layer, replace(TRICUBIC, scale=(300, 300, 300)))  # large
    live.foresee(layer, replace(TRICUBIC, method="hashed", bank="no such bank"))
    desk.qtbot.waitUntil(lambda: live._foreseen is None, timeout=20_000)
    assert "bank" not in desk.widget.numbers.error.text()


def test_menu_offers_methods_of_the_measured_layer_first(qtbot):
    menu = QMenu()
    qtbot.addWidget(menu)
    chosen, foreseen = [], []
    fill_menu(
        menu,
        {"scan": "layer 1", "LR": "layer 2"},
        "LR",
        lambda layer, parameters: parameters.method == "tricubic",
        lambda *choice: chosen.append(choice),
        lambda *choice: foreseen.append(choice),
    )
    assert foreseen == [("layer 2", UpscaleParameters((2, 2, 2), "hashed"))]
    texts = [action.text() for action in menu.actions()]
    assert texts[:2] == ["Of LR", "hashed"]
    assert {"hashed", "tricubic", "nearest"} <= set(texts)
    assert texts[-1] == "Of another layer"
    below = next(action.menu() for action in menu.actions() if action.text() == "tricubic")
    first = below.actions()[0]
    assert (first.text(), first.isChecked()) == ("2×", True)
    first.trigger()
    assert chosen == [("layer 2", UpscaleParameters((2, 2, 2), "tricubic"))]
    below = next(action.menu() for action in menu.actions() if action.text() == "nearest")
    below.actions()[1].hover()
    assert foreseen[1:] == [("layer 2", UpscaleParameters((3, 3, 3), "nearest"))]
    empty(menu)
    assert menu.actions() == []
    fill_menu(menu, {}, None, *3 * [lambda *_: False])
    assert [action.text() for action in menu.actions()] == ["needs a volume"]


def test_banks_are_offered_beside_the_usual_one():
    found = dict(choices("hashed"))
    assert found["2×"] == UpscaleParameters((2, 2, 2), "hashed")
    assert found["2×   paper-2x"] == UpscaleParameters((2, 2, 2), "hashed", "paper-2x")
    assert not any("default-2x" in text and "paper" not in text for text in found)
