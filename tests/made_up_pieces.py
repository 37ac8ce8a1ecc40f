"""Pieces of work for a cluster: workers import this file as they import the package."""

from __future__ import annotations

import os
import signal
import time

from napari_mrisr.errors import VolumeError


def squared(number, pool):
    """The later it is asked for, the sooner it is there."""
    time.sleep(0.02 * (5 - number))
    if number == 3:
        raise VolumeError("three: is odd; take four")
    return number**2


def with_shared(table, number, pool):
    return table[number]


def threads_of(number, pool):
    return pool.threads


def dies_once(folder, number, pool):
    """The second one kills its worker the first time that it is tried."""
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
    """Touch a file every few milliseconds until the pool's check raises."""
    while True:
        (folder / str(number)).write_text(str(time.time()))
        time.sleep(0.01)
        pool.check()
