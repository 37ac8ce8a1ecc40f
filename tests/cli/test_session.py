"""A command's run: bars and lines, signals, streams that fail."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.cli import session as module
from napari_mrisr.cli.session import Session, TerminalProgress
from napari_mrisr.errors import Cancelled

from .conftest import interrupt_at

NEAREST = ("--method", "nearest")


@pytest.fixture(autouse=True)
def handlers_are_restored():
    before = [signal.getsignal(number) for number, _ in SIGNALS]
    yield
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before


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


def test_results_finished_before_a_cancel_stay(run, scan, tmp_path, files, monkeypatch):
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


def test_a_cancelled_training_can_be_resumed(run, scan, tmp_path, files, monkeypatch):
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


SIGNALS = [
    (getattr(signal, name), 128 + getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("task", ["nearest", "writing"])
def test_every_stop_signal_leaves_nothing(
    run, scan, tmp_path, files, monkeypatch, number, code, task
):
    before = files()
    interrupt_at(monkeypatch, task, number)
    found = run("upscale", scan, tmp_path / "o.nii.gz", *NEAREST)
    assert found.code == code
    assert found.err.splitlines()[-1] == "napari-mrisr: cancelled"
    assert files() == before


def test_a_window_is_opened_with_the_signal_handlers_of_before():
    before = [signal.getsignal(number) for number, _ in SIGNALS]
    with Session() as session:
        session.end()
        assert [signal.getsignal(number) for number, _ in SIGNALS] == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on Windows")
def test_nohup_is_respected(run, scan, tmp_path, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupt_at(monkeypatch, "nearest", signal.SIGHUP)
        assert run("upscale", scan, tmp_path / "o.nii", *NEAREST).code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        ("2>&-", 0),
        (">&- 2>&-", 0),
        ("2>/dev/full", 0),
        (">/dev/full", 2),
        ("| true", 0),
        ("2>&1 | true", 0),
    ],
)
def test_output_that_cannot_be_written_does_not_end_the_run(scan, tmp_path, redirection, code):
    out = tmp_path / "o.nii"
    command = f"{sys.executable} -m napari_mrisr upscale {scan} {out} --method nearest"
    # The exit code of the program, not that of the pipe's end.
    script = f"set -o pipefail; {{ sleep 0.5; {command}; }} {redirection}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert nib.load(out).shape == (36, 44, 30)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if code:
        assert "standard output: cannot be written (No space left on device)" in done.stderr


class BrokenTerminal(io.StringIO):
    """A terminal that was lost."""

    def isatty(self):
        return True

    def fileno(self):
        raise OSError(5, "Input/output error")

    def write(self, text):
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("size", [(80, 24), (0, 0)])
def test_progress_on_a_lost_terminal_goes_on(monkeypatch, size):
    monkeypatch.setattr(module, "_has_room", lambda stream: size[0] > 0)
    progress = TerminalProgress(stream=BrokenTerminal())
    progress.begin("nearest 2x", 4)
    progress.advance(2)
    progress.message("compiling")
    progress.advance(2)
    progress.close()
    assert progress.state.done == 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("scale: '9' is out of range", "--scale: '9' is out of range"),
        ("a/b.nii: fill_nonfinite: x", "a/b.nii: --fill-nonfinite: x"),
        ("--scale: no", "--scale: no"),
        ("a.nii: ends early: a method: x", "a.nii: ends early: a method: x"),
    ],
)
def test_an_error_names_the_user_s_option(text, shown):
    assert module.as_option(text) == shown


class Terminal(io.StringIO):
    """A stream that claims to be a terminal of some size."""

    def isatty(self):
        return True

    def fileno(self):
        return 99


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(
        module.os, "get_terminal_size", lambda fd: module.os.terminal_size((80, 24))
    )
    return Terminal()


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def test_a_log_gets_a_line_per_task(clock):
    stream = io.StringIO()
    progress = TerminalProgress(stream=stream)
    progress.prefix = "[1/2] a.nii: "
    progress.begin("nearest 2x", 4)
    for steps in (0, 0, 1, 1, 2):
        clock(1.0)
        progress.advance(steps)
    assert stream.getvalue() == "[1/2] a.nii: nearest 2x\n"


def test_a_log_of_a_long_task_gets_percent_and_time_left_every_ten_seconds(clock):
    stream = io.StringIO()
    progress = TerminalProgress(stream=stream)
    progress.begin("training", 10)
    for _ in range(10):
        clock(6.0)
        progress.advance()
    assert stream.getvalue().splitlines() == [
        "training",
        "training: 20 %, 48 s left",
        "training: 40 %, 36 s left",
        "training: 60 %, 24 s left",
        "training: 80 %, 12 s left",
    ]


def test_a_terminal_gets_a_bar_that_disappears(terminal, clock):
    progress = TerminalProgress(stream=terminal)
    progress.begin("nearest 2x", 4)
    clock(30.0)
    progress.advance(0)
    threading.Event().wait(0.15)  # the bar is drawn at most every tenth of a second
    progress.advance()
    shown = terminal.getvalue()
    assert shown.count("0/4") == 1
    assert " 25%|" in shown
    assert "1/4, 1 min 30 s left" in shown
    progress.advance(3)
    assert terminal.getvalue().endswith("\r")
    assert "\n" not in terminal.getvalue()


def test_messages_are_printed_above_the_bar(terminal):
    progress = TerminalProgress(stream=terminal)
    progress.begin("nearest 2x", 4)
    progress.message("compiling")
    progress.close()
    assert "compiling\n" in terminal.getvalue()


def test_a_bar_removed_by_a_line_comes_back(terminal, clock):
    progress = TerminalProgress(stream=terminal)
    progress.begin("images", 4)
    progress.advance()
    progress.close()
    progress.advance(0)
    threading.Event().wait(0.15)  # the bar is drawn at most every tenth of a second
    progress.advance()
    assert "2/4" in terminal.getvalue()
    progress.advance(2)
    shown = terminal.getvalue()
    progress.advance(0)
    assert terminal.getvalue() == shown


def test_a_terminal_without_a_size_gets_lines(terminal, monkeypatch):
    monkeypatch.setattr(module.os, "get_terminal_size", lambda fd: module.os.terminal_size((0, 0)))
    progress = TerminalProgress(stream=terminal)
    progress.begin("nearest 2x", 4)
    assert terminal.getvalue() == "nearest 2x\n"


def test_quiet_progress_prints_nothing(terminal):
    progress = TerminalProgress(stream=terminal, quiet=True)
    progress.begin("nearest 2x", 4)
    progress.advance(4)
    progress.message("compiling")
    progress.close()
    assert terminal.getvalue() == ""
