"""Volumes from usable files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import ParameterError, VolumeError
from napari_mrisr.io import read_grid, read_volume
from napari_mrisr.io.geometry import turn_to

Save = Callable[..., Path]


def test_every_orientation_is_nibabels_closest_canonical(
    axis_aligned: np.ndarray, voxels: np.ndarray, save: Save
) -> None:
    path = save(voxels, axis_aligned)
    volume = read_volume(path)
    canonical = nib.as_closest_canonical(nib.load(path))
    assert volume.grid.shape == canonical.shape
    np.testing.assert_array_equal(volume.data, canonical.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(volume.grid.affine, canonical.affine, atol=1e-6)
    assert volume.origin is not None
    assert volume.origin.axis_codes == nib.aff2axcodes(axis_aligned)
    assert volume.data.dtype == np.float32
    assert volume.data.flags.c_contiguous
    assert volume.data.flags.writeable


def test_a_marked_voxel_stays_at_its_place_in_the_world(
    axis_aligned: np.ndarray, save: Save
) -> None:
    data = np.zeros((5, 6, 7), np.int16)
    data[1, 4, 5] = 7
    world = axis_aligned @ [1, 4, 5, 1]
    volume = read_volume(save(data, axis_aligned))
    at = np.argwhere(volume.data == 7)
    assert at.shape == (1, 3)
    np.testing.assert_allclose(volume.grid.affine @ [*at[0], 1], world, atol=1e-5)
    # RAS+: every index grows with its own world axis.
    assert np.all(np.diag(volume.grid.affine) > 0)


def test_oblique_axes_lie_closest_to_the_worlds(
    oblique: np.ndarray, voxels: np.ndarray, save: Save
) -> None:
    volume = read_volume(save(voxels, oblique))
    directions = volume.grid.affine[:3, :3] / volume.grid.voxel_size
    assert np.all(np.diag(directions) > 0.8)
    np.testing.assert_allclose(volume.grid.voxel_size, (1.5, 0.8, 2.25), atol=1e-6)
    np.testing.assert_array_equal(volume.data, voxels[::-1])


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_slope_and_intercept_of_every_voxel_type(dtype: str, big_endian: bool, save: Save) -> None:
    stored = (np.arange(210).reshape(5, 6, 7) % 120).astype(dtype)
    path = save(stored, big_endian=big_endian, slope=(0.37, -11.25))
    # Put the stored numbers themselves into the file: nibabel unscaled on saving.
    content = path.read_bytes()
    order = ">" if big_endian else "<"
    raw = stored.astype(stored.dtype.newbyteorder(order)).tobytes(order="F")
    path.write_bytes(content[: len(content) - len(raw)] + raw)
    slope = float(np.float32(0.37))
    expected = (stored.astype(np.float64) * slope - 11.25).astype(np.float32)
    np.testing.assert_array_equal(read_volume(path).data, expected)


@pytest.mark.parametrize(
    ("name", "image_class"),
    [
        ("scan.nii", nib.Nifti1Image),
        ("scan.nii.gz", nib.Nifti1Image),
        ("scan.nii.bz2", nib.Nifti1Image),
        ("SCAN.NII.GZ", nib.Nifti1Image),
        ("scan.nii", nib.Nifti2Image),
        ("scan.nii.gz", nib.Nifti2Image),
        ("scan.hdr", nib.Nifti1Pair),
        ("scan.img", nib.Nifti1Pair),
        ("scan.img.gz", nib.Nifti1Pair),
        ("scan.hdr", nib.Nifti2Pair),
    ],
)
@pytest.mark.parametrize("big_endian", [False, True])
def test_every_nifti_flavor(
    name: str,
    image_class: type,
    big_endian: bool,
    voxels: np.ndarray,
    oblique: np.ndarray,
    save: Save,
) -> None:
    path = save(voxels, oblique, name, image_class=image_class, big_endian=big_endian)
    volume = read_volume(path)
    assert isinstance(volume.origin.header, image_class.header_class)  # type: ignore[union-attr]
    assert volume.origin.name == name
    assert volume.origin.suffix == name.lower().removeprefix("scan")
    np.testing.assert_array_equal(volume.data, voxels[::-1])
    grid = read_grid(path)
    assert grid.shape == volume.grid.shape
    np.testing.assert_array_equal(grid.affine, volume.grid.affine)


def test_the_affine_is_sform_before_qform_before_the_fallback(
    voxels: np.ndarray, save: Save
) -> None:
    path = save(voxels)
    image = nib.load(path)
    image.header.set_sform(np.diag([2.0, 3.0, 4.0, 1.0]), 4)
    image.header.set_qform(np.diag([5.0, 6.0, 7.0, 1.0]), 1)
    affines = []
    for codes in ((1, 4), (1, 0), (0, 0)):
        image.header["qform_code"], image.header["sform_code"] = codes
        nib.save(nib.Nifti1Image(voxels, None, image.header), path)
        affines.append(read_volume(path).grid.affine)
    assert np.diag(affines[0])[:3].tolist() == [2.0, 3.0, 4.0]
    assert np.diag(affines[1])[:3].tolist() == [5.0, 6.0, 7.0]
    # No orientation: x runs to the left, the world's origin is in the middle.
    np.testing.assert_allclose(affines[2][:3, 3], [-10.0, -15.0, -21.0])


@pytest.mark.parametrize(("units", "factor"), [("meter", 1e3), ("mm", 1.0), ("micron", 1e-3)])
def test_grid_is_in_mm_for_every_unit(
    units: str, factor: float, voxels: np.ndarray, save: Save
) -> None:
    grid = read_grid(save(voxels, np.diag([1.0, 2.0, 4.0, 1.0]), units=units))
    np.testing.assert_allclose(grid.voxel_size, np.array([1.0, 2.0, 4.0]) * factor)
    assert grid.units == "mm"


def test_a_fourth_axis_of_one_is_3d(voxels: np.ndarray, save: Save) -> None:
    path = save(voxels[..., None])
    np.testing.assert_array_equal(read_volume(path).data, voxels)
    np.testing.assert_array_equal(read_volume(path, frame=0).data, voxels)
    with pytest.raises(ParameterError, match="no frame 1; leave it out or give 0"):
        read_volume(path, frame=1)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.mgz"])
def test_a_frame_of_4d_is_chosen(name: str, tmp_path: Path) -> None:
    data = np.random.default_rng(1).normal(size=(5, 6, 7, 4)).astype(np.float32)
    path = tmp_path / name
    image_class = nib.MGHImage if name.endswith("mgz") else nib.Nifti1Image
    nib.save(image_class(data, np.eye(4)), path)
    for frame in range(4):
        np.testing.assert_array_equal(read_volume(path, frame=frame).data, data[..., frame])
    for reader in (read_volume, read_grid):
        with pytest.raises(VolumeError, match=r"4D with 4 frames; choose .* --frame, 0 to 3"):
            reader(path)
        for frame in (4, -1):
            with pytest.raises(ParameterError, match=rf"no frame {frame}; .* from 0 to 3"):
                reader(path, frame=frame)


def test_a_scaled_frame_and_a_vector_fifth_axis(save: Save) -> None:
    data = np.random.default_rng(1).integers(0, 100, (5, 6, 7, 1, 3)).astype(np.int16)
    path = save(data, slope=(1.0, 0.0))
    np.testing.assert_array_equal(read_volume(path, frame=2).data, data[..., 0, 2])
    both = save(np.concatenate([data, data], axis=3), name="both.nii")
    with pytest.raises(VolumeError, match=r"has 5 × 6 × 7 × 2 × 3 voxels; save one 3D volume"):
        read_volume(both, frame=0)


def test_a_color_of_rgb_is_chosen(tmp_path: Path) -> None:
    planes = np.random.default_rng(1).integers(0, 255, (5, 6, 7, 3)).astype(np.uint8)
    rgb = np.zeros((5, 6, 7), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for plane, name in enumerate("RGB"):
        rgb[name] = planes[..., plane]
    path = tmp_path / "rgb.nii"
    nib.save(nib.Nifti1Image(rgb, np.eye(4)), path)
    np.testing.assert_array_equal(read_volume(path, frame=1).data, planes[..., 1])
    with pytest.raises(VolumeError, match="RGB with 3 colors; choose one with --frame, 0 to 2"):
        read_volume(path)
    with pytest.raises(ParameterError, match="no frame 3; give a number from 0 to 2"):
        read_volume(path, frame=3)


def test_negative_and_huge_values_are_read(save: Save) -> None:
    data = np.random.default_rng(1).normal(size=(5, 6, 7)) * 1e30
    np.testing.assert_array_equal(read_volume(save(data)).data, data.astype(np.float32))


def test_two_voxels_are_enough(voxels: np.ndarray, save: Save) -> None:
    assert read_volume(save(voxels[:, :2])).grid.shape == (5, 2, 7)


def test_nonfinite_voxels_are_replaced_when_asked(save: Save) -> None:
    data = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    data[1, 2, 3], data[2, 3, 4], data[0, 0, 0] = np.nan, np.inf, -np.inf
    expected = np.where(np.isfinite(data), data, np.float32(-3.5))
    np.testing.assert_array_equal(read_volume(save(data), fill_nonfinite=-3.5).data, expected)


def test_file_is_closed_after_reading(voxels: np.ndarray, save: Save) -> None:
    path = save(voxels.astype(np.float32))
    volume = read_volume(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    np.testing.assert_array_equal(volume.data, voxels)
    volume.data[:] = 1
    assert set(path.read_bytes()) == {0}


def test_read_grid_loads_no_voxels(save: Save) -> None:
    noise = np.random.default_rng(0).integers(0, 9999, (20, 21, 22)).astype(np.int16)
    path = save(noise, name="scan.nii.gz")
    path.write_bytes(path.read_bytes()[:-4000])
    assert read_grid(path).shape == (20, 21, 22)
    with pytest.raises(VolumeError):
        read_volume(path)


def test_the_mean_of_the_finite_voxels_fills_the_others(save: Save) -> None:
    data = np.random.default_rng(1).normal(50, 9, size=(5, 6, 7)).astype(np.float32)
    data[1, 2, 3:5], data[2, 3, 4], data[0, 0, 0] = np.nan, np.inf, -np.inf
    bad = ~np.isfinite(data)
    volume = read_volume(save(data), fill_nonfinite="mean")
    filled = turn_back(volume)
    np.testing.assert_array_equal(filled[~bad], data[~bad])
    np.testing.assert_allclose(filled[bad], data[~bad].mean(dtype=np.float64), rtol=1e-6)
    with pytest.raises(VolumeError, match="no finite voxel"):
        read_volume(save(np.full((5, 6, 7), np.nan, np.float32)), fill_nonfinite="mean")
    with pytest.raises(ParameterError, match=r"--fill-nonfinite: median .* or mean"):
        read_volume(save(data), fill_nonfinite="median")  # type: ignore[arg-type]


def turn_back(volume: Volume) -> np.ndarray:
    """Return the data in stored order."""
    assert volume.origin is not None
    return turn_to(volume.origin.axis_codes, volume.data, volume.grid.affine)[0]
