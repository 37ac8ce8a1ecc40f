"""The training dock on small phantom heads."""

from __future__ import annotations

import gc
import importlib.util
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.desk import Desk, our_threads
from helpers.networks import train_by_counting
from helpers.scans import save_scans
from helpers.training import train_quickly
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication

from napari_mrisr.bank.model import list_banks, load_bank
from napari_mrisr.cli import build_parser
from napari_mrisr.io import read_volume
from napari_mrisr.kernels import cpu_samples
from napari_mrisr.networks.file import load_network
from napari_mrisr.training import train
from napari_mrisr.training.events import NetworkMeasured, NetworkStarted, StepTaken
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.viewer.layers.convert import layer_data
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget
from napari_mrisr.viewer.train.model import TRAIN, UNUSED, VALIDATE
from napari_mrisr.viewer.train.network import NetworkHistory
from napari_mrisr.viewer.train.widget import TrainWidget


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return save_scans(tmp_path_factory.mktemp("scans"))


class TrainDesk(Desk):
    def add_layer(self, path: Path, name: str, role: str = TRAIN) -> Any:
        data, kwargs, _ = layer_data(read_volume(path), name)
        layer = self.viewer.add_image(data, **kwargs)
        self.panel.volumes.set_role(layer, role)
        return layer

    def add_files(self, *paths: Path, role: str = TRAIN) -> None:
        volumes = self.panel.volumes
        before = len(volumes.files)
        volumes.add_paths(paths)
        for entry in volumes.files[before:]:
            volumes.set_role(entry, role)
        self.qtbot.waitUntil(lambda: all(entry.was_read for entry in volumes.files))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Keep banks in a temporary folder, and make trainings quick."""
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path / "banks"))
    train_quickly(monkeypatch)
    return tmp_path / "banks"


@pytest.fixture
def desk(folder, model_desk):
    desk = model_desk(TrainWidget, TrainDesk)
    desk.folder = folder
    return desk


@pytest.fixture
def real_desk(folder, open_desk):
    desk = open_desk("Train", TrainDesk)
    assert isinstance(desk.widget, TrainWidget)
    desk.folder = folder
    return desk


@pytest.fixture
def slow(monkeypatch):
    """Slow down adding samples until ``fast`` is set; it waits for ``go_on``."""
    running, fast, go_on = threading.Event(), threading.Event(), threading.Event()
    gather = cpu_samples.gather
    go_on.set()

    def slowly(*args: Any) -> None:
        gather(*args)
        if not fast.is_set():
            running.set()
            time.sleep(0.02)
            assert go_on.wait(60)

    monkeypatch.setattr(cpu_samples, "gather", slowly)
    running.fast, running.go_on = fast, go_on  # type: ignore[attr-defined]
    return running


def test_empty_list_offers_no_training(desk):
    assert "add files" in desk.status
    buttons = (desk.panel.train_button, desk.panel.stop_button, desk.panel.resume_button)
    assert [b.isEnabled() for b in buttons] == [False] * 3
    desk.widget.train()  # as a script could: an error, and no thread stays
    desk.wait()
    assert "no volumes" in desk.status
    assert not desk.folder.exists() or list(desk.folder.iterdir()) == []


def test_bank_of_layers_and_files_is_offered_in_super_resolve(real_desk, scans):
    desk = real_desk
    chooser = SuperResolveWidget(desk.viewer)
    desk.viewer.window.add_dock_widget(chooser)
    desk.add_layer(scans[0], "Jane Doe 1970")
    desk.add_files(scans[1])
    desk.add_files(scans[3], role=VALIDATE)
    plan = desk.panel.plan.text()
    assert "2 volumes to train on, 1 to validate on" in plan
    assert "largest 38 × 42 × 46 voxels" in plan
    assert "of memory" in plan
    assert "Only 2 volumes" in desk.panel.warnings.text()
    desk.panel.train_button.click()
    assert not desk.panel.train_button.isEnabled()
    assert desk.panel.stop_button.isEnabled()
    desk.wait()
    assert "Saved “mine-2x”" in desk.status
    assert sorted(desk.widget.history.gains) == [(s, n) for s in (1, 2) for n in (1, 2)]
    assert "samples/s" in desk.panel.speed.text()
    bank = load_bank("mine-2x")
    volumes = bank.provenance["volumes"]
    assert [v["name"] for v in volumes] == ["volume 1", "volume 2"]
    assert {v["license"] for v in volumes} == {"unknown"}
    assert b"Doe" not in (desk.folder / "mine-2x.safetensors").read_bytes()
    assert "mine-2x" in list_banks()
    # At once among the banks of the other dock, and it can be chosen.
    index = chooser.panel.bank.findData("mine-2x")
    assert index > 0
    chooser.panel.bank.setCurrentIndex(index)
    assert chooser.panel.bank.bank == "mine-2x"
    desk.viewer.window.remove_dock_widget(chooser)


def test_bank_equals_that_of_the_engine(desk, scans, tmp_path):
    desk.add_files(*scans[:2])
    desk.panel.names.setChecked(True)
    desk.panel.license.setText("CC0")
    desk.panel.train_button.click()
    desk.wait()
    report = train(scans[:2], tmp_path / "engine.safetensors", TrainParameters(license="CC0"))
    ours = load_bank("mine-2x")
    for a, b in zip(ours.stages, report.bank.stages, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
    assert ours.provenance["volumes"] == report.bank.provenance["volumes"]


def test_stop_saves_a_bank_and_resume_continues_it(desk, scans, slow, tmp_path):
    desk.add_files(*scans[:2])
    desk.panel.train_button.click()
    desk.qtbot.waitUntil(lambda: desk.widget.history.support.size > 0)
    slow.go_on.clear()  # the button does not wait for the training
    desk.panel.stop_button.click()
    slow.go_on.set()
    assert "Stopping" in desk.status
    assert not desk.panel.stop_button.isEnabled()
    desk.wait()
    assert "Stopped after" in desk.status
    assert "Resume continues" in desk.status
    assert our_threads() == []
    assert "stopped after" in load_bank("mine-2x").provenance["stopped"]
    assert not desk.panel.train_button.isEnabled()  # it would replace the bank
    assert desk.panel.resume_button.isEnabled()
    slow.fast.set()
    desk.add_files(scans[2])
    desk.panel.resume_button.click()
    desk.wait()
    assert "Saved" in desk.status
    report = train(scans[:3], tmp_path / "once.safetensors", TrainParameters())
    for a, b in zip(load_bank("mine-2x").stages, report.bank.stages, strict=True):
        np.testing.assert_array_equal(a.support, b.support)
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


def test_stop_before_the_first_volume_leaves_nothing(desk, scans, slow):
    desk.add_files(scans[0])
    desk.panel.train_button.click()
    assert slow.wait(60)
    desk.panel.stop_button.click()
    desk.wait()
    assert "before the first volume" in desk.status
    assert list(desk.folder.iterdir()) == []
    assert desk.panel.train_button.isEnabled()


@pytest.mark.parametrize("how", ["dock", "viewer"])
def test_closing_keeps_the_sums_and_leaves_no_thread(real_desk, scans, slow, how):
    desk = real_desk
    desk.add_files(*scans[:2])
    desk.panel.train_button.click()
    desk.qtbot.waitUntil(lambda: desk.widget.history.support.size > 0)
    if how == "dock":
        desk.viewer.window.remove_dock_widget(desk.widget)
    else:
        desk.viewer.close()
    assert our_threads() == []
    assert [p.name for p in desk.folder.iterdir()] == ["mine-2x.safetensors.equations.safetensors"]
    slow.fast.set()
    path = desk.folder / "mine-2x.safetensors"
    parameters = TrainParameters(license="unknown", names=False)
    assert len(train(scans[:2], path, parameters, resume=True).bank.stages) == 2


def test_existing_bank_is_replaced_only_if_ticked(desk, scans):
    desk.folder.mkdir()
    (desk.folder / "mine-2x.safetensors").write_bytes(b"mine")
    desk.add_files(scans[0])
    assert not desk.panel.train_button.isEnabled()
    assert not desk.panel.replace.isHidden()
    desk.panel.replace.setChecked(True)
    assert desk.panel.train_button.isEnabled()
    desk.panel.train_button.click()
    desk.wait()
    assert load_bank("mine-2x").stages
    assert not desk.panel.replace.isChecked()


def test_impossible_bank_names_are_refused(desk, scans):
    desk.add_files(scans[0])
    desk.panel.name.setText("default-2x")
    assert "bundled bank; choose another name" in desk.status
    assert not desk.panel.train_button.isEnabled()
    desk.panel.name.setText("a/b")
    assert "no name for a bank" in desk.status
    desk.panel.name.setText("mine")
    assert desk.panel.train_button.isEnabled()


def test_bank_is_saved_into_another_folder(desk, scans, tmp_path):
    desk.panel.scale.scale = (3, 3, 3)
    assert desk.panel.name.text() == "mine-3x"
    desk.widget.set_folder(tmp_path)
    desk.add_files(scans[0])
    assert desk.panel.out.text() == str(tmp_path / "mine-3x.safetensors")
    desk.panel.train_button.click()
    desk.wait()
    assert load_bank(tmp_path / "mine-3x.safetensors").scale == (3, 3, 3)


@pytest.fixture
def counting(monkeypatch):
    """Train networks by counting, 10 ms per step."""
    return train_by_counting(monkeypatch, step_s=0.01)


def choose_network(desk: TrainDesk, steps: int, kind: str = "thick-slices") -> None:
    desk.panel.method.name = kind
    desk.panel.steps.setMinimum(1)
    desk.panel.steps.setValue(steps)


def test_a_network_of_layers_and_files_is_offered_in_super_resolve(real_desk, scans, counting):
    desk = real_desk
    chooser = SuperResolveWidget(desk.viewer)
    desk.viewer.window.add_dock_widget(chooser)
    desk.add_layer(scans[0], "Jane Doe 1970")
    desk.add_files(scans[1])
    desk.add_files(scans[3], role=VALIDATE)
    assert desk.panel.steps.isHidden()
    choose_network(desk, 6)
    assert not desk.panel.steps.isHidden()
    assert desk.panel.scale.isHidden()
    assert desk.panel.out.text() == str(desk.folder / "mine-thick-slices.onnx")
    plan = desk.panel.plan.text()
    assert "2 volumes to train on, 1 to validate on" in plan
    assert "of memory" in plan
    desk.panel.train_button.click()
    desk.wait()
    assert "Saved “mine-thick-slices”" in desk.status
    assert "+4.01 dB at 4×" in desk.status
    assert "CPU, counting" in desk.panel.speed.text()
    assert desk.panel.gain.isHidden()
    assert desk.widget.history.mean_gains[2.0] == [(6, pytest.approx(2.006))]
    file = load_network(desk.folder / "mine-thick-slices.onnx")
    assert [v["name"] for v in file.provenance["volumes"]] == ["volume 1", "volume 2"]
    assert b"Doe" not in file.content
    # At once among the networks of the other dock, and among those to start from.
    chooser.panel.method.name = "network"
    chooser.panel.scale.scale = (1, 1, 4)
    index = chooser.panel.bank.findData("mine-thick-slices")
    assert index > 0
    chooser.panel.bank.setCurrentIndex(index)
    assert chooser._parameters().bank == "mine-thick-slices"
    assert desk.panel.start.findData("mine-thick-slices") > 0
    desk.viewer.window.remove_dock_widget(chooser)


@pytest.mark.parametrize(
    ("kind", "method", "starts"),
    [
        ("unrolled", "unrolled", ["", "unrolled", "thick-slices"]),
        ("denoiser", "plug-and-play", ["", "denoiser"]),
    ],
)
def test_networks_of_iterative_methods_are_trained_and_offered(
    desk, scans, counting, kind, method, starts
):
    desk.add_files(scans[0])
    choose_network(desk, 2, kind)
    start = desk.panel.start
    assert [start.itemData(i) for i in range(start.count())] == starts
    desk.panel.train_button.click()
    desk.wait()
    assert f"Choose it as Bank of method {method}" in desk.status
    assert load_network(desk.folder / f"mine-{kind}.onnx").kind == kind
    chooser = SuperResolveWidget(desk.viewer)
    chooser.panel.method.name = method
    chooser.panel.scale.scale = (1, 1, 4)
    bank = chooser.panel.bank
    assert not bank.isHidden()
    bank.setCurrentIndex(bank.findData(f"mine-{kind}"))
    assert chooser._parameters().bank == f"mine-{kind}"
    chooser.panel.method.name = "network"
    assert bank.findData(f"mine-{kind}") == -1
    chooser.close()


def test_the_kinds_of_networks_are_those_of_the_command_line(desk):
    parser = build_parser().parse_args
    method = desk.panel.method
    kinds = [method.itemData(i) for i in range(method.count())][1:]
    for kind in kinds:
        given = ["train", "a.nii", "--method", "network", "--out", "b.onnx", "--kind", kind]
        assert parser(given).kind == kind
    assert {"thick-slices", "isotropic", "unrolled", "denoiser"} == set(kinds)


def test_stop_keeps_a_usable_network_and_resume_continues_it(desk, scans, counting):
    desk.add_files(scans[0])
    choose_network(desk, 400)
    desk.panel.train_button.click()
    desk.qtbot.waitUntil(lambda: desk.widget.history.step > 3)
    desk.panel.stop_button.click()
    at_stop = counting[0].step
    assert "Stopping" in desk.status
    desk.wait()
    step = counting[0].step
    assert step <= at_stop + 1
    assert f"Stopped after {step} of 400 steps" in desk.status
    assert load_network(desk.folder / "mine-thick-slices.onnx").provenance["steps"] == step
    assert our_threads() == []
    assert not desk.panel.train_button.isEnabled()  # it would replace the network
    assert desk.panel.resume_button.isEnabled()
    counting[0].step_s = 0.0
    desk.panel.steps.setValue(step + 2)
    desk.panel.resume_button.click()
    desk.wait()
    assert "Saved" in desk.status
    assert counting[1].step == step + 2


def test_a_network_goes_on_from_the_bundled_one(desk, scans, counting):
    desk.add_files(scans[0])
    choose_network(desk, 5)
    desk.panel.start.setCurrentIndex(desk.panel.start.findData("thick-slices"))
    assert desk.panel.steps.value() == 1000
    desk.panel.steps.setValue(2)
    desk.panel.train_button.click()
    desk.wait()
    assert counting[0].start.name == "thick-slices"


def test_closing_keeps_a_network_and_leaves_no_thread(real_desk, scans, counting):
    desk = real_desk
    desk.add_files(scans[0])
    choose_network(desk, 4000)
    desk.panel.train_button.click()
    desk.qtbot.waitUntil(lambda: desk.widget.history.step > 3)
    desk.viewer.window.remove_dock_widget(desk.widget)
    assert our_threads() == []
    assert load_network(desk.folder / "mine-thick-slices.onnx").provenance["steps"] > 3


def test_a_network_without_pytorch_names_the_remedy(desk, scans, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    desk.add_files(scans[0])
    choose_network(desk, 5)
    assert "PyTorch, which is not installed" in desk.status
    assert "napari-mrisr[train]" in desk.status
    assert not desk.panel.train_button.isEnabled()
    desk.panel.method.name = "hashed"
    assert desk.panel.train_button.isEnabled()


def test_list_of_volumes_follows_layers_and_files(desk, scans, tmp_path):
    volumes = desk.panel.volumes
    layer = desk.add_layer(scans[0], "a")
    desk.add_files(scans[1], scans[1])
    (entry,) = volumes.files
    item = volumes.tree.topLevelItem(1)
    item.setCheckState(2, item.checkState(1))  # tick "Validate": "Train" goes out
    assert volumes.role(entry) == VALIDATE
    assert volumes.chosen(TRAIN) == [layer]
    layer.name = "b"
    assert volumes.tree.topLevelItem(0).text(0) == "b"
    assert volumes.role(layer) == TRAIN
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"nothing")
    desk.add_files()
    volumes.add_paths([bad])
    desk.qtbot.waitUntil(lambda: all(e.was_read for e in volumes.files))
    assert volumes.role(volumes.files[1]) == UNUSED
    assert "cannot be used" in volumes.tree.topLevelItem(2).text(0)
    volumes.tree.topLevelItem(2).setSelected(True)
    volumes.remove_button.click()
    assert volumes.files == [entry]
    desk.viewer.layers.clear()
    assert volumes.chosen(TRAIN) == []
    volumes.add_paths([tmp_path / "missing.nii"])
    assert "missing.nii" in desk.status


def test_charts_draw_every_state(desk, qtbot):
    """Drawing works empty or full, narrow or wide."""
    from napari_mrisr.training.events import GainMeasured, TrainingStarted, VolumeAdded
    from napari_mrisr.viewer.train.model import TrainingHistory

    history = TrainingHistory()
    for width in (160, 500):
        for chart in (desk.panel.gain, desk.panel.support):
            chart.show_history(history)
            chart.resize(width, chart.sizeHint().height())
            assert not chart.grab().isNull()
        history.add(TrainingStarted(3, 12, (12, 12, 12), 50.0))
        history.add(VolumeAdded(1, 1, np.array([0, 3, 500]), 1e6, 20.0, 0.9))
        history.add(GainMeasured(1, 1, (0.5, -0.2), 1000))
        history.add(GainMeasured(1, 2, (0.7, 0.2), 1000))
    empty = desk.panel.gain.grab().toImage()
    desk.panel.gain.show_history(TrainingHistory())
    assert desk.panel.gain.grab().toImage() != empty


def test_charts_of_a_network_draw_every_state(desk):
    history = NetworkHistory()
    for width in (160, 500):
        for chart in (desk.panel.curve, desk.panel.loss):
            chart.show_history(history)
            chart.resize(width, chart.sizeHint().height())
            assert not chart.grab().isNull()
        history.add(NetworkStarted(0, 400, 3, "CPU"))
        history.add(StepTaken(1, 400, 0.02, 9.0))
        history.add(NetworkMeasured(1, {2.0: (0.5, -0.2), 4.0: (1.0, 1.1), 6.0: (0.3, 0.4)}))
        history.add(NetworkMeasured(2, {2.0: (0.6, -0.1), 4.0: (1.1, 1.1), 6.0: (0.4, 0.4)}))
    empty = desk.panel.curve.grab().toImage()
    desk.panel.curve.show_history(NetworkHistory())
    assert desk.panel.curve.grab().toImage() != empty


def test_closed_dock_is_garbage_collected(make_napari_viewer, monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path))
    viewer = make_napari_viewer()
    widget = TrainWidget(viewer)
    viewer.window.add_dock_widget(widget)
    watch = weakref.ref(widget)
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    del widget
    for _ in range(2):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
        gc.collect()
    assert watch() is None
