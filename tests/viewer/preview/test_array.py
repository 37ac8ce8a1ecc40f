"""What napari slices of a result that is not there yet: planes, stand-ins, and no whole array."""

from __future__ import annotations

import threading
import time
import tracemalloc

import numpy as np
import pytest

from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import VolumeError
from napari_mrisr.run.preview import ResultPlane
from napari_mrisr.viewer.layers.geometry import to_display
from napari_mrisr.viewer.preview.array import KEPT, PATIENCE_S, LiveArray

SCALE = (2, 1, 3)


@pytest.fixture
def source(rng):
    data = rng.random((4, 6, 5), dtype=np.float32)
    return Volume(data, Grid(data.shape, np.eye(4)))


@pytest.fixture
def asked():
    return []


@pytest.fixture
def array(source, asked):
    return LiveArray("scan 2x", source, SCALE, asked.append)


@pytest.fixture
def result(rng):
    """What a run would give, (x, y, z)."""
    return rng.random((8, 6, 15), dtype=np.float32) + 10


def plane_of(result, axis, index, approximate=False):
    return ResultPlane(axis, index, result.take(index, axis=axis).copy(), approximate)


def repeated(source):
    data = source.data
    for axis, factor in enumerate(SCALE):
        data = data.repeat(factor, axis=axis)
    return data


def test_looks_like_an_array(array):
    assert (array.shape, array.ndim, array.size, array.dtype) == ((15, 6, 8), 3, 720, np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_in_naparis_order(array, result, asked, axis):
    n = result.shape[axis]
    for index in (0, n // 3, n - 1):
        array.put(plane_of(result, axis, index))
        key = [slice(None)] * 3
        key[2 - axis] = n - 1 - index
        np.testing.assert_array_equal(array[tuple(key)], to_display(result)[tuple(key)])
        key[2 - axis] -= n  # from the end
        np.testing.assert_array_equal(array[tuple(key)], to_display(result)[tuple(key)])
        assert array.shown == (axis, index)
        assert asked[-1] == [(axis, index)]
        assert not array.awaits((axis, index))
    array.put(plane_of(result, 2, 4))
    np.testing.assert_array_equal(array[10, 2:5, ::2], to_display(result)[10, 2:5, ::2])
    np.testing.assert_array_equal(array[np.int64(10)], to_display(result)[10])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_measured_voxels_stand_in_and_the_plane_is_asked_for(array, source, asked, axis):
    key = [slice(None)] * 3
    key[2 - axis] = 1
    expected = to_display(repeated(source))[tuple(key)]
    np.testing.assert_array_equal(array[tuple(key)], expected)
    name = (axis, repeated(source).shape[axis] - 2)
    assert asked == [[name]]
    assert array.awaits(name)


def test_waits_a_little_for_a_plane_that_is_on_its_way(source, result):
    late = threading.Timer(0.005, lambda: array.put(plane_of(result, 2, 5)))

    def asked(names):
        late.start()
        return True

    array = LiveArray("scan 2x", source, SCALE, asked)
    np.testing.assert_array_equal(array[9], to_display(result)[9])
    assert not array.awaits((2, 5))
    late.join()


@pytest.mark.parametrize("coming", [True, False])
def test_does_not_wait_for_long_nor_for_what_does_not_come(source, coming):
    array = LiveArray("scan 2x", source, SCALE, lambda names: coming)
    start = time.perf_counter()
    np.testing.assert_array_equal(array[9], to_display(repeated(source))[9])
    waited = time.perf_counter() - start
    assert waited >= PATIENCE_S if coming else waited < PATIENCE_S
    assert array.awaits((2, 5))


def test_a_thick_slice_asks_for_all_its_planes(array, source, result, asked):
    array.put(plane_of(result, 2, 9))
    expected = repeated(source)
    expected[:, :, 9] = result[:, :, 9]
    np.testing.assert_array_equal(array[4:7], to_display(expected)[4:7])
    assert asked == [[(2, 10), (2, 9), (2, 8)]]
    assert [array.awaits(name) for name in asked[0]] == [True, False, True]
    assert array.shown == (2, 9)
    np.testing.assert_array_equal(array[5:6, 1:, ::3], to_display(expected)[5:6, 1:, ::3])


def test_nothing_is_allocated_before_a_run():
    lr = Volume(np.ones((300, 200, 100), np.float32), Grid((300, 200, 100), np.eye(4)))
    tracemalloc.start()
    array = LiveArray("huge", lr, (4, 4, 4), lambda name: None)  # 1.5 GB
    array.put(ResultPlane(2, 0, np.zeros((1200, 800), np.float32)))
    _ = array[7], array[:, :, :]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_few_planes_are_kept(array, result):
    for number in range(KEPT + 5):
        array.put(plane_of(result, 2, number % 15))
        array.put(plane_of(result, 1, number % 6))
    assert array.holds((2, (KEPT + 4) % 15))
    many = LiveArray(
        "a", Volume(np.ones((99, 2, 2)), Grid((99, 2, 2), np.eye(4))), (1, 1, 1), print
    )
    for index in range(99):
        many.put(ResultPlane(0, index, np.zeros((2, 2), np.float32)))
    assert [index for index in range(99) if many.holds((0, index))] == list(range(99 - KEPT, 99))


def test_a_begun_whole_has_planes_and_measured_voxels(array, source, result):
    array.put(plane_of(result, 0, 3))
    array.put(plane_of(result, 1, 2, approximate=True))
    whole = array.begin()
    expected = repeated(source)
    expected[3] = result[3]
    np.testing.assert_array_equal(whole, expected)
    assert array.volume.data is whole
    array.put(plane_of(result, 2, 11))
    expected[:, :, 11] = result[:, :, 11]
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(array[:, :, :], to_display(expected))
    np.testing.assert_array_equal(array[1:3], to_display(expected)[1:3])


def test_finished_regions_are_held_and_dropped(array, result, asked):
    whole = array.begin()
    region = Region((0, 0, 4), (8, 6, 7))
    whole[region.slices] = result[region.slices]
    array.finished(region)
    assert [array.holds((2, i)) for i in (3, 4, 6, 7)] == [False, True, True, False]
    assert not array.holds((0, 0))
    np.testing.assert_array_equal(array[15 - 1 - 5], to_display(result)[15 - 1 - 5])
    assert not array.awaits((2, 5))
    array.drop()
    assert array.volume is None
    assert not array.holds((2, 5))
    _ = array[15 - 1 - 5]
    assert array.awaits((2, 5))
    assert asked == [[(2, 5)], [(2, 5)]]


def test_a_plane_of_a_crop_says_so(array, result):
    array.put(plane_of(result, 2, 3, approximate=True))
    assert not array.approximate()
    _ = array[11]
    assert array.shown == (2, 3)
    assert array.approximate()


def test_is_not_to_be_saved_or_measured(array):
    with pytest.raises(VolumeError, match="scan 2x: only the slices looked at"):
        np.asarray(array)
