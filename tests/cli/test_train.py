"""train: a bank, its checkpoint, options that are checked first."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from helpers.networks import train_by_counting

from napari_mrisr.networks.file import load_network

from .conftest import interrupt_at, make_scan

FAST = ("--methods", "nearest,tricubic")


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


def test_a_bank_with_anchors_is_trained_shown_and_used(run, scan, tmp_path, small_presets):
    pytest.importorskip("sklearn")
    out, result = tmp_path / "b.safetensors", tmp_path / "r.nii"
    found = run("train", scan, "--scale", "2", "--preset", "a-plus", "--out", out)
    assert found.code == 0
    assert "bins: 12 anchors of gradients" in found.out
    found = run("upscale", scan, result, "--scale", "2", "--method", "anchored", "--bank", out)
    assert found.code == 0
    assert result.exists()


def test_a_bank_with_sharpened_targets_says_so_and_is_resumed_only_with_them(
    run, scan, tmp_path, small_presets
):
    out = tmp_path / "b.safetensors"
    command = ("train", scan, "--scale", "2", "--out", out)
    found = run(*command, "--sharpen", "0.5")
    assert found.code == 0
    assert "targets sharpened: amount 0.5, sigma 1 voxels" in run("bank", "show", out).out
    assert "resume with the same options" in run(*command, "--resume").error
    assert run(*command, "--resume", "--sharpen", "0.5:1").code == 0


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
        (("--sharpen", "much"), "'much' is no AMOUNT:SIGMA, such as 0.5:1"),
        (("--sharpen", "9"), "sharpen: amount 9; give more than 0 and at most 5"),
        (("--sharpen", "0.5:9"), "sharpen: sigma 9; give 0.3 to 3 voxels"),
    ],
)
def test_training_checks_its_options_first(run, scan, tmp_path, monkeypatch, options, part):
    monkeypatch.chdir(tmp_path)
    found = run("train", scan, "--scale", "2", "--out", "b.safetensors", *options)
    assert found.code == 2
    assert part in found.error


def test_ctrl_c_keeps_a_usable_network_and_resume_continues(run, scan, tmp_path, monkeypatch):
    train_by_counting(monkeypatch)
    out = tmp_path / "mine.onnx"
    command = ("train", scan, "--method", "network", "--out", out, "--steps", "50")
    with monkeypatch.context() as patch:
        interrupt_at(patch, "training a network", done=20)
        found = run(*command)
    assert found.code == 130
    assert f"{out}: stopped after 20 of 50 steps; continue with --resume" in found.err
    assert load_network(out).provenance["steps"] == 20
    assert "--overwrite or --resume" in run(*command).error
    found = run(*command, "--resume")
    assert found.code == 0
    assert "50 steps on CPU, counting, from step 20" in found.err
    assert f"{out}: 50 steps, trained in" in found.out
    assert load_network(out).provenance["steps"] == 50


def test_a_network_tells_memory_and_its_gain_and_is_used_at_once(run, tmp_path, monkeypatch):
    train_by_counting(monkeypatch)
    scans = [make_scan(tmp_path / f"{n}.nii", n, (29, 34, 25)) for n in (2, 3)]
    out = tmp_path / "mine.onnx"
    command = ("train", scans[0], "--method", "network", "--steps", "300", "--no-names")
    found = run(*command, "--out", out, "--validate", scans[1])
    assert found.code == 0
    assert "GB of memory" in found.out
    lines = [line for line in found.err.splitlines() if "dB over tricubic" in line]
    assert [line.partition(":")[0] for line in lines] == ["step 250", "step 300"]
    assert "+2.25 at 2×, +4.25 at 4×, +6.25 at 6×" in lines[0]
    assert b"2.nii" not in out.read_bytes()
    result = tmp_path / "high.nii.gz"
    options = ("--scale", "1x1x2", "--method", "network", "--bank", out)
    assert run("upscale", scans[1], result, *options).code == 0
    assert result.exists()


def test_a_network_goes_on_from_another_with_fewer_steps(run, scan, tmp_path, monkeypatch):
    opened = train_by_counting(monkeypatch)
    out = tmp_path / "mine.onnx"
    command = ("train", scan, "--method", "network", "--out", out, "--start", "thick-slices")
    assert run(*command).code == 0
    assert (opened[0].start.name, opened[0].steps) == ("thick-slices", 1000)
    assert load_network(out).provenance["start"]["name"] == "thick-slices"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--method", "network", "--scale", "2"), "--scale: does not apply to method network"),
        (("--method", "network", "--preset", "paper"), "--preset: does not apply"),
        (("--method", "network", "--thin", "*=1x1x2"), "use --thick-axes"),
        (("--method", "network", "--dask", "local"), "--dask: does not apply"),
        (("--method", "network", "--sharpen", "1"), "--sharpen: does not apply"),
        (("--method", "network", "--out", "b.safetensors"), "end it with .onnx"),
        (("--method", "network", "--steps", "0"), "--steps: 0; give 1"),
        (("--method", "network", "--start", "nothing"), "nothing: cannot be read"),
        (
            ("--method", "network", "--kind", "isotropic", "--start", "thick-slices"),
            "thick-slices: a network for slices of any thickness, not 2×",
        ),
        (("--scale", "2", "--kind", "isotropic"), "--kind: does not apply to filter banks"),
        (("--scale", "2", "--steps", "9"), "--steps: does not apply to filter banks"),
        ((), "--scale: missing"),
    ],
)
def test_options_of_the_other_method_are_refused(
    run, scan, tmp_path, monkeypatch, files, options, part
):
    train_by_counting(monkeypatch)
    monkeypatch.chdir(tmp_path)
    before = files()
    found = run("train", scan, "--out", "b.onnx", *options)
    assert found.code == 2
    assert part in found.error
    assert files() == before


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_a_network_without_pytorch_names_the_remedy(run, scan, tmp_path):
    found = run("train", scan, "--method", "network", "--out", tmp_path / "a.onnx")
    assert found.code == 2
    assert "--method: a network is trained by PyTorch, which is not installed" in found.error
    assert "napari-mrisr[train]" in found.error
