"""Complex NIfTI in and out, and magnitude with phase."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import napari_mrisr as sr
from napari_mrisr.io.complex_scans import phase_path

SHAPE = (5, 6, 7)


@pytest.fixture
def wave(rng):
    return rng.uniform(1, 300, SHAPE) * np.exp(1j * rng.uniform(-np.pi, np.pi, SHAPE))


def save(path, data, affine):
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_complex_voxels_and_affine_survive(tmp_path, wave, oblique, dtype, suffix):
    path = save(tmp_path / f"in{suffix}", wave.astype(dtype), oblique)
    scan = sr.read_complex(path)
    sr.write_complex(scan, tmp_path / f"out{suffix}")
    again = nib.load(tmp_path / f"out{suffix}")
    assert again.get_data_dtype() == np.complex64
    np.testing.assert_allclose(np.asarray(again.dataobj), wave, rtol=1e-5)
    np.testing.assert_allclose(again.affine, oblique, atol=1e-5)


@pytest.mark.parametrize(
    ("unit", "stored"),
    [
        ("radians", lambda p: p),
        ("radians", lambda p: p % (2 * np.pi)),
        ("milliradians", lambda p: np.rint(1000 * p)),
        ("scanner units −4096 to 4095", lambda p: np.floor(p / np.pi * 4096)),
        ("scanner units 0 to 4095", lambda p: np.floor((p / np.pi + 1) * 2048)),
    ],
)
def test_the_unit_of_the_phase_is_found_and_told(tmp_path, wave, oblique, unit, stored):
    magnitude = save(tmp_path / "m.nii", np.abs(wave), oblique)
    phase = save(tmp_path / "p.nii", stored(np.angle(wave)), oblique)
    shown = []
    progress = sr.Progress()
    progress.message = shown.append
    scan = sr.read_complex(magnitude, phase, progress=progress)
    assert shown == [f"p.nii: phase in {unit}"]
    apart = np.angle(
        scan.data * sr.read_complex(save(tmp_path / "c.nii", wave, oblique)).data.conj()
    )
    assert np.abs(apart).max() < 0.002


@pytest.mark.parametrize("limits", [(-180, 180), (-1500, 1500), (0, 5000), (0, 360)])
def test_a_phase_of_unclear_unit_is_refused(tmp_path, wave, oblique, limits):
    magnitude = save(tmp_path / "m.nii", np.abs(wave), oblique)
    values = np.linspace(*limits, wave.size).reshape(SHAPE)
    phase = save(tmp_path / "p.nii", values, oblique)
    with pytest.raises(sr.VolumeError, match="whose unit is unclear; convert it to radians"):
        sr.read_complex(magnitude, phase)


def test_real_voxels_need_a_phase_on_their_grid(tmp_path, wave, oblique):
    magnitude = save(tmp_path / "m.nii", np.abs(wave), oblique)
    with pytest.raises(sr.VolumeError, match="holds real voxels; give its phase too"):
        sr.read_complex(magnitude)
    moved = oblique.copy()
    moved[0, 3] += 1
    phase = save(tmp_path / "p.nii", np.angle(wave), moved)
    with pytest.raises(sr.GeometryError, match="another place"):
        sr.read_complex(magnitude, phase)


def test_formats_without_complex_voxels_are_refused(tmp_path, wave, oblique):
    scan = sr.read_complex(save(tmp_path / "c.nii", wave, oblique))
    with pytest.raises(sr.OutputError, match=r"\.mgz cannot hold complex voxels"):
        sr.write_complex(scan, tmp_path / "out.mgz")


def test_magnitude_and_phase_of_one_dicom_series_belong_together(tmp_path):
    pytest.importorskip("pydicom")
    from helpers import dicoms

    dicoms.with_phase(tmp_path / "gre", dicoms.voxels())
    scan = sr.read_complex(tmp_path / "gre", tmp_path / "gre")
    first = sr.read_volume(tmp_path / "gre", frame=0)
    np.testing.assert_array_equal(scan.magnitude.data, first.data)
    other = sr.read_volume(tmp_path / "gre", frame=1).data
    apart = np.angle(np.exp(1j * (scan.phase.data - other / 4096 * np.pi)))
    assert np.abs(apart).max() < 1e-5
    for path in (tmp_path / "gre" / "2_T1w", tmp_path / "gre" / "IM0003"):
        again = sr.read_complex(path, tmp_path / "gre")
        np.testing.assert_array_equal(again.phase.data, scan.phase.data)
    with pytest.raises(sr.VolumeError, match="holds 0 magnitudes with a phase"):
        sr.read_complex(tmp_path / "gre", tmp_path / "gre", frame=1)


def test_nan_voxels_are_filled_or_refused(tmp_path, wave, oblique):
    wave[1, 2, 3] = np.nan
    path = save(tmp_path / "c.nii", wave, oblique)
    with pytest.raises(sr.VolumeError, match="1 NaN"):
        sr.read_complex(path)
    scan = sr.read_complex(path, fill_nonfinite=0)
    assert np.isfinite(scan.data).all()
    assert (scan.data == 0).sum() == 1


@pytest.mark.parametrize(
    ("magnitude", "phase"),
    [
        ("high.nii.gz", "high_phase.nii.gz"),
        ("sub-01_part-mag_desc-sr2x_T2starw.nii", "sub-01_part-phase_desc-sr2x_T2starw.nii"),
        ("part-magic.nii", "part-magic_phase.nii"),
    ],
)
def test_name_of_the_phase_of_a_result(magnitude, phase):
    assert phase_path(magnitude).name == phase


def test_a_scan_is_replaced_only_with_overwrite(tmp_path, wave, oblique):
    scan = sr.read_complex(save(tmp_path / "c.nii", wave, oblique))
    with pytest.raises(sr.OutputError, match="exists already"):
        sr.write_complex(scan, tmp_path / "c.nii")
    half = replace(scan, magnitude=replace(scan.magnitude, data=scan.magnitude.data / 2))
    sr.write_complex(half, tmp_path / "c.nii", overwrite=True)
    np.testing.assert_allclose(
        np.asarray(nib.load(tmp_path / "c.nii").dataobj), wave / 2, rtol=1e-5
    )
