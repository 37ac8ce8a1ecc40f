"""Tasks for a cluster; its workers import this file as they import the package."""

from __future__ import annotations

import os
import signal
import time

from napari_mrisr.errors import VolumeError


def squared(number, pool):
    """Return the square; later tasks finish sooner."""
    time.sleep(0.02 * (5 - number))
    if number == 3:
        raise VolumeError("three: is odd; take four")
    return number**2


def with_shared(table, number, pool):
    return table[number]


def threads_of(number, pool):
    return pool.threads


def dies_once(folder, number, pool):
    """Kill the worker of task 2 at its first attempt."""
    mark = folder / "died"
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def dies_always(number, pool):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def writes_until_stopped(folder, number, pool):
    """Touch a file every few milliseconds until the check raises."""
    while True:
        (folder / str(number)).write_text(str(time.time()))
        time.sleep(0.01)
        pool.check()
