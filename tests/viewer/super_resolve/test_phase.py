"""Super-resolution of complex scans in a viewer."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers.desk import Desk
from helpers.networks import plain_model, save_model
from onnx import helper
from qtpy.QtWidgets import QFileDialog

import napari_mrisr as sr
from napari_mrisr.viewer.layers.complex_scans import phase_of
from napari_mrisr.viewer.layers.convert import snapshot
from napari_mrisr.viewer.layers.files import read_layers
from napari_mrisr.viewer.super_resolve.widget import (
    NO_PREVIEW,
    PREVIEW,
    PREVIEW_MAGNITUDE,
    SuperResolveWidget,
)

SHAPE = (9, 11, 14)


class ComplexDesk(Desk):
    def open(self, path: Path) -> list:
        """Open a file as napari does."""
        return [self.viewer.add_image(data, **kwargs) for data, kwargs, _ in read_layers(path)]


@pytest.fixture
def path(tmp_path, rng):
    """A file of complex voxels whose phase wraps every 6 voxels."""
    x, y, _ = np.indices(SHAPE)
    wave = (100 + 3 * y + rng.random(SHAPE)) * np.exp(1j * x)
    affine = np.diag([-0.8, 0.9, 2.5, 1.0])
    nib.save(nib.Nifti1Image(wave.astype(np.complex64), affine), tmp_path / "swi.nii.gz")
    return tmp_path / "swi.nii.gz"


@pytest.fixture
def desk(model_desk):
    return model_desk(SuperResolveWidget, ComplexDesk)


def choose(desk, method="tricubic", scale=(2, 2, 2)):
    desk.panel.method.name = method
    desk.panel.scale.scale = scale


def test_a_complex_scan_runs_to_magnitude_and_phase_and_is_saved(
    open_desk, path, tmp_path, monkeypatch
):
    desk = open_desk("Super-resolve", ComplexDesk)
    magnitude, phase = desk.open(path)
    choose(desk)
    panel = desk.panel
    assert panel.layer.layer == magnitude
    assert panel.phase.layer == phase and not panel.phase.isHidden()
    assert "mm, magnitude and phase" in panel.plan.text()
    panel.run_button.click()
    desk.wait()
    assert desk.names == ["swi", "swi phase", "swi tricubic 2x", "swi tricubic 2x phase"]
    assert "Added “swi tricubic 2x” and its phase" in desk.status
    made, angle = list(desk.viewer.layers)[2:]
    assert (made.visible, angle.visible) == (True, False)
    expected = sr.upscale_complex(sr.read_complex(path), 2, method="tricubic")
    np.testing.assert_allclose(snapshot(made).as_shown().data, expected.magnitude.data, rtol=1e-5)
    found = np.exp(1j * snapshot(angle).as_shown().data)
    np.testing.assert_allclose(found, np.exp(1j * expected.phase.data), atol=1e-5)
    # The phase is selected; the scan is saved, as the command line does.
    desk.viewer.layers.selection.active = angle
    assert "“swi tricubic 2x”" in panel.save_button.toolTip()
    suggested = []

    def ask(*arguments):
        suggested.append(Path(arguments[2]).name)
        return str(tmp_path / "high.nii.gz"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    panel.save_button.click()
    desk.wait()
    assert suggested == ["swi_desc-sr2xtricubic.nii.gz"]
    again = sr.read_complex(tmp_path / "high.nii.gz")
    np.testing.assert_allclose(again.data, expected.data, rtol=1e-4, atol=1e-3)


def test_the_magnitude_can_be_super_resolved_alone(desk, path):
    desk.open(path)
    choose(desk)
    field = desk.panel.phase
    field.setCurrentIndex(0)
    field.activated.emit(0)
    desk.widget._layers_listed()  # the choice stays
    assert field.layer is None
    desk.panel.run_button.click()
    desk.wait()
    assert desk.names == ["swi", "swi phase", "swi tricubic 2x"]
    assert phase_of(desk.viewer.layers[-1], desk.viewer.layers) is None


def test_files_of_two_parts_are_tied_by_the_user(desk, path, tmp_path):
    scan = sr.read_complex(path)
    sr.write_volume(scan.magnitude, tmp_path / "swi_1.nii")
    sr.write_volume(scan.phase, tmp_path / "swi_2_ph.nii")
    (phase,) = desk.open(tmp_path / "swi_2_ph.nii")
    assert desk.panel.layer.layer is None  # a phase is no scan to begin with
    (magnitude,) = desk.open(tmp_path / "swi_1.nii")
    assert desk.panel.layer.layer == magnitude
    field = desk.panel.phase
    assert not field.isHidden() and field.layer is None
    field.setCurrentIndex(1)
    field.activated.emit(1)
    choose(desk)
    desk.panel.run_button.click()
    desk.wait()
    assert desk.names[2:] == ["swi_1 tricubic 2x", "swi_1 tricubic 2x phase"]
    desk.viewer.layers.remove(phase)
    assert field.isHidden() and field.layer is None


def test_ordinary_scans_have_no_row_for_a_phase(desk, volume):
    desk.add(volume)
    assert desk.panel.phase.isHidden()


def test_the_preview_is_of_the_magnitude_and_says_so(desk, path):
    desk.open(path)
    choose(desk)
    desk.panel.live.setChecked(True)
    desk.qtbot.waitUntil(lambda: desk.widget.live.layer is not None)
    assert desk.status == PREVIEW_MAGNITUDE
    desk.panel.phase.setCurrentIndex(0)
    desk.panel.phase.activated.emit(0)
    assert desk.status == PREVIEW
    desk.panel.phase.setCurrentIndex(1)
    desk.panel.phase.activated.emit(1)
    desk.panel.run_button.click()
    desk.wait()
    assert desk.names[-2:] == ["swi tricubic 2x", "swi tricubic 2x phase"]


def test_a_phase_as_layer_and_trust_maps_are_told(desk, path):
    _, phase = desk.open(path)
    choose(desk, "hashed")
    desk.panel.trust.setChecked(True)
    desk.panel.run_button.click()
    desk.wait()
    assert "Trust maps: not for complex scans" in desk.status
    assert len(desk.names) == 2
    desk.panel.layer.layer = phase
    assert "choose its magnitude" in desk.panel.source.text()
    assert desk.panel.phase.isHidden()


def test_a_network_of_both_parts_runs_without_a_preview(desk, path, tmp_path):
    weights = np.array([[0.0, -1.0], [1.0, 0.0]])[:, :, None, None, None]  # i times the scan
    node = helper.make_node("Conv", ["image", "kernel"], ["result"])
    declared = {"channels": "complex", "output": "image", "normalization": "window"}
    model = plain_model([node], {"kernel": weights}, (1, 2, "z", "y", "x"), declared)
    desk.open(path)
    choose(desk)
    desk.panel.live.setChecked(True)
    desk.widget.open_bank(str(save_model(model, tmp_path / "turn.onnx")))
    desk.qtbot.waitUntil(lambda: desk.panel.bank.currentText() == "turn.onnx")
    assert desk.status == NO_PREVIEW
    desk.panel.run_button.click()
    desk.wait()
    made, angle = (snapshot(layer).as_shown().data for layer in list(desk.viewer.layers)[2:])
    expected = sr.upscale_complex(sr.read_complex(path), 2, method="tricubic")
    np.testing.assert_allclose(made, expected.magnitude.data, rtol=1e-4)
    turned = np.exp(1j * (expected.phase.data + np.pi / 2))
    np.testing.assert_allclose(np.exp(1j * angle), turned, atol=1e-4)
