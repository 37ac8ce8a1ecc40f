"""A cluster of one's own on this machine, or one that runs already.

A local cluster has worker processes on the loopback interface only, each with one
piece at a time on its threads. Its processes and its scratch folder are gone when
the run ends, however it ends.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cluster import local, worker
from napari_mrisr.cluster.pieces import Cluster
from napari_mrisr.core.threads import processors
from napari_mrisr.errors import ClusterError, ParameterError, explain, install

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
_WORKERS = 4
_CONNECT_S = 10
_DEATH_S = 1.0

_SETTINGS = {
    # What pieces share (two filter banks, at most) may be larger than Dask expects.
    "distributed.admin.large-graph-warning-threshold": "1GB",
}


@contextlib.contextmanager
def connect(where: str, threads: int | None = None) -> Iterator[tuple[Cluster, str]]:
    """Connect to a cluster, or start one.

    Parameters
    ----------
    where : str
        ``local``, a scheduler's address such as ``tcp://10.0.0.1:8786``, or a
        scheduler file.
    threads : int, optional
        Threads of each worker; a local cluster has as many workers as the
        processors allow.

    Yields
    ------
    Cluster, str
        And a line about the dashboard.

    Raises
    ------
    ClusterError
        When Dask is not installed, nobody answers, or workers lack this package.
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
            finally:
                cluster.close()


def local_shape(threads: int | None, count: int) -> tuple[int, int]:
    """Workers, and threads of each, for so many processors."""
    threads = min(threads or max(1, count // _WORKERS), count)
    return max(1, count // threads), threads


@contextlib.contextmanager
def _local(threads: int | None) -> Iterator[tuple[Cluster, str]]:
    from distributed import Client

    workers, threads = local_shape(threads, processors())
    with tempfile.TemporaryDirectory(prefix="mrisr-dask-", ignore_cleanup_errors=True) as scratch:
        command = [sys.executable, "-m", local.__name__, str(workers), scratch]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C on the terminal is for the program alone
        )
        try:
            places = _places(process)
            # Results come from the workers, not by way of the scheduler.
            client = Client(places["scheduler"], set_as_default=False, direct_to_workers=True)
            # The client first: one without a scheduler tries to find it again.
            with contextlib.closing(client):
                kill = partial(_end, client, process)
                yield Cluster(client, threads, kill), local_dashboard(places["dashboard"])
        finally:
            _kill(process)


def _end(client: Client, process: subprocess.Popen[str]) -> None:
    client.close()
    _kill(process)


def _places(process: subprocess.Popen[str]) -> dict[str, str]:
    """Where the scheduler and its dashboard are."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        found = f"the local cluster ended with {process.wait()} before it had begun"
        raise ClusterError(explain("--dask local", found, "see what it wrote above"))
    places: dict[str, str] = json.loads(line)
    return places


def local_dashboard(link: str) -> str:
    """Where the dashboard is, or what it lacks."""
    if importlib.util.find_spec("bokeh") is None:
        return "no dashboard: bokeh is not installed (pip install bokeh)"
    return f"dashboard: {link}"


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a local cluster, whatever its workers do."""
    import psutil

    killed: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        killed = psutil.Process(process.pid).children(recursive=True)
    # First the one that would start them again.
    process.kill()
    process.wait()
    for child in killed:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    until = time.monotonic() + _DEATH_S
    while any(map(_lives, killed)) and time.monotonic() < until:
        time.sleep(0.005)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _lives(process: Any) -> bool:
    import psutil

    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


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
    """Raise unless there are workers, and they have this version of this package."""
    from napari_mrisr._version import __version__

    if not client.nthreads():
        mend = "start some with: dask worker ADDRESS"
        raise ClusterError(explain(f"--dask {where}", "the scheduler has no workers", mend))
    found = client.run(worker.version, on_error="return")
    for address, value in found.items():
        # One that is just going away is no trouble.
        if value == __version__ or isinstance(value, OSError):
            continue
        text = f"it has {value!r}" if isinstance(value, str) else f"it fails with {value!r}"
        mend = f"install napari-mrisr {__version__} where workers run"
        raise ClusterError(explain(f"worker {address}", text, mend))
