"""Reader and writer, by files on disk."""

from __future__ import annotations

import json
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Image
from napari.utils.notifications import notification_manager
from scipy.spatial.transform import Rotation

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import OutputError, VolumeError
from napari_mrisr.io import write as writing
from napari_mrisr.viewer.layers.convert import layer_data
from napari_mrisr.viewer.layers.readers import get_reader
from napari_mrisr.viewer.layers.writers import write_image

zarr = pytest.importorskip("zarr")

SHAPE = (9, 11, 14)

# Stored axes to the right, the back and the feet in every way that matters.
ORIENTATIONS = ["RAS", "LAS", "LPS", "PIR", "SLA", "IPL"]


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


def save(path, rng, affine, shape=SHAPE) -> np.ndarray:
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
    data = save(path, rng, affine)
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
    data = save(source, rng, affine)
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
    data = save(tmp_path / "in.nii.gz", rng, affine)
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
    data = save(path, rng, affine, (*SHAPE, 4))
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
        save(path, rng, stored_affine("RAS"))
    layers = get_reader(paths)(paths)
    assert [kwargs["name"] for _, kwargs, _ in layers] == ["a", "b"]


@pytest.mark.parametrize("path", ["photo.png", "notes.txt", ["a.nii", "b.png"], []])
def test_other_files_are_not_ours(path):
    assert get_reader(path) is None


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
    save(path, rng, stored_affine("RAS"))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(VolumeError, match=r"cut\.nii"):
        open_layer(path)


def test_a_missing_folder_says_so(tmp_path, rng):
    layer = Image(rng.random((4, 5, 6)))
    data, meta, _ = layer.as_layer_data_tuple()
    with pytest.raises(OutputError, match="create it first"):
        write_image(str(tmp_path / "no" / "x.nii"), data, meta)
