from __future__ import annotations

import threading
import time

import pytest

from napari_mrisr.core.progress import CancelToken, Progress, ProgressState, format_seconds
from napari_mrisr.errors import Cancelled


class Recorder(Progress):
    """Keeps what would be shown."""

    def __init__(self, token: CancelToken | None = None) -> None:
        super().__init__(token)
        self.shown: list[ProgressState] = []

    def show(self, state: ProgressState) -> None:
        self.shown.append(state)


def test_begin_and_advance_are_shown() -> None:
    progress = Recorder()
    progress.begin("filter", 5)
    progress.advance()
    progress.advance(3)
    assert [(s.task, s.done, s.total) for s in progress.shown] == [
        ("filter", 0, 5),
        ("filter", 1, 5),
        ("filter", 4, 5),
    ]


def test_more_steps_than_promised_stay_at_the_total() -> None:
    progress = Recorder()
    progress.begin("filter", 2)
    progress.advance(7)
    assert progress.state.done == 2


def test_begin_replaces_the_task_before() -> None:
    progress = Recorder()
    progress.begin("read", 2)
    progress.advance()
    progress.begin("write", 9)
    assert (progress.state.task, progress.state.done, progress.state.total) == ("write", 0, 9)


def test_advance_stops_a_cancelled_task_after_showing_it() -> None:
    progress = Recorder()
    progress.begin("filter", 3)
    progress.token.cancel()
    with pytest.raises(Cancelled, match="cancelled by the user"):
        progress.advance()
    assert progress.shown[-1].done == 1
    with pytest.raises(Cancelled):
        progress.begin("write", 1)


def test_each_progress_has_its_own_token_unless_given_one() -> None:
    one, two = Progress(), Progress()
    one.token.cancel()
    two.begin("filter", 1)
    two.advance()
    shared = CancelToken()
    assert not shared.cancelled
    first, second = Progress(shared), Progress(shared)
    first.token.cancel()
    assert shared.cancelled
    with pytest.raises(Cancelled):
        second.token.check()


def test_cancel_from_another_thread_stops_a_loop() -> None:
    progress = Progress()
    progress.begin("filter", 10**9)
    timer = threading.Timer(0.05, progress.token.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        while time.monotonic() - started < 10:
            progress.advance()
    timer.join()
    assert time.monotonic() - started < 5


def test_time_left_follows_the_pace() -> None:
    assert ProgressState("t", 0, 10, 5.0).eta_s is None
    assert ProgressState("t", 4, 10, 6.0).eta_s == pytest.approx(9.0)
    assert ProgressState("t", 10, 10, 6.0).eta_s == 0.0


def test_elapsed_counts_from_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = Progress()
    now[0] = 200.0
    progress.begin("filter", 4)
    now[0] = 203.0
    progress.advance()
    assert progress.state.elapsed_s == 3.0
    assert progress.state.eta_s == 9.0


def test_the_base_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.begin("filter", 1)
    progress.message("compiling kernels (first run)")
    progress.advance()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (8.4, "8 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (3780, "1 h 03 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_format_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
