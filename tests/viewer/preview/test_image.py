"""The layer of a live array, in a viewer's model."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.layers.convert import layer_data
from napari_mrisr.viewer.preview.array import LiveArray
from napari_mrisr.viewer.preview.image import LiveImage


@pytest.fixture
def scan(rng):
    data = rng.random((6, 8, 10), dtype=np.float32)
    return Volume(data, Grid(data.shape, np.diag([1.0, 2.0, 3.0, 1.0])))


@pytest.fixture
def viewer(scan):
    viewer = ViewerModel()
    data, kwargs, _ = layer_data(scan, "scan")
    viewer.add_image(data, **kwargs)
    viewer.dims.set_point(0, viewer.dims.range[0].start + 12.0)
    return viewer


def array_of(scan, scale=(2, 2, 2)):
    return LiveArray("scan 2x", scan, scale, lambda names: False)


def test_comes_changes_and_goes_while_the_sliders_stay(viewer, scan):
    image, place = LiveImage(viewer), viewer.dims.point
    assert not image.is_there
    image.put(array_of(scan), "first", {"colormap": "green"})
    layer = image.layer
    assert image.is_there
    assert (layer.name, layer.colormap.name, layer.data.shape) == ("first", "green", (20, 16, 12))
    assert viewer.dims.point == place
    image.put(array_of(scan, (3, 3, 3)), "second", {"colormap": "red"})
    assert image.layer is layer
    assert (layer.name, layer.colormap.name, layer.data.shape) == ("second", "green", (30, 24, 18))
    np.testing.assert_allclose(layer.scale, [1.0, 2 / 3, 1 / 3])
    assert viewer.dims.point == place
    image.remove()
    assert [layer.name for layer in viewer.layers] == ["scan"]
    assert viewer.dims.point == place
    assert not image.moving


def test_a_deleted_layer_comes_anew_and_one_let_go_stays(viewer, scan):
    image = LiveImage(viewer)
    image.put(array_of(scan), "preview", {})
    viewer.layers.remove(image.layer)
    assert not image.is_there
    image.put(array_of(scan), "preview", {})
    layer = image.layer
    assert layer in viewer.layers
    assert image.let_go() is layer
    assert image.layer is None
    image.remove()
    assert layer in viewer.layers


def test_says_where_sliders_move_by_themselves(viewer, scan):
    image, seen = LiveImage(viewer), []

    def asked(names):
        seen.append(image.moving)
        return False

    image.put(LiveArray("scan 2x", scan, (2, 2, 2), asked), "preview", {})
    assert seen
    assert all(seen)
    viewer.dims.set_point(0, viewer.dims.range[0].start)
    assert not seen[-1]
    seen.clear()
    image.refresh()
    assert seen == [False]
