"""A cluster of one's own on this machine, or one that runs already.

A local cluster has worker processes on the loopback interface only, each with one
piece at a time on its threads. Its processes and its scratch folder are gone when
the run ends, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cluster import worker
from napari_mrisr.cluster.pieces import Cluster
from napari_mrisr.errors import ClusterError, ParameterError, explain
from napari_mrisr.upscale import processors

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

LOCAL = "local"
_LOOPBACK = "127.0.0.1"
_WORKERS = 4
_CONNECT_S = 10

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
        mend = "pip install 'napari-mrisr[cluster]'"
        raise ClusterError(explain("--dask", "dask.distributed is not installed", mend))
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
    from distributed import Client, LocalCluster

    workers, threads = local_shape(threads, processors())
    with tempfile.TemporaryDirectory(prefix="mrisr-dask-", ignore_cleanup_errors=True) as scratch:
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host=_LOOPBACK,
            dashboard_address=f"{_LOOPBACK}:0",
            # Runs say beforehand what they need; a worker that is paused or killed at
            # some share of the memory would only take longer.
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            local_directory=scratch,
        )
        try:
            with Client(cluster, set_as_default=False) as client:
                kill = partial(_kill, cluster)
                yield Cluster(client, threads, kill), local_dashboard(cluster.dashboard_link)
        finally:
            _kill(cluster)
            cluster.close()


def local_dashboard(link: str) -> str:
    """Where the dashboard is, or what it lacks."""
    if importlib.util.find_spec("bokeh") is None:
        return "no dashboard: bokeh is not installed (pip install bokeh)"
    return f"dashboard: {link}"


def _kill(cluster: LocalCluster) -> None:
    """Kill the workers, whatever they do."""

    async def kill() -> None:
        nannies: list[Any] = list(cluster.workers.values())
        for nanny in nannies:
            nanny.auto_restart = False
        await asyncio.gather(*(n.kill(timeout=0) for n in nannies), return_exceptions=True)

    cluster.sync(kill)


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
    from napari_mrisr import __version__

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
