"""info: series and images of a folder, one line each."""

from __future__ import annotations

import json

from helpers import dicoms

from .conftest import make_scan


def test_series_and_images_of_a_folder_are_listed(run, tmp_path):
    dicoms.series(tmp_path / "study", number=5, description="FLAIR")
    dicoms.series(tmp_path / "study", dicoms.voxels()[..., ::2], number=6, distance=-7)
    make_scan(tmp_path / "study" / "a.nii")
    found = run("info", tmp_path / "study")
    assert found.code == 0
    assert found.out.splitlines() == [
        f"{tmp_path / 'study' / '5_FLAIR'}: FLAIR, MR, 10 files, 14 × 12 × 10 voxels of "
        "0.5 × 0.75 × 3.5 mm, slices 3 mm thick; echo time 12.5 ms; repetition time 500 ms; 3 T; "
        "head first supine",
        f"{tmp_path / 'study' / '6_T1w'}: T1w, MR, 5 files, 14 × 12 × 5 voxels of "
        "0.5 × 0.75 × 7 mm, slices 3 mm thick; echo time 12.5 ms; repetition time 500 ms; 3 T; "
        "head first supine",
        f"{tmp_path / 'study' / 'a.nii'}: 18 × 22 × 15 voxels of 1 × 1.1 × 1.2 mm",
    ]


def test_volumes_and_problems_are_named(run, tmp_path):
    slices = dicoms.classic(number=3)
    for one in dicoms.classic(dicoms.voxels(seed=4), series_uid=slices[0].SeriesInstanceUID):
        one.EchoTime, one.SeriesNumber = 80, 3
        slices.append(one)
    dicoms.save(slices, tmp_path / "study")
    gap = dicoms.classic(number=4)
    del gap[6]
    dicoms.save(gap, tmp_path / "study")
    echoes, broken = run("info", tmp_path / "study", "--json").out.splitlines()
    assert json.loads(echoes)["volumes"] == ["echo 1", "echo 2"]
    assert json.loads(broken)["problem"] == "a slice is missing at 13.00 mm"
    lines = run("info", tmp_path / "study").out.splitlines()
    assert lines[1] == "  2 volumes: --frame 0: echo 1, --frame 1: echo 2"
    assert lines[2].endswith(": cannot be read: a slice is missing at 13.00 mm")


def test_a_missing_path_is_an_error(run, tmp_path):
    found = run("info", tmp_path / "none")
    assert found.code == 2 and "no such file" in found.error


def test_a_dicom_folder_is_super_resolved(run, tmp_path):
    import napari_mrisr as sr

    folder = dicoms.series(tmp_path / "study")
    out = tmp_path / "out.nii.gz"
    found = run("upscale", folder, out, "--scale", "1x1x2", "--method", "tricubic")
    assert found.code == 0, found.err
    assert "slices 3 mm thick, 3.5 mm apart (DICOM header)" in found.out
    result = sr.read_volume(out)
    assert result.grid.voxel_size == tuple(map(float, (0.5, 0.75, 1.75)))
    assert run("upscale", folder, tmp_path / "results", "--method", "nearest").code == 0
    assert (tmp_path / "results" / "2_T1w_desc-sr2x.nii.gz").exists()
    streamed = run("upscale", folder, tmp_path / "disk.nii", "--memory", "1GB")
    assert "DICOM cannot be read block by block" in streamed.error
    planted = [value for value in dicoms.PATIENT.values() if len(value) > 3]
    text = found.out + found.err + str(result.origin.header)
    assert not [value for value in planted if value in text]
