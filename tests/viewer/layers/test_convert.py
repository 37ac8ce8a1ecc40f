"""Conversion of volumes to layers and back, without Qt."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Image
from scipy.spatial.transform import Rotation

from napari_mrisr.core.volume import Grid, Origin, Volume
from napari_mrisr.errors import GeometryError, VolumeError
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.layers.convert import (
    METADATA_KEY,
    contrast_limits,
    frame_count,
    frame_on_screen,
    geometry,
    is_result,
    layer_data,
    moved_by_mm,
    put_back,
    result_layer_data,
    series_layer_data,
    snapshot,
    source_of,
)


def as_layer(volume: Volume, name: str = "scan") -> Image:
    data, kwargs, kind = layer_data(volume, name)
    assert kind == "image"
    return Image(data, **kwargs)


def world_of(layer: Image, index: tuple[int, int, int]) -> np.ndarray:
    """Return napari's RAS mm of a voxel, given by its RAS index."""
    mirrored = [n - 1 - i for n, i in zip(layer.data.shape, index[::-1], strict=True)]
    return -np.array(layer.data_to_world(mirrored))[::-1]


@pytest.mark.parametrize("index", [(0, 0, 0), (7, 3, 11), (9, 11, 14)])
def test_a_voxel_is_at_its_world_position(volume, index):
    layer = as_layer(volume)
    mirrored = tuple(n - 1 - i for n, i in zip(layer.data.shape, index[::-1], strict=True))
    assert layer.data[mirrored] == volume.data[index]
    np.testing.assert_allclose(world_of(layer, index), (volume.grid.affine @ [*index, 1])[:3])


def test_axes_and_units(volume):
    layer = as_layer(volume)
    assert layer.axis_labels == ("inferior", "posterior", "left")
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    np.testing.assert_allclose(layer.scale, (1.5, 1.25, 1.0))


def test_making_a_layer_copies_nothing(volume):
    layer = as_layer(volume)
    assert np.shares_memory(layer.data, volume.data)
    assert np.shares_memory(snapshot(layer).to_volume().data, volume.data)


@pytest.mark.parametrize("kind", ["volume", "oblique"])
def test_round_trip_is_exact(kind, request):
    volume = request.getfixturevalue(kind)
    back = snapshot(as_layer(volume)).to_volume()
    np.testing.assert_array_equal(back.data, volume.data)
    np.testing.assert_array_equal(back.grid.affine, volume.grid.affine)
    assert back.history == volume.history


def test_engine_units_come_back_in_the_scans(volume):
    layer = as_layer(volume.normalized())
    assert layer.data.max() == pytest.approx(volume.data.max(), rel=1e-5)


@pytest.mark.parametrize("kind", ["volume", "oblique"])
@pytest.mark.parametrize("scale", [(2, 2, 2), (3, 1, 4)])
def test_lr_and_hr_cover_the_same_field_of_view(kind, scale, request):
    truth = request.getfixturevalue(kind)
    lr = degrade(truth, scale)
    hr = upscale(lr, UpscaleParameters(scale=scale, method="nearest", threads=1))
    cropped = truth.cropped_to_multiple(scale)
    extents = [as_layer(v).extent.world for v in (cropped, lr, hr)]
    half = [np.array(v.grid.voxel_size)[::-1] / 2 for v in (cropped, lr, hr)]
    edges = [np.array([e[0] - h, e[1] + h]) for e, h in zip(extents, half, strict=True)]
    np.testing.assert_allclose(edges[1], edges[0], atol=1e-9)
    np.testing.assert_allclose(edges[2], edges[0], atol=1e-9)
    # Cropping takes voxels away at the far end, and must not move the others.
    np.testing.assert_allclose(
        world_of(as_layer(cropped), (1, 2, 3)), world_of(as_layer(truth), (1, 2, 3)), atol=1e-9
    )


def test_an_oblique_scan_lies_along_its_own_axes(oblique):
    layer = as_layer(oblique)
    np.testing.assert_allclose(layer.scale, (1.5, 1.25, 1.0), rtol=1e-6)
    turn = geometry.rotation_of(oblique.grid.affine)
    np.testing.assert_allclose(
        turn @ world_of(layer, (7, 3, 11)), (oblique.grid.affine @ [7, 3, 11, 1])[:3], atol=1e-9
    )
    expected = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix()
    np.testing.assert_allclose(turn, expected, atol=1e-9)


def test_an_upright_scan_is_not_turned_at_all(volume):
    np.testing.assert_array_equal(geometry.rotation_of(volume.grid.affine), np.eye(3))


def test_a_layer_moved_by_hand_goes_by_its_transform(volume):
    layer = as_layer(volume)
    layer.translate = np.array(layer.translate) + (3.0, 0.0, 0.0)
    snap = snapshot(layer)
    assert snap.history == volume.history
    moved = volume.grid.affine.copy()
    moved[2, 3] -= 3.0  # toward inferior
    np.testing.assert_allclose(snap.to_volume().grid.affine, moved)
    np.testing.assert_array_equal(snap.to_volume().data, volume.data)


def test_a_move_is_composed_with_the_true_affine_of_an_oblique_scan(oblique):
    layer = as_layer(oblique)
    assert moved_by_mm(layer) == 0.0
    layer.translate = np.array(layer.translate) + (3.0, -4.0, 12.0)  # toward I, A, L
    assert moved_by_mm(layer) == pytest.approx(13.0)
    turn = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix()
    expected = oblique.grid.affine.copy()
    expected[:3, 3] += turn @ (-12.0, 4.0, -3.0)
    found = snapshot(layer)
    np.testing.assert_allclose(found.grid.affine, expected, atol=1e-4)
    assert not found.turned
    put_back(layer)
    assert moved_by_mm(layer) == 0.0
    np.testing.assert_array_equal(snapshot(layer).grid.affine, oblique.grid.affine)


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_layer_turned_by_hand_is_turned_in_the_scanner_too(volume):
    layer = as_layer(volume)
    turn = Rotation.from_euler("x", 9, degrees=True).as_matrix()  # about napari's first axis
    layer.affine = np.block([[turn, np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])
    found = snapshot(layer)
    assert found.turned
    back = -np.eye(3)[::-1]
    np.testing.assert_allclose(
        found.grid.affine[:3], back @ turn @ back @ volume.grid.affine[:3], atol=1e-4
    )
    put_back(layer)
    assert moved_by_mm(layer) == 0.0


def test_a_layer_with_other_voxels_goes_by_its_own_shape(volume):
    layer = as_layer(volume)
    layer.data = layer.data[:, :, 1:]
    assert snapshot(layer).to_volume().grid.shape == (9, 12, 15)


def test_a_plain_array_is_slice_row_column(rng):
    data = rng.random((4, 5, 6))
    layer = Image(data, scale=(3, 1, 2), translate=(10, 20, 30))
    volume = snapshot(layer).to_volume()
    assert volume.grid.shape == (6, 5, 4)
    assert volume.grid.voxel_size == pytest.approx((2, 1, 3))
    assert volume.data[5, 4, 3] == np.float32(data[0, 0, 0])
    np.testing.assert_allclose((volume.grid.affine @ [5, 4, 3, 1])[:3], (-30, -20, -10))


def test_units_are_converted(rng):
    layer = Image(rng.random((4, 5, 6)), scale=(3000, 1000, 2000), units="um")
    assert snapshot(layer).grid.voxel_size == pytest.approx((2, 1, 3))


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_turned_layer_comes_to_ras(rng):
    data = rng.random((4, 5, 6))
    # Axis 0 to the left, axis 1 upwards, axis 2 forwards: three permuted, two flipped.
    affine = np.array([[0, -2.0, 0, 1], [0, 0, -3, 2], [1.5, 0, 0, 3], [0, 0, 0, 1]])
    volume = snapshot(Image(data, affine=affine)).to_volume()
    for index in [(0, 0, 0), (3, 1, 5), (2, 4, 3)]:
        world = -(affine @ [*index, 1])[:3][::-1]
        voxel = np.rint(np.linalg.inv(volume.grid.affine) @ [*world, 1])[:3].astype(int)
        assert volume.data[tuple(voxel)] == np.float32(data[index])
    assert nib.aff2axcodes(volume.grid.affine) == ("R", "A", "S")


def test_multiscale_uses_the_finest(rng):
    fine = rng.random((8, 10, 12))
    layer = Image([fine, fine[::2, ::2, ::2]], multiscale=True)
    assert snapshot(layer).to_volume().grid.shape == (12, 10, 8)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Image(np.zeros((4, 5, 3)), rgb=True, name="photo"), "photo: is a color image"),
        (Image(np.zeros((4, 5)), name="flat"), "flat: has 2 axes"),
        (Image(np.zeros((2, 2, 3, 4, 5)), name="deep"), "deep: has 5 axes"),
    ],
)
def test_what_is_no_volume_is_refused(layer, words):
    with pytest.raises(VolumeError, match=words):
        snapshot(layer)


def test_a_flattening_transform_is_refused(rng):
    affine = np.diag([1.0, 1.0, 1e-14, 1.0])
    with pytest.raises(GeometryError, match="flattens"):
        snapshot(Image(rng.random((4, 5, 6)), affine=affine, name="x"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_voxels_that_are_not_finite_are_refused(rng, bad):
    data = rng.random((4, 5, 6))
    data[1, 2, 3] = bad
    layer = Image(data, name="holes", contrast_limits=(0, 1))
    with pytest.raises(VolumeError, match="holes: some voxels are NaN or infinite"):
        snapshot(layer).to_volume()


def test_a_volume_without_contrast_is_refused():
    with pytest.raises(VolumeError, match="all voxels are 7"):
        snapshot(Image(np.full((4, 5, 6), 7), name="x")).to_volume()


@pytest.mark.parametrize(
    ("at", "frame"), [(-4.0, 0), (10.9, 0), (11.1, 1), (14.9, 2), (15.1, 3), (99.0, 3)]
)
def test_the_frame_on_screen(volume, at, frame):
    """Frames at 10, 12, 14 and 16 along the second axis of the viewer."""
    data, kwargs, _ = series_layer_data(np.stack([volume.data] * 4), volume, "bold")
    kwargs["scale"] = (2.0, *kwargs["scale"][1:])
    kwargs["translate"] = (10.0, *kwargs["translate"][1:])
    assert frame_on_screen(Image(data, **kwargs), (12.0, at, 1.0, 2.0, 3.0)) == frame
    assert frame_on_screen(as_layer(volume), (12.0, at, 1.0, 2.0, 3.0)) == 0


def test_frames_of_a_series(volume, rng):
    frames = rng.random((3, *volume.grid.shape), dtype=np.float32)
    data, kwargs, _ = series_layer_data(frames, volume, "bold")
    layer = Image(data, **kwargs)
    assert frame_count(layer) == 3
    snap = snapshot(layer, 2)
    assert (snap.name, snap.frame) == ("bold frame 2", 2)
    np.testing.assert_array_equal(snap.to_volume().data, frames[2])
    np.testing.assert_array_equal(snap.grid.affine, volume.grid.affine)


def test_metadata_tells_the_history_and_no_name(volume):
    header = nib.Nifti1Header()
    header["descrip"] = b"Doe^Jane 1970"
    named = Volume(
        volume.data, volume.grid, origin=Origin("a.nii", header=header), history={"a": "b"}
    )
    metadata = as_layer(named).metadata
    assert metadata["history"] == {"a": "b"}
    assert "not for diagnosis" in metadata["use"]
    assert "Doe" not in str(metadata)
    assert metadata[METADATA_KEY].origin.header is header


def test_contrast_limits(rng):
    data = rng.random((60, 70, 80), dtype=np.float32)
    data[0, 0, 0] = 1e6
    low, high = contrast_limits(data)
    assert low == 0.0
    assert high == pytest.approx(1.0, abs=0.02)
    assert contrast_limits(np.zeros((3, 4, 5))) == (0.0, 1.0)
    single = np.zeros((30, 40, 50))
    single[7, 8, 9] = 5
    assert contrast_limits(single) == (0.0, 5.0)


def test_results_take_the_look_of_their_source(volume):
    layer = as_layer(volume)
    layer.contrast_limits, layer.colormap, layer.gamma = (5.0, 50.0), "magma", 0.7
    _, kwargs, _ = layer_data(volume, "x", snapshot(layer).look)
    assert kwargs["contrast_limits"] == (5.0, 50.0)
    assert (kwargs["colormap"], kwargs["gamma"]) == ("magma", pytest.approx(0.7))


def test_a_result_remembers_the_layer_it_was_computed_from(volume):
    scan, other = as_layer(volume), as_layer(volume)
    result = replace(volume, history={"method": "hashed", "scale": "2"})
    data, kwargs, _ = result_layer_data(result, "x", snapshot(scan))
    layer = Image(data, **kwargs)
    assert source_of(layer, [other, layer, scan]) is scan
    assert source_of(layer, [other]) is None
    assert source_of(scan, [other, scan]) is None
    assert is_result(layer)
    assert not is_result(scan)
    assert not is_result(Image(np.zeros((3, 4, 5))))


def test_strongly_turned_scan_keeps_its_affine():
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xy", (40, 35), degrees=True).as_matrix() @ np.diag(
        (1, 2, 3)
    )
    volume = Volume(data, Grid((2, 3, 4), affine))
    np.testing.assert_array_equal(snapshot(as_layer(volume)).grid.affine, volume.grid.affine)


@pytest.mark.parametrize("module", ["", ".layers.files", ".layers.saving", ".layers.convert"])
def test_no_qt_is_imported(module):
    code = (
        f"import sys, napari_mrisr.viewer{module};"
        "print([m for m in ('qtpy', 'PyQt6', 'magicgui') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
