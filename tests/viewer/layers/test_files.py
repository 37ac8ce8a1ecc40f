"""Reader and writer, by files on disk."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers.streams import OBLIQUE, save_scan, small_request
from napari.layers import Image
from napari.plugins import _npe2
from napari.utils.notifications import notification_manager
from npe2 import PluginManager
from qtpy.QtWidgets import QFileDialog
from scipy.spatial.transform import Rotation

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import OutputError, VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.io import write as writing
from napari_mrisr.streaming import stream
from napari_mrisr.viewer.layers.convert import layer_data, snapshot
from napari_mrisr.viewer.layers.files import get_reader, write_image

zarr = pytest.importorskip("zarr")

SHAPE = (9, 11, 14)

# Stored axes to the right, the back and the feet in every way that matters.
ORIENTATIONS = ["RAS", "LAS", "LPS", "PIR", "SLA", "IPL"]

TIFF, MRI = "lossless", "MRI volume"


def stored_affine(codes: str, turn: np.ndarray | None = None) -> np.ndarray:
    affine = np.diag([1.0, 1.25, 1.5, 1.0])
    affine[:3, 3] = (-31.0, 17.0, -5.0)
    affine = affine @ nib.orientations.inv_ornt_aff(
        nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(codes))
        ),
        SHAPE,
    )
    if turn is not None:
        affine[:3] = turn @ affine[:3]
    return affine


def write_scan(path, rng, affine, shape=SHAPE) -> np.ndarray:
    data = rng.integers(0, 4000, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(data, affine), path)
    return data


def open_layer(path) -> Image:
    reader = get_reader(str(path))
    assert reader is not None
    ((data, kwargs, kind),) = reader(str(path))
    assert kind == "image"
    return Image(data, **kwargs)


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


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgz"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
@pytest.mark.parametrize("oblique", [False, True])
def test_written_as_read(tmp_path, rng, suffix, codes, oblique):
    turn = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix() if oblique else None
    affine = stored_affine(codes, turn)
    source = tmp_path / "in.nii.gz"
    data = write_scan(source, rng, affine)
    layer = open_layer(source)
    out = tmp_path / f"out{suffix}"
    shown, meta, _ = layer.as_layer_data_tuple()
    assert write_image(str(out), shown, meta) == [str(out)]
    image = nib.load(out)
    np.testing.assert_allclose(image.affine, affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(image.dataobj), data)
    # An existing file is replaced: napari's dialog has asked.
    write_image(str(out), shown, meta)


def read_ngff(path):
    """Return values, and index (z, y, x) to RAS+ mm by NGFF's metadata and by our exact affine."""
    group = json.loads((path / "zarr.json").read_text())["attributes"]
    image = group["ome"]["multiscales"][0]
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in image["axes"]} == {"millimeter"}
    scale, translation = image["datasets"][0]["coordinateTransformations"]
    plain = np.diag([*scale["scale"][::-1], 1.0])
    plain[:3, 3] = translation["translation"][::-1]
    values = zarr.open_array(str(path / image["datasets"][0]["path"]), mode="r")[:]
    return values, plain, np.array(group["napari-mrisr"]["affine_mm"]), group["napari-mrisr"]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
@pytest.mark.parametrize("oblique", [False, True])
def test_written_as_ome_zarr(tmp_path, rng, codes, oblique):
    turn = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix() if oblique else None
    affine = stored_affine(codes, turn)
    data = write_scan(tmp_path / "in.nii.gz", rng, affine)
    layer = open_layer(tmp_path / "in.nii.gz")
    layer.contrast_limits = (120, 3456)
    shown, meta, _ = layer.as_layer_data_tuple()
    out = tmp_path / "out.ome.zarr"
    assert write_image(str(out), shown, meta) == [str(out)]
    values, plain, exact, ours = read_ngff(out)
    assert values.dtype == np.float32
    # Every stored voxel, by its place in the world.
    index = np.indices(SHAPE).reshape(3, -1)
    world = affine[:3, :3] @ index + affine[:3, 3:]
    for to_world in [exact] if oblique else [exact, plain]:
        x, y, z = np.rint(np.linalg.solve(to_world[:3, :3], world - to_world[:3, 3:])).astype(int)
        np.testing.assert_allclose(
            to_world[:3, :3] @ [x, y, z] + to_world[:3, 3:], world, atol=1e-4
        )
        np.testing.assert_array_equal(values[z, y, x], data.reshape(-1))
    assert ours["display_limits"] == [120, 3456]
    assert ours["notice"] == "research use, not for diagnosis"
    # An existing one is replaced: napari's dialog has asked.
    write_image(str(out), shown, meta)
    assert {entry.name for entry in tmp_path.iterdir()} == {"in.nii.gz", "out.ome.zarr"}


def test_history_goes_on_into_ome_zarr(tmp_path, rng):
    grid = Grid((9, 11, 14), np.diag([0.5, 0.75, 2.0, 1.0]))
    made = {"method": "hashed", "scale": "2"}
    volume = Volume(rng.random(grid.shape, dtype=np.float32), grid, history=made)
    data, kwargs, _ = layer_data(volume, "result")
    layer_tuple = Image(data, **kwargs).as_layer_data_tuple()
    write_image(str(tmp_path / "a.ome.zarr"), *layer_tuple[:2])
    values, plain, exact, ours = read_ngff(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(values, volume.data.transpose(2, 1, 0))
    np.testing.assert_allclose(plain, grid.affine)
    np.testing.assert_allclose(exact, grid.affine)
    assert ours["history"] == made


def test_a_layer_on_disk_is_copied_piece_by_piece(tmp_path, rng, monkeypatch):
    """12 MiB of voxels in 12 blocks."""
    monkeypatch.setattr(writing, "_ZARR_BLOCK", (64, 64, 64))
    grid = Grid((65, 192, 256), np.diag([1.0, 1.5, 2.0, 1.0]))
    volume = Volume(np.arange(65 * 192 * 256, dtype=np.float32).reshape(grid.shape), grid)
    data, kwargs, _ = layer_data(volume, "a")
    write_image(str(tmp_path / "a.ome.zarr"), data, kwargs)
    lazy, meta, _ = open_layer(tmp_path / "a.ome.zarr").as_layer_data_tuple()
    tracemalloc.start()
    try:
        write_image(str(tmp_path / "b.ome.zarr"), lazy, meta)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < volume.data.nbytes * 0.6
    values, _, affine, _ = read_ngff(tmp_path / "b.ome.zarr")
    np.testing.assert_array_equal(values, volume.data.transpose(2, 1, 0))
    np.testing.assert_array_equal(affine, grid.affine)


def test_holes_are_not_written_to_ome_zarr(tmp_path, rng):
    data = rng.random((4, 5, 6))
    data[1, 2, 3] = np.inf
    layer = Image(data, name="holes", contrast_limits=(0, 1))
    with pytest.raises(VolumeError, match="holes: some voxels are NaN or infinite"):
        write_image(str(tmp_path / "a.ome.zarr"), *layer.as_layer_data_tuple()[:2])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mgz", "a.ome.zarr", "A.OME.ZARR"])
def test_napari_finds_the_writer(tmp_path, repository, name):
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager()
    manager.register(PluginManifest.from_file(repository / "napari.yaml"))
    writer, path = manager.get_writer(str(tmp_path / name), ["image"])
    assert writer is not None
    assert (writer.command, path) == ("napari-mrisr.write_image", str(tmp_path / name))


def test_a_plain_layer_is_written_by_its_scale(tmp_path, rng):
    layer = Image(rng.random((4, 5, 6)), scale=(3, 1, 2), translate=(10, 20, 30), units="mm")
    data, meta, _ = layer.as_layer_data_tuple()
    write_image(str(tmp_path / "x.nii"), data, meta)
    image = nib.load(tmp_path / "x.nii")
    assert image.shape == (6, 5, 4)
    np.testing.assert_allclose(image.header.get_zooms(), (2, 1, 3))
    np.testing.assert_allclose(image.affine @ [5, 4, 3, 1], (-30, -20, -10, 1))


def test_a_turned_layer_is_written_turned(tmp_path, rng):
    turn = Rotation.from_euler("y", 20, degrees=True).as_matrix()
    with pytest.warns(UserWarning, match="Non-orthogonal"):
        layer = Image(rng.random((4, 5, 6)), rotate=turn)
    data, meta, _ = layer.as_layer_data_tuple()
    write_image(str(tmp_path / "x.nii"), data, meta)
    affine = nib.load(tmp_path / "x.nii").affine
    assert abs(affine[0, 2]) == pytest.approx(np.sin(np.radians(20)), abs=1e-6)


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


def test_a_series_is_not_written(tmp_path, rng):
    layer = Image(rng.random((3, 4, 5, 6)), name="bold")
    data, meta, _ = layer.as_layer_data_tuple()
    with pytest.raises(VolumeError, match="bold: has 4 axes; split it"):
        write_image(str(tmp_path / "x.nii"), data, meta)
    assert list(tmp_path.iterdir()) == []


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


def test_a_missing_folder_says_so(tmp_path, rng):
    layer = Image(rng.random((4, 5, 6)))
    data, meta, _ = layer.as_layer_data_tuple()
    with pytest.raises(OutputError, match="create it first"):
        write_image(str(tmp_path / "no" / "x.nii"), data, meta)


@pytest.fixture
def save_layer(make_napari_viewer, volume: Volume, monkeypatch, tmp_path):
    """Save a layer by File > Save Selected Layers, with a file type shown and a name typed."""
    viewer = make_napari_viewer()
    PluginManager.instance().activate("napari-mrisr")

    def run(shown: str, name: str, *, ours: bool = True) -> None:
        data, kwargs, _ = layer_data(volume, "scan hashed 2.5x")
        layer = viewer.add_image(data, **kwargs if ours else {})
        viewer.layers.selection = {layer}

        def answer(*args: object, filter: str, **kwargs: object) -> tuple[str, str]:
            return str(tmp_path / name), next(f for f in filter.split(";;") if shown in f)

        monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
        viewer.window._qt_viewer._save_layers_dialog(selected=True)

    yield run
    PluginManager.instance().deactivate("napari-mrisr")


def test_the_first_type_on_show_may_be_another(make_napari_viewer):
    """The tests below rely on this."""
    layer = make_napari_viewer().add_image(np.zeros((3, 4, 5)))
    types, _ = _npe2.file_extensions_string_for_layers([layer])
    assert types is not None
    assert TIFF in types.split(";;")[0] or MRI in types.split(";;")[0]


@pytest.mark.parametrize("shown", [TIFF, MRI])
@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("res.nii.gz", "res.nii.gz"),
        ("res.nii", "res.nii"),
        ("res.MGZ", "res.MGZ"),
        ("res", "res.nii.gz"),
        ("scan hashed 2.5x", "scan hashed 2.5x.nii.gz"),
    ],
)
def test_names_of_ours_and_names_without_suffix(save_layer, tmp_path, volume, shown, name, written):
    save_layer(shown, name)
    assert {entry.name for entry in tmp_path.iterdir()} - {"res.mrisr.json"} == {written}
    image = nib.load(tmp_path / written)
    np.testing.assert_allclose(image.affine, volume.grid.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.data)


@pytest.mark.parametrize("shown", [TIFF, MRI])
def test_names_of_others_go_to_their_writer(save_layer, tmp_path, shown):
    save_layer(shown, "res.tif")
    assert (tmp_path / "res.tif").read_bytes()[:2] in (b"II", b"MM")


def test_a_layer_of_another_program_without_suffix_is_left_to_napari(save_layer, tmp_path):
    save_layer(TIFF, "res", ours=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["res.tif"]
    save_layer(TIFF, "res.nii.gz", ours=False)
    assert (tmp_path / "res.nii.gz").exists()


def test_a_file_that_the_dialog_did_not_name_is_not_replaced(save_layer, tmp_path):
    (tmp_path / "res.nii.gz").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"res\.nii\.gz"):
        save_layer(MRI, "res")
    assert (tmp_path / "res.nii.gz").read_bytes() == b"mine"
    save_layer(MRI, "res.nii.gz")
    assert nib.load(tmp_path / "res.nii.gz").shape


def test_an_unknown_suffix_is_refused(save_layer, tmp_path):
    with pytest.raises(OutputError, match=r"cannot write '\.xyz'"):
        save_layer(MRI, "res.xyz")
    assert not list(Path(tmp_path).iterdir())


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
    from npe2 import PluginManager, PluginManifest

    path = tmp_path / "a.ome.zarr"
    path.mkdir()
    manager = PluginManager()
    manager.register(PluginManifest.from_file(repository / "napari.yaml"))
    found = [reader.command for reader in manager.iter_compatible_readers([str(path)])]
    assert found == ["napari-mrisr.get_reader"]
