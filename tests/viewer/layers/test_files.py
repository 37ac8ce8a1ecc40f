"""Files to layers, by files on disk."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from helpers.layers import SHAPE, open_layer, stored_affine, write_scan
from helpers.streams import OBLIQUE, save_scan, small_request
from napari.layers import Image
from napari.utils.notifications import notification_manager
from npe2 import PluginManager

from napari_mrisr.errors import VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.streaming import stream
from napari_mrisr.viewer.layers.convert import snapshot
from napari_mrisr.viewer.layers.files import get_reader

zarr = pytest.importorskip("zarr")

# Stored axes to the right, the back and the feet in every way that matters.
ORIENTATIONS = ["RAS", "LAS", "LPS", "PIR", "SLA", "IPL"]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_a_stored_voxel_lands_at_its_world_position(tmp_path, rng, codes):
    path = tmp_path / "scan.nii.gz"
    affine = stored_affine(codes)
    data = write_scan(path, rng, affine)
    layer = open_layer(path)
    assert layer.name == "scan"
    for index in [(0, 0, 0), (8, 3, 12), (4, 10, 5)]:
        world = -(affine @ [*index, 1])[:3][::-1]
        at = np.rint(layer.world_to_data(world)).astype(int)
        np.testing.assert_allclose(layer.data_to_world(at), world, atol=1e-4)
        assert layer.data[tuple(at)] == data[index]


def test_a_series_is_read_whole(tmp_path, rng):
    path = tmp_path / "bold.nii.gz"
    affine = stored_affine("LPS")
    data = write_scan(path, rng, affine, (*SHAPE, 4))
    layer = open_layer(path)
    assert layer.data.shape == (4, 14, 11, 9)
    assert layer.axis_labels == ("frame", "inferior", "posterior", "left")
    for index in [(0, 0, 0, 3), (8, 3, 12, 1)]:
        world = (index[3], *(-(affine @ [*index[:3], 1])[:3][::-1]))
        at = np.rint(layer.world_to_data(world)).astype(int)
        assert layer.data[tuple(at)] == data[index]


def test_several_files_are_several_layers(tmp_path, rng):
    paths = [str(tmp_path / name) for name in ("a.nii", "b.nii.gz")]
    for path in paths:
        write_scan(path, rng, stored_affine("RAS"))
    layers = get_reader(paths)(paths)
    assert [kwargs["name"] for _, kwargs, _ in layers] == ["a", "b"]


@pytest.mark.parametrize("path", ["photo.png", "notes.txt", ["a.nii", "b.png"], []])
def test_other_files_are_not_ours(path):
    assert get_reader(path) is None


def test_cautions_about_a_file_are_shown(tmp_path, rng):
    affine = np.eye(4)
    affine[0, 1] = 0.3  # sheared
    path = tmp_path / "sheared.nii"
    nib.save(nib.Nifti1Image(rng.random((4, 5, 6), dtype=np.float32), affine), path)
    notification_manager.records.clear()
    open_layer(path)
    assert "sheared.nii: " in str(notification_manager.records[-1].message)


def test_holes_are_filled_with_a_warning(tmp_path, rng):
    path = tmp_path / "map.nii"
    data = rng.random(SHAPE, dtype=np.float32)
    data[1, 2, 3] = np.nan
    nib.save(nib.Nifti1Image(data, stored_affine("RAS")), path)
    notification_manager.records.clear()
    layer = open_layer(path)
    assert layer.data[13 - 3, 10 - 2, 8 - 1] == 0
    assert "map.nii" in str(notification_manager.records[-1].message)


def test_a_damaged_file_says_so(tmp_path, rng):
    path = tmp_path / "cut.nii"
    write_scan(path, rng, stored_affine("RAS"))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(VolumeError, match=r"cut\.nii"):
        open_layer(path)


def open_lazily(path) -> Image:
    ((data, kwargs, kind),) = get_reader(str(path))(str(path))
    assert kind == "image"
    return Image(data, **kwargs)


@pytest.mark.parametrize("affine", [OBLIQUE, np.diag([-0.5, 0.75, 2.0, 1.0])])
def test_as_the_same_volume_in_nifti(tmp_path, affine):
    scan = save_scan(tmp_path / "scan.nii", shape=(9, 14, 11), affine=affine)
    for suffix in (".ome.zarr", ".nii"):
        stream(small_request(scan, tmp_path / f"out{suffix}"))
    lazy, loaded = open_lazily(tmp_path / "out.ome.zarr"), open_layer(tmp_path / "out.nii")
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
    layer = open_lazily(path)
    assert layer.multiscale
    assert [tuple(level.shape) for level in layer.data][-1] == (100, 96, 103)
    # napari's layer may look at the coarsest level for its thumbnail.
    assert sum(read) < 4 * 100 * 96 * 103
    assert layer.data[0].shape == (3200, 3100, 3300)


def test_limits_of_a_foreign_image(tmp_path, rng):
    foreign(tmp_path / "a.zarr", (20, 21, 22), 1, rng.integers(100, 900, (20, 21, 22)))
    layer = open_lazily(tmp_path / "a.zarr")
    assert not layer.multiscale
    low, high = layer.contrast_limits
    assert low == 0 or 90 < low < 130
    assert 800 < high < 900


def test_of_several_frames_the_first_is_shown_with_a_warning(tmp_path, rng):
    series = rng.random((3, 4, 5, 6), dtype=np.float32)
    array = zarr.create_array(str(tmp_path / "series.zarr"), shape=series.shape, dtype="float32")
    array[...] = series
    notification_manager.records.clear()
    layer = open_lazily(tmp_path / "series.zarr")
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
        open_lazily(tmp_path / "b.zarr")


def test_napari_offers_the_reader_for_the_folder(tmp_path, repository):
    from npe2 import PluginManifest

    path = tmp_path / "a.ome.zarr"
    path.mkdir()
    manager = PluginManager()
    manager.register(PluginManifest.from_file(repository / "napari.yaml"))
    found = [reader.command for reader in manager.iter_compatible_readers([str(path)])]
    assert sorted(found) == ["napari-mrisr.get_dicom_reader", "napari-mrisr.get_reader"]
