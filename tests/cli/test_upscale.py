"""upscale: files, scales, folders, errors; in memory, and from and to disk."""

from __future__ import annotations

import importlib
import json

import nibabel as nib
import numpy as np
import psutil
import pytest
from helpers.networks import copy_model, save_model

from napari_mrisr.io import read_volume
from napari_mrisr.io.nifti import read_note
from napari_mrisr.run.upscale import UpscaleParameters, upscale

from .conftest import SHAPE, ZOOMS, interrupt_at, make_scan

NEAREST = ("--method", "nearest")
SMALL = ("--memory", "2GB")


def test_an_image_keeps_its_field_of_view(run, scan, tmp_path):
    out = tmp_path / "out.nii.gz"
    found = run("upscale", scan, out, "--scale", "2", *NEAREST)
    assert found.code == 0
    assert found.out.startswith(f"{out}: 36 × 44 × 30 voxels of 0.5 × 0.55 × 0.6 mm")
    before, after = nib.load(scan), nib.load(out)
    expected = np.asarray(before.dataobj).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(after.get_fdata(), expected, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(after.header.get_zooms(), np.array(ZOOMS) / 2, rtol=1e-6)


def test_the_default_scale_is_2(run, scan, tmp_path):
    run("upscale", scan, tmp_path / "out.nii", *NEAREST)
    assert nib.load(tmp_path / "out.nii").shape == (36, 44, 30)


def test_options_may_stand_between_input_and_output(run, scan, tmp_path):
    assert run("upscale", scan, "--scale", "1x1x2", tmp_path / "o.nii", *NEAREST).code == 0
    assert nib.load(tmp_path / "o.nii").shape == (18, 22, 30)


def test_a_scale_counts_the_axes_of_the_file(run, tmp_path):
    affine = np.array([[0, 0, -1.2, 0], [1.0, 0, 0, 0], [0, 1.1, 0, 0], [0, 0, 0, 1]])
    path = make_scan(tmp_path / "asl.nii", affine=affine)  # stored as A, S, L
    found = run("upscale", path, tmp_path / "o.nii", "--scale", "1x2x3", *NEAREST)
    assert nib.load(tmp_path / "o.nii").shape == (18, 44, 45)
    assert "18 × 44 × 45 voxels of 1 × 0.55 × 0.4 mm" in found.out
    run("degrade", path, tmp_path / "low.nii", "--scale", "1x2x3")
    assert nib.load(tmp_path / "low.nii").shape == (18, 11, 5)


def test_spacing_chooses_a_factor_for_each_axis(run, tmp_path):
    path = make_scan(tmp_path / "thick.nii", affine=np.diag([1.0, 1.0, 4.0, 1.0]))
    run("upscale", path, tmp_path / "o.nii", "--spacing", "1.0", *NEAREST)
    assert nib.load(tmp_path / "o.nii").shape == (18, 22, 60)
    run("upscale", path, tmp_path / "p.nii", "--spacing", "0.5x1x2", *NEAREST)
    assert nib.load(tmp_path / "p.nii").shape == (36, 22, 30)
    found = run("upscale", path, tmp_path / "q.nii", "--spacing", "5", *NEAREST)
    assert found.code == 2
    assert "1 × 1 × 4 mm" in found.error
    assert not (tmp_path / "q.nii").exists()


def test_spacing_keeps_the_axes_that_are_finer_and_says_so(run, tmp_path):
    path = make_scan(tmp_path / "thick.nii", affine=np.diag([0.9, 0.9, 3.1, 1.0]))
    found = run("upscale", path, tmp_path / "o.nii", "--spacing", "1", *NEAREST)
    assert nib.load(tmp_path / "o.nii").shape == (18, 22, 46)
    kept = "thick.nii: kept R–L 0.9 mm, A–P 0.9 mm, finer than --spacing already"
    assert kept in found.err.splitlines()


@pytest.mark.parametrize(
    ("sidecar", "options", "text"),
    [
        (None, (), "slices 3.3 mm thick (assumed from their distance)"),
        ({"SliceThickness": 3}, (), "slices 3 mm thick, 3.3 mm apart (BIDS sidecar)"),
        (
            {"SliceThickness": 3, "SpacingBetweenSlices": 3.3},
            ("--slice-thickness", "2.5"),
            "slices 2.5 mm thick, 3.3 mm apart (as given)",
        ),
        ({"SliceThickness": "thick"}, (), "slices 3.3 mm thick (assumed from their distance)"),
    ],
)
@pytest.mark.parametrize("where", [(), SMALL])
def test_a_thick_slice_scan_becomes_isotropic(run, tmp_path, sidecar, options, text, where):
    path = make_scan(tmp_path / "thick.nii.gz", affine=np.diag([0.7, 0.7, 3.3, 1.0]))
    if sidecar is not None:
        (tmp_path / "thick.json").write_text(json.dumps(sidecar))
    out = tmp_path / "iso.nii.gz"
    command = ("upscale", path, out, "--isotropic", "--method", "tricubic", *options, *where)
    found = run(*command)
    assert found.code == 0, found.err
    assert f"18 × 22 × 71 voxels of 0.7 × 0.7 × 0.697 mm, {text}" in found.out
    result = read_volume(out)
    expected = upscale(read_volume(path), isotropic=True, method="tricubic")
    np.testing.assert_array_equal(result.data, expected.data)
    assert read_note(result.origin.header)["slices"] == text


def test_a_sidecar_that_contradicts_the_header_is_told(run, tmp_path):
    path = make_scan(tmp_path / "thick.nii.gz", affine=np.diag([0.7, 0.7, 3.3, 1.0]))
    facts = {"SliceThickness": 5.5, "SpacingBetweenSlices": 5.0}
    (tmp_path / "thick.json").write_text(json.dumps(facts))
    found = run("upscale", path, tmp_path / "o.nii", "--isotropic", *NEAREST, "-v")
    assert "slices are 5 mm apart, the header says 3.3 mm" in " ".join(found.err.split())
    assert "5.5 mm thick, but they are only 3.3 mm apart" in " ".join(found.err.split())
    assert "slices 3.3 mm thick (assumed" in found.out


def test_thick_slices_need_no_option_but_isotropic(run, tmp_path, rng):
    path = tmp_path / "thick.nii"
    data = rng.random((14, 12, 5), dtype=np.float32)
    nib.save(nib.Nifti1Image(data, np.diag([1.0, 1.0, 3.3, 1.0])), path)
    found = run("upscale", path, tmp_path / "o.nii", "--isotropic", "--json")
    assert found.code == 0
    assert json.loads(found.out)["method"] == "network"
    assert nib.load(tmp_path / "o.nii").shape == (14, 12, 16)


def test_isotropic_is_refused_where_it_cannot_be(run, scan, tmp_path):
    path = make_scan(tmp_path / "cube.nii", affine=np.diag([1.0, 1.0, 1.1, 1.0]))
    found = run("upscale", path, tmp_path / "o.nii", "--isotropic", *NEAREST)
    assert found.error.startswith(f"{path}: voxels of 1 × 1 × 1.1 mm")
    assert found.error.endswith("; give --scale or --spacing")
    thick = make_scan(tmp_path / "thick.nii", affine=np.diag([1.0, 1.0, 4.0, 1.0]))
    found = run("upscale", thick, tmp_path / "o.nii", "--slice-thickness", "6.5", *NEAREST)
    assert found.code == 2
    assert "slice thickness: 6.5 mm, but the slices are 4 mm apart" in found.error


def test_a_scale_that_is_not_whole_names_the_file_without_a_dot(run, tmp_path):
    path = make_scan(tmp_path / "sub-01_T2w.nii", affine=np.diag([1.0, 1.0, 4.8, 1.0]))
    run("upscale", path, tmp_path / "out", "--scale", "1x1x4.8", *NEAREST)
    assert (tmp_path / "out" / "sub-01_desc-sr1x1x4p8_T2w.nii").exists()


def test_maps_of_a_resampled_bank_have_the_result_s_grid(run, tmp_path, make_bank):
    path = make_scan(tmp_path / "thick.nii", affine=np.diag([1.0, 1.0, 4.0, 1.0]))
    make_bank((1, 1, 4)).save(tmp_path / "bank.safetensors")
    options = ("--bank", tmp_path / "bank.safetensors", "--maps", "--spacing", "1.2")
    assert run("upscale", path, tmp_path / "o.nii", *options).code == 0
    assert nib.load(tmp_path / "o.nii").shape == (18, 22, 50)
    assert nib.load(tmp_path / "o_desc-support.nii").shape == (18, 22, 50)


def test_hashed_with_a_bank_gives_the_result_of_the_engine(run, scan, bank, tmp_path):
    from napari_mrisr.io import read_volume

    out = tmp_path / "o.nii"
    assert run("upscale", scan, out, "--bank", bank, "--threads", "1").code == 0
    expected = upscale(read_volume(scan), UpscaleParameters(bank=str(bank), threads=1))
    np.testing.assert_array_equal(read_volume(out).data, expected.data)
    assert b"not for diagnosis" in nib.load(out).header["descrip"].item()


def test_several_inputs_keep_their_bids_names(run, tmp_path, files):
    folder = tmp_path / "in" / "sub-02"
    folder.mkdir(parents=True)
    make_scan(folder / "sub-02_T1w.nii.gz")
    one = make_scan(tmp_path / "scan.nii")
    found = run("upscale", one, tmp_path / "in", tmp_path / "out", "--scale", "1x1x2", *NEAREST)
    assert found.code == 0
    assert {name for name in files() if name.startswith("out/")} == {
        "out/scan_desc-sr1x1x2.nii",
        "out/sub-02_desc-sr1x1x2_T1w.nii.gz",
    }
    assert "[1/2] scan.nii: nearest" in found.err
    assert "[2/2] sub-02_T1w.nii.gz: nearest" in found.err
    assert len(found.out.splitlines()) == 2


def test_a_bad_input_is_reported_and_the_rest_is_done(run, scan, tmp_path, files):
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"nothing")
    flat = tmp_path / "flat.nii"
    nib.save(nib.Nifti1Image(np.full((4, 5, 6), 7, np.int16), np.eye(4)), flat)
    missing = tmp_path / "missing.nii"
    found = run("upscale", bad, missing, flat, scan, tmp_path / "out", *NEAREST)
    assert found.code == 2
    errors = [line for line in found.err.splitlines() if line.startswith("napari-mrisr: error:")]
    # Missing files are met first, then bad headers, then bad voxels.
    for path, line in zip((missing, bad, flat), errors, strict=False):
        assert str(path) in line
    assert len(errors) == 4
    assert errors[3] == "napari-mrisr: error: 3 failed, 1 done"
    assert "out/sub-01_desc-sr2x_T1w.nii.gz" in files()


def test_two_inputs_that_would_give_one_output_are_refused(run, tmp_path, files):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_scan(tmp_path / name / "scan.nii")
    inputs = tmp_path / "a", tmp_path / "b"
    found = run("upscale", *inputs, tmp_path / "out", *NEAREST)
    assert found.code == 2
    assert f"would come from {tmp_path}/a/scan.nii and from {tmp_path}/b/scan.nii" in found.err
    assert "out/scan_desc-sr2x.nii" in files()


def test_gpu_where_there_is_none_is_one_line(run, scan, tmp_path):
    found = run("upscale", scan, tmp_path / "out.nii", *NEAREST, "--device", "gpu")
    assert found.code == 0
    line = "device gpu: hidden from this test; computing on the CPU"
    assert found.err.splitlines().count(line) == 1
    assert found.err.count("GPU") + found.err.count("gpu") == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--method", "magic"), "'magic'"),
        (("--method", "nearest", "--threads", "0"), "--threads: 0"),
        (("--method", "nearest", "--frame", "3"), "3"),
        (("--method", "nearest", "--bank", "b"), "'b'"),
        (("--bank", "no-such-bank"), "no-such-bank"),
        (("--method", "hashed", "--scale", "7"), "7"),
    ],
)
def test_impossible_options_are_refused_before_voxels_are_read(
    run, scan, tmp_path, files, monkeypatch, arguments, part
):
    monkeypatch.setattr("napari_mrisr.io.read_volume", lambda *a, **k: pytest.fail("voxels read"))
    before = files()
    found = run("upscale", scan, tmp_path / "out.nii", *arguments)
    assert found.code == 2
    assert part in found.error
    assert files() == before


@pytest.mark.parametrize("command", ["upscale", "degrade"])
@pytest.mark.parametrize("name", ["o.txt", "o.nii.zip", "missing/o.nii"])
def test_impossible_outputs_are_refused_before_voxels_are_read(
    run, scan, tmp_path, monkeypatch, command, name
):
    monkeypatch.setattr("napari_mrisr.io.read_volume", lambda *a, **k: pytest.fail("voxels read"))
    options = NEAREST if command == "upscale" else ("--scale", "2")
    found = run(command, scan, tmp_path / name, *options)
    assert found.code == 2
    assert str(tmp_path / name.partition("/")[0]) in found.error


def test_several_inputs_need_a_folder(run, scan, tmp_path):
    found = run("upscale", scan, scan, tmp_path / "o.nii", *NEAREST)
    assert found.code == 2
    assert "give a folder" in found.error


def test_a_file_is_replaced_only_with_overwrite(run, scan, tmp_path):
    out = tmp_path / "o.nii"
    out.write_bytes(b"precious")
    found = run("upscale", scan, out, *NEAREST)
    assert found.code == 2
    assert "--overwrite" in found.error
    assert out.read_bytes() == b"precious"
    assert run("upscale", scan, out, *NEAREST, "--overwrite").code == 0
    assert nib.load(out).shape == (36, 44, 30)


def test_the_input_is_never_replaced(run, scan):
    before = scan.read_bytes()
    found = run("upscale", scan, scan, *NEAREST, "--overwrite")
    assert found.code == 2
    assert "is the input itself" in found.error
    assert scan.read_bytes() == before


def test_a_folder_that_stays_empty_is_removed(run, tmp_path):
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"nothing")
    assert run("upscale", bad, tmp_path / "results", *NEAREST).code == 2
    assert not (tmp_path / "results").exists()


def test_nonfinite_voxels_and_frames(run, tmp_path):
    data = np.random.default_rng(0).random((*SHAPE, 3)).astype(np.float32)
    data[1, 2, 3, 1] = np.nan
    path = tmp_path / "4d.nii"
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    out = tmp_path / "o.nii"
    assert "frame" in run("upscale", path, out, *NEAREST).error
    assert "--fill-nonfinite" in run("upscale", path, out, *NEAREST, "--frame", "1").error
    found = run("upscale", path, out, *NEAREST, "--frame", "1", "--fill-nonfinite", "0.25")
    assert found.code == 0
    after = nib.load(out).get_fdata()
    assert after[2, 4, 6] == pytest.approx(0.25, abs=1e-6)
    assert after[4, 4, 6] == pytest.approx(data[2, 2, 3, 1], abs=1e-6)


@pytest.mark.parametrize("options", [(), SMALL])
def test_labels_are_refused_by_methods_that_would_mix_them(run, tmp_path, options):
    labels = np.random.default_rng(0).integers(0, 4, (20, 22, 24)).astype(np.int16)
    path = tmp_path / "sub-01_dseg.nii"
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)
    found = run("upscale", path, tmp_path / "o.nii", "--method", "tricubic", *options)
    assert found.code == 2
    assert "sub-01_dseg.nii: holds labels (its name ends in dseg)" in found.error
    assert found.error.endswith("use method nearest")
    assert run("upscale", path, tmp_path / "o.nii", *NEAREST, *options).code == 0
    assert set(np.unique(nib.load(tmp_path / "o.nii").get_fdata().round(4))) == {0, 1, 2, 3}


@pytest.mark.parametrize("options", [(), SMALL])
def test_nonfinite_voxels_take_the_mean(run, tmp_path, options):
    data = np.random.default_rng(0).random((20, 22, 24)).astype(np.float32)
    data[3, 4, 5] = np.nan
    path, out = tmp_path / "a.nii", tmp_path / "o.nii"
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    found = run("upscale", path, out, *NEAREST, "--fill-nonfinite", "mean", *options)
    assert found.code == 0, found.err
    assert nib.load(out).get_fdata()[6, 8, 10] == pytest.approx(np.nanmean(data), abs=1e-5)


def test_an_impossible_spacing_names_the_option_and_tricubic(run, tmp_path):
    path = make_scan(tmp_path / "thick.nii", affine=np.diag([1.0, 2.0, 5.0, 1.0]))
    found = run("upscale", path, tmp_path / "o.nii", "--spacing", "1")
    assert found.error.startswith(f"{path}: --spacing: needs the scale 1x2x5")
    assert "--method tricubic" in found.error
    assert "--spacing" in run("upscale", path, tmp_path / "o.nii", "--spacing", "0.01").error


def test_memory_is_checked_before_voxels_are_read(run, scan, tmp_path, monkeypatch):
    import psutil

    monkeypatch.setattr("napari_mrisr.io.read_volume", lambda *a, **k: pytest.fail("voxels read"))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("M", (), {"available": 1000})())
    assert "memory" in run("upscale", scan, tmp_path / "o.nii", *NEAREST).error


def test_quiet_prints_nothing(run, scan, tmp_path):
    found = run("upscale", scan, tmp_path / "o.nii", *NEAREST, "-q")
    assert (found.code, found.out, found.err) == (0, "", "")


def test_a_run_from_disk_writes_the_same_file_as_in_memory(run, scan, bank, tmp_path):
    for name, options in (("a.nii", ()), ("b.nii", SMALL)):
        found = run("upscale", scan, tmp_path / name, "--bank", bank, *options)
        assert found.code == 0, found.err
        assert found.out.startswith(
            f"{tmp_path / name}: 36 × 44 × 30 voxels of 0.5 × 0.55 × 0.6 mm"
        )
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()


def test_ome_zarr_is_written_and_read_without_an_option(run, scan, tmp_path):
    pytest.importorskip("zarr")
    middle, out = tmp_path / "a.ome.zarr", tmp_path / "b.nii.gz"
    found = run("upscale", scan, middle, *NEAREST)
    assert found.code == 0, found.err
    assert "computing from and to disk within" in found.err
    assert run("upscale", middle, out, *NEAREST, "--scale", "1x1x2").code == 0
    expected = read_volume(scan).data.repeat(2, 0).repeat(2, 1).repeat(4, 2)
    # To the intensity window and back costs the last bit.
    np.testing.assert_allclose(read_volume(out).data, expected, rtol=1e-6)


def test_results_from_disk_go_to_a_folder(run, scan, tmp_path, files):
    pytest.importorskip("zarr")
    assert run("upscale", scan, tmp_path / "in.ome.zarr", *NEAREST).code == 0
    found = run("upscale", scan, tmp_path / "in.ome.zarr", tmp_path / "out", *NEAREST, *SMALL)
    assert found.code == 0, found.err
    names = {entry.name for entry in (tmp_path / "out").iterdir()}
    assert names == {"sub-01_desc-sr2x_T1w.nii.gz", "in_desc-sr2x.ome.zarr"}


def test_a_volume_that_does_not_fit_runs_from_disk(run, scan, tmp_path, monkeypatch):
    few = psutil.virtual_memory()._replace(available=900_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: few)
    module = importlib.import_module("napari_mrisr.run.upscale")  # not the function of that name
    monkeypatch.setattr(module, "estimate_memory", lambda grid, parameters: 10**12)
    found = run("upscale", scan, tmp_path / "a.nii", *NEAREST)
    assert found.code == 0, found.err
    assert "computing from and to disk within 0.5 GB (--memory sets it)" in found.err
    # Not in this format.
    assert "memory: an output of" in run("upscale", scan, tmp_path / "a.mgz", *NEAREST).error


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--memory", "lots"), "--memory: cannot read 'lots'; give a size such as 2GB"),
        (("--memory", "1MB"), "--memory: 0.001 GB is too little"),
        ((*SMALL, "--maps"), "--maps: cannot be made from and to disk"),
        ((*SMALL, "--report"), "--report: cannot be made from and to disk"),
        ((*SMALL, "--balance-slices"), "--balance-slices: cannot be made from and to disk"),
    ],
)
def test_impossible_options_from_disk_are_refused_before_any_work(
    run, scan, tmp_path, files, options, text
):
    before = files()
    found = run("upscale", scan, tmp_path / "a.nii", *options)
    assert found.code == 2
    assert found.error.startswith(text)
    assert files() == before


def test_other_formats_are_refused_from_disk(run, scan, tmp_path):
    assert "written in blocks as .mgz" in run("upscale", scan, tmp_path / "a.mgz", *SMALL).error
    assert "is the input itself" in run("upscale", scan, scan, *SMALL).error


def test_other_commands_read_and_write_ome_zarr(run, scan, tmp_path):
    pytest.importorskip("zarr")
    zarr, other = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    assert run("upscale", scan, zarr, *NEAREST).code == 0
    assert run("degrade", zarr, other, "--scale", "2").code == 0
    expected = tuple(n // 2 for n in read_volume(zarr).grid.shape)
    assert read_volume(other).grid.shape == expected


def test_int16_is_stored_and_its_rounding_stated(run, scan, tmp_path):
    found = run("upscale", scan, tmp_path / "a.nii.gz", *NEAREST, "--dtype", "int16")
    assert found.code == 0
    assert "stored as int16" in found.out
    assert nib.load(tmp_path / "a.nii.gz").get_data_dtype() == np.int16
    refused = run("upscale", scan, tmp_path / "a.mgz", *NEAREST, "--dtype", "int16")
    assert refused.error.startswith("--dtype: .mgz has no slope and intercept for int16")


def test_a_constant_volume_is_refused_from_disk(run, tmp_path, files):
    data = np.ones((5, 6, 7), np.float32)
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "flat.nii")
    before = files()
    assert (
        "all voxels are 1"
        in run("upscale", tmp_path / "flat.nii", tmp_path / "a.nii", *NEAREST, *SMALL).error
    )
    assert files() == before


@pytest.mark.parametrize("task", ["intensities", "nearest", "compressing"])
def test_ctrl_c_from_disk_leaves_nothing(run, scan, tmp_path, files, monkeypatch, task):
    before = files()
    interrupt_at(monkeypatch, task)
    found = run("upscale", scan, tmp_path / "a.nii.gz", *NEAREST, *SMALL)
    assert found.code == 130
    assert found.err.splitlines()[-1] == "napari-mrisr: cancelled"
    assert files() == before
    assert not (tmp_path / ".a.nii.gz.part").exists()


def test_a_run_from_disk_stopped_by_ctrl_c_can_be_resumed(run, scan, tmp_path, monkeypatch):
    out = tmp_path / "a.nii.gz"
    command = ("upscale", scan, out, *NEAREST, *SMALL)
    with monkeypatch.context() as patch:
        interrupt_at(patch, "compressing")
        found = run(*command, "--resume")
    assert found.code == 130
    assert "partial results are kept; resume with --resume" in found.err
    assert "unfinished run exists" in run(*command).error
    found = run(*command, "--resume")
    assert found.code == 0
    assert "resuming, 1 of 1 blocks are finished" in found.err
    expected = read_volume(scan).data.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    # To the intensity window and back costs the last bit.
    np.testing.assert_allclose(read_volume(out).data, expected, rtol=1e-6)


def test_slices_are_balanced_on_request_only(run, tmp_path):
    from helpers.scans import head

    from napari_mrisr.scan.traits import measure_traits

    data = head(5, (40, 44, 36)) * np.where(np.arange(36) % 2, 1.05, 1.0)
    path = tmp_path / "thick.nii.gz"
    nib.save(nib.Nifti1Image(data.astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0])), path)
    plain, even, again = (tmp_path / f"{name}.nii.gz" for name in ("plain", "even", "again"))
    options = ("--method", "nearest", "--scale", "2x1x1")
    assert run("upscale", path, plain, *options).code == 0
    found = run("upscale", path, even, *options, "--balance-slices")
    assert found.code == 0
    assert "balanced brightness: slices along S–I, 5." in found.err
    assert measure_traits(read_volume(plain)).alternation == pytest.approx(0.05, abs=0.005)
    assert measure_traits(read_volume(even)).alternation < 0.003
    found = run("upscale", even, again, *options, "--balance-slices")
    assert "slices do not alternate, nothing was changed" in found.err


@pytest.mark.parametrize("options", ["", ":plane=sagittal"])
def test_a_network_of_the_user_runs(run, tmp_path, options):
    path = make_scan(tmp_path / "thick.nii", affine=np.diag([1.0, 1.0, 4.0, 1.0]))
    model = save_model(copy_model(4, 1), tmp_path / "mine.onnx")
    out = tmp_path / "o.nii"
    found = run("upscale", path, out, "--isotropic", "--model", f"{model}{options}", "--json")
    assert found.code == 0
    assert json.loads(found.out)["network"] == "mine.onnx"
    expected = np.asarray(nib.load(path).dataobj).repeat(4, 2)
    np.testing.assert_allclose(nib.load(out).get_fdata(), expected, rtol=1e-4, atol=1e-2)
    plane = "sagittal" if options else "coronal"
    assert read_note(nib.load(out).header)["network_plane"] == plane


def test_a_network_that_does_not_fit_is_named(run, scan, tmp_path):
    model = save_model(copy_model(2, 2, 2), tmp_path / "mine.onnx")
    found = run("upscale", scan, tmp_path / "o.nii", "--scale", "1x1x2", "--model", model)
    assert found.code == 2
    assert "1x1x2 for a network of 2" in found.error
    model.write_bytes(b"nothing")
    found = run("upscale", scan, tmp_path / "o.nii", "--model", model)
    assert found.code == 2
    assert "mine.onnx" in found.error


def test_progress_names_the_scale_as_it_was_typed(run, tmp_path):
    """A sagittal scan: its stored axes run along A–P, S–I and R–L."""
    stored = np.array([[0, 0, 3.0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    scan = make_scan(tmp_path / "sagittal.nii", affine=stored)
    found = run("upscale", scan, tmp_path / "o.nii", "--scale", "1x1x2", "--method", "tricubic")
    assert found.code == 0
    assert "tricubic 1x1x2" in found.err
    assert "2x1x1" not in found.err
