"""Threads that share out work: all of it, in order within a lane, and stopped between pieces."""

from __future__ import annotations

import threading
import time

import pytest

from napari_mrisr.crew import Crew, Lanes


def running():
    return [
        t.name for t in threading.enumerate() if t.name.startswith(("mrisr-crew", "mrisr-lane"))
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_every_piece_is_done_once(threads):
    done = []
    Crew(threads).each(done.append, range(50))
    assert sorted(done) == list(range(50))
    assert running() == []


@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_piece_raises_comes_out(threads):
    def task(piece):
        if piece == 4:
            raise ValueError("four")

    with pytest.raises(ValueError, match="four"):
        Crew(threads).each(task, range(50))
    assert running() == []


@pytest.mark.parametrize("threads", [1, 2])
def test_check_stops_between_pieces(threads):
    done = []

    def check():
        if len(done) >= 3:
            raise KeyError("stop")

    def task(piece):
        time.sleep(0.01)
        done.append(piece)

    with pytest.raises(KeyError):
        Crew(threads, check).each(task, range(200))
    assert 3 <= len(done) < 60
    assert running() == []


def test_its_progress_asks_its_check():
    asked = []
    progress = Crew(1, lambda: asked.append(1)).progress
    progress.begin("x", 2)
    progress.token.check()
    assert len(asked) == 2


def test_threads_run_side_by_side():
    both = threading.Barrier(2, timeout=5)
    Crew(2).each(lambda _: both.wait(), range(2))


def test_a_lane_keeps_its_order_and_lanes_run_side_by_side():
    seen = {0: [], 1: [], 2: []}
    both = threading.Barrier(2, timeout=5)
    with Lanes(Crew(2)) as lanes:
        lanes.put(0, both.wait)
        lanes.put(1, both.wait)
        for n in range(60):
            lane = n % 3  # 0 and 2 share a thread
            lanes.put(lane, lambda lane=lane, n=n: seen[lane].append(n))
    assert seen == {lane: list(range(lane, 60, 3)) for lane in range(3)}
    assert running() == []


def test_an_error_in_a_lane_comes_out_and_ends_the_rest():
    done = []

    def fail():
        raise ValueError("lane")

    with pytest.raises(ValueError, match="lane"), Lanes(Crew(2)) as lanes:
        lanes.put(0, fail)
        for n in range(1000):
            lanes.put(n, lambda: done.append(1))
            time.sleep(0.0005)
    assert len(done) < 1000
    assert running() == []


def test_an_error_while_filling_lanes_drops_what_waits():
    gate, done = threading.Event(), []
    with pytest.raises(KeyError), Lanes(Crew(1), waiting=3) as lanes:
        lanes.put(0, lambda: gate.wait(5))
        lanes.put(0, lambda: done.append(1))
        threading.Timer(0.05, gate.set).start()
        raise KeyError
    assert done == []
