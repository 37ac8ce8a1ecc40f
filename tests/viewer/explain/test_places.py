"""Voxels of the result in napari's world, against the layer of the result itself."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_mrisr.core.volume import Volume
from napari_mrisr.viewer.explain.places import Places
from napari_mrisr.viewer.layers.convert import layer_data, series_layer_data, snapshot

SCALE = (2, 1, 3)
VOXELS = [(0, 0, 0), (19, 11, 44), (7, 3, 22)]


def places_of(layer):
    return Places.of(layer, snapshot(layer), SCALE)


@pytest.mark.parametrize("which", ["volume", "oblique"])
def test_of_our_layers(which, request):
    volume = request.getfixturevalue(which)
    data, kwargs, _ = layer_data(volume, "lr")
    places = places_of(Image(data, **kwargs))
    grid = volume.grid.upsampled(SCALE)
    assert places.shape == grid.shape
    fine = np.arange(np.prod(grid.shape), dtype=np.float32).reshape(grid.shape)
    data, kwargs, _ = layer_data(Volume(fine, grid), "result")
    result = Image(data, **kwargs)
    for voxel in VOXELS:
        world = places.world_of(voxel)
        np.testing.assert_allclose(result.data_to_world(places.index_of(voxel)), world, atol=1e-4)
        assert result.data[tuple(places.index_of(voxel))] == fine[voxel]
        assert places.voxel_at(world) == voxel
        # Anywhere within the voxel counts.
        assert places.voxel_at(np.array(world) + 0.2) == voxel


def test_of_a_layer_of_another_program(rng):
    """(slice, row, column) in the world; the snapshot's volume says which voxel is where."""
    layer = Image(rng.random((5, 6, 7)), scale=(1.5, 1.0, 2.0), translate=(3, -4, 5))
    places = places_of(layer)
    volume = snapshot(layer).to_volume()
    for voxel in [(0, 0, 0), (13, 5, 14), (4, 3, 8)]:
        cell = tuple(n // s for n, s in zip(voxel, SCALE, strict=True))
        index = np.round(np.array(layer.world_to_data(places.world_of(voxel)))).astype(int)
        assert layer.data[tuple(index)] == pytest.approx(float(volume.data[cell]))
        assert places.voxel_at(places.world_of(voxel)) == voxel


def test_of_a_series(volume):
    frames = np.stack([volume.data, volume.data + 1])
    data, kwargs, _ = series_layer_data(frames, volume, "series")
    places = places_of(Image(data, **kwargs))
    world = places.world_of((7, 3, 22))
    assert places.voxel_at((1.0, *world)) == (7, 3, 22)


def test_outside_there_is_no_voxel(volume):
    data, kwargs, _ = layer_data(volume, "lr")
    places = places_of(Image(data, **kwargs))
    first = np.array(places.world_of((19, 11, 44)))
    assert places.voxel_at(first) == (19, 11, 44)
    for axis in range(3):
        assert places.voxel_at(first - 1.6 * np.eye(3)[axis]) is None
