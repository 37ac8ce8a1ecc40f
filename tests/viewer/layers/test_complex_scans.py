"""Complex scans as two layers, from files and to files."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from helpers import dicoms
from helpers.layers import SHAPE, stored_affine
from napari.layers import Image

import napari_mrisr as sr
from napari_mrisr.core.complex_volume import ComplexVolume
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import OutputError, VolumeError
from napari_mrisr.viewer.dicom.reading import get_reader as get_dicom_reader
from napari_mrisr.viewer.layers.complex_scans import (
    belongs,
    complex_layers,
    complex_scan,
    is_phase,
    magnitude_of,
    phase_of,
    phases_for,
    save_complex,
)
from napari_mrisr.viewer.layers.convert import snapshot
from napari_mrisr.viewer.layers.files import get_reader


@pytest.fixture
def wave(rng):
    return rng.uniform(1, 300, SHAPE) * np.exp(1j * rng.uniform(-np.pi, np.pi, SHAPE))


def save(path, data, codes="LPS"):
    nib.save(nib.Nifti1Image(data.astype(np.complex64), stored_affine(codes)), path)
    return str(path)


def opened(path, reader=get_reader):
    return [Image(data, **kwargs) for data, kwargs, _ in reader(path)(path)]


def plain(name, shape=SHAPE):
    return Image(np.zeros(shape), name=name)


def test_a_complex_file_becomes_a_magnitude_and_a_hidden_phase(tmp_path, wave):
    magnitude, phase = opened(save(tmp_path / "swi.nii.gz", wave))
    assert (magnitude.name, phase.name) == ("swi", "swi phase")
    assert (magnitude.visible, phase.visible) == (True, False)
    assert phase_of(magnitude, [phase, magnitude]) is phase
    assert magnitude_of(phase, [phase, magnitude]) is magnitude
    # Stored axes to the left, the back and up; shown from the feet, the back, the left.
    turned = wave.transpose(2, 1, 0)[::-1]
    np.testing.assert_allclose(magnitude.data, np.abs(turned), rtol=1e-5)
    np.testing.assert_allclose(phase.data, np.angle(turned), atol=1e-5)
    assert tuple(phase.contrast_limits) == pytest.approx((-np.pi, np.pi))


def test_a_series_of_complex_volumes_becomes_two_series(tmp_path, wave):
    stored = np.stack([wave, 2j * wave], axis=-1)
    magnitude, phase = opened(save(tmp_path / "echoes.nii", stored, "RAS"))
    assert magnitude.data.shape == phase.data.shape == (2, *SHAPE[::-1])
    for frame, factor in enumerate((1, 2j)):
        scan = complex_scan(snapshot(magnitude, frame), snapshot(phase, frame))
        np.testing.assert_allclose(scan.data, factor * wave, rtol=1e-4)


def test_a_dicom_series_of_both_becomes_a_magnitude_and_a_phase(tmp_path):
    folder = dicoms.with_phase(tmp_path / "gre", dicoms.voxels())
    one, other = opened(folder, get_dicom_reader)
    assert one.name.endswith("magnitude") and other.name.endswith("phase")
    assert phase_of(one, [one, other]) is other
    scan, expected = complex_scan(snapshot(one), snapshot(other)), sr.read_complex(folder, folder)
    np.testing.assert_array_equal(scan.magnitude.data, expected.magnitude.data)
    np.testing.assert_array_equal(scan.phase.data, expected.phase.data)


def test_phases_are_known_by_name_and_offered_for_their_shape():
    scan, other = plain("sub-1_part-mag_T2starw"), plain("e1")
    names = ("sub-1_part-phase_T2starw", "e1_ph", "arterial phase", "e1_phase", "graph")
    layers = [plain(name) for name in names]
    assert [is_phase(layer) for layer in layers] == [True, True, False, False, False]
    found = phases_for(scan, [*layers, other, plain("x_ph", (4, 5, 6))])
    assert [layer.name for layer in found] == ["sub-1_part-phase_T2starw", "e1_ph"]
    assert [belongs(layer, scan) for layer in found] == [True, False]
    found = phases_for(other, layers)
    assert [layer.name for layer in found] == ["e1_ph", "e1_phase", "sub-1_part-phase_T2starw"]
    assert phases_for(layers[0], layers) == []


def test_a_phase_with_a_tie_belongs_to_its_magnitude_alone(tmp_path, wave):
    magnitude, phase = opened(save(tmp_path / "a.nii", wave))
    other, second = opened(save(tmp_path / "b.nii", wave))
    phase.name, second.name = "b_phase", "x"
    layers = [magnitude, phase, other, second]
    assert [belongs(layer, other) for layer in layers[1::2]] == [False, True]
    assert phases_for(other, layers)[0] is second


def taken(scan, name="scan"):
    layers = [Image(data, **kwargs) for data, kwargs, _ in complex_layers(scan, name)]
    return tuple(snapshot(layer) for layer in layers)


def test_a_scan_of_a_complex_file_is_saved_as_one(tmp_path, wave):
    parts = [snapshot(layer) for layer in opened(save(tmp_path / "in.nii", wave))]
    assert save_complex(*parts, tmp_path / "out", Progress()) == tmp_path / "out.nii.gz"
    image = nib.load(tmp_path / "out.nii.gz")
    assert image.get_data_dtype() == np.complex64
    np.testing.assert_allclose(np.asarray(image.dataobj), wave, rtol=1e-4)
    np.testing.assert_allclose(image.affine, stored_affine("LPS"), atol=1e-5)
    with pytest.raises(OutputError, match="cannot hold complex voxels"):
        save_complex(*parts, tmp_path / "out.mgz", Progress())


def test_other_scans_are_saved_as_two_files_and_replaced_together(tmp_path, wave):
    scan = ComplexVolume.of(wave.astype(np.complex64), Grid(SHAPE, np.eye(4)))
    out, beside = tmp_path / "a_part-mag.nii.gz", tmp_path / "a_part-phase.nii.gz"
    beside.write_text("another's")
    with pytest.raises(OutputError, match="exists"):
        save_complex(*taken(scan), out, Progress())
    assert beside.read_text() == "another's" and not out.exists()
    out.write_text("older")
    assert save_complex(*taken(scan), out, Progress()) == out
    again = sr.read_complex(out, beside)
    np.testing.assert_allclose(again.data, wave, rtol=1e-4)


def test_a_failure_leaves_no_file(tmp_path, wave, monkeypatch):
    scan = ComplexVolume.of(wave.astype(np.complex64), Grid(SHAPE, np.eye(4)))
    (tmp_path / "out.nii").mkdir()
    parts = taken(scan)
    with pytest.raises(OutputError):
        save_complex(*parts, tmp_path / "out.nii" / "missing" / "a.nii", Progress())
    token_of = Progress()
    token_of.token.cancel()
    with pytest.raises(sr.Cancelled):
        save_complex(*parts, tmp_path / "a.nii", token_of)
    assert [path.name for path in tmp_path.iterdir()] == ["out.nii"]


def test_a_phase_of_an_unclear_unit_is_refused(wave):
    scan = ComplexVolume.of(wave.astype(np.complex64), Grid(SHAPE, np.eye(4)))
    magnitude, phase = taken(scan)
    wrong = Image(np.asarray(phase.data) * 100, name="angle_ph")
    with pytest.raises(VolumeError, match=r"angle_ph: phase from .*unit is unclear"):
        complex_scan(magnitude, snapshot(wrong))
