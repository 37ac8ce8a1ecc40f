"""The dock widget in a real viewer."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import dicoms
from helpers.desk import Desk, Endless, Pulse, our_threads
from helpers.networks import convolution_model, copy_model, save_model
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_mrisr.bank import model as filterbank
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import BankError, VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.run.preview import OutwardFill
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.common import labels
from napari_mrisr.viewer.layers.convert import layer_data, series_layer_data, snapshot
from napari_mrisr.viewer.super_resolve import requests, saving
from napari_mrisr.viewer.super_resolve import widget as super_resolve
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget


class SuperResolveDesk(Desk):
    def choose(self, method: str, scale: tuple[int, int, int]) -> None:
        self.panel.method.name = method
        self.panel.scale.scale = scale


@pytest.fixture
def desk(banks, model_desk):
    desk = model_desk(SuperResolveWidget, SuperResolveDesk)
    desk.choose("nearest", (2, 2, 2))
    return desk


@pytest.fixture
def real_desk(banks, open_desk):
    desk = open_desk("Super-resolve", SuperResolveDesk)
    assert isinstance(desk.widget, SuperResolveWidget)
    desk.choose("nearest", (2, 2, 2))
    return desk


@pytest.fixture
def endless(monkeypatch):
    """Replace the engine by one that never ends."""
    made = Endless()
    monkeypatch.setattr(requests, "upscale", lambda *_, progress: made(progress))
    return made


def test_empty_state(desk):
    assert "Open an MRI volume" in desk.panel.status.text()
    assert not desk.panel.run_button.isEnabled()
    assert not desk.panel.simulate_button.isEnabled()
    assert not desk.panel.cancel_button.isEnabled()
    desk.widget.run()
    assert not desk.widget.busy


def test_not_for_diagnosis_is_on_the_form(desk):
    texts = [label.text() for label in desk.panel.findChildren(type(desk.panel.status))]
    assert any("Not for diagnosis" in text for text in texts)


@pytest.mark.parametrize(("method", "scale"), [("nearest", (2, 2, 2)), ("tricubic", (1, 3, 2))])
def test_run_to_a_result(real_desk, volume, method, scale):
    desk = real_desk
    source = desk.add(volume)
    desk.choose(method, scale)
    assert f"{10 * scale[0]} × {12 * scale[1]} × {15 * scale[2]} voxels" in desk.panel.plan.text()
    assert "memory" in desk.panel.plan.text()
    desk.panel.run_button.click()
    assert desk.widget.busy
    assert not desk.panel.run_button.isEnabled()
    desk.wait()
    label = "2" if len(set(scale)) == 1 else "x".join(map(str, scale))
    assert desk.names == ["scan", f"scan {method} {label}x"]
    result = desk.viewer.layers[-1]
    assert result.data.shape == tuple(n * s for n, s in zip((15, 12, 10), scale[::-1], strict=True))
    expected = volume.grid.upsampled(scale)
    np.testing.assert_allclose(snapshot(result).grid.affine, expected.affine)
    assert tuple(result.contrast_limits) == tuple(source.contrast_limits)
    assert result.metadata["history"]["method"] == method
    assert "not for diagnosis" in result.metadata["use"]
    assert f"scan {method} {label}x" in desk.panel.status.text()
    assert desk.panel.layer.layer is source
    assert desk.panel.run_button.isEnabled()


def test_simulate_in_one_click(real_desk, volume):
    desk = real_desk
    desk.add(volume, "truth")
    desk.panel.degradation.name = "kspace"
    desk.panel.simulate_button.click()
    desk.wait()
    assert desk.names == ["truth", "truth LR 2x"]
    lr = desk.viewer.layers[-1]
    assert desk.panel.layer.layer is lr
    assert lr.data.shape == (7, 6, 5)
    assert lr.metadata["history"]["degradation"] == "kspace"
    desk.panel.run_button.click()
    desk.wait()
    assert desk.names[-1] == "truth LR 2x nearest 2x"


def test_cancel_at_the_next_check_leaves_nothing(desk, volume, endless):
    desk.add(volume)
    desk.widget.run()
    desk.qtbot.waitUntil(lambda: "%" in desk.panel.status.text())
    desk.panel.cancel_button.click()
    steps = endless.steps
    desk.wait()
    assert endless.steps <= steps + 1
    assert our_threads() == []
    assert desk.names == ["scan"]
    assert "Cancelled" in desk.panel.status.text()
    assert desk.panel.run_button.isEnabled()
    assert not desk.panel.cancel_button.isEnabled()


def test_cancel_of_the_real_engine(desk, rng):
    shape = (70, 72, 74)
    desk.add(Volume(rng.random(shape, dtype=np.float32), Grid(shape, np.eye(4))))
    desk.choose("tricubic", (4, 4, 4))
    desk.widget.run()
    desk.qtbot.waitUntil(lambda: "%" in desk.panel.status.text())
    # Of all threads: other programs may keep the machine busy.
    started = time.process_time()
    desk.widget.cancel()
    desk.wait()
    assert time.process_time() - started < 0.6
    assert desk.names == ["scan"]


def test_the_gui_stays_responsive(real_desk, rng):
    desk = real_desk
    shape = (70, 72, 74)
    desk.add(Volume(rng.random(shape, dtype=np.float32), Grid(shape, np.eye(4))))
    desk.choose("nearest", (1, 1, 1))
    desk.widget.run()  # loads what is loaded once
    desk.wait()
    desk.choose("tricubic", (4, 4, 4))
    desk.widget.run()
    desk.qtbot.waitUntil(lambda: "%" in desk.panel.status.text())
    with Pulse(lambda: desk.widget.busy) as pulse:
        desk.qtbot.waitUntil(lambda: pulse.count > 20 or not desk.widget.busy)
    desk.widget.cancel()
    desk.wait()
    assert pulse.count > 5
    assert pulse.longest < 0.3


def test_closing_the_dock_stops_the_run(real_desk, volume, endless):
    desk = real_desk
    desk.add(volume)
    desk.widget.run()
    assert endless.running.wait(60)
    desk.viewer.window.remove_dock_widget(desk.widget)
    assert our_threads() == []
    desk.qtbot.wait(50)
    assert desk.names == ["scan"]
    # It listens no more, and does again when it is docked again.
    desk.add(volume, "second")
    assert desk.panel.layer.count() == 1
    desk.viewer.window.add_dock_widget(desk.widget, name="again")
    assert desk.panel.layer.count() == 2


def test_closing_the_viewer_stops_the_run(real_desk, volume, endless):
    desk = real_desk
    desk.add(volume)
    desk.widget.run()
    assert endless.running.wait(60)
    desk.viewer.close()
    assert our_threads() == []


def test_closing_a_shown_viewer_stops_the_run(open_desk, volume, banks, endless):
    desk = open_desk("Super-resolve", SuperResolveDesk, show=True)
    desk.add(volume)
    desk.choose("nearest", (2, 2, 2))
    desk.widget.run()
    assert endless.running.wait(60)
    desk.viewer.close()
    desk.qtbot.wait(10)
    assert our_threads() == []


def test_the_input_may_go_or_be_renamed_meanwhile(desk, volume, monkeypatch):
    go_on = threading.Event()
    engine = requests.upscale

    def upscale(*args: Any, **kwargs: Any) -> Volume:
        assert go_on.wait(60)
        return engine(*args, **kwargs)

    monkeypatch.setattr(requests, "upscale", upscale)
    layer = desk.add(volume)
    desk.widget.run()
    layer.name = "renamed"
    assert desk.panel.layer.currentText() == "renamed"
    desk.viewer.layers.clear()
    assert not desk.panel.run_button.isEnabled()
    go_on.set()
    desk.wait()
    # What was asked for is what comes.
    assert desk.names == ["scan nearest 2x"]


def test_the_form_changed_meanwhile_does_not_matter(desk, volume, monkeypatch):
    seen = []
    engine = requests.upscale

    def upscale(volume: Volume, parameters: Any, **kwargs: Any) -> Volume:
        time.sleep(0.1)
        seen.append(parameters)
        return engine(volume, parameters, **kwargs)

    monkeypatch.setattr(requests, "upscale", upscale)
    desk.add(volume)
    desk.widget.run()
    desk.choose("tricubic", (4, 4, 4))
    desk.wait()
    assert (seen[0].method, seen[0].scale) == ("nearest", (2, 2, 2))


def test_an_error_is_one_line_in_the_form(desk, volume, monkeypatch):
    def upscale(*args: Any, **kwargs: Any) -> Volume:
        raise BankError("bank.safetensors: is for 3x; choose another")

    monkeypatch.setattr(requests, "upscale", upscale)
    notification_manager.records.clear()
    desk.add(volume)
    desk.widget.run()
    desk.wait()
    assert "bank.safetensors: is for 3x; choose another" in desk.panel.status.text()
    assert "Traceback" not in desk.panel.status.text()
    assert [str(r.message) for r in notification_manager.records] == [
        "bank.safetensors: is for 3x; choose another"
    ]
    assert desk.names == ["scan"]
    assert desk.panel.run_button.isEnabled()


def test_an_error_stays_when_the_layer_is_gone(desk, volume, monkeypatch):
    def upscale(*args: Any, **kwargs: Any) -> Volume:
        time.sleep(0.05)
        raise BankError("bank: broken; choose another")

    monkeypatch.setattr(requests, "upscale", upscale)
    desk.add(volume)
    desk.widget.run()
    desk.viewer.layers.clear()
    desk.wait()
    assert "bank: broken" in desk.panel.status.text()


def test_a_bug_is_told_and_logged(desk, volume, monkeypatch, caplog):
    def upscale(*args: Any, **kwargs: Any) -> Volume:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(requests, "upscale", upscale)
    desk.add(volume)
    desk.widget.run()
    desk.wait()
    assert "please report" in desk.panel.status.text()
    assert "ZeroDivisionError: oh" in caplog.text


def test_voxels_without_contrast_are_an_error(desk):
    desk.viewer.add_image(np.zeros((4, 5, 6)), name="void", contrast_limits=(0, 1))
    desk.widget.run()
    desk.wait()
    assert "void: all voxels are 0" in desk.panel.status.text()


def test_compiling_is_told(desk, volume, monkeypatch):
    go_on = threading.Event()

    def upscale(volume: Volume, parameters: Any, *, progress: Progress) -> Volume:
        progress.message("compiling the kernels")
        assert go_on.wait(60)
        return volume

    monkeypatch.setattr(requests, "upscale", upscale)
    desk.add(volume)
    desk.widget.run()
    desk.qtbot.waitUntil(lambda: "compiling" in desk.panel.status.text())
    assert desk.panel.bar.maximum() == 0
    go_on.set()
    desk.wait()


def test_memory_that_is_not_there_is_told_before(desk, volume, monkeypatch):
    import psutil

    class Tiny:
        available = 1000

    monkeypatch.setattr(psutil, "virtual_memory", Tiny)
    desk.add(volume)
    assert "free" in desk.panel.status.text()
    desk.widget.run()
    desk.wait()
    assert desk.names == ["scan"]
    assert "free" in desk.panel.status.text()


@pytest.mark.parametrize(
    ("shape", "rgb", "words"), [((9, 8), False, "has 2 axes"), ((9, 8, 3), True, "color")]
)
def test_unfit_layers_are_explained(desk, shape, rgb, words):
    desk.viewer.add_image(np.zeros(shape), rgb=rgb, name="photo", contrast_limits=(0, 1))
    assert words in desk.panel.status.text()
    assert not desk.panel.run_button.isEnabled()
    assert not desk.panel.simulate_button.isEnabled()


def test_the_frame_on_screen_is_taken(desk, volume, rng):
    frames = rng.random((4, *volume.grid.shape), dtype=np.float32)
    data, kwargs, _ = series_layer_data(frames, volume, "bold")
    desk.viewer.add_image(data, **kwargs)
    desk.viewer.dims.set_current_step(0, 2)
    assert "frame 2" in desk.panel.source.text()
    desk.widget.run()
    desk.wait()
    assert desk.names[-1] == "bold frame 2 nearest 2x"
    result = snapshot(desk.viewer.layers[-1]).to_volume()
    np.testing.assert_allclose(result.data[::2, ::2, ::2], frames[2], atol=1e-5)


def test_layers_come_go_and_keep_the_choice(desk, volume):
    first = desk.add(volume, "first")
    assert desk.panel.layer.layer is first
    second = desk.add(volume, "second")
    desk.viewer.add_points(np.zeros((1, 3)), name="points")
    assert [desk.panel.layer.itemText(i) for i in range(2)] == ["second", "first"]
    assert desk.panel.layer.count() == 2
    assert desk.panel.layer.layer is first
    desk.viewer.layers.remove(first)
    assert desk.panel.layer.layer is second
    desk.viewer.layers.remove(second)
    assert desk.panel.layer.layer is None
    assert "Open an MRI volume" in desk.panel.status.text()


def test_a_new_scale_shows_in_the_plan(desk, volume):
    layer = desk.add(volume)
    layer.scale = (3.0, 1.25, 1.0)
    assert "1 × 1.25 × 3 mm" in desk.panel.source.text()


def test_long_names_do_not_widen_the_form(desk, volume):
    before = desk.widget.minimumSizeHint().width()
    desk.add(volume, "a name as long as the paths that some scanners make " * 4)
    assert desk.widget.minimumSizeHint().width() == before
    assert before < 330


def test_banks_only_for_hashed(desk, volume):
    desk.add(volume)
    assert desk.panel.bank.isHidden()
    desk.panel.method.name = "hashed"
    assert not desk.panel.bank.isHidden()
    assert desk.panel.scale.scale == (2, 2, 2)
    banks = [desk.panel.bank.itemText(i) for i in range(desk.panel.bank.count())]
    assert banks[:2] == ["Auto (bundled)", "bank-a"]
    assert desk.widget._parameters().bank is None
    desk.panel.bank.setCurrentIndex(1)
    assert desk.widget._parameters().bank == "bank-a"
    desk.panel.method.name = "tricubic"
    assert desk.widget._parameters().bank is None


def test_methods_and_degradations_are_described(desk):
    panel = desk.panel
    texts = [panel.method.itemText(i) for i in range(panel.method.count())]
    assert "hashed: learned filters" in texts
    assert "tricubic: cubic B-spline interpolation" in texts
    panel.degradation.name = "kspace"
    assert panel.degradation.currentText() == "kspace: k-space truncation"
    assert panel.degradation.toolTip() == panel.degradation.currentText()


def test_other_scales(desk):
    desk.choose("tricubic", (3, 1, 5))
    assert desk.panel.scale.scale == (3, 1, 5)
    desk.choose("tricubic", (1, 1, 4))
    assert desk.panel.scale.scale == (1, 1, 4)
    # hashed has no such scale, so the form goes to one it has.
    desk.panel.method.name = "hashed"
    assert desk.panel.scale.scale == (2, 2, 2)


def test_no_banks_at_all(desk, volume, monkeypatch):
    monkeypatch.setattr(labels, "available_scales", lambda name: [])
    desk.add(volume)
    desk.panel.method.name = "hashed"
    assert "No filter banks" in desk.panel.status.text()
    assert not desk.panel.run_button.isEnabled()


def browse(desk: SuperResolveDesk, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Choose the last entry of the banks, and a file in the dialog."""
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: (path, ""))
    bank = desk.panel.bank
    bank.setCurrentIndex(bank.count() - 1)
    bank.activated.emit(bank.count() - 1)


@pytest.fixture
def thick():
    data = np.random.default_rng(4).random((9, 10, 7)).astype(np.float32) * 100
    return Volume(data, Grid(data.shape, np.diag([0.9, 0.9, 3.3, 1.0])))


def test_a_thick_slice_scan_is_made_isotropic_by_default(desk, volume, thick):
    desk.panel.method.name = "tricubic"
    desk.add(volume)
    assert desk.panel.scale._combo.itemText(0) == "2×"
    desk.widget.choose_layer(desk.add(thick))
    assert desk.panel.scale._combo.currentText() == "Make isotropic (0.9 mm)"
    assert "9 × 10 × 26 voxels" in desk.panel.plan.text()
    assert desk.widget._parameters().scale == (1, 1, pytest.approx(3.3 / 0.9, abs=1e-6))
    desk.panel.method.name = "nearest"  # the choice is kept
    assert desk.panel.scale._combo.currentText() == "Make isotropic (0.9 mm)"
    desk.panel.method.name = "hashed"  # by the bank for 1x1x4
    assert desk.panel.scale._combo.currentText() == "Make isotropic (0.9 mm)"


def test_the_network_is_suggested_for_thick_slices_until_the_user_chooses(
    banks, model_desk, volume, thick
):
    desk = model_desk(SuperResolveWidget, SuperResolveDesk)
    desk.add(volume)
    assert desk.panel.method.name == "hashed"
    desk.widget.choose_layer(desk.add(thick))
    assert desk.panel.method.name == "network"
    assert desk.panel.scale._combo.currentText() == "Make isotropic (0.9 mm)"
    desk.panel.method.name = "tricubic"
    desk.widget.choose_layer(desk.add(volume))
    assert desk.panel.method.name == "tricubic"


def save_network(path, kind="thick-slices"):
    order = {"thick-slices": 8, "isotropic": 20, "denoiser": 1}[kind]
    kernel = np.zeros((order, 1, 3, 3, 3), np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_model(convolution_model(kernel, kind=kind), path)


def test_networks_of_the_user_are_offered_for_their_scales(
    banks, model_desk, thick, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path / "banks"))
    save_network(tmp_path / "banks" / "mine.onnx")
    save_network(tmp_path / "banks" / "all-axes.onnx", "isotropic")
    desk = model_desk(SuperResolveWidget, SuperResolveDesk)
    desk.add(thick)
    bank = desk.panel.bank
    assert (bank.findData("mine") > 0, bank.findData("all-axes")) == (True, -1)
    bank.setCurrentIndex(bank.findData("mine"))
    assert desk.widget._parameters().bank == "mine"
    desk.panel.scale.scale = (2, 2, 2)
    assert (bank.findData("mine"), bank.findData("all-axes") > 0) == (-1, True)


def test_a_network_file_is_opened_as_bank(desk, thick, tmp_path):
    desk.add(thick)
    path = save_network(tmp_path / "other.onnx")
    desk.widget.open_bank(str(path))
    assert desk.panel.method.name == "network"
    assert desk.panel.bank.currentText() == "other.onnx"
    assert desk.widget._parameters().bank == str(path)
    desk.widget.open_bank(str(save_network(tmp_path / "cube.onnx", "isotropic")))
    assert desk.widget._parameters().scale == (2, 2, 2)
    assert desk.panel.bank.currentText() == "cube.onnx"
    desk.widget.open_bank(str(save_network(tmp_path / "quiet.onnx", "denoiser")))
    assert desk.widget._parameters().method == "plug-and-play"
    assert desk.panel.bank.currentText() == "quiet.onnx"


def test_other_factors_and_voxel_sizes_need_not_be_whole(desk, thick):
    desk.panel.method.name = "tricubic"
    desk.add(thick)
    scale = desk.panel.scale
    scale.scale = (1, 1.5, 4.8)
    assert scale._combo.currentText() == "Other…"
    assert desk.widget._parameters().scale == (1, 1.5, 4.8)
    assert "9 × 15 × 34 voxels" in desk.panel.plan.text()
    scale._combo.setCurrentIndex(scale._combo.findText("Other voxel size…"))
    assert desk.widget._parameters().scale == (1, 1, pytest.approx(3.3 / 0.9, abs=1e-6))
    for box, size in zip(scale._sizes, (0.45, 0.9, 1.5), strict=True):
        box.setValue(size)
    assert desk.widget._parameters().scale == (2, 1, pytest.approx(2.2))
    assert "18 × 10 × 15 voxels" in desk.panel.plan.text()
    for box in scale._sizes:
        box.setValue(0)
    assert max(desk.widget._parameters().scale) <= 10


def test_the_preview_of_an_isotropic_scan_is_the_run(real_desk, thick):
    desk = real_desk
    desk.panel.method.name = "tricubic"
    layer = desk.add(thick)
    expected = upscale(snapshot(layer).to_volume(), isotropic=True, method="tricubic")
    result = preview_of(desk)
    desk.panel.run_button.click()
    desk.wait()
    assert result == desk.viewer.layers[-1]
    assert result.metadata["mrisr"].history["slices"].startswith("slices 3.3 mm thick (assumed")
    np.testing.assert_array_equal(snapshot(result).to_volume().data, expected.data)


def test_a_simulation_needs_whole_factors(desk, thick):
    desk.panel.method.name = "tricubic"
    desk.add(thick)
    desk.panel.simulate_button.click()
    assert "the simulation needs whole factors" in desk.panel.status.text()


def test_a_bank_from_a_file_brings_its_scale(desk, volume, monkeypatch, make_bank):
    monkeypatch.setattr(filterbank, "load_bank", lambda path: make_bank((1, 1, 3)))
    desk.add(volume)
    desk.panel.method.name = "hashed"
    browse(desk, monkeypatch, "/data/mine.safetensors")
    parameters = desk.widget._parameters()
    assert (parameters.bank, parameters.scale) == ("/data/mine.safetensors", (1, 1, 3))
    assert desk.panel.bank.currentText() == "mine.safetensors"
    # It fits no other scale.
    desk.panel.scale.scale = (2, 2, 2)
    assert desk.widget._parameters().bank is None


def test_a_damaged_bank_is_told_and_not_chosen(desk, volume, monkeypatch, tmp_path):
    desk.add(volume)
    desk.panel.method.name = "hashed"
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    browse(desk, monkeypatch, str(tmp_path / "bad.safetensors"))
    assert "bad.safetensors" in desk.panel.status.text()
    assert desk.panel.bank.currentText() == "Auto (bundled)"


def test_no_file_chosen_changes_nothing(desk, volume, monkeypatch):
    desk.add(volume)
    desk.panel.method.name = "hashed"
    desk.panel.bank.setCurrentIndex(1)
    browse(desk, monkeypatch, "")
    assert desk.widget._parameters().bank == "bank-a"


def test_hashed_with_a_bank_of_ones_own(desk, make_bank, monkeypatch, tmp_path):
    path = tmp_path / "mine.safetensors"
    make_bank().save(path)
    data = np.zeros((20, 22, 24), np.float32)
    data[6:14, 7:15, 8:16] = 100 + np.linspace(-1, 1, 8)  # few whole values would be labels
    desk.add(Volume(data, Grid(data.shape, np.eye(4))))
    desk.panel.method.name = "hashed"
    browse(desk, monkeypatch, str(path))
    desk.panel.run_button.click()
    desk.wait()
    assert desk.names == ["scan", "scan hashed 2x"], desk.panel.status.text()
    result = desk.viewer.layers[-1]
    assert result.data.shape == (48, 44, 40)
    assert result.metadata["history"]["method"] == "hashed"
    inside = snapshot(result).to_volume().data[14:26, 16:28, 18:30]
    assert inside.mean() == pytest.approx(100, abs=5)


def preview_of(desk) -> Any:
    """Tick the box, and wait for the slice on screen."""
    desk.panel.live.setChecked(True)
    desk.qtbot.waitUntil(lambda: desk.widget.live.layer is not None)
    return desk.viewer.layers[-1]


def test_live_preview_is_a_layer_that_is_no_input(real_desk, volume):
    desk = real_desk
    source = desk.add(volume)
    assert not desk.panel.live.isChecked()
    layer = preview_of(desk)
    assert desk.names == ["scan", "scan nearest 2x (preview)"]
    assert desk.panel.layer.count() == 1
    assert desk.panel.layer.layer == source
    assert desk.panel.status.text() == (
        "Preview, identical to the final result. Run keeps it as a layer."
    )
    desk.choose("tricubic", (1, 3, 2))
    desk.qtbot.waitUntil(lambda: layer.data.shape == (30, 36, 10))
    assert desk.names == ["scan", "scan tricubic 1x3x2x (preview)"]
    desk.panel.live.setChecked(False)
    assert desk.names == ["scan"]
    assert desk.panel.status.text() == ""


def test_run_fills_the_preview_and_makes_it_the_result(real_desk, volume):
    desk = real_desk
    desk.add(volume)
    desk.choose("tricubic", (2, 2, 2))
    layer = preview_of(desk)
    desk.panel.run_button.click()
    assert not desk.panel.live.isEnabled()
    desk.wait()
    assert desk.names == ["scan", "scan tricubic 2x"]
    assert desk.viewer.layers[-1] == layer
    expected = upscale(volume, UpscaleParameters((2, 2, 2), "tricubic"))
    np.testing.assert_array_equal(np.asarray(layer.data), layer_data(expected, "")[0])
    assert layer.metadata["history"]["method"] == "tricubic"
    assert "Added “scan tricubic 2x”" in desk.panel.status.text()
    assert desk.panel.layer.count() == 2
    # The result is there; what is chosen next is previewed beside it.
    desk.choose("nearest", (2, 2, 2))
    desk.qtbot.waitUntil(lambda: len(desk.viewer.layers) == 3)
    assert desk.names[-1] == "scan nearest 2x (preview)"


def test_cancelling_a_run_leaves_the_preview(desk, volume, monkeypatch):
    def endless(self, focus, pool):
        while True:
            pool.check()
            time.sleep(0.005)

    monkeypatch.setattr(OutwardFill, "step", endless)
    desk.add(volume)
    layer = preview_of(desk)
    desk.panel.run_button.click()
    desk.qtbot.waitUntil(lambda: "%" in desk.panel.status.text())
    desk.panel.cancel_button.click()
    desk.wait()
    assert desk.panel.status.text() == "Cancelled. The preview stays."
    assert desk.names == ["scan", "scan nearest 2x (preview)"]
    assert np.asarray(layer.data[3]).shape == (24, 20)


def test_a_preview_that_is_deleted_is_switched_off(desk, volume):
    desk.add(volume)
    layer = preview_of(desk)
    desk.viewer.layers.remove(layer)
    assert not desk.panel.live.isChecked()
    desk.qtbot.wait(50)
    assert desk.names == ["scan"]


def test_a_preview_goes_with_its_source_and_with_the_dock(real_desk, volume):
    desk = real_desk
    source = desk.add(volume)
    preview_of(desk)
    desk.viewer.layers.remove(source)
    assert desk.names == []
    desk.add(volume)
    desk.qtbot.waitUntil(lambda: len(desk.viewer.layers) == 2)
    desk.viewer.window.remove_dock_widget(desk.widget)
    assert desk.names == ["scan"]
    assert our_threads() == []


def test_a_preview_cannot_be_saved(desk, volume, tmp_path):
    desk.add(volume)
    layer = preview_of(desk)
    with pytest.raises(VolumeError, match="press Run"):
        snapshot(layer).to_volume()


def test_the_slice_on_screen_stays_when_a_preview_goes(open_desk, volume, banks):
    """napari's slider has more steps with a preview, and would be cut off at the end."""
    desk = open_desk("Super-resolve", SuperResolveDesk, show=True)
    viewer, qtbot = desk.viewer, desk.qtbot
    desk.add(volume)
    desk.choose("nearest", (4, 4, 4))
    place = viewer.dims.point
    preview_of(desk)
    assert viewer.dims.nsteps[0] == 60
    desk.choose("nearest", (2, 2, 2))
    qtbot.waitUntil(lambda: viewer.dims.nsteps[0] == 30)
    # Its sliders round to their steps.
    np.testing.assert_allclose(viewer.dims.point, place, atol=0.4)
    desk.panel.live.setChecked(False)
    assert viewer.dims.nsteps[0] == 15
    np.testing.assert_allclose(viewer.dims.point, place, atol=0.4)


def test_a_result_is_not_the_default_input_of_the_next_run(banks, model_desk, volume):
    desk = model_desk(SuperResolveWidget, SuperResolveDesk)
    desk.add(replace(volume, history={"method": "hashed", "scale": "2"}), "result")
    desk.add(replace(volume, history={"method": "hashed", "map": "support"}), "map")
    desk.add(volume, "scan")
    assert desk.panel.layer.layer.name == "scan"
    desk.add(replace(volume, history={"method": "hashed", "scale": "2"}), "newer result")
    assert desk.panel.layer.layer.name == "scan"
    desk.widget.choose_layer(desk.viewer.layers["result"])
    desk.add(volume, "another")
    assert desk.panel.layer.layer.name == "result"


def test_a_rounded_voxel_size_of_the_scan_is_its_own(desk, volume):
    """Fault: 0.57 mm for pixels of 0.573 mm made the pixels finer, too."""
    grid = Grid(volume.grid.shape, np.diag([0.573, 0.573, 3.3, 1.0]))
    desk.add(replace(volume, grid=grid))
    desk.panel.method.name = "tricubic"
    scale = desk.panel.scale
    scale._combo.setCurrentIndex(scale._combo.findText("Other voxel size…"))
    assert [box.value() for box in scale._sizes] == [0.57, 0.57, 0.57]
    assert scale.scale[:2] == (1, 1)
    assert scale.scale[2] == pytest.approx(3.3 / 0.573, rel=0.03)


# Saving


@pytest.fixture
def answer(monkeypatch, tmp_path):
    """Answer the save dialog with a name, and keep what it suggested."""
    asked = []
    monkeypatch.setattr(saving, "last_folder", lambda: tmp_path)
    monkeypatch.setattr(super_resolve, "remember_folder", lambda folder: None)

    def set_name(name, kind="NIfTI, compressed (*.nii.gz)"):
        def chosen(parent, title, suggested, kinds):
            asked.append(Path(suggested))
            return (str(tmp_path / name) if name else ""), kind

        monkeypatch.setattr(QFileDialog, "getSaveFileName", chosen)
        return asked

    return set_name


def test_a_result_is_saved_in_the_background_with_a_link_to_the_folder(
    desk, volume, answer, tmp_path
):
    desk.add(volume, "my scan")
    assert not desk.panel.save_button.isEnabled()
    desk.choose("tricubic", (1, 3, 2))
    desk.widget.run()
    desk.wait()
    assert "my scan tricubic 1x3x2x" in desk.panel.save_button.toolTip()
    asked = answer("res")
    desk.panel.save_button.click()
    assert desk.widget.busy and not desk.panel.run_button.isEnabled()
    desk.wait()
    assert asked[0].name == "my scan_desc-sr1x3x2tricubic.nii.gz"
    assert "Saved res.nii.gz (" in desk.status and "open folder" in desk.status
    result = snapshot(desk.viewer.layers[-1]).to_volume()
    saved = read_volume(tmp_path / "res.nii.gz")
    np.testing.assert_allclose(saved.data, result.data, rtol=1e-6)
    np.testing.assert_allclose(saved.grid.affine, volume.grid.upsampled((1, 3, 2)).affine)
    assert saved.history["method"] == "tricubic"


def test_the_type_on_show_counts_for_a_name_without_one(desk, volume, answer, tmp_path):
    desk.add(volume)
    desk.widget.run()
    desk.wait()
    answer("res", "FreeSurfer (*.mgz)")
    desk.widget.saver.save()
    desk.wait()
    assert (tmp_path / "res.mgz").exists()


def test_a_file_that_was_not_named_is_replaced_only_if_the_user_agrees(
    desk, volume, answer, tmp_path, monkeypatch
):
    desk.add(volume)
    desk.widget.run()
    desk.wait()
    (tmp_path / "res.nii.gz").write_bytes(b"mine")
    answer("res")
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)
    desk.widget.saver.save()
    assert not desk.widget.busy
    assert (tmp_path / "res.nii.gz").read_bytes() == b"mine"
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    desk.widget.saver.save()
    desk.wait()
    assert read_volume(tmp_path / "res.nii.gz").grid.shape == (20, 24, 30)


def test_saving_that_is_cancelled_or_fails_says_so(desk, volume, answer, tmp_path, monkeypatch):
    desk.add(volume)
    desk.widget.run()
    desk.wait()
    answer("")
    desk.widget.saver.save()
    assert not desk.widget.busy
    answer("res.png")
    desk.widget.saver.save()
    desk.wait()
    assert "cannot write" in desk.status and ".nii.gz" in desk.status

    def endless(taken, path, progress):
        progress.begin("saving", 1_000_000)
        while True:
            time.sleep(0.01)
            progress.advance()

    monkeypatch.setattr(saving, "save_snapshot", endless)
    answer("res.nii.gz")
    desk.widget.saver.save()
    desk.qtbot.waitUntil(lambda: "saving" in desk.status)
    desk.widget.cancel()
    desk.wait()
    assert desk.status == "Cancelled. No file was saved."


def test_the_selected_result_is_saved_else_the_newest(desk, volume):
    desk.add(volume)
    for method in ("nearest", "tricubic"):
        desk.choose(method, (2, 2, 2))
        desk.widget.run()
        desk.wait()
    scan, first, second = desk.viewer.layers
    tip = desk.panel.save_button.toolTip
    assert second.name in tip()
    desk.viewer.layers.selection.active = first
    assert first.name in tip()
    desk.viewer.layers.selection.active = scan
    assert second.name in tip()
    desk.viewer.layers.clear()
    assert not desk.panel.save_button.isEnabled()


@pytest.fixture
def dicom_folder(monkeypatch, tmp_path):
    """Answer the dialog for folders with a new one."""
    folder = tmp_path / "pacs"
    folder.mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    monkeypatch.setattr(super_resolve, "remember_folder", lambda folder: None)
    return folder


@pytest.mark.parametrize("anonymize", [False, True])
def test_a_result_of_dicom_is_saved_as_a_dicom_series(desk, dicom_folder, anonymize, tmp_path):
    scan = read_volume(dicoms.series(tmp_path / "study", orientation=dicoms.OBLIQUE))
    desk.add(scan, "T1w")
    desk.choose("tricubic", (1, 1, 2))
    desk.widget.run()
    desk.wait()
    panel = desk.panel
    assert panel.save_button.menu() is panel.save_menu
    assert "as a file or DICOM series" in panel.save_button.toolTip()
    (panel.save_anonymous if anonymize else panel.save_series).trigger()
    desk.wait()
    assert "Saved T1w_desc-sr1x1x2tricubic (" in desk.status
    result = snapshot(desk.viewer.layers[-1]).to_volume()
    back = read_volume(dicom_folder / "T1w_desc-sr1x1x2tricubic")
    np.testing.assert_array_equal(back.data, np.rint(result.data))
    np.testing.assert_allclose(back.grid.affine, result.grid.affine, atol=1e-6)
    content = next((dicom_folder / "T1w_desc-sr1x1x2tricubic").iterdir()).read_bytes()
    assert (b"Planted" in content) is not anonymize


def test_only_results_of_dicom_are_offered_as_dicom(desk, volume):
    desk.add(volume)
    desk.widget.run()
    desk.wait()
    assert desk.panel.save_button.menu() is None
    assert "as a file" in desk.panel.save_button.toolTip()
    desk.widget.saver.save_series()
    assert not desk.widget.busy


def test_an_older_series_is_replaced_only_if_the_user_agrees(
    desk, dicom_folder, tmp_path, monkeypatch
):
    desk.add(read_volume(dicoms.series(tmp_path / "study")), "T1w")
    desk.choose("nearest", (1, 1, 2))
    desk.widget.run()
    desk.wait()
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)
    desk.widget.saver.save_series()
    desk.wait()
    (folder,) = dicom_folder.iterdir()
    first = sorted(folder.iterdir())[0].read_bytes()
    desk.widget.saver.save_series()
    assert not desk.widget.busy
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    desk.widget.saver.save_series()
    desk.wait()
    assert sorted(folder.iterdir())[0].read_bytes() != first  # new UIDs


# Results as inputs


def test_a_result_is_an_input_only_if_the_user_picks_it_and_the_dock_says_so(desk, volume):
    scan = desk.add(volume)
    desk.choose("tricubic", (2, 2, 2))
    desk.widget.run()
    desk.wait()
    assert desk.panel.layer.layer is scan
    assert "Already" not in desk.panel.source.text()
    result = desk.viewer.layers[-1]
    desk.widget.choose_layer(result)
    assert "Already super-resolved (tricubic 2×)" in desk.panel.source.text()
    assert desk.panel.run_button.isEnabled()
    # The choice goes with its layer; what is left is a result, which the user has not picked.
    desk.add(replace(volume, history={"method": "hashed", "scale": "2"}), "another")
    desk.viewer.layers.remove(scan)
    desk.viewer.layers.remove(result)
    assert desk.panel.layer.layer is None
    assert "Choose a layer" in desk.status
    assert not desk.panel.run_button.isEnabled()


def open_foreign(desk: SuperResolveDesk, path: object) -> None:
    """Choose a network file of another program."""
    desk.widget.open_bank(str(path))
    desk.qtbot.waitUntil(lambda: not desk.widget.opener.running)


def test_a_network_of_the_user_runs(desk, thick, tmp_path):
    desk.add(thick)
    open_foreign(desk, save_model(copy_model(4, 1, 1), tmp_path / "mine.onnx"))
    assert desk.panel.method.name == "network"
    assert desk.panel.bank.currentText() == "mine.onnx"
    desk.panel.scale.scale = (1, 1, 4)
    desk.widget.run()
    desk.wait()
    assert desk.names == ["scan", "scan mine 1x1x4x"]
    found = snapshot(desk.viewer.layers[-1]).to_volume().data
    np.testing.assert_allclose(found, thick.data.repeat(4, 2), rtol=1e-4)


def test_a_network_of_the_user_brings_its_scale(desk, volume, tmp_path):
    desk.add(volume)
    open_foreign(desk, save_model(copy_model(3, 3, 3), tmp_path / "mine.onnx"))
    assert desk.panel.scale.scale == (3, 3, 3)


def test_a_network_that_is_refused_is_told(desk, volume, tmp_path):
    desk.add(volume)
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"nothing")
    open_foreign(desk, path)
    assert "mine.onnx: not an ONNX file" in desk.status
    assert desk.panel.bank.bank is None


def test_blending_is_offered_with_learned_filters_and_used(desk, volume):
    """The run and the preview are those of ``hashed:blend`` on the command line."""
    desk.add(volume, "scan")
    desk.choose("tricubic", (2, 2, 2))
    assert not desk.panel.blend.isVisibleTo(desk.panel)
    desk.choose("hashed", (2, 2, 2))
    assert desk.panel.blend.isVisibleTo(desk.panel)
    assert not desk.panel.blend.isChecked()
    bank = desk.panel.bank.bank
    desk.panel.blend.setChecked(True)
    assert desk.panel.trust.isVisibleTo(desk.panel)
    desk.widget.run()
    desk.wait()
    assert desk.names == ["scan", "scan hashed:blend 2x"]
    made = snapshot(desk.viewer.layers[-1]).to_volume()
    expected = upscale(volume, UpscaleParameters((2, 2, 2), "hashed:blend", bank=bank))
    np.testing.assert_allclose(made.data, expected.data, rtol=1e-5)
    plain = upscale(volume, UpscaleParameters((2, 2, 2), "hashed", bank=bank))
    assert not np.allclose(made.data, plain.data)
