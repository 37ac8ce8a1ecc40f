"""What live planes are computed with: kept, told together, left for what is wanted first."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import Cancelled, MemoryEstimateError
from napari_mrisr.methods import get_method
from napari_mrisr.run.upscale import UpscaleParameters, run_method
from napari_mrisr.viewer.layers.convert import layer_data, snapshot
from napari_mrisr.viewer.preview import compute as module
from napari_mrisr.viewer.preview.array import LiveArray
from napari_mrisr.viewer.preview.compute import Shelf, Subject, Taken, Workshop


class Told:
    """Notes what is told, as a PostedProgress would post it."""

    def __init__(self):
        self.token, self.names, self.before = CancelToken(), [], []
        self.computed = []

    def tell(self, event):
        self.names.append(event[1])
        self.before.append(len(self.computed))


@pytest.fixture
def volume(rng):
    data = 900 * rng.random((9, 8, 7), dtype=np.float32)
    return Volume(data, Grid(data.shape, np.eye(4)))


@pytest.fixture
def subject(volume, make_bank, tmp_path):
    path = tmp_path / "own.safetensors"
    make_bank((2, 2, 2), ("cell", "voxel", "voxel")).save(path)
    parameters = UpscaleParameters((2, 2, 2), "hashed", bank=str(path), threads=1)
    data, kwargs, _ = layer_data(volume, "scan")
    return Subject(snapshot(Image(data, **kwargs)), parameters)


def compute(shop, subject, names, told=None, array=None, superseded=lambda taken: False):
    told, left = told or Told(), list(names)
    made = []

    def make_array(volume):
        made.append(LiveArray("scan", volume, (2, 2, 2), lambda names: False))
        return made[0]

    def take():
        return left.pop(0) if left else None

    shop.compute(subject, array, make_array, take, superseded, told)
    return made[0] if array is None else array, told


def test_planes_that_were_asked_for_are_told_together_others_later(subject, volume, monkeypatch):
    told = Told()
    put = LiveArray.put
    monkeypatch.setattr(
        LiveArray, "put", lambda self, plane: (told.computed.append(plane.index), put(self, plane))
    )
    names = [(2, 5), (1, 6), (0, 7), (2, 8), (2, 9)]
    taken = [Taken(name, number < 3) for number, name in enumerate(names)]
    array, _ = compute(Workshop(), subject, taken, told)
    assert told.names == names
    assert told.before == [3, 3, 3, 4, 5]
    method = get_method("hashed", (2, 2, 2), subject.parameters.bank)
    whole = run_method(method, volume).data
    np.testing.assert_array_equal(array._planes[1, 6].values, whole[:, 6])


def test_planes_that_take_long_are_told_one_by_one(subject, monkeypatch):
    monkeypatch.setattr(module, "NEW_PATIENCE_S", 0.0)
    told = Told()
    put = LiveArray.put
    monkeypatch.setattr(
        LiveArray, "put", lambda self, plane: (told.computed.append(plane.index), put(self, plane))
    )
    compute(Workshop(), subject, [Taken((axis, 5), True) for axis in range(3)], told)
    assert told.before == [1, 2, 3]


def test_a_superseded_plane_is_left(subject):
    taken = [Taken((2, 5), False), Taken((2, 6), True)]
    _, told = compute(Workshop(), subject, taken, superseded=lambda taken: not taken.asked)
    assert told.names == [(2, 6)]


def test_lays_all_the_groundwork_or_is_interrupted(subject):
    shop, told = Workshop(), Told()
    answers = iter([False, False, True])
    assert not shop.lay(subject, lambda: next(answers), told)
    assert not shop.planes(subject).laid
    assert shop.lay(subject, lambda: False, told)
    assert shop.planes(subject).laid
    shop.let_go(subject)
    assert not shop.planes(subject).laid
    told.token.cancel()
    with pytest.raises(Cancelled):
        shop.lay(subject, lambda: False, told)


def test_lays_nothing_where_it_would_take_much_memory(subject, monkeypatch):
    shop = Workshop()
    monkeypatch.setattr(module, "MOST_LAID", 18 * 16 * 14 - 1)
    assert shop.lay(subject, lambda: False, Told())
    assert not shop.planes(subject).laid

    def full(grid, parameters):
        raise MemoryEstimateError("full")

    monkeypatch.setattr(module, "MOST_LAID", 2**30)
    monkeypatch.setattr(module, "check_memory", full)
    assert shop.lay(subject, lambda: False, Told())
    assert not shop.planes(subject).laid


def test_what_was_used_last_is_let_go_last(subject):
    shop = Workshop(2)
    others = [
        Subject(subject.source, UpscaleParameters(scale, "tricubic"))
        for scale in ((2, 2, 2), (3, 3, 3))
    ]
    first = shop.planes(subject)
    shop.planes(others[0])
    assert shop.planes(subject) is first
    shop.planes(others[1])
    assert shop.planes(subject) is first


def test_what_is_computed_unasked_does_not_put_away_what_is_shown(subject, volume, monkeypatch):
    shop = Workshop(2)
    first = shop.planes(subject)
    made = {}
    for factor in (3, 4, 5):
        other = Subject(subject.source, UpscaleParameters((factor,) * 3, "tricubic"))
        made[factor] = LiveArray("scan", volume, (factor,) * 3, lambda names: False)
        monkeypatch.setattr(module, "MOST_LAID", made[3].size + (factor < 5) * 10**6)
        assert shop.foresee(other, made[factor], (2, 1), lambda: False, Told()) == (factor < 5)
        assert made[factor].holds((2, 1)) == (factor < 5)
    assert shop.planes(subject) is first


def test_the_shelf_keeps_a_few_results_and_none_that_is_whole(subject, volume):
    shelf = Shelf()
    made = {}
    for factor in range(2, 11):
        other = Subject(subject.source, UpscaleParameters((factor, 2, 1), "tricubic"))
        made[factor] = other, LiveArray("scan", volume, (factor, 2, 1), lambda names: False)
        shelf.put(*made[factor])
    assert [shelf.get(made[n][0]) is made[n][1] for n in made] == [False] + 8 * [True]
    whole = LiveArray("scan", volume, (7, 7, 7), lambda names: False, whole=True)
    shelf.put(subject, whole)
    assert shelf.get(subject) is None
    shelf.clear()
    assert shelf.get(made[6][0]) is None
