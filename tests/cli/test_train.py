"""train: a bank, its checkpoint, options that are checked first."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import make_scan

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
