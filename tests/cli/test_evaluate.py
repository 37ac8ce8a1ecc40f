"""evaluate: rows, summary, figure, and files that fail."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest

FAST = ("--methods", "nearest,tricubic")


def test_rows_table_and_files(run, scan, tmp_path):
    options = ("--scales", "2,1x1x3", "--protocol", "paper-2021")
    outputs = ("--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv")
    found = run("evaluate", scan, *FAST, *options, *outputs)
    assert found.code == 0
    assert found.out.startswith("Protocol paper-2021: degradation paper-2021;")
    assert "Mask full" in found.out
    assert "Mask head" in found.out
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    keys = {(r["file"], r["scale"], r["method"], r["protocol"], r["mask"]) for r in content["rows"]}
    assert keys == {
        (str(scan), scale, method, "paper-2021", mask)
        for scale in ("2", "1x1x3")
        for method in ("nearest", "tricubic")
        for mask in ("full", "head")
    }
    for row in content["rows"]:
        assert {"psnr_db", "ssim", "gain_db", "seconds"} <= set(row)
        assert 0 < row["ssim"] < 1
    lines = list(csv.DictReader((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(line["psnr_db"]) for line in lines] == [r["psnr_db"] for r in content["rows"]]


def test_hashed_is_evaluated_with_a_bank_and_drawn(run, scan, bank, tmp_path):
    figure = tmp_path / "f.svg"
    figure.write_text("old")
    found = run("evaluate", scan, "--bank", bank, "--figure", figure, "--json", tmp_path / "r.json")
    assert found.code == 0
    header = next(line for line in found.out.splitlines() if line.startswith("scale"))
    assert header.split() == ["scale", "nearest", "tricubic", "hashed"]
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    settings = {row["method"]: row["settings"] for row in content["rows"]}
    assert settings["hashed"].endswith("; bank small")
    assert "bank" not in settings["tricubic"]
    assert figure.read_text(encoding="utf-8").startswith("<?xml")


def test_a_bad_file_is_listed_and_the_rest_is_done(run, scan, tmp_path):
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"nothing")
    found = run("evaluate", bad, tmp_path / "none.nii", scan, *FAST, "--json", tmp_path / "r.json")
    assert found.code == 2
    assert found.err.count("napari-mrisr: error: ") == 2
    assert str(bad) in found.err
    assert "none.nii" in found.err
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert len(content["rows"]) == 4
    assert [failure["file"] for failure in content["failures"]] == [str(bad)]


def test_thick_slices_drop_hashed_without_a_bank_and_draw(run, scan, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_mrisr.bank.model.bundled_scales", list)
    monkeypatch.setattr("napari_mrisr.evaluation.experiment.bundled_banks", list)
    outputs = ("--figure", tmp_path / "f.svg", "--csv", tmp_path / "r.csv")
    found = run("evaluate", scan, "--protocol", "thick-slices:3", "--axis", "S-I", *outputs)
    assert found.code == 0
    assert "no filter bank for 1x1x3" in found.err
    assert "3× along S–I" in found.out
    lines = list(csv.DictReader((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()))
    assert {line["axis"] for line in lines} == {"S–I"}
    assert {line["method"] for line in lines} == {"nearest", "tricubic"}
    assert (tmp_path / "f.svg").exists()


def test_slices_are_left_out(run, scan, tmp_path):
    outputs = ("--figure", tmp_path / "f.svg", "--json", tmp_path / "r.json")
    found = run("evaluate", scan, *FAST, "--leave-out", "2", "--axis", "A-P", *outputs)
    assert found.code == 0
    assert "2× along A–P" in found.out
    assert "Mask full" not in found.out
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [row["axis"] for row in content["rows"]] == ["A–P", "A–P"]
    assert content["protocol"]["axes"] == ["A-P"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--methods", "magic"), "'magic'"),
        (("--methods", ","), "--methods"),
        (("--protocol", "paper-2022"), "'paper-2022'"),
        (("--degradation", "blur"), "blur"),
        (("--protocol", "thick-slices:9"), "'9'"),
        (("--protocol", "thick-slices", "--scales", "3"), "--scales"),
        (("--leave-out", "2", "--scales", "3"), "--scales"),
        (("--axis", "S-I"), "--axis"),
        (("--json", "missing/r.json"), "missing"),
        (("--csv", "scan.nii.gz"), "name of an image"),
        (("--figure", "figure.doc"), "'.doc'"),
    ],
)
def test_impossible_options_are_refused_before_voxels_are_read(
    run, scan, tmp_path, monkeypatch, options, part
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "napari_mrisr.evaluation.experiment.read_volume", lambda *a, **k: pytest.fail("voxels read")
    )
    found = run("evaluate", scan, "--methods", "nearest", *options)
    assert found.code == 2
    assert part in found.error


def test_planted_lesions_print_a_table_and_write_files(run, tmp_path, rng):
    shape = (44, 40, 36)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    data = np.where(sum(a**2 for a in axes) < 0.9, rng.integers(400, 600, shape), 0)
    data[22, 20, 18:21] = 1000
    nib.save(nib.Nifti1Image(data.astype(np.int16), np.eye(4)), tmp_path / "ball.nii.gz")
    outputs = ("--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv")
    options = ("--task", "lesions", "--protocol", "thick-slices:3", "--axis", "A-P")
    found = run(
        "evaluate", tmp_path / "ball.nii.gz", *FAST, *options, *outputs,
        "--figure", tmp_path / "f.svg",
    )  # fmt: skip
    assert found.code == 0
    assert "Planted lesions per radius" in found.out
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert content["task"] == "lesions"
    assert {row["method"] for row in content["rows"]} == {"nearest", "tricubic"}
    assert {row["axis"] for row in content["rows"]} == {"A–P"}
    assert len(content["rows"][0]["present"]) == 5
    lines = list(csv.DictReader((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(line["kept"]) for line in lines] == [r["kept"] for r in content["rows"]]
    assert "present" not in lines[0]
    assert (tmp_path / "f.svg").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--task", "tumors"), "choose from"),
        (("--task", "lesions", "--leave-out", "2"), "which has no truth"),
        (("--task", "lesions", "--dask", "2"), "--dask: has no effect on --task"),
        (("--task", "lesions", "--metrics", "all"), "--metrics: has no effect on --task"),
    ],
)
def test_options_that_do_not_fit_a_task_are_refused(run, scan, options, part):
    found = run("evaluate", scan, *FAST, *options)
    assert found.code == 2
    assert part in found.err


def test_lesions_of_a_mask_print_a_table_and_write_files(run, scan, tmp_path):
    image = nib.load(scan)
    mask = np.zeros(image.shape, np.uint8)
    mask[8:11, 10:12, 6:9] = mask[5, 14, 7] = 1
    nib.save(nib.Nifti1Image(mask, image.affine), tmp_path / "mask.nii")
    outputs = ("--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv")
    options = ("--lesions", tmp_path / "mask.nii", "--figure", tmp_path / "f.svg")
    found = run("evaluate", scan, *FAST, "--protocol", "thick-slices:3", *options, *outputs)
    assert found.code == 0
    assert "all (6)" in found.out
    assert "contrast kept / 10th percentile" in found.out
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert "mask mask.nii" in content["settings"]
    assert {row["lesion"] for row in content["rows"]} == {1, 2}
    lines = list(csv.DictReader((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()))
    assert len(lines) == 3 * 2 * 2
    assert (tmp_path / "f.svg").exists()


def test_a_mask_that_does_not_fit_is_refused(run, scan, tmp_path):
    nib.save(nib.Nifti1Image(np.ones((9, 8, 7), np.uint8), np.eye(4)), tmp_path / "mask.nii")
    mask = ("--lesions", tmp_path / "mask.nii")
    found = run("evaluate", scan, *FAST, *mask)
    assert found.code == 2
    assert f"mask.nii: shape (9, 8, 7), but {scan.name} has (18, 22, 15)" in found.error
    nib.save(nib.load(scan), tmp_path / "second.nii")
    found = run("evaluate", scan, tmp_path / "second.nii", *FAST, *mask)
    assert "--lesions: one mask for 2 images" in found.error
    found = run("evaluate", scan, *FAST, *mask, "--dask", "2")
    assert "--dask: has no effect on --lesions" in found.error
