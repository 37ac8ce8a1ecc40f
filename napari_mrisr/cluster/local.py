"""The process of a local cluster: scheduler and nannies, apart from the program.

Run as ``python -m napari_mrisr.cluster.local WORKERS FOLDER``. It writes one line of
JSON, the scheduler's and the dashboard's addresses, and ends when its input does,
that is with the program, also when that is killed. The program ends it by killing it
with its children: an orderly close waits for what workers do.
"""

from __future__ import annotations

import json
import logging
import sys

LOOPBACK = "127.0.0.1"


def main(workers: int, folder: str) -> None:
    """Serve until the input ends."""
    from distributed import LocalCluster

    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=LOOPBACK,
        dashboard_address=f"{LOOPBACK}:0",
        # Runs say beforehand what they need; a worker that is paused or killed at
        # some share of the memory would only take longer.
        memory_limit=0,
        silence_logs=logging.CRITICAL,
        local_directory=folder,
    )
    places = {"scheduler": cluster.scheduler_address, "dashboard": cluster.dashboard_link}
    sys.stdout.write(json.dumps(places) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
