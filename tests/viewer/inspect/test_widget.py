"""The dock widget on planted patterns: it shows the values of the API."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from helpers import leaks, patterns
from helpers.desk import Desk, Pulse, our_threads
from helpers.scans import head
from napari.layers import Labels
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.inspection import (
    bucket_map,
    inspect_voxel,
    measure_gain,
    orientation_map,
    stage_input,
)
from napari_mrisr.inspection.effective import effective_filter
from napari_mrisr.inspection.texts import bucket_text, number_text, value_text
from napari_mrisr.methods.network import make_network
from napari_mrisr.viewer.inspect import controller
from napari_mrisr.viewer.inspect.panel import BUCKETS, MAP, VOXEL
from napari_mrisr.viewer.inspect.widget import InspectWidget
from napari_mrisr.viewer.layers.convert import series_layer_data, snapshot
from napari_mrisr.viewer.layers.geometry import scale_and_translate


def world_of(grid, index):
    scale, translate = scale_and_translate(grid)
    return tuple((np.array(grid.shape[::-1]) - 1 - np.array(index[::-1])) * scale + translate)


class InspectDesk(Desk):
    @property
    def inspection(self):
        return self.widget.inspector.inspection

    def add(self, volume, name="scan"):
        # As from a file: the intensity window is found in the data.
        return super().add(Volume(volume.data, volume.grid), name)

    def show(self, number=0):
        self.panel.stage.setCurrentIndex(number)
        self.panel.show_button.click()
        self.wait()

    def labels(self):
        return [layer for layer in self.viewer.layers if isinstance(layer, Labels)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "planted.safetensors"
    patterns.planted_bank().save(path)
    return path


@pytest.fixture
def desk(model_desk, path):
    desk = model_desk(InspectWidget, InspectDesk)
    desk.widget.open_bank(str(path))
    return desk


@pytest.fixture
def real_desk(open_desk, path):
    desk = open_desk("Inspect buckets", InspectDesk)
    desk.widget.open_bank(str(path))
    return desk


@pytest.fixture
def endless(monkeypatch):
    """Replace the map by work that ends only when cancelled."""
    running = threading.Event()

    def run(source, *, progress, threads=None):
        progress.begin("endless", 10_000)
        while True:
            running.set()
            time.sleep(0.01)
            progress.advance()

    monkeypatch.setattr(controller, "bucket_map", run)
    return running


def test_by_the_manifest(plugin, make_napari_viewer):
    viewer = make_napari_viewer()
    dock, widget = viewer.window.add_plugin_dock_widget("napari-mrisr", "Inspect buckets")
    assert isinstance(widget, InspectWidget)
    viewer.window.remove_dock_widget(dock)


def test_without_a_scan_nothing_can_be_started(desk):
    assert "Open a low-resolution scan" in desk.panel.status.text()
    assert not desk.panel.show_button.isEnabled()
    assert not desk.panel.features_button.isEnabled()
    assert not desk.panel.tabs.isTabEnabled(VOXEL)
    desk.widget.show_map()
    desk.widget.add_feature("orientation")
    desk.widget.choose_bucket(3)
    desk.widget.point_at((0.0, 0.0, 0.0))
    assert not desk.widget.worker.running


PATTERNS = {
    "plane": patterns.plane((0.03, 0.02, 0.06)),
    "edge": patterns.edge(np.arcsin([0.25, 0.15, 0.0])),
    "line": patterns.line(),
    "corner": patterns.corner(),
    "noise": patterns.noise(),
}


def test_map_and_readout_equal_the_api(desk):
    """Try every pattern with a cell stage and a voxel stage."""
    for name, volume in PATTERNS.items():
        layer = desk.add(volume, name)
        desk.panel.layer.layer = layer
        for number in (0, 1):
            desk.show(number)
            source = desk.inspection.source
            own = stage_input(Volume(volume.data, volume.grid), source.bank, number)
            np.testing.assert_array_equal(own.image, source.image)
            buckets = bucket_map(own)
            expected = buckets.transpose(2, 1, 0)[::-1, ::-1, ::-1].astype(int) + 1
            np.testing.assert_array_equal(desk.labels()[-1].data, expected)
            place = tuple(n // 2 + 1 for n in own.shape)
            desk.widget.point_at(world_of(own.grid, place))
            seen = inspect_voxel(own, place)
            readout = desk.panel.readout
            assert f"bucket {seen.bucket}" in readout.heading
            assert seen.bucket == buckets[place]
            for feature, value in seen.values.items():
                assert readout.value(feature) == value_text(feature, value)
            if not seen.flat:
                assert readout.value("training samples") == f"{own.stage.support[seen.bucket]:,}"
            assert f"bucket {seen.bucket}" in desk.panel.filter.title.text()
        assert desk.panel.tabs.currentIndex() == VOXEL
    assert desk.panel.stage.currentIndex() == 1


def test_layer_geometry_texts_and_sizes(real_desk):
    desk = real_desk
    layer = desk.add(patterns.noise())
    desk.show(1)
    shown = desk.labels()[0]
    np.testing.assert_allclose(np.array(shown.scale) * 2, layer.scale)
    np.testing.assert_allclose(
        shown.extent.world[0] - shown.scale / 2, layer.extent.world[0] - layer.scale / 2
    )
    assert not shown.editable
    spec = desk.inspection.source.stage.spec.hash
    label = int(shown.data[5, 6, 7])
    ranges = shown.features.set_index("index")["ranges"]
    assert ranges[label] == bucket_text(spec, label - 1)
    # A long name, a small window, the light theme.
    layer.name = "a name as long as the paths that some scanners make " * 4
    for tab in (MAP, VOXEL, BUCKETS):
        desk.panel.tabs.setCurrentIndex(tab)
        assert desk.widget.minimumSizeHint().width() < 460
        assert desk.panel.minimumSizeHint().height() < 700
        assert desk.panel.filter.isHidden() == (tab == MAP)
    desk.viewer.theme = "light"
    assert desk.panel.error_color == "#b00020"


def test_features_are_added_as_layers(real_desk):
    desk = real_desk
    desk.add(patterns.noise())
    desk.show()
    titles = [action.text() for action in desk.panel.features.actions()]
    assert len(titles) == len(set(titles)) > 10
    desk.panel.features.actions()[0].trigger()
    desk.wait()
    color = desk.viewer.layers[-1]
    assert color.rgb
    expected = orientation_map(desk.inspection.source).transpose(2, 1, 0, 3)[::-1, ::-1, ::-1]
    np.testing.assert_array_equal(color.data, expected)
    desk.widget.add_feature("curvature bin")
    desk.wait()
    assert isinstance(desk.viewer.layers[-1], Labels)
    desk.widget.add_feature("strength")
    desk.wait()
    assert desk.viewer.layers[-1].name == "scan, planted stage 1 strength"
    # Color layers are no volumes.
    offered = [desk.panel.layer.itemText(n) for n in range(desk.panel.layer.count())]
    assert offered == ["scan, planted stage 1 strength", "scan"]


def test_the_table_of_buckets_is_saved_without_the_name_of_the_layer(desk, tmp_path):
    desk.widget.save_table(str(tmp_path / "nothing.csv"))
    assert not (tmp_path / "nothing.csv").exists()
    desk.add(patterns.noise(), "DOE^JANE")
    desk.show()
    desk.widget.save_table(str(tmp_path / "buckets"))
    text = (tmp_path / "buckets.csv").read_text("utf-8")
    assert text.startswith("planted stage 1\nBucket,Voxels,")
    assert len(text.splitlines()) == 2 + len(desk.widget.inspector.columns[0].values)
    assert "DOE" not in text
    assert "Saved buckets.csv" in desk.panel.status.text()


def test_a_click_in_the_table_shows_one_bucket(real_desk):
    desk = real_desk
    desk.add(patterns.noise())
    desk.show()
    histogram = desk.panel.table
    desk.panel.tabs.setCurrentIndex(BUCKETS)
    histogram.setCurrentIndex(histogram.buckets.index(2, 0))
    bucket = int(histogram.buckets.rows[2])
    layer = desk.labels()[0]
    assert layer.selected_label == bucket + 1
    assert layer.show_selected_label
    assert f"Bucket {bucket}:" in desk.panel.bucket_line.text()
    assert f"bucket {bucket}" in desk.panel.filter.title.text()
    assert desk.panel.readout.value("training samples") != ""
    desk.panel.only.setChecked(False)
    assert not layer.show_selected_label
    # Without its layer the map comes back when a bucket is lit.
    desk.viewer.layers.remove(layer)
    assert not desk.panel.only.isChecked()
    histogram.setCurrentIndex(histogram.buckets.index(5, 0))
    again = desk.labels()[0]
    assert again.selected_label == int(histogram.buckets.rows[5]) + 1
    assert again.show_selected_label


def test_the_real_cursor_follows_and_a_click_holds(real_desk):
    desk = real_desk
    desk.add(patterns.noise())
    desk.show()
    source = desk.inspection.source

    class Event:
        position = world_of(source.grid, (5, 6, 7))
        button, modifiers, pos, type = 1, (), np.array((10.0, 10.0)), "mouse_press"

    for callback in desk.viewer.mouse_move_callbacks:
        callback(desk.viewer, Event())
    desk.qtbot.waitUntil(lambda: "5, 6, 7" in desk.panel.readout.heading)
    Event.position = world_of(source.grid, (8, 9, 10))
    for callback in desk.viewer.mouse_drag_callbacks:
        steps = callback(desk.viewer, event := Event())
        if steps is not None:
            next(steps, None)
            event.type = "mouse_release"
            next(steps, None)
    assert "8, 9, 10" in desk.panel.readout.heading
    assert not desk.panel.follow.isChecked()
    desk.widget.point_at(world_of(source.grid, (5, 6, 7)))
    assert "8, 9, 10" in desk.panel.readout.heading
    desk.panel.follow.setChecked(True)
    desk.widget.point_at((500.0, 0.0, 0.0))
    assert "8, 9, 10" in desk.panel.readout.heading


def test_a_second_bank_is_compared(desk, tmp_path):
    desk.add(patterns.noise())
    desk.show()
    desk.widget.choose_bucket(12)
    path = tmp_path / "second.safetensors"
    patterns.planted_bank(seed=7).save(path)
    desk.widget.compare_with(str(path))
    assert desk.panel.second.currentText() == "second.safetensors"
    assert desk.widget.inspector.comparison is not None
    assert len(desk.panel.table.buckets.columns) == 8
    assert not desk.panel.filter.bank.isHidden()
    desk.panel.filter.bank.setCurrentIndex(1)
    assert "(second)" in desk.panel.filter.title.text()
    # Other buckets: the reason, and no comparison.
    other = tmp_path / "other.safetensors"
    cuts = {**patterns.CUTS, "curvature": (0.0,)}
    patterns.planted_bank(cuts=cuts).save(other)
    desk.widget.compare_with(str(other))
    assert "curvature is cut at" in desk.panel.status.text()
    assert desk.widget.inspector.comparison is None
    assert len(desk.panel.table.buckets.columns) == 5
    coarse = tmp_path / "coarse.safetensors"
    patterns.planted_bank(scale=(3, 3, 3)).save(coarse)
    desk.widget.compare_with(str(coarse))
    assert "its scale differs" in desk.panel.status.text()
    desk.panel.second.setCurrentIndex(0)
    assert desk.panel.filter.bank.isHidden()


def test_gain_against_a_reference(desk):
    reference = desk.add(Volume(np.kron(patterns.noise().data, np.ones((2, 2, 2))), Grid(
        tuple(2 * n for n in patterns.SHAPE), patterns.noise().grid.upsampled((2, 2, 2)).affine
    )), "reference")  # fmt: skip
    desk.panel.layer.layer = desk.add(patterns.noise())
    desk.show(1)
    assert desk.panel.reference.layer is None
    desk.panel.reference.layer = reference
    desk.wait()
    assert "Measured" in desk.panel.status.text()
    inspection = desk.inspection
    expected = measure_gain(
        inspection.source, inspection.labels - 1, snapshot(reference).to_volume()
    )
    np.testing.assert_array_equal(desk.widget.inspector.measured.gain, expected.gain)
    histogram = desk.panel.table.buckets
    assert histogram.columns[4].name == "measured"
    desk.widget.point_at(world_of(inspection.source.grid, (15, 16, 17)))
    bucket = desk.widget.inspector.bucket
    gain = desk.panel.readout.value("gain in this scan")
    assert gain == f"{number_text(float(expected.gain[bucket]), 2)} dB"
    # A layer on another grid is refused, and none is chosen.
    desk.panel.reference.layer = desk.viewer.layers["scan"]
    desk.wait()
    assert "differs from the upsampled grid" in desk.panel.status.text()
    assert desk.panel.reference.layer is None
    assert desk.widget.inspector.measured is None
    desk.panel.reference.layer = reference
    desk.wait()
    assert desk.widget.inspector.measured is not None
    desk.viewer.layers.remove(reference)
    assert desk.widget.inspector.measured is None
    assert [c.name for c in histogram.columns][3:] == ["gain", "error"]


def test_other_stages_banks_and_layers(desk):
    layer = desk.add(patterns.noise())
    desk.show(0)
    desk.show(1)
    assert [one.visible for one in desk.labels()] == [False, True]
    desk.show(1)
    assert len(desk.labels()) == 2
    assert desk.panel.filter.output.isHidden()
    layer.name = "renamed"
    assert desk.panel.layer.currentText() == "renamed"
    desk.panel.bank.setCurrentIndex(0)
    assert desk.panel.stage.count() == 3  # the bundled one's
    assert desk.inspection.source.bank.name == "planted"
    desk.viewer.layers.remove(layer)
    assert not desk.panel.show_button.isEnabled()
    assert "Open a low-resolution scan" in desk.panel.status.text()
    # The map can still be inspected.
    desk.widget.point_at(world_of(desk.inspection.source.grid, (5, 6, 7)))
    assert "Voxel 5, 6, 7" in desk.panel.readout.heading


def test_the_frame_on_screen_is_inspected(desk):
    volume = patterns.noise()
    frames = np.stack([volume.data, volume.data[::-1]])
    plain = Volume(volume.data, volume.grid)
    data, kwargs, _ = series_layer_data(frames, plain, "series")
    desk.viewer.add_image(data, **kwargs)
    desk.viewer.dims.set_point(0, 1)
    desk.show()
    assert desk.inspection.name == "series frame 1"
    taken = desk.inspection.source.lr.restored().data
    np.testing.assert_allclose(taken, volume.data[::-1], atol=1e-6)
    place = world_of(volume.grid, (5, 6, 7))
    desk.widget.point_at((1.0, *place))
    assert "Voxel 5, 6, 7" in desk.panel.readout.heading


def test_errors_are_shown_in_one_line(desk, tmp_path):
    layer = desk.add(patterns.noise())
    broken = np.array(layer.data)
    broken[3, 4, 5] = np.nan
    options = {"scale": layer.scale, "units": "mm", "contrast_limits": (0, 1)}
    desk.panel.layer.layer = desk.viewer.add_image(broken, name="broken", **options)
    desk.show()
    assert "NaN" in desk.panel.status.text()
    assert "NaN" in str(notification_manager.records[-1].message)
    assert desk.labels() == []
    desk.widget.open_bank(str(tmp_path / "missing.safetensors"))
    assert "no such filter bank" in desk.panel.status.text()
    desk.panel.layer.layer = desk.viewer.add_image(np.zeros((8, 9)), name="flat", units="mm")
    desk.show()
    assert "2 axes" in desk.panel.status.text()


def test_cancel_adds_no_layer(desk, endless):
    desk.add(patterns.noise())
    desk.panel.show_button.click()
    assert endless.wait(60)
    assert not desk.panel.show_button.isEnabled()
    assert not desk.panel.bar.isHidden()
    desk.panel.cancel_button.click()
    desk.wait()
    assert desk.labels() == []
    assert "Cancelled" in desk.panel.status.text()
    assert desk.panel.show_button.isEnabled()
    assert our_threads() == []


def test_closing_during_work_leaves_nothing_behind(real_desk, endless, path):
    desk = real_desk
    desk.add(patterns.noise())
    presses = len(desk.viewer.mouse_drag_callbacks) - 1
    for _ in range(2):
        desk.panel.show_button.click()
        assert endless.wait(60)
        endless.clear()
        widget = weakref.ref(desk.widget)
        desk.viewer.window.remove_dock_widget(desk.widget)
        assert our_threads() == []
        assert list(leaks.callbacks(desk.viewer)) == []
        assert len(desk.viewer.mouse_drag_callbacks) == presses
        desk.widget.deleteLater()
        desk.widget = None
        leaks.sweep()
        gc.collect()
        assert widget() is None
        desk.widget = InspectWidget(desk.viewer)
        desk.viewer.window.add_dock_widget(desk.widget, name="Inspect", area="right")
        desk.widget.open_bank(str(path))
    assert list(leaks.callbacks(desk.viewer)) != []  # the watch itself works
    assert desk.labels() == []


def test_closing_napari_during_work(open_desk, path, endless):
    desk = open_desk("Inspect buckets", InspectDesk, show=True)
    desk.widget.open_bank(str(path))
    desk.add(patterns.noise())
    desk.panel.show_button.click()
    assert endless.wait(60)
    desk.viewer.close()
    desk.qtbot.wait(10)
    assert our_threads() == []


def test_docking_again_after_closing(real_desk):
    desk = real_desk
    desk.add(patterns.noise())
    desk.show()
    desk.viewer.window.remove_dock_widget(desk.widget)
    desk.viewer.layers.remove(desk.labels()[0])
    desk.viewer.window.add_dock_widget(desk.widget, name="again")
    desk.widget.choose_bucket(4)
    assert desk.labels()[0].selected_label == 5


def test_the_gui_responds_and_moves_are_fast(real_desk):
    desk = real_desk
    rng = np.random.default_rng(0)
    volume = patterns.as_volume(rng.random((90, 96, 100)))
    desk.add(volume)
    desk.show(1)  # what is loaded and compiled once
    with Pulse(desk.busy) as pulse:
        desk.panel.show_button.click()
        desk.wait()
    assert pulse.count > 5
    assert pulse.longest < 0.4
    moves = []
    for n in range(20):
        place = world_of(desk.inspection.source.grid, (20 + n, 30, 40))
        start = time.thread_time()
        desk.widget.point_at(place)
        QApplication.processEvents()
        moves.append(time.thread_time() - start)
    assert np.median(moves) < 0.03


def test_a_click_shows_the_effective_filter_of_a_network(model_desk):
    shape = (24, 20, 7)
    volume = Volume(head(5, shape), Grid(shape, np.diag([1.0, 1.0, 4.0, 1.0])))
    desk = model_desk(InspectWidget, InspectDesk)
    desk.add(volume, "thick")
    panel = desk.widget.panel
    panel.scale.scale = (1, 1, 4)
    panel.bank.setCurrentText("thick-slices")
    assert panel.show_button.text() == "Inspect the network"
    panel.show_button.click()
    desk.wait()
    assert panel.tabs.currentIndex() == VOXEL
    assert not panel.tabs.isTabEnabled(BUCKETS)
    lr = volume.normalized()
    index = (12, 9, 14)
    desk.widget._clicked(world_of(lr.grid.upsampled((1, 1, 4)), index))
    desk.wait()
    found = effective_filter(make_network((1, 1, 4)), lr, index)
    assert panel.readout.value("result") == number_text(found.result, 4)
    assert panel.readout.value("sum of weights") == number_text(float(found.weights.sum()), 3)
    assert "Effective filter of voxel 12, 9, 14" in panel.filter.title.text()
    assert panel.filter.scene.view.cube[4, 4, 4] == pytest.approx(
        found.around((12, 9, 3), 0)[0, 0, 0]
    )
