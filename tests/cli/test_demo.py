"""demo: volumes, figure and viewer."""

from __future__ import annotations

import importlib.util
import sys

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.cli import demo

from .conftest import make_scan

FAST = ("--methods", "nearest,tricubic")


@pytest.fixture
def without_bank(monkeypatch):
    """Let the demo interpolate only, so that it needs no bundled bank."""
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
