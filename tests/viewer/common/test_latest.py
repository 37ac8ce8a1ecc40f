"""Only the work asked for last is told of; nothing runs on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from napari_mrisr.core.progress import Progress
from napari_mrisr.viewer.common.latest import Latest


class Desk:
    """Latest, and what it told."""

    def __init__(self) -> None:
        self.latest = Latest()
        self.finished: list[object] = []
        self.failed: list[Exception] = []
        self.went_on = 0
        self.started = threading.Event()
        self.latest.finished.connect(self.finished.append)
        self.latest.failed.connect(self.failed.append)
        self.latest.progressed.connect(self._goes_on)

    def _goes_on(self) -> None:
        self.went_on += 1

    def endless(self, progress: Progress) -> None:
        progress.begin("endless", 1_000_000)
        self.started.set()
        while True:
            progress.advance()
            threading.Event().wait(0.002)


def working() -> list[threading.Thread]:
    """The threads that this project started and that still run."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("mrisr")]


@pytest.fixture
def desk(qapp) -> Iterator[Desk]:
    made = Desk()
    yield made
    made.latest.close()


def test_the_result_of_the_last_only(desk, qtbot):
    desk.latest.ask(desk.endless)
    assert desk.started.wait(5)
    desk.latest.ask(lambda progress: "second")
    desk.latest.ask(lambda progress: "third")
    assert desk.latest.busy
    qtbot.waitUntil(lambda: bool(desk.finished))
    assert desk.finished == ["third"]
    assert desk.failed == []
    assert not desk.latest.busy


def test_what_was_under_way_when_replaced_is_not_told(desk, qtbot):
    """Its message is in the queue already when other work is asked for."""
    desk.latest.ask(lambda progress: "first")
    for thread in working():
        thread.join(5)
    desk.latest.ask(lambda progress: "second")
    qtbot.waitUntil(lambda: bool(desk.finished))
    assert desk.finished == ["second"]


def test_an_error_is_told_and_the_next_work_runs(desk, qtbot):
    error = ValueError("no")

    def fails(progress: Progress) -> None:
        raise error

    desk.latest.ask(fails)
    qtbot.waitUntil(lambda: bool(desk.failed))
    assert desk.failed == [error]
    desk.latest.ask(lambda progress: "next")
    qtbot.waitUntil(lambda: bool(desk.finished))
    assert desk.finished == ["next"]


def test_dropped_work_tells_nothing(desk, qtbot):
    desk.latest.ask(desk.endless)
    qtbot.waitUntil(lambda: desk.went_on > 0)
    desk.latest.drop()
    assert not desk.latest.busy
    qtbot.waitUntil(lambda: not desk.latest.jobs.running)
    assert desk.finished == desk.failed == []


def test_closed_nothing_waits_and_nothing_runs(desk, qtbot):
    desk.latest.ask(desk.endless)
    assert desk.started.wait(5)
    desk.latest.ask(lambda progress: "waiting")
    desk.latest.close()
    assert not desk.latest.busy
    assert working() == []
    qtbot.wait(50)
    assert desk.finished == desk.failed == []


def test_events_of_the_work_are_told_but_not_those_of_replaced_work(desk, qtbot):
    told: list[object] = []
    desk.latest.told.connect(told.append)

    def tells(progress: Progress) -> None:
        progress.tell("old")  # type: ignore[attr-defined]

    desk.latest.ask(tells)
    for thread in working():
        thread.join(5)
    desk.latest.ask(lambda progress: progress.tell("new"))
    qtbot.waitUntil(lambda: bool(desk.finished))
    assert told == ["new"]
