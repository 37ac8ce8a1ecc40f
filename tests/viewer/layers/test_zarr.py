"""OME-Zarr opens lazily, at the place of the same volume in NIfTI."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.streams import OBLIQUE, save_scan, small_request
from napari.layers import Image
from napari.utils.notifications import notification_manager

from napari_mrisr.errors import VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.streaming import stream
from napari_mrisr.viewer.layers.convert import snapshot
from napari_mrisr.viewer.layers.readers import get_reader

zarr = pytest.importorskip("zarr")


def open_layer(path) -> Image:
    ((data, kwargs, kind),) = get_reader(str(path))(str(path))
    assert kind == "image"
    return Image(data, **kwargs)


@pytest.mark.parametrize("affine", [OBLIQUE, np.diag([-0.5, 0.75, 2.0, 1.0])])
def test_as_the_same_volume_in_nifti(tmp_path, affine):
    scan = save_scan(tmp_path / "scan.nii", shape=(9, 14, 11), affine=affine)
    for suffix in (".ome.zarr", ".nii"):
        stream(small_request(scan, tmp_path / f"out{suffix}"))
    lazy, loaded = open_layer(tmp_path / "out.ome.zarr"), open_layer(tmp_path / "out.nii")
    assert lazy.name == loaded.name == "out"
    np.testing.assert_array_equal(np.asarray(lazy.data), loaded.data)
    np.testing.assert_allclose(lazy.scale, loaded.scale, rtol=1e-6)
    np.testing.assert_allclose(lazy.translate, loaded.translate, atol=1e-4)
    assert lazy.units == loaded.units
    assert lazy.axis_labels == loaded.axis_labels
    # What a run would take of the layer: the volume with its true affine.
    volume, expected = snapshot(lazy).to_volume(), read_volume(tmp_path / "out.nii")
    np.testing.assert_array_equal(volume.data, expected.data)
    np.testing.assert_allclose(volume.grid.affine, expected.grid.affine, atol=1e-5)
    assert volume.history["method"] == "tricubic"


def foreign(path, shape, levels, value=None):
    group = zarr.create_group(str(path), zarr_format=2)
    datasets = []
    for level in range(levels):
        size = [max(1, n >> level) for n in shape]
        array = group.create_array(str(level), shape=size, chunks=[128] * 3, dtype="uint16")
        if value is not None:
            array[...] = value
        scale = {"type": "scale", "scale": [2.0**level] * 3}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    axes = [{"name": n, "type": "space", "unit": "millimeter"} for n in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]


def test_levels_of_a_large_image_are_not_read(tmp_path, monkeypatch):
    """Opening 64 GB reads one plane of the coarsest level."""
    path = tmp_path / "large.ome.zarr"
    foreign(path, (3200, 3100, 3300), 6)
    read = []
    get = zarr.Array.__getitem__

    def count(self, index):
        found = get(self, index)
        read.append(found.size)
        return found

    monkeypatch.setattr(zarr.Array, "__getitem__", count)
    layer = open_layer(path)
    assert layer.multiscale
    assert [tuple(level.shape) for level in layer.data][-1] == (100, 96, 103)
    # napari's layer may look at the coarsest level for its thumbnail.
    assert sum(read) < 4 * 100 * 96 * 103
    assert layer.data[0].shape == (3200, 3100, 3300)


def test_limits_of_a_foreign_image(tmp_path, rng):
    foreign(tmp_path / "a.zarr", (20, 21, 22), 1, rng.integers(100, 900, (20, 21, 22)))
    layer = open_layer(tmp_path / "a.zarr")
    assert not layer.multiscale
    low, high = layer.contrast_limits
    assert low == 0 or 90 < low < 130
    assert 800 < high < 900


def test_of_several_frames_the_first_is_shown_with_a_warning(tmp_path, rng):
    series = rng.random((3, 4, 5, 6), dtype=np.float32)
    array = zarr.create_array(str(tmp_path / "series.zarr"), shape=series.shape, dtype="float32")
    array[...] = series
    notification_manager.records.clear()
    layer = open_layer(tmp_path / "series.zarr")
    assert layer.name == "series frame 0"
    assert layer.ndim == 3
    assert sorted(np.asarray(layer.data).flat) == sorted(series[0].flat)
    shown = str(notification_manager.records[-1].message)
    assert shown == "series.zarr: has several frames; only the first is shown"


def test_folders_that_are_no_zarr_are_passed_on(tmp_path):
    (tmp_path / "scans").mkdir()
    assert get_reader(str(tmp_path / "scans")) is None
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(VolumeError, match="no readable OME-Zarr"):
        open_layer(tmp_path / "b.zarr")


def test_napari_offers_the_reader_for_the_folder(tmp_path, repository):
    from npe2 import PluginManager, PluginManifest

    path = tmp_path / "a.ome.zarr"
    path.mkdir()
    manager = PluginManager()
    manager.register(PluginManifest.from_file(repository / "napari.yaml"))
    found = [reader.command for reader in manager.iter_compatible_readers([str(path)])]
    assert found == ["napari-mrisr.get_reader"]
