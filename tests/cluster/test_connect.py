"""Connections: a local cluster starts and ends; a running one is checked."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
from helpers import tasks

from napari_mrisr.cluster import connect as connecting
from napari_mrisr.cluster.connect import connect, local_shape
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.errors import Cancelled, ClusterError, ParameterError


@pytest.mark.parametrize(
    ("threads", "count", "shape"),
    [(None, 1, (1, 1)), (None, 2, (2, 1)), (None, 16, (4, 4)), (8, 16, (2, 8)), (9, 4, (1, 4))],
)
def test_workers_and_threads_fit_the_cpus(threads, count, shape):
    assert local_shape(threads, count) == shape


def listening(process):
    places = process.net_connections("inet")
    return {place.laddr.ip for place in places if place.status == psutil.CONN_LISTEN}


def test_a_local_cluster_is_on_the_loopback_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(connecting, "processors", lambda: 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(tasks.__file__).parents[1]))
    me = psutil.Process()
    before = set(me.children(recursive=True))
    with connect("local") as (cluster, dashboard):
        workers = set(me.children(recursive=True)) - before
        assert cluster.slots == 2
        assert set().union(*map(listening, {me, *workers})) == {"127.0.0.1"}
        assert list(tmp_path.iterdir())
        assert list(cluster.each(tasks.threads_of, [0, 1], Progress())) == [1, 1]
        assert "dashboard" in dashboard
    # Init reaps what lost its parent, where there is one.
    assert [p for p in workers if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("mrisr-dask")]


def test_cancel_ends_a_local_cluster_in_200_ms(monkeypatch, tmp_path):
    monkeypatch.setattr(connecting, "processors", lambda: 1)
    monkeypatch.setenv("PYTHONPATH", str(Path(tasks.__file__).parents[1]))
    token, cancelled = CancelToken(), []

    def cancel():
        while not list(tmp_path.iterdir()):
            time.sleep(0.005)
        cancelled.append(time.monotonic())
        token.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    raised = []
    with pytest.raises(Cancelled), connect("local") as (cluster, _):
        try:
            for _ in cluster.each(tasks.writes_until_stopped, [1], Progress(token), tmp_path):
                pass
        finally:
            raised.append(time.monotonic())
    ended = time.monotonic()
    thread.join()
    assert raised[0] - cancelled[0] < 0.2
    # All processes are dead; a busy machine takes a little longer to bury them.
    assert ended - cancelled[0] < 1.0
    before = (tmp_path / "1").read_text()
    time.sleep(0.05)
    assert (tmp_path / "1").read_text() == before


@pytest.mark.parametrize("has_bokeh", [True, False])
def test_dashboard_line_names_the_address_or_bokeh(monkeypatch, has_bokeh):
    monkeypatch.setattr(connecting.importlib.util, "find_spec", lambda name: has_bokeh or None)
    line = connecting.local_dashboard("http://127.0.0.1:1234/status")
    assert line == (
        "dashboard: http://127.0.0.1:1234/status"
        if has_bokeh
        else "no dashboard: bokeh is not installed (pip install bokeh)"
    )


def test_missing_scheduler_is_an_error(monkeypatch):
    monkeypatch.setattr(connecting, "_CONNECT_S", 0.3)
    with (
        pytest.raises(ClusterError, match=r"127\.0\.0\.1:9: no scheduler answers"),
        connect("tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(ClusterError, match="tcp://host:8786"), connect("nonsense"):
        pass


def test_zero_threads_are_refused():
    with pytest.raises(ParameterError, match="--threads: 0"), connect("local", 0):
        pass


def test_missing_dask_names_the_extra(monkeypatch):
    monkeypatch.setattr(connecting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ClusterError, match="pip install 'napari-mrisr"), connect("local"):
        pass


def test_scheduler_file_connects(workers, tmp_path):
    file = tmp_path / "scheduler.json"
    workers.client.write_scheduler_file(str(file))
    with connect(str(file)) as (cluster, dashboard):
        assert cluster.slots == 3
        assert dashboard.startswith("dashboard: http://127.0.0.1:")


def test_workers_of_another_version_are_refused(workers, monkeypatch):
    monkeypatch.setattr("napari_mrisr._version.__version__", "0.0.1")
    with (
        pytest.raises(ClusterError, match=r"worker tcp://.*install napari-mrisr 0\.0\.1"),
        connect(workers.address),
    ):
        pass
