"""``upscale --memory``: the same file as in memory, from any side, or one clear line."""

from __future__ import annotations

import importlib
import signal

import nibabel as nib
import numpy as np
import psutil
import pytest

from napari_mrisr.cli.progress import TerminalProgress
from napari_mrisr.io import read_volume

NEAREST = ("--method", "nearest")
SMALL = ("--memory", "2GB")


def interrupt_at(monkeypatch, task):
    """Press Ctrl-C when progress shows a task."""
    show = TerminalProgress.show

    def show_and_interrupt(self, state):
        show(self, state)
        if task in state.task and not self.token.cancelled:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(TerminalProgress, "show", show_and_interrupt)


def test_the_same_file_as_in_memory(run, scan, bank, tmp_path):
    for name, options in (("a.nii", ()), ("b.nii", SMALL)):
        found = run("upscale", scan, tmp_path / name, "--bank", bank, *options)
        assert found.code == 0, found.err
        assert found.out.startswith(
            f"{tmp_path / name}: 36 x 44 x 30 voxels of 0.5 x 0.55 x 0.6 mm"
        )
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()


def test_ome_zarr_out_and_in_without_asking(run, scan, tmp_path):
    pytest.importorskip("zarr")
    middle, out = tmp_path / "a.ome.zarr", tmp_path / "b.nii.gz"
    found = run("upscale", scan, middle, *NEAREST)
    assert found.code == 0, found.err
    assert "streamed from and to disk within" in found.err
    assert run("upscale", middle, out, *NEAREST, "--scale", "1x1x2").code == 0
    expected = read_volume(scan).data.repeat(2, 0).repeat(2, 1).repeat(4, 2)
    # To the intensity window and back costs the last bit.
    np.testing.assert_allclose(read_volume(out).data, expected, rtol=1e-6)


def test_results_in_a_folder(run, scan, tmp_path, files):
    pytest.importorskip("zarr")
    assert run("upscale", scan, tmp_path / "in.ome.zarr", *NEAREST).code == 0
    found = run("upscale", scan, tmp_path / "in.ome.zarr", tmp_path / "out", *NEAREST, *SMALL)
    assert found.code == 0, found.err
    names = {entry.name for entry in (tmp_path / "out").iterdir()}
    assert names == {"sub-01_desc-sr2x_T1w.nii.gz", "in_desc-sr2x.ome.zarr"}


def test_a_volume_that_does_not_fit_is_streamed(run, scan, tmp_path, monkeypatch):
    few = psutil.virtual_memory()._replace(available=900_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: few)
    module = importlib.import_module("napari_mrisr.run.upscale")  # not the function of that name
    monkeypatch.setattr(module, "estimate_memory", lambda grid, parameters: 10**12)
    found = run("upscale", scan, tmp_path / "a.nii", *NEAREST)
    assert found.code == 0, found.err
    assert "streamed from and to disk within 0.5 GB (--memory sets it)" in found.err
    # Not in this format.
    assert "memory: an output of" in run("upscale", scan, tmp_path / "a.mgz", *NEAREST).error


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--memory", "lots"), "--memory: cannot read 'lots'; give such as 2GB"),
        (("--memory", "1MB"), "--memory: 0.001 GB is too little"),
        ((*SMALL, "--maps"), "--maps: cannot be made of a volume that is streamed"),
        ((*SMALL, "--report"), "--report: cannot be made of a volume that is streamed"),
    ],
)
def test_refused_before_any_work(run, scan, tmp_path, files, options, text):
    before = files()
    found = run("upscale", scan, tmp_path / "a.nii", *options)
    assert found.code == 2
    assert found.error.startswith(text)
    assert files() == before


def test_other_formats_are_refused(run, scan, tmp_path):
    assert "piece by piece as .mgz" in run("upscale", scan, tmp_path / "a.mgz", *SMALL).error
    assert "is the input itself" in run("upscale", scan, scan, *SMALL).error


def test_other_commands_say_who_reads_ome_zarr(run, scan, tmp_path):
    pytest.importorskip("zarr")
    assert run("upscale", scan, tmp_path / "a.ome.zarr", *NEAREST).code == 0
    found = run("degrade", tmp_path / "a.ome.zarr", tmp_path / "b.nii", "--scale", "2")
    assert "only upscale reads OME-Zarr" in found.error


def test_voxels_are_judged(run, tmp_path, files):
    data = np.ones((5, 6, 7), np.float32)
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "flat.nii")
    before = files()
    assert (
        "all voxels are 1"
        in run("upscale", tmp_path / "flat.nii", tmp_path / "a.nii", *NEAREST, *SMALL).error
    )
    assert files() == before


@pytest.mark.parametrize("task", ["looking", "nearest", "compressing"])
def test_ctrl_c_leaves_nothing(run, scan, tmp_path, files, monkeypatch, task):
    before = files()
    interrupt_at(monkeypatch, task)
    found = run("upscale", scan, tmp_path / "a.nii.gz", *NEAREST, *SMALL)
    assert found.code == 130
    assert found.err.splitlines()[-1] == "napari-mrisr: cancelled"
    assert files() == before
    assert not (tmp_path / ".a.nii.gz.part").exists()


def test_ctrl_c_with_resume_is_gone_on_with(run, scan, tmp_path, monkeypatch):
    out = tmp_path / "a.nii.gz"
    command = ("upscale", scan, out, *NEAREST, *SMALL)
    with monkeypatch.context() as patch:
        interrupt_at(patch, "compressing")
        found = run(*command, "--resume")
    assert found.code == 130
    assert "what is done is kept; --resume goes on with it" in found.err
    assert "unfinished run is there" in run(*command).error
    found = run(*command, "--resume")
    assert found.code == 0
    assert "resuming, 1 of 1 blocks are done" in found.err
    expected = read_volume(scan).data.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    # To the intensity window and back costs the last bit.
    np.testing.assert_allclose(read_volume(out).data, expected, rtol=1e-6)
