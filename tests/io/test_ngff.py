"""OME-Zarr: written by the specification, read from other programs too."""

from __future__ import annotations

import errno
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.streams import OBLIQUE

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import GeometryError, OutputError, ParameterError, VolumeError
from napari_mrisr.io import find_volumes, read_grid, read_volume, write_blocks, write_volume
from napari_mrisr.io import write as writing
from napari_mrisr.io.geometry import grid_in_ras
from napari_mrisr.io.ngff import NgffWriter, half, metadata, open_ngff

zarr = pytest.importorskip("zarr")

UPRIGHT = np.array([[0.5, 0, 0, -31], [0, 0.8, 0, 17], [0, 0, 2.25, 8], [0, 0, 0, 1.0]])
SHAPE = (6, 5, 4)  # z, y, x


def write(path, attributes, shape=SHAPE, zarr_format=3, dtype="int16", levels=1):
    group = zarr.create_group(str(path), zarr_format=zarr_format)
    for level in range(levels):
        group.create_array(str(level), shape=shape, dtype=dtype, chunks=shape)
    group.attrs.update(attributes)
    return path


def image(transforms, units=("millimeter",) * 3, names="zyx", whole=()):
    axes = [
        {"name": name, "type": "space", "unit": unit}
        for name, unit in zip(names, units, strict=True)
    ]
    datasets = [{"path": "0", "coordinateTransformations": list(transforms)}]
    return {
        "version": "0.4",
        "axes": axes,
        "datasets": datasets,
        "coordinateTransformations": list(whole),
    }


def step(kind, *values):
    return {"type": kind, kind: list(values)}


def test_metadata_is_that_of_the_specification():
    grid = Grid((4, 5, 6), UPRIGHT)
    found = json.loads(json.dumps(metadata(grid, 2, "scan.nii", {"method": "hashed"}, (0.0, 9.0))))
    assert found["ome"]["version"] == "0.5"
    (multiscale,) = found["ome"]["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["z", "y", "x"]
    assert {axis["type"] for axis in multiscale["axes"]} == {"space"}
    assert {axis["unit"] for axis in multiscale["axes"]} == {"millimeter"}
    first, second = multiscale["datasets"]
    assert [first["path"], second["path"]] == ["0", "1"]
    assert first["coordinateTransformations"] == [
        step("scale", 2.25, 0.8, 0.5),
        step("translation", 8, 17, -31),
    ]
    # Half the resolution over the same field of view: its first voxel reaches as far out.
    (scale, place) = (t[t["type"]] for t in second["coordinateTransformations"])
    np.testing.assert_allclose(scale, [4.5, 1.6, 1.0])
    np.testing.assert_allclose(np.array(place) - np.array(scale) / 2, [8 - 1.125, 16.6, -31.25])
    ours = found["napari-mrisr"]
    assert ours["notice"] == "research use, not for diagnosis"
    assert ours["history"] == {"method": "hashed"}


@pytest.mark.parametrize("affine", [UPRIGHT, OBLIQUE], ids=["upright", "oblique"])
def test_the_grid_comes_back(tmp_path, affine):
    grid = grid_in_ras(SHAPE[::-1], affine)
    shape = grid.shape[::-1]
    path = write(tmp_path / "a.ome.zarr", metadata(grid, 1, "a", {"scale": "2"}, (1.0, 5.0)), shape)
    found = open_ngff(path)
    assert found.shape == grid.shape
    np.testing.assert_allclose(found.affine, grid.affine, atol=1e-12)
    assert found.limits == (1.0, 5.0)
    assert found.history == {"scale": "2"}


def test_outdated_affine_is_ignored(tmp_path):
    attributes = metadata(Grid((4, 5, 6), OBLIQUE_RAS), 1, "a", {}, (0.0, 1.0))
    steps = attributes["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    steps[1]["translation"][0] += 2.0  # as a program that crops would
    found = open_ngff(write(tmp_path / "a.ome.zarr", attributes))
    np.testing.assert_allclose(found.affine[:3, 3], steps[1]["translation"][::-1])
    assert np.count_nonzero(found.affine[:3, :3]) == 3


OBLIQUE_RAS = grid_in_ras((4, 5, 6), OBLIQUE).affine


@pytest.mark.parametrize(("version", "zarr_format"), [("0.4", 2), ("0.5", 3)])
def test_both_versions_are_read(tmp_path, version, zarr_format):
    steps = [step("scale", 2.0, 0.5, 0.4), step("translation", 7.0, 8.0, 9.0)]
    multiscales = {"multiscales": [image(steps)]}
    attributes = multiscales if version == "0.4" else {"ome": {"version": "0.5", **multiscales}}
    found = open_ngff(write(tmp_path / "a.zarr", attributes, zarr_format=zarr_format))
    expected = np.diag([0.4, 0.5, 2.0, 1.0])
    expected[:3, 3] = [9, 8, 7]
    np.testing.assert_allclose(found.affine, expected)
    assert found.shape == (4, 5, 6)
    assert found.history == {}
    assert found.limits is None


def test_units_and_transforms_of_all_levels(tmp_path):
    units = ("micrometer", "meter", "millimeter")
    whole = [step("scale", 10, 1, 1), step("translation", 0, 0, 3)]
    attributes = {
        "multiscales": [
            image([step("scale", 50, 0.001, 2), step("translation", 5, 0, 0)], units, whole=whole)
        ]
    }
    affine = open_ngff(write(tmp_path / "a.zarr", attributes)).affine
    np.testing.assert_allclose(np.diag(affine), [2, 1, 0.5, 1])
    np.testing.assert_allclose(affine[:3, 3], [3, 0, 0.05])


def test_axes_in_another_order_and_orientation(tmp_path):
    content = image([step("scale", 1.0, 2.0, 3.0), step("translation", 4.0, 5.0, 6.0)], names="xyz")
    content["axes"][0]["orientation"] = {"type": "anatomical", "value": "right-to-left"}
    affine = open_ngff(write(tmp_path / "a.zarr", {"multiscales": [content]})).affine
    # Index along the last axis first: z, y, x.
    np.testing.assert_allclose(affine[:3, 0], [0, 0, 3])
    np.testing.assert_allclose(affine[:3, 2], [-1, 0, 0])
    np.testing.assert_allclose(affine[:3, 3], [-4, 5, 6])


def test_frames(tmp_path):
    content = image([step("scale", 1, 1, 2, 2, 2)])
    content["axes"] = [
        {"name": "t", "type": "time"},
        {"name": "c", "type": "channel"},
        *content["axes"],
    ]
    path = write(tmp_path / "a.zarr", {"multiscales": [content]}, (3, 1, *SHAPE))
    with pytest.raises(VolumeError, match=r"3 frames.*--frame, 0 to 2"):
        open_ngff(path)
    with pytest.raises(ParameterError, match="no frame 3"):
        open_ngff(path, 3)
    found = open_ngff(path, 1)
    assert found.index == (1, 0, slice(None), slice(None), slice(None))
    np.testing.assert_allclose(np.diag(found.affine), [2, 2, 2, 1])


def test_a_plain_array_has_voxels_of_1_mm(tmp_path):
    zarr.create_array(str(tmp_path / "a.zarr"), shape=SHAPE, dtype="uint8")
    found = open_ngff(tmp_path / "a.zarr")
    np.testing.assert_array_equal(found.affine, np.eye(4))
    assert found.shape == (4, 5, 6)


FLAT = {**image([]), "axes": [{"name": "y"}, {"name": "x"}]}
OLD = {"version": "0.1", "datasets": [{"path": "0"}]}


@pytest.mark.parametrize(
    ("attributes", "options", "kind", "text"),
    [
        ({}, {}, VolumeError, "holds no image"),
        ({"multiscales": [FLAT]}, {"shape": (5, 4)}, GeometryError, "axes y, x"),
        ({"multiscales": [image([])]}, {"shape": (6, 1, 4)}, GeometryError, "one voxel thin"),
        ({"multiscales": [image([])]}, {"dtype": "complex64"}, VolumeError, "voxels of type"),
        ({"multiscales": [image([step("scale", 0, 1, 1)])]}, {}, GeometryError, "correct its"),
        ({"multiscales": [image([step("scale", 1)])]}, {}, VolumeError, "no readable OME-Zarr"),
        ({"multiscales": [OLD]}, {}, VolumeError, "version 0.1 without axes"),
    ],
)
def test_unusable_images_are_refused(tmp_path, attributes, options, kind, text):
    path = write(tmp_path / "a.zarr", attributes, **options)
    with pytest.raises(kind, match=text) as caught:
        open_ngff(path)
    assert "a.zarr" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_folder_and_no_zarr_in_it(tmp_path):
    with pytest.raises(VolumeError, match="no such file"):
        open_ngff(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(VolumeError, match="no readable OME-Zarr"):
        open_ngff(tmp_path / "b.zarr")


def test_coarser_levels_are_means(rng):
    data = rng.random((4, 6, 5), dtype=np.float32)
    found = half(data)
    assert found.shape == (2, 3, 3)
    np.testing.assert_allclose(found[1, 2, 1], data[2:4, 4:6, 2:4].mean(), rtol=1e-6)
    np.testing.assert_allclose(found[0, 1, 2], data[0:2, 2:4, 4].mean(), rtol=1e-6)


pytest.importorskip("zarr")

GRID = Grid((70, 66, 131), np.diag([0.5, 0.75, 1.25, 1.0]))


@pytest.fixture
def data(rng):
    return rng.random(GRID.shape, dtype=np.float32)


def put(data, out, **options):
    boxes = []

    def take(region):
        boxes.append(region.shape)
        return data[region.slices]

    write_blocks(take, GRID, out, history={"method": "m"}, limits=(0.1, 0.9), **options)
    return boxes


@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_make_up_the_volume(tmp_path, data, monkeypatch, threads):
    monkeypatch.setattr(writing, "_ZARR_BLOCK", (64, 64, 64))
    boxes = put(data, tmp_path / "a.ome.zarr", threads=threads)
    assert len(boxes) == 2 * 2 * 3
    image = open_ngff(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(image.levels[0][:], data.transpose(2, 1, 0))
    np.testing.assert_array_equal(image.affine, GRID.affine)
    assert (image.limits, image.history) == ((0.1, 0.9), {"method": "m"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_older_image_is_replaced_with_overwrite(tmp_path, data):
    out = tmp_path / "a.ome.zarr"
    put(data, out)
    with pytest.raises(OutputError, match=r"a\.ome\.zarr: exists already"):
        put(1 - data, out)
    (out / "stale").touch()
    put(1 - data, out, overwrite=True)
    assert not (out / "stale").exists()
    np.testing.assert_array_equal(open_ngff(out).levels[0][:], 1 - data.transpose(2, 1, 0))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_other_folders_are_never_replaced(tmp_path, data):
    out = tmp_path / "a.ome.zarr"
    out.mkdir()
    (out / "thesis.txt").touch()
    with pytest.raises(OutputError, match="is a folder"):
        put(data, out, overwrite=True)
    assert (out / "thesis.txt").exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_failure_keeps_the_old_image(tmp_path, data, monkeypatch, error):
    out = tmp_path / "a.ome.zarr"
    put(data, out)

    def fail(self, progress):
        raise error

    monkeypatch.setattr(NgffWriter, "finish", fail)
    with pytest.raises((OutputError, KeyboardInterrupt), match=r"the disk is full|^$"):
        put(1 - data, out, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.zarr"]
    np.testing.assert_array_equal(open_ngff(out).levels[0][:], data.transpose(2, 1, 0))


def test_disk_space_is_checked_first(tmp_path, data, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1 << 20))
    with pytest.raises(OutputError, match="needs 2 MiB and the disk has 1"):
        put(data, tmp_path / "a.ome.zarr")
    assert not list(tmp_path.iterdir())


def test_a_volume_is_written_and_read_like_any_other_format(tmp_path, rng):
    data = rng.normal(50, 9, (5, 6, 7)).astype(np.float32)
    grid, history = Grid(data.shape, OBLIQUE_RAS), {"method": "hashed", "scale": "2"}
    path = tmp_path / "a.ome.zarr"
    assert write_volume(Volume(data, grid, history=history), path) == ""
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.grid.affine, grid.affine, atol=1e-12)
    assert volume.history == history
    assert (volume.origin.name, volume.origin.suffix) == ("a.ome.zarr", ".ome.zarr")
    assert read_grid(path).shape == grid.shape
    assert find_volumes(tmp_path) == [path]
    # The way back to NIfTI.
    write_volume(volume, tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii.gz").data, data)
    with pytest.raises(OutputError, match="exists already"):
        write_volume(volume, path)


def test_voxels_and_frames_are_judged_as_for_files(tmp_path, rng):
    data = rng.normal(50, 9, (2, 5, 6, 7)).astype(np.float32)
    data[1, 2, 3, 4] = np.nan
    zarr.create_array(str(tmp_path / "a.zarr"), data=data)
    with pytest.raises(VolumeError, match="4D with 2 frames; choose one with --frame"):
        read_volume(tmp_path / "a.zarr")
    np.testing.assert_array_equal(
        read_volume(tmp_path / "a.zarr", frame=0).data, data[0].transpose(2, 1, 0)
    )
    with pytest.raises(VolumeError, match="1 NaN and 0 infinite voxels of 210"):
        read_volume(tmp_path / "a.zarr", frame=1)
    filled = read_volume(tmp_path / "a.zarr", frame=1, fill_nonfinite="mean").data[4, 3, 2]
    assert filled == pytest.approx(np.nanmean(data[1]), rel=1e-6)
