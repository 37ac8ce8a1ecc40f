"""degrade: the engine's result, names in a folder, scales that are too large."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from .conftest import make_scan


def test_degrade_gives_the_result_of_the_engine(run, scan, tmp_path):
    from napari_mrisr.io import read_volume
    from napari_mrisr.operators.degrade import degrade

    out = tmp_path / "low.nii"
    found = run("degrade", scan, out, "--scale", "2", "--degradation", "kspace:hann")
    assert found.code == 0
    assert found.out == f"{out}: 9 × 11 × 7 voxels of 2 × 2.2 × 2.4 mm\n"
    expected = degrade(read_volume(scan), (2, 2, 2), "kspace:hann")
    np.testing.assert_array_equal(read_volume(out).data, expected.data)


def test_degraded_images_in_a_folder_are_named_low(run, scan, tmp_path, files):
    run("degrade", scan, tmp_path / "low", "--scale", "2")
    assert "low/sub-01_desc-lr2x_T1w.nii.gz" in files()


def test_degrade_refuses_a_scale_that_leaves_too_few_voxels(run, scan, tmp_path):
    found = run("degrade", scan, tmp_path / "o.nii", "--scale", "8")
    assert found.code == 2
    assert "18 × 22 × 15 voxels" in found.error
    found = run("degrade", scan, tmp_path / "o.nii", "--scale", "2", "--degradation", "blur")
    assert "blur" in found.error


def test_down_and_up_again_keeps_the_field_of_view(run, tmp_path):
    path = make_scan(tmp_path / "even.nii", shape=(18, 22, 16))
    run("degrade", path, tmp_path / "low.nii", "--scale", "2")
    run("upscale", tmp_path / "low.nii", tmp_path / "up.nii", "--method", "tricubic")
    before, after = nib.load(path), nib.load(tmp_path / "up.nii")
    assert after.shape == before.shape
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)


# From and to disk.

SMALL = ("--memory", "2GB")
