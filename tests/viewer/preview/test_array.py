"""Preview arrays: computed voxels, measured ones elsewhere, and no whole array before the fill."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import VolumeError
from napari_mrisr.viewer.layers.geometry import to_display
from napari_mrisr.viewer.preview import array as module
from napari_mrisr.viewer.preview.array import PreviewArray

SCALE = (2, 1, 3)


@pytest.fixture
def source(rng):
    data = rng.random((4, 6, 5), dtype=np.float32)
    return Volume(data, Grid(data.shape, np.eye(4)))


@pytest.fixture
def array(source):
    return PreviewArray("scan 2x", source, SCALE)


@pytest.fixture
def result(rng):
    """Result of a run, (x, y, z)."""
    return rng.random((8, 6, 15), dtype=np.float32) + 10


def put(array, result, axis, start, stop=None):
    stop = start + 1 if stop is None else stop
    array.put(axis, start, result.take(range(start, stop), axis=axis))


def repeated(source):
    data = source.data
    for axis, factor in enumerate(SCALE):
        data = data.repeat(factor, axis=axis)
    return data


def test_looks_like_an_array(array):
    assert (array.shape, array.ndim, array.size, array.dtype) == ((15, 6, 8), 3, 720, np.float32)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_are_in_the_axis_order_of_napari(array, result, axis, whole):
    if whole:
        array.allocate()
    n = result.shape[axis]
    for index in (0, n // 3, n - 1):
        put(array, result, axis, index)
        key = [slice(None)] * 3
        key[2 - axis] = n - 1 - index
        np.testing.assert_array_equal(array[tuple(key)], to_display(result)[tuple(key)])
        key[2 - axis] -= n  # from the end
        np.testing.assert_array_equal(array[tuple(key)], to_display(result)[tuple(key)])
        assert array.missing == ()
    put(array, result, 2, 4)
    np.testing.assert_array_equal(array[10, 2:5, ::2], to_display(result)[10, 2:5, ::2])
    np.testing.assert_array_equal(array[np.int64(10)], to_display(result)[10])


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_measured_voxels_are_shown_where_nothing_is_computed(array, source, axis, whole):
    if whole:
        array.allocate()
    key = [slice(None)] * 3
    key[2 - axis] = 1
    expected = to_display(repeated(source))[tuple(key)]
    np.testing.assert_array_equal(array[tuple(key)], expected)
    assert array.missing == ((axis, repeated(source).shape[axis] - 2),)


@pytest.mark.parametrize("whole", [False, True])
def test_a_thick_slice_names_all_its_missing_planes(array, source, result, whole):
    if whole:
        array.allocate()
    put(array, result, 2, 9)
    expected = repeated(source)
    expected[:, :, 9] = result[:, :, 9]
    np.testing.assert_array_equal(array[4:7], to_display(expected)[4:7])
    assert array.missing == ((2, 10), (2, 8))
    np.testing.assert_array_equal(array[5:6, 1:, ::3], to_display(expected)[5:6, 1:, ::3])
    assert array.missing == ()


def test_nothing_is_allocated_before_the_fill():
    lr = Volume(np.ones((300, 200, 100), np.float32), Grid((300, 200, 100), np.eye(4)))
    tracemalloc.start()
    array = PreviewArray("huge", lr, (4, 4, 4))  # 1.5 GB
    array.put(2, 0, np.zeros((1200, 800, 1), np.float32))
    _ = array[7], array[:, :, :]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6
    assert array.nbytes == 1200 * 800 * 4


def test_single_planes_are_bounded_by_bytes(array, result, monkeypatch):
    monkeypatch.setattr(module, "PLANES_BYTES", 3 * 48 * 4)
    for index in range(15):
        put(array, result, 2, index)
    assert [index for index in range(15) if array.holds((2, index))] == [12, 13, 14]
    assert array.nbytes == 3 * 48 * 4


def test_the_whole_has_the_planes_that_were_computed_before(array, source, result):
    put(array, result, 0, 3)
    array.allocate()
    expected = repeated(source)
    expected[3] = result[3]
    np.testing.assert_array_equal(array.volume.data, expected)
    assert array.nbytes == array.volume.data.nbytes
    put(array, result, 2, 11, 14)
    expected[:, :, 11:14] = result[:, :, 11:14]
    np.testing.assert_array_equal(array.volume.data, expected)
    np.testing.assert_array_equal(array[:, :, :], to_display(expected))
    assert [array.holds((2, i)) for i in (10, 11, 13, 14)] == [False, True, True, False]
    assert array.holds((0, 3))
    assert array.share == pytest.approx(3 / 15)


def test_an_unfinished_result_cannot_be_saved_or_measured(array):
    with pytest.raises(VolumeError, match="scan 2x: the preview is not a finished result"):
        np.asarray(array)
