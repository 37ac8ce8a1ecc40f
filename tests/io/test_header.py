"""Contradictions and odd details of headers: read anyway, with a caution, or refused by name."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.errors import VolumeError
from napari_mrisr.io import find_volumes, read_header, read_volume, write_volume

Save = Callable[..., Path]
Patch = Callable[[Path, str, int, float], Path]


def kinds(path: Path) -> list[str]:
    """Return the headlines of the cautions about a file; header and volume agree."""
    found = [caution.kind for caution in read_header(path)[1].cautions]
    origin = read_volume(path).origin
    assert origin is not None
    assert [caution.kind for caution in origin.cautions] == found
    return found


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("image_class", "kind", "place", "first"),
    [(nib.Nifti1Image, "f", 108, 352), (nib.Nifti2Image, "q", 168, 544)],
)
@pytest.mark.parametrize("tight", [False, True])
def test_an_offset_of_zero_means_after_the_header(
    image_class: type,
    kind: str,
    place: int,
    first: int,
    tight: bool,
    packed: bool,
    voxels: np.ndarray,
    tmp_path: Path,
) -> None:
    """Voxels follow the four bytes about extensions, or (tight) the header itself."""
    path = tmp_path / "a.nii"
    voxels[:2, 0, 0] = 0  # or the first four bytes would announce extensions
    nib.save(image_class(voxels, np.diag([1.0, 2.0, 3.0, 1.0])), path)
    content = bytearray(path.read_bytes())
    assert len(content) == first + voxels.nbytes
    struct.pack_into("<" + kind, content, place, 0)
    if tight:
        del content[first - 4 : first]
    if packed:
        path = path.with_name("a.nii.gz")
        path.write_bytes(gzip.compress(bytes(content)))
    else:
        path.write_bytes(content)
    np.testing.assert_array_equal(read_volume(path).data, voxels)


@pytest.mark.parametrize("offset", [1, 16, 347, -8])
def test_an_offset_inside_the_header_is_refused(
    offset: int, voxels: np.ndarray, save: Save, patch: Patch
) -> None:
    path = patch(save(voxels), "f", 108, offset)
    with pytest.raises(VolumeError, match="begin inside the header; correct vox_offset"):
        read_header(path)


def test_ordinary_headers_need_no_caution(
    axis_aligned: np.ndarray, voxels: np.ndarray, save: Save
) -> None:
    assert kinds(save(voxels, axis_aligned)) == []
    assert kinds(save(voxels, axis_aligned, codes=(1, 0))) == []
    assert kinds(save(voxels, axis_aligned, codes=(0, 0))) == []
    microns = np.diag([1000.0, 1000.0, 1000.0, 1.0]) @ axis_aligned
    assert kinds(save(voxels, microns, units="micron")) == []


def test_sform_and_pixdim_that_disagree_are_named(
    voxels: np.ndarray, save: Save, patch: Patch
) -> None:
    path = patch(save(voxels, codes=(0, 1)), "f", 88, 5.5)
    assert kinds(path) == ["sform and pixdim disagree"]
    grid, origin = read_header(path)
    assert grid.voxel_size == pytest.approx((1.5, 0.8, 2.25))
    text = "voxels of 1.5 × 0.8 × 2.25 mm by the sform but 1.5 × 0.8 × 5.5 mm by pixdim"
    assert text in origin.cautions[0].text


def test_opposite_handedness_is_named(voxels: np.ndarray, save: Save, patch: Patch) -> None:
    path = patch(save(voxels), "f", 76, -1.0)  # qfac
    assert kinds(path) == ["sform and qform disagree"]
    text = read_header(path)[1].cautions[0].text
    assert "left and right may be swapped" in text
    assert "sform is used" in text


def test_offsets_that_disagree_are_named_within_one_space(
    voxels: np.ndarray, save: Save, patch: Patch
) -> None:
    path = patch(save(voxels), "f", 268, 40.0)  # qoffset_x
    assert "up to 40 mm apart" in read_header(path)[1].cautions[0].text
    # Scanner and template space differ by intention.
    assert kinds(patch(save(voxels, codes=(1, 4)), "f", 268, 40.0)) == []


def test_a_sheared_affine_is_named(voxels: np.ndarray, oblique: np.ndarray, save: Save) -> None:
    sheared = oblique @ np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    path = save(voxels, sheared, codes=(0, 2))
    assert "sheared affine" in kinds(path)
    assert "ITK" in read_header(path)[1].cautions[-1].text
    assert kinds(save(voxels, oblique)) == []


@pytest.mark.parametrize("tail", [b"x", bytes(500), b"garbage" * 5000])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.mgz"])
def test_gzip_with_trailing_data_is_read(name: str, tail: bytes, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (30, 31, 32)).astype(np.int16)
    image_class = nib.MGHImage if name.endswith("mgz") else nib.Nifti1Image
    path = tmp_path / name
    nib.save(image_class(data, np.eye(4)), path)
    path.write_bytes(path.read_bytes() + tail)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, data)
    assert volume.origin is not None
    # Zeros are padding, by the gzip standard.
    expected = [] if not any(tail) else ["data after the end"]
    assert [caution.kind for caution in volume.origin.cautions] == expected


def test_gzip_in_several_members_is_one_stream(voxels: np.ndarray, save: Save) -> None:
    path = save(voxels)
    content = path.read_bytes()
    packed = path.with_name("b.nii.gz")
    packed.write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    np.testing.assert_array_equal(read_volume(packed).data, voxels)


@pytest.mark.skipif(os.name != "posix", reason="names are UTF-16 there")
@pytest.mark.parametrize("name", [b"m\xfcller.nii.gz", b"m\xfcller.nii", b"m\xfcller.img.gz"])
def test_a_name_that_is_not_utf_8(name: bytes, tmp_path: Path, voxels: np.ndarray) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    path = folder / os.fsdecode(name)
    image_class = nib.Nifti1Pair if b"img" in name else nib.Nifti1Image
    plain = tmp_path / name.decode("latin-1")
    nib.save(image_class(voxels, np.eye(4)), plain)
    for file in tmp_path.glob("m*"):
        file.rename(folder / os.fsdecode(file.name.encode("latin-1")))
    assert len(find_volumes(folder)) == 1
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, voxels)
    assert volume.origin is not None
    assert volume.origin.name.encode("utf-8").startswith(b"m?ller")
    out = path.with_name("out.nii.gz")
    write_volume(volume, out)
    np.testing.assert_array_equal(read_volume(out).data, voxels)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(VolumeError) as caught:
        read_volume(path)
    str(caught.value).encode("utf-8", "backslashreplace")
