"""Background work without Qt: messages go to a list."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from napari_mrisr.core.progress import Progress
from napari_mrisr.viewer.common.jobs import (
    Ended,
    Failed,
    Finished,
    Jobs,
    Message,
    Progressed,
    Said,
    Stopped,
)


class Inbox:
    """What a GUI would get, and its judgment."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.jobs = Jobs(self.messages.append)

    def wait_for_end(self, count: int = 1, seconds: float = 5.0) -> Message:
        until = time.monotonic() + seconds
        while sum(isinstance(m, Ended) for m in self.messages) < count:
            assert time.monotonic() < until, "the work did not end"
            time.sleep(0.001)
        return self.messages[-1]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def endless(progress: Progress) -> None:
    progress.begin("endless", 1_000_000)
    while True:
        time.sleep(0.005)
        progress.advance()


def test_a_result_arrives_with_its_time(inbox):
    def work(progress: Progress) -> str:
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.02)
        return "result"

    generation = inbox.jobs.start(work)
    assert inbox.jobs.running
    last = inbox.wait_for_end()
    assert isinstance(last, Finished)
    assert (last.generation, last.result) == (generation, "result")
    assert last.seconds >= 0.02
    assert inbox.jobs.accept(last) is last
    assert not inbox.jobs.running


def test_cancel_ends_the_thread_within_200_ms(inbox):
    inbox.jobs.start(endless)
    time.sleep(0.05)
    started = time.monotonic()
    inbox.jobs.cancel()
    last = inbox.wait_for_end()
    assert isinstance(inbox.jobs.accept(last), Stopped)
    assert time.monotonic() - started < 0.2
    assert not inbox.jobs.running


def test_a_result_that_was_under_way_when_cancelled_is_dropped(inbox):
    inbox.jobs.start(lambda progress: "result")
    last = inbox.wait_for_end()
    assert isinstance(last, Finished)
    inbox.jobs.cancel()
    assert isinstance(inbox.jobs.accept(last), Stopped)


def test_progress_after_cancel_is_dropped(inbox):
    inbox.jobs.start(endless)
    while not inbox.messages:
        time.sleep(0.001)
    assert inbox.jobs.accept(inbox.messages[0]) is inbox.messages[0]
    inbox.jobs.cancel()
    assert inbox.jobs.cancelled
    assert inbox.jobs.accept(inbox.messages[0]) is None
    inbox.jobs.accept(inbox.wait_for_end())


@pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), KeyError("k")])
def test_any_failure_is_told(inbox, error):
    def work(progress: Progress) -> None:
        raise error

    inbox.jobs.start(work)
    last = inbox.jobs.accept(inbox.wait_for_end())
    assert isinstance(last, Failed)
    assert last.error is error
    assert not inbox.jobs.running


def test_what_an_older_run_tells_is_stale(inbox):
    inbox.jobs.start(lambda progress: "old")
    old = inbox.wait_for_end()
    inbox.jobs.accept(old)
    inbox.jobs.start(lambda progress: "new")
    assert inbox.jobs.accept(old) is None
    new = inbox.wait_for_end(2)
    assert inbox.jobs.accept(new).result == "new"
    assert inbox.jobs.accept(new) is None


def test_abandoned_work_ends_and_is_stale(inbox):
    inbox.jobs.start(endless)
    assert inbox.jobs.abandon()
    assert not inbox.jobs.running
    assert inbox.jobs.accept(inbox.wait_for_end()) is None
    # And again, with nothing to abandon.
    assert inbox.jobs.abandon()


def test_abandon_does_not_wait_for_ever(inbox):
    release = threading.Event()
    inbox.jobs.start(lambda progress: release.wait(5))
    assert not inbox.jobs.abandon(timeout=0.05)
    release.set()
    inbox.wait_for_end()
    assert all(inbox.jobs.accept(m) is None for m in inbox.messages)


def test_one_run_at_a_time(inbox):
    inbox.jobs.start(endless)
    with pytest.raises(RuntimeError, match="still running"):
        inbox.jobs.start(endless)
    inbox.jobs.abandon()


def counted(steps: int, pause: float) -> Callable[[Progress], None]:
    def work(progress: Progress) -> None:
        progress.message("compiling")
        progress.begin("first", steps)
        for _ in range(steps):
            time.sleep(pause)
            progress.advance()
        progress.begin("second", 3)

    return work


def test_progress_is_thinned_but_begins_and_ends(inbox):
    inbox.jobs.start(counted(100, 0.004))
    last = inbox.wait_for_end()
    states = [m.state for m in inbox.messages if isinstance(m, Progressed)]
    assert [m.text for m in inbox.messages if isinstance(m, Said)] == ["compiling"]
    assert (states[0].task, states[0].done) == ("first", 0)
    assert ("first", 100) in [(s.task, s.done) for s in states]
    assert states[-1].task == "second"
    assert len(states) <= 4 + 10 * (last.seconds + 0.1)
    inbox.jobs.accept(last)
