"""A real cluster: a scheduler and three worker processes on the loopback."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass

import pytest

pytest.importorskip("distributed")

import dask
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context

PRELOAD = [
    "distributed",
    "napari_mrisr.cluster.runs",
    "napari_mrisr.evaluation.experiment",
    "napari_mrisr.streaming",
    "napari_mrisr.training",
]


@dataclass(frozen=True)
class Workers:
    """A cluster, and a way to kill one of its workers."""

    cluster: LocalCluster
    client: Client

    @property
    def address(self):
        return self.cluster.scheduler_address

    def wait(self):
        """Wait for three workers; start others if a killed one does not come back.

        A nanny gives up if its worker is killed while it starts.
        """
        try:
            self.client.wait_for_workers(3, timeout=20)
        except TimeoutError:
            self.cluster.scale(0)
            self.cluster.scale(3)
            self.client.wait_for_workers(3, timeout=60)

    def kill_one(self):
        """Kill a busy worker and return its process number."""
        pids = self.client.run(os.getpid)
        for _ in range(2000):
            busy = [a for a, tasks in self.client.processing().items() if tasks and a in pids]
            if busy:
                os.kill(pids[busy[0]], signal.SIGKILL)
                return pids[busy[0]]
            time.sleep(0.005)
        raise AssertionError("no worker was ever busy")

    @contextlib.contextmanager
    def one_killed(self):
        """Kill a busy worker while the body runs."""
        killed = []
        thread = threading.Thread(target=lambda: killed.append(self.kill_one()))
        thread.start()
        yield
        thread.join()
        assert len(killed) == 1
        assert killed[0] not in self.client.run(os.getpid).values()


@pytest.fixture(scope="session")
def workers(tmp_path_factory):
    settings = {
        # A task that kills its workers is given up at the second.
        "distributed.scheduler.allowed-failures": 1,
    }
    if "forkserver" in multiprocessing.get_all_start_methods():  # not on Windows
        # Workers, including replacements of killed ones, need no imports.
        settings["distributed.worker.multiprocessing-method"] = "forkserver"
        with dask.config.set(settings):
            get_mp_context().set_forkserver_preload(PRELOAD)
    with dask.config.set(settings):
        cluster = LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            local_directory=str(tmp_path_factory.mktemp("dask")),
        )
        with cluster, Client(cluster, set_as_default=False) as client:
            yield Workers(cluster, client)


@pytest.fixture
def cluster(workers):
    """Connect by address, as a user does."""
    from napari_mrisr.cluster.connect import connect

    workers.wait()
    with connect(workers.address, threads=1) as (cluster, _):
        yield cluster
