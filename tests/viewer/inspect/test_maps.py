"""Maps as layers: values of the API, at the position of the volume."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.inspection import bin_map, bucket_map, feature_map, inspect_voxel, orientation_map
from napari_mrisr.inspection.texts import bucket_text
from napari_mrisr.viewer.inspect.maps import (
    ORIENTATION,
    feature_layer,
    feature_layers,
    index_at,
    menu_text,
)
from napari_mrisr.viewer.layers.convert import layer_data


def shown(array):
    """Return the axes of napari: inferior, posterior, left."""
    return array.transpose(2, 1, 0)[::-1, ::-1, ::-1]


@pytest.mark.parametrize("number", [0, 1])
def test_labels_are_buckets_plus_one(inspect, number):
    inspection = inspect(patterns.noise(), number)
    data, kwargs, kind = inspection.layer
    assert kind == "labels"
    np.testing.assert_array_equal(data, shown(bucket_map(inspection.source)).astype(int) + 1)
    assert data.min() >= 1
    # At the position of other layers of this grid.
    grid = inspection.source.grid
    like = layer_data(Volume(np.zeros(grid.shape), grid), "like")[1]
    for key in ("scale", "translate", "units", "axis_labels"):
        assert kwargs[key] == like[key]
    spec = inspection.source.stage.spec.hash
    assert kwargs["features"]["ranges"][5] == bucket_text(spec, 5)
    assert kwargs["features"]["index"][5] == 6
    assert kwargs["name"] == f"scan, planted stage {number + 1} buckets"


def test_flat_is_transparent_and_phases_share_a_color(inspect):
    inspection = inspect(patterns.noise(), 1)
    spec = inspection.source.stage.spec.hash
    colormap = inspection.layer[1]["colormap"]
    colors = colormap.map(np.arange(spec.bucket_count + 1))
    assert colors[0, 3] == colors[spec.filter_count + 1, 3] == 0
    assert (colors[1 : spec.filter_count + 1, 3] == 1).all()
    by_bucket = colors[1 : spec.filter_count + 1].reshape(-1, 8, 4)
    assert (by_bucket == by_bucket[:, :1]).all()
    assert (by_bucket[0, 0] != by_bucket[1, 0]).any()


def test_feature_layers(inspect):
    inspection = inspect(patterns.noise(), 1)
    source, labels = inspection.source, inspection.labels
    spec = source.stage.spec.hash
    names = feature_layers(spec)
    assert names[0] == ORIENTATION
    assert "phase bin" in names
    assert "asymmetry" in names
    assert "asymmetry bin" not in names
    assert len({menu_text(name) for name in names}) == len(names)
    data, kwargs, kind = feature_layer(source, labels, "coherence bin", "t")
    assert (kind, kwargs["name"]) == ("labels", "t coherence bin")
    buckets = bucket_map(source)
    np.testing.assert_array_equal(data, shown(bin_map(buckets, spec, "coherence")) + 1)
    assert list(kwargs["features"]["ranges"]) == [
        "coherence −0.333 to −0.2",
        "coherence −0.2 to 0.5",
        "coherence 0.5 to 1",
    ]
    data, kwargs, kind = feature_layer(source, labels, "elevation", "t")
    assert kind == "image"
    np.testing.assert_array_equal(data, shown(feature_map(source, "elevation")))
    assert kwargs["contrast_limits"][0] == 0
    low, high = feature_layer(source, labels, "curvature", "t")[1]["contrast_limits"]
    assert low == -high
    data, kwargs, kind = feature_layer(source, labels, ORIENTATION, "t")
    assert (kind, kwargs["rgb"]) == ("image", True)
    color = orientation_map(source)
    for channel in range(3):
        np.testing.assert_array_equal(data[..., channel], shown(color[..., channel]))
    assert feature_layer(source, labels, "phase bin", "t")[0].max() <= 9


def test_layers_can_be_added(inspect):
    from napari.components import ViewerModel

    viewer = ViewerModel()
    inspection = inspect(patterns.noise())
    for part in feature_layers(inspection.source.stage.spec.hash):
        data, kwargs, kind = feature_layer(inspection.source, inspection.labels, part, "t")
        (viewer.add_labels if kind == "labels" else viewer.add_image)(data, **kwargs)
    layer = viewer.add_labels(inspection.layer[0], **inspection.layer[1])
    seen = inspect_voxel(inspection.source, (3, 4, 5))
    place = layer.data_to_world((27 - 1 - 5, 25 - 1 - 4, 23 - 1 - 3))
    viewer.dims.set_point(0, place[0])
    assert layer.get_value(place, world=True) == seen.bucket + 1
    assert f"bucket: {seen.bucket}" in layer.get_status(place, world=True)["coordinates"]


def test_index_at_follows_layers():
    turn = np.diag([-1.0, 1.25, 1.5, 1.0])
    turn[:3, 3] = 4, -5, 6
    for affine in (np.diag([1.0, 1.25, 1.5, 1.0]), np.abs(turn)):
        grid = Grid((5, 7, 9), affine)
        data = np.arange(5 * 7 * 9, dtype=np.float32).reshape(5, 7, 9)
        from napari.layers import Image

        array, kwargs, _ = layer_data(Volume(data, grid), "v")
        layer = Image(array, **kwargs)
        for at in ((0, 0, 0), (8, 6, 4), (3, 2, 1)):
            world = layer.data_to_world(at)
            assert data[index_at(grid, world)] == array[at]
            assert index_at(grid, (99.0, *world)) == index_at(grid, world)
        assert index_at(grid, layer.data_to_world((9, 0, 0))) is None
        assert index_at(grid, layer.data_to_world((0, -1, 0))) is None
