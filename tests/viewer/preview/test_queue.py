"""What is wanted: the latest subject's planes, in order, and nothing in their place."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.run.preview import ResultPlane
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.layers.convert import LayerSnapshot
from napari_mrisr.viewer.preview.array import LiveArray
from napari_mrisr.viewer.preview.compute import Subject, Taken
from napari_mrisr.viewer.preview.queue import Wishes


@pytest.fixture
def volume():
    return Volume(np.zeros((4, 5, 6), np.float32), Grid((4, 5, 6), np.eye(4)))


@pytest.fixture
def wishes(volume):
    made = Wishes()
    snapshot = LayerSnapshot("scan", volume.data, volume.grid, None, None, {})
    made.subject = Subject(snapshot, UpscaleParameters((2, 2, 2), "tricubic"))
    made.array = LiveArray("scan", volume, (2, 2, 2), lambda names: False)
    return made


def test_planes_that_are_wanted_come_before_those_ahead(wishes):
    wishes.array.put(ResultPlane(2, 3, np.zeros((8, 10), np.float32)))
    wishes.want([(2, 3), (0, 1), (1, 4)])
    wishes.ahead.append((2, 7))
    take = wishes.taker(wishes.subject)
    expected = [Taken((0, 1), True), Taken((1, 4), True), Taken((2, 7), False), None]
    assert [take() for _ in range(4)] == expected


def test_the_planes_of_another_subject_are_left_to_others(wishes):
    take = wishes.taker(wishes.subject)
    wishes.subject = Subject(wishes.subject.source, UpscaleParameters((3, 3, 3), "nearest"))
    wishes.want([(0, 1)])
    assert take() is None
    assert wishes.taker(wishes.subject)() == Taken((0, 1), True)


def test_only_what_nobody_asked_for_is_superseded(wishes):
    wishes.want([(0, 1)])
    assert wishes.supersede(Taken((2, 7), False))
    assert not wishes.supersede(Taken((2, 7), True))
    assert not wishes.supersede(Taken((0, 1), False))
    wishes.want([])
    assert not wishes.supersede(Taken((2, 7), False))


def test_interruptions(wishes):
    interrupted = wishes.interruption()
    assert not interrupted()
    wishes.ahead.append((2, 7))
    assert interrupted()
    wishes.want([])
    assert interrupted()
    interrupted = wishes.interruption()
    wishes.array.begin()
    assert interrupted()
    wishes.array.drop()
    assert not interrupted()
    wishes.subject = None
    assert interrupted()
