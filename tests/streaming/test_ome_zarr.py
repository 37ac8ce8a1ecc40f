"""OME-Zarr as input and output of streamed runs."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.streams import TALL, save_scan, small_request

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import IntensityWindow, Region
from napari_mrisr.io import ngff, read_volume
from napari_mrisr.io.ngff import open_ngff, pyramid_voxels
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.streaming import prepare, stream
from napari_mrisr.streaming.source import open_file, open_zarr
from napari_mrisr.streaming.survey import survey

zarr = pytest.importorskip("zarr")


def levels_of(path):
    return [level[:].transpose(2, 1, 0) for level in open_ngff(path).levels]


@pytest.mark.parametrize("method", ["hashed", "tricubic"])
def test_ome_zarr_round_trip_equals_the_run_in_memory(tmp_path, bank, method, monkeypatch):
    scan = save_scan(tmp_path / "scan.nii", shape=TALL)
    monkeypatch.setattr(ngff, "_COARSE", 40)
    bank = bank if method == "hashed" else None
    parameters = UpscaleParameters(method=method, bank=bank, threads=2)
    volume = read_volume(scan)
    expected = upscale(volume, parameters)
    out = tmp_path / "out.ome.zarr"
    plan = stream(small_request(scan, out, parameters))
    assert len(plan.blocks) > 1
    image = open_ngff(out)
    np.testing.assert_allclose(image.affine, expected.grid.affine, atol=1e-12)
    assert image.history == expected.history
    window = IntensityWindow.of(volume.data)
    assert image.limits == (window.low, window.high)
    finest, *coarser = levels_of(out)
    np.testing.assert_array_equal(finest, expected.data)
    shapes = [finest.shape]
    for level in coarser:
        shapes.append(tuple(-(-n // 2) for n in shapes[-1]))
        assert level.shape == shapes[-1]
    assert len(coarser) == 2
    np.testing.assert_allclose(coarser[0][3, 4, 5], finest[6:8, 8:10, 10:12].mean(), rtol=1e-5)
    assert pyramid_voxels(finest.shape) == sum(np.prod(shape) for shape in shapes)
    assert not list(out.rglob("*.partial"))
    # And as an input: back to NIfTI, against the file that memory would give.
    back = tmp_path / "back.nii"
    stream(small_request(out, back, UpscaleParameters((1, 1, 2), "tricubic", threads=1), planes=64))
    again = read_volume(back)
    twice = upscale(expected, UpscaleParameters((1, 1, 2), "tricubic"))
    np.testing.assert_array_equal(again.data, twice.data)
    np.testing.assert_allclose(again.grid.affine, twice.grid.affine, atol=1e-5)


@pytest.mark.parametrize("codes", ["zyx", "xyz", "yxz"])
def test_boxes_of_an_image_of_another_program(tmp_path, rng, codes):
    """Place each voxel by its metadata, with axes in any order and one of them reversed."""
    shape = dict(zip("xyz", (9, 11, 14), strict=True))
    data = rng.integers(0, 999, [2, *(shape[c] for c in codes)]).astype(np.uint16)
    group = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=2)
    group.create_array("s0", data=data, chunks=(1, 4, 5, 6))
    axes = [{"name": "t", "type": "time"}]
    for code in codes:
        axes.append({"name": code, "type": "space", "unit": "micrometer"})
    axes[1]["orientation"] = {"value": "anterior-to-posterior"} if codes[0] == "y" else None
    scale = {"type": "scale", "scale": [1, 500, 600, 700]}
    multiscale = {"version": "0.4", "axes": axes}
    multiscale["datasets"] = [{"path": "s0", "coordinateTransformations": [scale]}]
    group.attrs["multiscales"] = [multiscale]
    source = open_zarr(tmp_path / "a.zarr", 1, None)
    grid = source.grid
    volume = source.read(Region.whole(grid.shape))
    size = dict(zip(codes, (0.5, 0.6, 0.7), strict=True))
    np.testing.assert_allclose(grid.voxel_size, [size[c] for c in "xyz"])
    for index in [(0, 0, 0), (3, 7, 2), (8, 10, 13)]:
        place = dict(zip("xyz", index, strict=True))
        stored = data[(1, *(place[c] for c in codes))]
        world = np.array([size[c] * place[c] for c in "xyz"])
        world[1] *= -1 if codes[0] == "y" else 1
        at = np.rint(np.linalg.solve(grid.affine, [*world, 1])[:3]).astype(int)
        assert volume[tuple(at)] == stored
    box = Region((2, 3, 4), (7, 9, 5))
    np.testing.assert_array_equal(source.read(box), volume[box.slices])
    covered = np.zeros(grid.shape, int)
    for layer in source.layers():
        covered[layer.slices] += 1
        np.testing.assert_array_equal(source.read(layer), volume[layer.slices])
    assert (covered == 1).all()
    assert survey(source, Progress()).window == IntensityWindow.of(volume)


def test_identity_changes_with_a_chunk(tmp_path):
    array = zarr.create_array(str(tmp_path / "a.zarr"), data=np.ones((4, 5, 6), "u1"))
    before = open_zarr(tmp_path / "a.zarr", None, None).identity
    array[0, 0, 0] = 9
    assert open_zarr(tmp_path / "a.zarr", None, None).identity != before


def test_older_folder_is_replaced_completely(tmp_path, scan):
    out = tmp_path / "out.ome.zarr"
    stream(small_request(scan, out))
    (out / "stale").touch()
    stream(small_request(scan, out, overwrite=True))
    assert not (out / "stale").exists()
    assert {entry.name for entry in tmp_path.iterdir()} == {"scan.nii", "out.ome.zarr"}


def test_blocks_are_whole_chunks(tmp_path):
    scan = save_scan(tmp_path / "scan.nii", shape=(40, 33, 70))
    plan = prepare(small_request(scan, tmp_path / "out.ome.zarr"))
    for block in plan.blocks:
        for start, stop, n in zip(block.start, block.stop, plan.shape, strict=True):
            assert start % 64 == 0
            assert stop % 64 == 0 or stop == n
    with open_file(scan, None, None, None) as source:
        assert plan.shape == source.grid.upsampled((2, 2, 2)).shape
