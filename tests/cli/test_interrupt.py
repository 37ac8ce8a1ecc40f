"""Ctrl-C: exit 130, one line, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.cli.progress import TerminalProgress
from napari_mrisr.cli.session import Session
from napari_mrisr.errors import Cancelled

NEAREST = ("--method", "nearest")


@pytest.fixture(autouse=True)
def handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


def interrupt_at(monkeypatch, task):
    """Press Ctrl-C when progress shows a task."""
    show = TerminalProgress.show

    def show_and_interrupt(self, state):
        show(self, state)
        if task in state.task and not self.token.cancelled:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(TerminalProgress, "show", show_and_interrupt)


@pytest.mark.parametrize("task", ["nearest", "writing"])
def test_upscale_is_cancelled_and_leaves_nothing(run, scan, tmp_path, files, monkeypatch, task):
    interrupt_at(monkeypatch, task)
    before = files()
    found = run("upscale", scan, scan, tmp_path / "out", *NEAREST)
    assert found.code == 130
    assert found.err.splitlines()[-1] == "napari-mrisr: cancelled"
    assert "error" not in found.err
    assert found.out == ""
    assert files() == before
    assert not (tmp_path / "out").exists()


def test_ctrl_c_within_the_write_stops_it_and_the_old_file_stays(
    run, scan, tmp_path, files, monkeypatch
):
    out = tmp_path / "out.nii.gz"
    out.write_bytes(b"old")
    before = files()
    write = nib.Nifti1Image.to_file_map

    def write_and_interrupt(self, *args, **kwargs):
        write(self, *args, **kwargs)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(nib.Nifti1Image, "to_file_map", write_and_interrupt)
    assert run("upscale", scan, out, *NEAREST, "--overwrite").code == 130
    assert out.read_bytes() == b"old"
    assert files() == before


def test_results_finished_before_stay(run, scan, tmp_path, files, monkeypatch):
    other = tmp_path / "z.nii.gz"
    other.write_bytes(scan.read_bytes())
    interrupt_at(monkeypatch, "writing z_")
    found = run("upscale", scan, other, tmp_path / "out", *NEAREST)
    assert found.code == 130
    assert {name for name in files() if name.startswith("out")} == {
        "out/sub-01_desc-sr2x_T1w.nii.gz"
    }


def test_evaluate_and_degrade_are_cancelled(run, scan, tmp_path, files, monkeypatch):
    before = files()
    interrupt_at(monkeypatch, "evaluating")
    options = ("--methods", "nearest", "--json", tmp_path / "r.json")
    assert run("evaluate", scan, *options).code == 130
    interrupt_at(monkeypatch, "degrading")
    assert run("degrade", scan, tmp_path / "low.nii", "--scale", "2").code == 130
    assert files() == before


def test_train_keeps_what_it_has_and_says_so(run, scan, tmp_path, files, monkeypatch):
    interrupt_at(monkeypatch, "training")
    found = run("train", scan, "--scale", "2", "--out", tmp_path / "bank.safetensors")
    assert found.code == 130
    assert "--resume" in found.err
    assert "bank.safetensors" not in files()


def test_the_second_ctrl_c_stops_at_once(capsys):
    with pytest.raises(KeyboardInterrupt), Session() as session:
        signal.raise_signal(signal.SIGINT)
        assert session.token.cancelled
        signal.raise_signal(signal.SIGINT)
    assert "Ctrl-C again" in capsys.readouterr().err


def test_reading_and_writing_stop_at_once():
    with pytest.raises(Cancelled), Session(quiet=True) as session, session.at_once():
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")


def test_a_session_outside_the_main_thread_leaves_signals_alone():
    import threading

    errors = []

    def work():
        try:
            with Session():
                pass
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a process on Windows")
def test_a_real_process_is_stopped(tmp_path, files):
    path = tmp_path / "noise.nii"
    data = np.random.default_rng(0).random((40, 44, 36)).astype(np.float32)
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    before = files()
    arguments = ["upscale", str(path), str(tmp_path / "o.nii.gz"), "--scale", "8", *NEAREST]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_mrisr", *arguments], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "nearest 8x" in line:
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert rest.splitlines()[-1] == "napari-mrisr: cancelled"
    assert "Traceback" not in rest
    assert files() == before
