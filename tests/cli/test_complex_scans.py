"""upscale of complex scans."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from helpers.networks import plain_model, save_model
from onnx import helper

from .conftest import SHAPE, ZOOMS

AFFINE = np.diag([*ZOOMS, 1.0])
LINEAR = ("--method", "linear")


@pytest.fixture
def wave(rng):
    phase = np.broadcast_to(0.5 * np.indices(SHAPE)[0], SHAPE)
    return rng.uniform(50, 300, SHAPE) * np.exp(1j * phase)


def save(path, data):
    nib.save(nib.Nifti1Image(data, AFFINE), path)
    return path


def test_a_complex_file_gives_a_complex_file(run, tmp_path, wave):
    path = save(tmp_path / "c.nii.gz", wave.astype(np.complex64))
    found = run("upscale", path, tmp_path / "o.nii", "--scale", "1x1x2", *LINEAR)
    assert found.code == 0
    assert "18 × 22 × 30 voxels" in found.out
    image = nib.load(tmp_path / "o.nii")
    assert image.get_data_dtype() == np.complex64
    expected = 0.75 * wave[:, :, 4] + 0.25 * wave[:, :, 5]
    np.testing.assert_allclose(np.asarray(image.dataobj)[:, :, 9], expected, atol=0.01)


def test_magnitude_and_phase_give_two_files(run, tmp_path, files, wave):
    magnitude = save(tmp_path / "m.nii", np.abs(wave).astype(np.float32))
    units = np.floor(np.angle(wave) / np.pi * 4096)
    units[0, 0, :2] = -4096, 4095
    phase = save(tmp_path / "p.nii", units.astype(np.int16))
    out = tmp_path / "o.nii"
    words = ("--phase", phase, "--scale", "1x1x2", "--json", *LINEAR)
    found = run("upscale", magnitude, out, *words)
    assert found.code == 0
    assert "p.nii: phase in scanner units −4096 to 4095" in found.err
    assert json.loads(found.out)["phase"] == str(tmp_path / "o_phase.nii")
    assert files() == {"m.nii", "p.nii", "o.nii", "o_phase.nii"}
    parts = [nib.load(tmp_path / name).get_fdata() for name in ("o.nii", "o_phase.nii")]
    expected = 0.75 * wave[:, :, 4] + 0.25 * wave[:, :, 5]
    np.testing.assert_allclose(parts[0][2:, 2:, 9], np.abs(expected)[2:, 2:], rtol=2e-3)
    apart = np.angle(np.exp(1j * parts[1][2:, 2:, 9]) / expected[2:, 2:])
    assert np.abs(apart).max() < 0.003


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--maps",), "--maps or --report: not for complex scans"),
        (("--memory", "2GB"), "--memory or --resume: not for complex scans"),
        (("--dtype", "int16"), "stored as complex64"),
    ],
)
def test_impossible_requests_are_refused_before_any_work(run, tmp_path, files, wave, words, text):
    path = save(tmp_path / "c.nii", wave.astype(np.complex64))
    found = run("upscale", path, tmp_path / "o.nii", "--scale", "1x1x2", *LINEAR, *words)
    assert found.code == 2
    assert text in found.error
    assert files() == {"c.nii"}


def test_one_phase_is_for_one_input(run, scan, tmp_path, files):
    (tmp_path / "out").mkdir()
    before = files()
    found = run("upscale", scan, scan, tmp_path / "out", "--phase", scan, *LINEAR)
    assert found.code == 2
    assert "one phase for 2 inputs" in found.err
    assert files() == before


def test_a_complex_scan_is_not_written_as_mgz(run, tmp_path, wave):
    path = save(tmp_path / "c.nii", wave.astype(np.complex64))
    found = run("upscale", path, tmp_path / "o.mgz", *LINEAR)
    assert "cannot hold complex voxels; choose .nii.gz" in found.error


def test_a_folder_with_magnitude_and_phase_is_named_twice(run, tmp_path):
    pytest.importorskip("pydicom")
    from helpers import dicoms

    folder, out = dicoms.with_phase(tmp_path / "gre", dicoms.voxels(SHAPE)), tmp_path / "o.nii"
    found = run("upscale", folder, out, "--phase", folder, "--scale", "1x1x2", *LINEAR)
    assert found.code == 0, found.err
    assert (tmp_path / "o_phase.nii").is_file()


def test_a_network_of_both_parts_is_opened_and_refuses_a_magnitude(run, scan, tmp_path, wave):
    """It copies every slice and turns the phase by 90°."""
    kernel = np.broadcast_to(
        np.array([[0.0, 1.0], [-1.0, 0.0]])[:, :, None, None, None], (2, 2, 2, 1, 1)
    )
    node = helper.make_node("ConvTranspose", ["image", "kernel"], ["result"], strides=[2, 1, 1])
    declared = {"channels": "complex", "output": "image", "normalization": "window"}
    model = plain_model([node], {"kernel": kernel}, (1, 2, "z", "y", "x"), declared)
    words = ("--model", save_model(model, tmp_path / "turn.onnx"), "--scale", "1x1x2")
    path = save(tmp_path / "c.nii", wave.astype(np.complex64))
    found = run("upscale", path, tmp_path / "o.nii", *words)
    assert found.code == 0, found.err
    result = np.asarray(nib.load(tmp_path / "o.nii").dataobj)
    np.testing.assert_allclose(result, 1j * wave.repeat(2, axis=2), rtol=1e-4, atol=0.01)
    found = run("upscale", scan, tmp_path / "p.nii", *words)
    assert found.code != 0
    assert "turn.onnx: takes the real and the imaginary part" in found.error
    found = run("bank", "show", tmp_path / "turn.onnx")
    assert "channels complex (metadata)" in found.out
