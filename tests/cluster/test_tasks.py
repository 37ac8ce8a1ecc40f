"""Tasks: order, errors, killed workers, cancel."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from helpers import tasks

from napari_mrisr.cluster.connect import connect
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.errors import Cancelled, ClusterError, VolumeError


class Counting(Progress):
    def __init__(self, token=None):
        super().__init__(token)
        self.seen = []

    def show(self, state):
        self.seen.append(state.done)


def test_results_keep_the_order_and_errors_are_results(cluster):
    progress = Counting()
    progress.begin("squares", 5)
    found = list(cluster.each(tasks.squared, range(5), progress))
    assert found[:3] == [0, 1, 4]
    assert isinstance(found[3], VolumeError)
    assert str(found[3]) == "three: is odd; take four"
    assert found[4] == 16
    assert progress.seen[-1] == 5


def test_large_value_is_shared(cluster):
    table = cluster.send(np.arange(2_000_000))
    assert list(cluster.each(tasks.with_shared, [7, 1_999_999], Progress(), table)) == [
        7,
        1_999_999,
    ]


def test_tasks_get_the_requested_threads(cluster, workers):
    assert list(cluster.each(tasks.threads_of, [0], Progress())) == [1]
    with connect(workers.address, threads=3) as (other, _):
        assert list(other.each(tasks.threads_of, [0], Progress())) == [3]
    assert cluster.slots == 3


def test_cancel_takes_less_than_200_ms_and_stops_the_workers(workers, tmp_path):
    workers.wait()
    token = CancelToken()
    cancelled_at = []

    def cancel():
        while len(list(tmp_path.iterdir())) < 3:
            time.sleep(0.01)
        cancelled_at.append(time.monotonic())
        token.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled), connect(workers.address) as (cluster, _):
        for _ in cluster.each(tasks.writes_until_stopped, range(9), Progress(token), tmp_path):
            pass
    took = time.monotonic() - cancelled_at[0]
    thread.join()
    assert took < 0.2
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("mrisr")]
    time.sleep(0.1)
    before = [path.read_text() for path in sorted(tmp_path.iterdir())]
    time.sleep(0.1)
    # No task continues, and no waiting task has started.
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == before
    assert len(before) == 3


def test_task_of_a_killed_worker_runs_again(cluster, tmp_path):
    assert list(cluster.each(tasks.dies_once, range(6), Progress(), tmp_path)) == list(range(6))
    assert (tmp_path / "died").exists()


def test_task_that_kills_its_workers_is_one_error(workers):
    workers.wait()
    with connect(workers.address) as (cluster, _):
        found = list(cluster.each(tasks.dies_always, range(4), Progress()))
    assert [f for f in found if not isinstance(f, ClusterError)] == [0, 1, 3]
    assert "2 workers died" in str(found[2])
