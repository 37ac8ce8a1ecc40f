"""What is computed ahead, and when."""

from __future__ import annotations

import time

import numpy as np
import pytest
from napari.components import Dims

from napari_mrisr.core.volume import Grid
from napari_mrisr.viewer.preview.foresight import Foresight


class Array:
    """Of a live array, what is there and what is looked at."""

    def __init__(self):
        self.grid = Grid((8, 12, 20), np.eye(4))
        self.shown, self.there = (2, 9), {(2, 9)}

    def holds(self, name):
        return name in self.there


@pytest.fixture
def told(qtbot):
    """What was said, in order, with the time."""
    said = []
    dims = Dims(ndim=3, range=((-19, 0, 1), (-11, 0, 1), (-7, 0, 1)), point=(-9, -3, -6))
    foresight = Foresight(dims)
    foresight.planes.connect(lambda names: said.append((names, time.perf_counter())))
    foresight.idle.connect(lambda: said.append(("idle", time.perf_counter())))
    yield foresight, said
    foresight.stop()


def test_neighbors_then_the_other_two_then_nothing(told, qtbot):
    foresight, said = told
    array, start = Array(), time.perf_counter()
    foresight.saw((2, 9))
    foresight.start(array)
    assert foresight.waiting
    qtbot.waitUntil(lambda: len(said) == 2)
    neighbors = [(2, 10), (2, 8), (2, 11), (2, 7)]
    assert [names for names, _ in said] == [neighbors, [(1, 3), (0, 6), *neighbors]]
    assert said[0][1] - start > 0.07
    array.there |= {*neighbors, (1, 3)}
    foresight.start(array)
    qtbot.waitUntil(lambda: len(said) == 3)
    assert said[2][0] == [(0, 6)]
    array.there.add((0, 6))
    foresight.start(array)
    qtbot.waitUntil(lambda: len(said) == 4)
    assert said[3][0] == "idle"
    assert not foresight.waiting


def test_in_the_direction_of_the_last_move(told, qtbot):
    foresight, said = told
    array = Array()
    for plane in ((2, 11), (2, 10), (2, 10), (2, 9)):
        foresight.saw(plane)
    foresight.start(array)
    qtbot.waitUntil(lambda: bool(said))
    assert said[0][0] == [(2, 8), (2, 7), (2, 6), (2, 10)]


def test_says_nothing_once_something_is_asked_for(told, qtbot):
    foresight, said = told
    foresight.start(Array())
    foresight.stop()
    assert not foresight.waiting
    qtbot.wait(400)
    assert said == []
