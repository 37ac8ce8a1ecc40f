"""Background work: signals, cancelling, closing; only the latest submission counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from helpers.desk import Endless

from napari_mrisr.core.progress import Progress
from napari_mrisr.viewer.common.worker import Worker, WorkerProgress

SIGNALS = ("progressed", "messaged", "reported", "finished", "failed")


class Bench:
    """A worker, and what its signals carried."""

    def __init__(self, qtbot) -> None:
        self.qtbot = qtbot
        self.worker = Worker()
        self.seen: dict[str, list] = {name: [] for name in SIGNALS}
        self.cancelled = 0
        self.endless = Endless()
        for name in SIGNALS:
            getattr(self.worker, name).connect(self.seen[name].append)
        self.worker.cancelled.connect(self._count)

    def _count(self) -> None:
        self.cancelled += 1

    def wait(self) -> None:
        self.qtbot.waitUntil(lambda: not self.worker.running)


def join_threads() -> None:
    """Wait until the threads have ended; their messages are in Qt's queue then."""
    for thread in threading.enumerate():
        if thread.name.startswith("mrisr"):
            thread.join(60)


@pytest.fixture
def bench(qtbot) -> Iterator[Bench]:
    made = Bench(qtbot)
    yield made
    made.worker.close()


def test_result_arrives_in_the_gui_thread_with_its_time(bench):
    threads = []
    bench.worker.finished.connect(lambda _: threads.append(threading.current_thread()))

    def work(progress: Progress) -> str:
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.02)
        return "result"

    bench.worker.submit(work)
    assert bench.worker.running and bench.worker.busy
    bench.wait()
    assert bench.seen["finished"] == ["result"]
    assert bench.worker.seconds >= 0.02
    assert threads == [threading.main_thread()]
    assert not bench.worker.busy


def test_cancel_ends_the_thread_at_its_next_check(bench):
    bench.worker.submit(bench.endless)
    assert bench.endless.running.wait(60)
    bench.worker.cancel()
    steps = bench.endless.steps
    assert bench.worker.stopping and not bench.worker.busy
    bench.wait()
    assert bench.endless.steps <= steps + 1
    assert bench.cancelled == 1
    assert bench.seen["finished"] == bench.seen["failed"] == []


def test_result_on_its_way_when_cancelled_is_dropped(bench):
    bench.worker.submit(lambda progress: "result")
    join_threads()
    bench.worker.cancel()
    bench.wait()
    assert bench.seen["finished"] == []
    assert bench.cancelled == 1


def test_progress_after_cancel_is_dropped(bench):
    bench.worker.submit(bench.endless)
    bench.qtbot.waitUntil(lambda: bool(bench.seen["progressed"]))
    bench.worker.cancel()
    before = len(bench.seen["progressed"])
    bench.wait()
    assert len(bench.seen["progressed"]) == before


@pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), KeyError("k")])
def test_any_error_arrives_and_the_next_work_runs(bench, error):
    def work(progress: Progress) -> None:
        raise error

    bench.worker.submit(work)
    bench.wait()
    assert bench.seen["failed"] == [error]
    bench.worker.submit(lambda progress: "next")
    bench.wait()
    assert bench.seen["finished"] == ["next"]


def test_only_the_latest_submission_counts(bench):
    bench.worker.submit(bench.endless)
    assert bench.endless.running.wait(60)
    bench.worker.submit(lambda progress: "second")
    bench.worker.submit(lambda progress: "third")
    assert bench.worker.busy
    bench.qtbot.waitUntil(lambda: bool(bench.seen["finished"]))
    assert bench.seen["finished"] == ["third"]
    assert bench.cancelled == 0


def test_reports_of_replaced_work_are_dropped(bench):
    bench.worker.submit(lambda progress: progress.report("old"))
    join_threads()
    bench.worker.submit(lambda progress: progress.report("new"))
    bench.qtbot.waitUntil(lambda: bool(bench.seen["finished"]))
    assert bench.seen["reported"] == ["new"]


def test_close_ends_the_thread_and_emits_nothing(bench):
    bench.worker.submit(bench.endless)
    assert bench.endless.running.wait(60)
    bench.worker.submit(lambda progress: "waiting")
    assert bench.worker.close()
    assert not bench.worker.busy
    join_threads()
    bench.qtbot.wait(30)
    assert bench.seen["finished"] == bench.seen["failed"] == []
    assert bench.cancelled == 0
    assert bench.worker.close()  # nothing runs


def test_close_does_not_wait_for_ever(bench):
    release = threading.Event()
    bench.worker.submit(lambda progress: release.wait(60))
    assert not bench.worker.close(timeout=0.05)
    release.set()
    join_threads()
    bench.qtbot.wait(30)
    assert bench.seen["finished"] == []


def test_progress_is_thinned_but_begins_and_ends(bench):
    def work(progress: WorkerProgress) -> None:
        progress.message("compiling")
        progress.begin("first", 100)
        for _ in range(100):
            time.sleep(0.004)
            progress.advance()
        progress.begin("second", 3)

    bench.worker.submit(work)
    bench.wait()
    states = bench.seen["progressed"]
    assert bench.seen["messaged"] == ["compiling"]
    assert (states[0].task, states[0].done) == ("first", 0)
    assert ("first", 100) in [(state.task, state.done) for state in states]
    assert states[-1].task == "second"
    assert len(states) <= 4 + 10 * (bench.worker.seconds + 0.1)
