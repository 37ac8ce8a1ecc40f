"""Thread pool: all items are done once, errors and cancels are raised, no thread is left."""

from __future__ import annotations

import threading
import time

import pytest

from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import ThreadPool, call_in_thread
from napari_mrisr.errors import Cancelled


def running():
    return [t.name for t in threading.enumerate() if t.name.startswith("mrisr-pool")]


@pytest.mark.parametrize("threads", [1, 3])
def test_every_item_is_done_once(threads):
    done = []
    ThreadPool(threads).each(done.append, range(50))
    assert sorted(done) == list(range(50))
    assert running() == []


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_a_task_is_raised(threads):
    def task(item):
        if item == 4:
            raise ValueError("four")

    with pytest.raises(ValueError, match="four"):
        ThreadPool(threads).each(task, range(50))
    assert running() == []


@pytest.mark.parametrize("threads", [1, 2])
def test_a_check_stops_between_items(threads):
    done = []

    def check():
        if len(done) >= 3:
            raise KeyError("stop")

    def task(item):
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(KeyError):
        ThreadPool(threads, CancelToken(check)).each(task, range(200))
    assert 3 <= len(done) < 60
    assert running() == []


def test_the_progress_checks_the_token():
    checked = []
    progress = ThreadPool(1, CancelToken(lambda: checked.append(1))).progress
    progress.begin("x", 2)
    progress.token.check()
    assert len(checked) == 2


def test_threads_run_side_by_side():
    both = threading.Barrier(2, timeout=5)
    ThreadPool(2).each(lambda _: both.wait(), range(2))


def test_ended_items_are_counted_on_the_calling_thread():
    counts, threads = [], set()

    def ended(count):
        counts.append(count)
        threads.add(threading.current_thread())

    ThreadPool(2).each(lambda _: time.sleep(0.001), range(20), ended)
    assert sum(counts) == 20
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("threads", [1, 2])
def test_cancel_stops_long_tasks_that_check(threads):
    token, steps = CancelToken(), []
    pool = ThreadPool(threads, token)

    def task(_):
        for _ in range(500):
            pool.check()
            time.sleep(0.01)
            steps.append(1)

    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(Cancelled):
        pool.each(task, range(threads))
    assert 3 <= len(steps) < 100
    assert running() == []


@pytest.mark.parametrize("threads", [1, 2])
def test_cancel_need_not_wait_for_running_tasks(threads):
    token, go_on = CancelToken(), threading.Event()
    threading.Timer(0.05, token.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ThreadPool(threads, token).each(lambda _: go_on.wait(5), range(4), wait_for_running=False)
    assert time.monotonic() - started < 0.05 + 0.2
    go_on.set()


def test_call_in_thread_returns_the_result_and_raises_the_error():
    assert call_in_thread(lambda: 3, CancelToken().check) == 3
    with pytest.raises(ZeroDivisionError):
        call_in_thread(lambda: 1 // 0, CancelToken().check)


def test_cancel_of_a_call_in_a_thread_takes_effect_within_200_ms():
    token, go_on = CancelToken(), threading.Event()
    threading.Timer(0.05, token.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        call_in_thread(lambda: go_on.wait(5), token.check)
    assert time.monotonic() - started < 0.05 + 0.2
    go_on.set()
