"""``--dask`` on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.scans import save_scans
from helpers.training import train_quickly

from napari_mrisr.bank.model import load_bank
from napari_mrisr.cli import main
from napari_mrisr.io import read_volume

FAST = ("--method", "tricubic")


@pytest.fixture
def folder(tmp_path):
    """Make two scans, a file that is no scan, and a truncated scan."""
    folder = tmp_path / "in"
    folder.mkdir()
    scans = save_scans(folder)
    for path in scans[2:]:
        path.unlink()
    (folder / "sub-0.nii").write_bytes(b"nothing")
    (folder / "sub-1_a.nii.gz").write_bytes(scans[0].read_bytes()[:-4000])
    return folder


@pytest.fixture
def run(capsys, workers):
    """Return a function that runs a command on the cluster: exit code, output, errors."""
    workers.wait()

    def run(*arguments, where=None):
        capsys.readouterr()
        code = main([str(a) for a in (*arguments, "--dask", where or workers.address)])
        return code, *capsys.readouterr()

    return run


def test_upscale_of_a_folder_lists_failures_at_the_end(run, workers, folder, tmp_path):
    out, alone = tmp_path / "out", tmp_path / "alone"
    with workers.one_killed():
        code, said, errors = run("upscale", folder, out, *FAST)
    assert code == 2
    names = ["sub-1_desc-sr2x_T1w.nii.gz", "sub-2_desc-sr2x_T1w.nii.gz"]
    assert [line.split(": ")[0] for line in said.splitlines()] == [str(out / n) for n in names]
    assert sorted(path.name for path in out.iterdir()) == names
    lines = errors.splitlines()
    assert lines[0].startswith("3 workers, dashboard: http://127.0.0.1:")
    assert "sub-0.nii" in lines[-3]
    assert "sub-1_a.nii.gz" in lines[-2]
    assert lines[-1] == "napari-mrisr: error: 2 failed, 2 done"
    assert main(["upscale", str(folder), str(alone), *FAST, "-q"]) == 2
    for name in names:
        ours, theirs = read_volume(out / name), read_volume(alone / name)
        np.testing.assert_array_equal(ours.data, theirs.data)


def test_leftovers_of_a_killed_worker_are_removed(run, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    left = out / ".sub-2_desc-sr2x_T1w-0123456789ab.nii.gz"
    other = out / ".sub-3_desc-sr2x_T1w-0123456789ab.nii.gz"
    left.touch()
    other.touch()
    run("upscale", folder / "sub-2_T1w.nii.gz", out, *FAST)
    assert not left.exists()
    assert other.exists()


def test_existing_outputs_are_refused_before_any_work(run, folder, tmp_path):
    out = tmp_path / "out.nii.gz"
    out.write_bytes(b"precious")
    code, _, errors = run("upscale", folder / "sub-2_T1w.nii.gz", out, *FAST)
    assert code == 2
    assert "exists already" in errors
    assert out.read_bytes() == b"precious"


def test_evaluate_writes_rows_and_draws(run, folder, tmp_path):
    figure, rows = tmp_path / "f.png", tmp_path / "r.json"
    fast = ("--methods", "nearest,tricubic")
    code, said, errors = run("evaluate", folder, *fast, "--json", rows, "--figure", figure)
    assert code == 2
    assert "Mask head, 2 volumes" in said
    assert errors.count("napari-mrisr: error: ") == 2
    content = json.loads(rows.read_text("utf-8"))
    assert [r["file"] for r in content["rows"][::4]] == [
        str(folder / f"sub-{number}_T1w.nii.gz") for number in (1, 2)
    ]
    assert figure.stat().st_size > 10_000


def test_train_names_failed_files(run, folder, tmp_path, monkeypatch):
    train_quickly(monkeypatch)
    out = tmp_path / "b.safetensors"
    (folder / "sub-1_a.nii.gz").unlink()
    code, said, errors = run("train", folder, "--scale", "2", "--out", out)
    assert code == 2
    assert "trained on 2 volumes" in said
    assert "3 workers, dashboard" in errors
    assert errors.splitlines()[-1] == "napari-mrisr: error: 1 failed, 2 done"
    assert load_bank(out).calibration.volumes == 2


def test_missing_scheduler_is_one_line(run, folder, monkeypatch):
    monkeypatch.setattr("napari_mrisr.cluster.connect._CONNECT_S", 0.3)
    code, _, errors = run("evaluate", folder, where="tcp://127.0.0.1:9")
    assert code == 2
    assert errors.startswith("napari-mrisr: error: --dask tcp://127.0.0.1:9: no scheduler answers")
    assert len(errors.splitlines()) == 1
