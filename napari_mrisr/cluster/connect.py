"""Connect to a Dask cluster: a local one for this run, or one that runs already.

A local cluster consists of worker processes that listen on the loopback interface only,
each with one task at a time. Its processes and its scratch folder are removed when the
run ends, however it ends. Its scheduler has a process of its own, :func:`serve`, which
can be killed with its workers; an orderly close waits for running tasks.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cluster.tasks import Cluster
from napari_mrisr.core.threads import processors
from napari_mrisr.errors import ClusterError, ParameterError, explain, install

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
_LOOPBACK = "127.0.0.1"
_WORKERS = 4
_CONNECT_S = 10
_DEATH_S = 0.2

_SETTINGS = {
    # Shared values (at most two filter banks) may be larger than Dask expects.
    "distributed.admin.large-graph-warning-threshold": "1GB",
}


@contextlib.contextmanager
def connect(where: str, threads: int | None = None) -> Iterator[tuple[Cluster, str]]:
    """Connect to a cluster, or start one.

    Parameters
    ----------
    where : str
        ``local``, the address of a scheduler such as ``tcp://10.0.0.1:8786``, or a
        scheduler file.
    threads : int, optional
        Threads per worker. A local cluster has as many workers as the CPUs allow.

    Yields
    ------
    Cluster, str
        The cluster, and a line about its dashboard.

    Raises
    ------
    ClusterError
        If Dask is not installed, no scheduler answers, or workers lack this package.
    """
    if importlib.util.find_spec("distributed") is None:
        found = "dask.distributed is not installed"
        raise ClusterError(explain("--dask", found, install("cluster")))
    if threads is not None and threads < 1:
        raise ParameterError(explain("--threads", str(threads), "give 1 or more"))
    import dask

    with dask.config.set(_SETTINGS):
        opened = _local(threads) if where == LOCAL else _running(where, threads)
        with opened as (cluster, dashboard):
            try:
                yield cluster, dashboard
            except BaseException:
                cluster.stop()
                raise


def local_shape(threads: int | None, count: int) -> tuple[int, int]:
    """Return the number of workers and of threads per worker for a number of CPUs."""
    threads = min(threads or max(1, count // _WORKERS), count)
    return max(1, count // threads), threads


@contextlib.contextmanager
def _local(threads: int | None) -> Iterator[tuple[Cluster, str]]:
    from distributed import Client

    workers, threads = local_shape(threads, processors())
    with tempfile.TemporaryDirectory(prefix="mrisr-dask-", ignore_cleanup_errors=True) as scratch:
        # Workers import the main module of their parent: a module, not a script.
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(workers), scratch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal must not reach the workers
        )
        try:
            places = _places(process)
            # Results come from the workers directly, not through the scheduler.
            client = Client(places["scheduler"], set_as_default=False, direct_to_workers=True)

            def kill() -> None:
                client.close()
                _kill(process)

            # Close the client first: without a scheduler it tries to reconnect.
            with contextlib.closing(client):
                yield Cluster(client, threads, kill), local_dashboard(places["dashboard"])
        finally:
            _kill(process)


def _places(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read the addresses of the scheduler and its dashboard."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        found = f"the local cluster ended with code {process.wait()} at its start"
        raise ClusterError(explain("--dask local", found, "see its messages above"))
    places: dict[str, str] = json.loads(line)
    return places


def local_dashboard(link: str) -> str:
    """Return a line with the dashboard's address, or why there is none."""
    if importlib.util.find_spec("bokeh") is None:
        return "no dashboard: bokeh is not installed (pip install bokeh)"
    return f"dashboard: {link}"


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a local cluster with its workers."""
    import psutil

    workers: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        workers = psutil.Process(process.pid).children(recursive=True)
    # The scheduler's process first: it would restart workers.
    process.kill()
    process.wait()
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
    psutil.wait_procs(workers, timeout=_DEATH_S)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def serve(workers: int, folder: str) -> None:
    """Run a local cluster until standard input ends, that is, until the program ends.

    Writes one line of JSON: the addresses of the scheduler and of its dashboard.
    """
    from distributed import LocalCluster

    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=_LOOPBACK,
        dashboard_address=f"{_LOOPBACK}:0",
        # Runs check their memory beforehand; pausing or killing workers at a share of
        # the memory would only slow them down.
        memory_limit=0,
        silence_logs=logging.CRITICAL,
        local_directory=folder,
    )
    places = {"scheduler": cluster.scheduler_address, "dashboard": cluster.dashboard_link}
    sys.stdout.write(json.dumps(places) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


@contextlib.contextmanager
def _running(where: str, threads: int | None) -> Iterator[tuple[Cluster, str]]:
    from distributed import Client

    is_file = "://" not in where and Path(where).is_file()
    place: dict[str, Any] = {"scheduler_file": where} if is_file else {"address": where}
    try:
        client = Client(**place, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        found = f"no scheduler answers ({' '.join(str(error).split())[:120]})"
        mend = "give local, an address such as tcp://host:8786 or a scheduler file"
        raise ClusterError(explain(f"--dask {where}", found, mend)) from error
    with client:
        _check_workers(client, where)
        yield Cluster(client, threads), f"dashboard: {client.dashboard_link}"


def _check_workers(client: Client, where: str) -> None:
    """Raise unless there are workers with this version of this package."""
    from napari_mrisr._version import __version__

    if not client.nthreads():
        mend = "start some with: dask worker ADDRESS"
        raise ClusterError(explain(f"--dask {where}", "the scheduler has no workers", mend))
    found = client.run(worker_version, on_error="return")
    for address, value in found.items():
        # A worker that is closing does not matter.
        if value == __version__ or isinstance(value, OSError):
            continue
        text = f"it has {value!r}" if isinstance(value, str) else f"it fails with {value!r}"
        mend = f"install napari-mrisr {__version__} on the workers"
        raise ClusterError(explain(f"worker {address}", text, mend))


def worker_version() -> str:
    """Return the version of this package on a worker."""
    from napari_mrisr._version import __version__

    return __version__


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
