"""evaluate, train, bank and demo."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.cli import demo

from .conftest import make_scan

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


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--methods", "magic"), "'magic'"),
        (("--methods", ","), "--methods"),
        (("--protocol", "paper-2022"), "'paper-2022'"),
        (("--degradation", "blur"), "blur"),
        (("--json", "missing/r.json"), "missing"),
        (("--csv", "scan.nii.gz"), "name of an image"),
        (("--figure", "figure.doc"), "'.doc'"),
    ],
)
def test_impossible_options_are_one_line_before_any_voxel(
    run, scan, tmp_path, monkeypatch, options, part
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "napari_mrisr.evaluation.experiment.read_volume", lambda *a, **k: pytest.fail("voxels read")
    )
    found = run("evaluate", scan, "--methods", "nearest", *options)
    assert found.code == 2
    assert part in found.error


def test_bank_show_and_list(run, bank, tmp_path):
    found = run("bank", "show", bank)
    assert found.code == 0
    assert "scale 2" in found.out
    assert "2.nii" in found.out
    assert run("bank", "list").code == 0
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(bank.read_bytes()[:-100])
    found = run("bank", "show", broken)
    assert found.code == 2
    assert str(broken) in found.error


def test_training_says_what_it_did_and_may_be_resumed(run, scan, tmp_path, small_presets):
    out = tmp_path / "b.safetensors"
    found = run("train", scan, "--scale", "2", "--out", out)
    assert found.code == 0
    assert f"{out}: trained in" in found.out
    assert "samples" in found.out
    found = run("train", scan, "--scale", "2", "--out", out)
    assert "--overwrite or --resume" in found.error
    other = make_scan(tmp_path / "other.nii", seed=5)
    found = run("train", scan, other, "--scale", "2", "--out", out, "--resume", "--threads", "1")
    assert found.code == 0
    assert "trained on 2 volumes" in found.out


def test_training_tells_memory_and_the_gain_after_each_volume(run, tmp_path, small_presets):
    scans = [make_scan(tmp_path / f"{n}.nii", n, (29, 34, 25)) for n in (2, 3, 4)]
    out = tmp_path / "b.safetensors"
    found = run(
        "train", *scans[:2], "--scale", "2", "--out", out, "--no-names", "--validate", scans[2]
    )
    assert found.code == 0
    assert "GB of memory" in found.out
    lines = [line for line in found.err.splitlines() if " dB over tricubic (" in line]
    starts = [line.partition(":")[0] for line in lines]
    assert starts == [f"stage {stage}, {n} volumes" for stage in (1, 2) for n in (1, 2)]
    assert "inside the head" in lines[0]
    assert "volume 2  license not stated" in found.out
    assert b"3.nii" not in out.read_bytes()
    found = run("train", scans[0], "--scale", "2", "--out", tmp_path / "c", "--validate", "none")
    assert found.code == 2
    assert "none" in found.error
    assert not (tmp_path / "c").exists()


def test_training_leaves_out_a_bad_file_and_says_so(run, scan, tmp_path, small_presets):
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"nothing")
    found = run("train", bad, scan, "--scale", "2", "--out", tmp_path / "b.safetensors")
    assert found.code == 2
    assert str(bad) in found.err
    assert (tmp_path / "b.safetensors").exists()


def test_training_at_a_scale_along_an_axis_needs_one_orientation(run, scan, tmp_path):
    affine = np.array([[0, 0, -1.2, 0], [1.0, 0, 0, 0], [0, 1.1, 0, 0], [0, 0, 0, 1]])
    turned = make_scan(tmp_path / "turned.nii", affine=affine)
    options = ("--scale", "1x1x2", "--out", tmp_path / "b.safetensors")
    found = run("train", scan, turned, *options)
    assert found.code == 2
    assert "one orientation" in found.error
    assert run("train", turned, *options).code == 0
    # Stored third axis = left-right: the bank is for RAS.
    assert "scale 2x1x1" in run("bank", "show", tmp_path / "b.safetensors").out


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--degradation", "blur"), "blur"),
        (("--out", "missing/b.safetensors"), "missing"),
        (("--out", "b.nii"), "name of an image"),
        (("--threads", "0"), "--threads: 0"),
    ],
)
def test_training_checks_its_options_first(run, scan, tmp_path, monkeypatch, options, part):
    monkeypatch.chdir(tmp_path)
    found = run("train", scan, "--scale", "2", "--out", "b.safetensors", *options)
    assert found.code == 2
    assert part in found.error


@pytest.fixture
def without_bank(monkeypatch):
    """The demo by interpolation alone: it needs no bundled bank."""
    monkeypatch.setattr(demo, "_METHODS", ("nearest", "tricubic"))


def test_the_demo_writes_volumes_and_figure_again_and_again(
    run, scan, tmp_path, files, without_bank
):
    for _ in range(2):
        found = run("demo", "--input", scan, "--out", tmp_path / "output", "--no-viewer")
        assert found.code == 0
        assert "Mask head" in found.out
        assert {name for name in files() if name.startswith("output/")} == {
            f"output/sub-01_T1w_{part}"
            for part in (
                "low.nii.gz",
                "truth.nii.gz",
                "nearest-2x.nii.gz",
                "tricubic-2x.nii.gz",
                "comparison.png",
            )
        }
    truth = nib.load(tmp_path / "output" / "sub-01_T1w_truth.nii.gz")
    assert truth.shape == (18, 22, 14)
    low = nib.load(tmp_path / "output" / "sub-01_T1w_low.nii.gz")
    np.testing.assert_allclose(low.header.get_zooms(), (2, 2.2, 2.4), rtol=1e-6)
    again = nib.load(tmp_path / "output" / "sub-01_T1w_tricubic-2x.nii.gz")
    np.testing.assert_allclose(again.affine, truth.affine, atol=1e-5)


def test_the_demo_takes_the_phantom(run, tmp_path, monkeypatch, without_bank):
    from napari_mrisr.io import read_volume, samples

    small = make_scan(tmp_path / "p.nii")
    monkeypatch.setattr(samples, "phantom", lambda: read_volume(small))
    monkeypatch.chdir(tmp_path)
    assert run("demo", "--no-viewer").code == 0
    assert (tmp_path / "output" / "phantom_truth.nii.gz").exists()


def test_the_demo_without_a_display_says_so_and_is_good(
    run, scan, tmp_path, monkeypatch, without_bank
):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    found = run("demo", "--input", scan, "--out", tmp_path / "o")
    assert found.code == 0
    assert "napari was not opened: " in found.out


def test_the_demo_without_napari_says_so(run, scan, tmp_path, monkeypatch, without_bank):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = run("demo", "--input", scan, "--out", tmp_path / "o")
    assert found.code == 0
    assert "napari is not installed" in found.out


def test_the_demo_opens_the_viewer_with_all_volumes(run, scan, tmp_path, monkeypatch, without_bank):
    import types

    shown = {}
    fake = types.ModuleType("napari_mrisr.viewer.demo")
    fake.open_demo = shown.update
    monkeypatch.setitem(sys.modules, "napari_mrisr.viewer.demo", fake)
    monkeypatch.setattr(demo, "no_viewer_because", lambda: "")
    assert run("demo", "--input", scan, "--out", tmp_path / "o").code == 0
    assert list(shown) == ["low", "truth", "nearest", "tricubic"]


def test_the_demo_refuses_a_folder_that_cannot_be(run, scan, tmp_path, without_bank):
    out = tmp_path / "file"
    out.write_text("in the way")
    found = run("demo", "--input", scan, "--out", out, "--no-viewer")
    assert found.code == 2
    assert str(out) in found.error
