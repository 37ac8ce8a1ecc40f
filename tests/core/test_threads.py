"""Threads that share out work: all of it, and stopped between pieces and between steps."""

from __future__ import annotations

import threading
import time

import pytest

from napari_mrisr.core.threads import Crew


def running():
    return [t.name for t in threading.enumerate() if t.name.startswith("mrisr-crew")]


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


@pytest.mark.parametrize("threads", [1, 3])
def test_long_pieces_are_walked_to_their_end(threads):
    done = []

    def task(piece):
        for step in range(piece):
            done.append((piece, step))
            yield

    Crew(threads).walk(task, range(9))
    assert sorted(done) == [(piece, step) for piece in range(9) for step in range(piece)]
    assert running() == []


@pytest.mark.parametrize("threads", [1, 2])
def test_check_stops_long_pieces_between_their_steps(threads):
    done = []

    def check():
        if len(done) >= 3:
            raise KeyError("stop")

    def task(_):
        for _ in range(500):
            time.sleep(0.01)
            done.append(1)
            yield

    with pytest.raises(KeyError):
        Crew(threads, check).walk(task, range(threads))
    assert 3 <= len(done) < 60
    assert running() == []


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_step_raises_comes_out(threads):
    def task(piece):
        yield
        raise ValueError(f"{piece}")

    with pytest.raises(ValueError, match="four"):
        Crew(threads).walk(task, ["four"])
    assert running() == []
