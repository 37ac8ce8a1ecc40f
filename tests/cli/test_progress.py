"""Bars on a terminal, lines in a log."""

from __future__ import annotations

import io
import threading

import pytest

from napari_mrisr.cli import progress as module
from napari_mrisr.cli.progress import TerminalProgress


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


def test_a_log_gets_a_line_a_task(clock):
    stream = io.StringIO()
    progress = TerminalProgress(stream=stream)
    progress.prefix = "[1/2] a.nii: "
    progress.begin("nearest 2x", 4)
    for steps in (0, 0, 1, 1, 2):
        clock(1.0)
        progress.advance(steps)
    assert stream.getvalue() == "[1/2] a.nii: nearest 2x\n"


def test_a_log_of_a_long_task_gets_percent_and_time_left_now_and_then(clock):
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


def test_a_terminal_gets_a_bar_with_the_time_left_and_keeps_nothing(terminal, clock):
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


def test_messages_stand_above_the_bar(terminal):
    progress = TerminalProgress(stream=terminal)
    progress.begin("nearest 2x", 4)
    progress.message("compiling")
    progress.close()
    assert "compiling\n" in terminal.getvalue()


def test_a_bar_that_a_line_took_away_comes_back(terminal, clock):
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


def test_quiet_is_quiet(terminal):
    progress = TerminalProgress(stream=terminal, quiet=True)
    progress.begin("nearest 2x", 4)
    progress.advance(4)
    progress.message("compiling")
    progress.close()
    assert terminal.getvalue() == ""
