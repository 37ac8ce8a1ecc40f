"""One line per unusable input: the file, the value found and the remedy."""

from __future__ import annotations

import gzip
import logging
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.errors import (
    GeometryError,
    MemoryEstimateError,
    MrisrError,
    ParameterError,
    VolumeError,
)
from napari_mrisr.io import read, read_grid, read_volume, write_volume

Save = Callable[..., Path]
Patch = Callable[[Path, str, int, float], Path]


def refused(
    path: Path, kind: type[MrisrError], *words: str, header: bool = True, **options: float
) -> str:
    """Check that reading fails as it should; return the message."""
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    readers = [read_volume, read_grid] if header and not options else [read_volume]
    for reader in readers:
        with pytest.raises(kind) as caught:
            reader(path, **options)  # type: ignore[operator]
        assert type(caught.value) is kind
        message = str(caught.value)
        assert "\n" not in message
        assert message.count("; ") == 1
        assert path.name[:100] in message
        for word in words:
            assert word in message
    assert (sorted(path.parent.iterdir()) if path.parent.is_dir() else []) == before
    return message


def test_missing_folder_empty_and_odd_files(tmp_path: Path) -> None:
    refused(tmp_path / "none.nii", VolumeError, "no such file")
    refused(tmp_path / "no" / "none.nii", VolumeError, "no such file")
    refused(tmp_path, VolumeError, "is a folder")
    folder = tmp_path / "folder.nii"
    folder.mkdir()
    refused(folder, VolumeError, "is a folder")
    empty = tmp_path / "empty.nii.gz"
    empty.touch()
    refused(empty, VolumeError, "is empty")
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    refused(text, VolumeError, "'.txt' is no image format", ".nii.gz", ".mgz", "DICOM")
    bare = tmp_path / "scan"
    bare.write_text("hello")
    refused(bare, VolumeError, "no suffix")
    refused(tmp_path / ("x" * 300 + ".nii"), VolumeError, "cannot be read")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_without_hanging(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.nii"
    os.mkfifo(pipe)
    refused(pipe, VolumeError, "no regular file")


@pytest.mark.parametrize(
    "name", ["a.nii", "a.mgh", "a.hdr", "a.img", "a.mnc", "a.par", "a.head", "a.brik"]
)
@pytest.mark.parametrize("size", [1, 20, 5000])
def test_not_an_image(name: str, size: int, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"This is no image at all. " * (size // 25) + b"x" * (size % 25))
    refused(path, VolumeError)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mgz", "a.nii.bz2", "a.img.gz"])
def test_compressed_by_name_only(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"not compressed")
    refused(path, VolumeError, "is not a compressed file")


def test_compressed_but_not_by_name(voxels: np.ndarray, save: Save) -> None:
    path = save(voxels)
    path.write_bytes(gzip.compress(path.read_bytes()))
    refused(path, VolumeError, "is gzip-compressed", "rename it to scan.nii.gz")


@pytest.mark.parametrize("keep", [0.001, 0.5, 0.98])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.mgz", "a.nii.bz2"])
def test_truncated_compressed_file(name: str, keep: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(30, 31, 32)).astype(np.float32)
    path = tmp_path / name
    image_class = nib.MGHImage if name.endswith("mgz") else nib.Nifti1Image
    nib.save(image_class(noise, np.eye(4)), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    refused(path, VolumeError, "copy or export it again", header=False)


def test_gzip_without_its_checksum_and_with_a_flipped_bit(voxels: np.ndarray, save: Save) -> None:
    # Found at the header where nibabel reads by indexed_gzip, and otherwise at the voxels.
    path = save(np.tile(voxels, (4, 4, 4)), name="a.nii.gz")
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    refused(path, VolumeError, "damaged; copy or export it again", header=False)
    wrong = bytearray(content)
    wrong[-6] ^= 1
    path.write_bytes(wrong)
    refused(path, VolumeError, "damaged; copy or export it again", header=False)


@pytest.mark.parametrize("name", ["a.nii", "a.hdr", "a.mgh", "a.nii.gz", "a.mgz"])
def test_header_promises_more_than_the_file_has(name: str, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(np.int16)
    path = tmp_path / name
    if name.startswith("a.mg"):
        nib.save(nib.MGHImage(data, np.eye(4)), path)
    else:
        image_class = nib.Nifti1Pair if name == "a.hdr" else nib.Nifti1Image
        nib.save(image_class(data, np.eye(4)), path)
    packed = path.suffix in (".gz", ".mgz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    if name.startswith("a.mg"):
        struct.pack_into(">i", content, 4, 6000)
    else:
        struct.pack_into("<h", content, 42, 6000)
    path.write_bytes(gzip.compress(bytes(content)) if packed else content)
    message = refused(path, VolumeError, "header says 6000 × 6 × 7 voxels of", "int16")
    assert str(6000 * 6 * 7 * 2)[:3] in message


def test_compressed_file_shorter_than_its_header_says(save: Save) -> None:
    path = save(np.arange(210, dtype=np.int16).reshape(5, 6, 7))
    content = bytearray(path.read_bytes())
    struct.pack_into("<h", content, 42, 6)
    packed = path.with_name("b.nii.gz")
    packed.write_bytes(gzip.compress(content))
    refused(packed, VolumeError, "header says 6 × 6 × 7 voxels", header=False)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_absurd_dimensions_allocate_no_memory(suffix: str, voxels: np.ndarray, save: Save) -> None:
    path = save(voxels)
    content = bytearray(path.read_bytes())
    struct.pack_into("<3h", content, 42, 32767, 32767, 32767)
    path = path.with_name("b" + suffix)
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    tracemalloc.start()
    refused(path, VolumeError, "32767 × 32767 × 32767", str(2 * 32767**3)[:3])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_pair_without_its_other_half(voxels: np.ndarray, save: Save) -> None:
    path = save(voxels, name="a.hdr", image_class=nib.Nifti1Pair)
    voxel_file = path.with_name("a.img")
    content = voxel_file.read_bytes()
    voxel_file.unlink()
    refused(path, VolumeError, "the file that belongs to it is missing")
    voxel_file.write_bytes(content)
    path.unlink()
    refused(voxel_file, VolumeError, "the file that belongs to it is missing")


def test_voxel_file_of_a_pair_too_short(voxels: np.ndarray, save: Save) -> None:
    path = save(voxels, name="a.hdr", image_class=nib.Nifti1Pair)
    path.with_name("a.img").write_bytes(b"\1" * 419)
    refused(path, VolumeError, "420 bytes, but the file has 419")


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5, 6), "is 2D (5 × 6)"),
        ((30,), "is 1D (30)"),
        ((5, 6, 1), "only one voxel thin (5 × 6 × 1)"),
        ((1, 6, 7), "only one voxel thin (1 × 6 × 7)"),
        ((5, 1, 7, 3), "only one voxel thin (5 × 1 × 7 × 3)"),
    ],
)
def test_too_few_axes_or_voxels(shape: tuple[int, ...], words: str, tmp_path: Path) -> None:
    path = tmp_path / "flat.nii"
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    refused(path, GeometryError, words)


def test_negative_and_zero_dimensions(voxels: np.ndarray, save: Save, patch: Patch) -> None:
    refused(patch(save(voxels), "h", 44, -6), GeometryError, "5 × -6 × 7")
    refused(patch(save(voxels), "h", 44, 0), GeometryError, "5 × 0 × 7")


@pytest.mark.parametrize("size", [0.0, -1.5, np.nan, np.inf, 1e-40, 1e30])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_impossible_voxel_sizes(
    size: float, axis: int, voxels: np.ndarray, save: Save, patch: Patch
) -> None:
    path = patch(save(voxels), "f", 80 + 4 * axis, size)
    sizes = ["1.5", "0.8", "2.25"]
    sizes[axis] = f"{np.float32(size):.4g}"
    refused(path, GeometryError, f"voxel size {' × '.join(sizes)} mm", "pixdim")


def test_impossible_voxel_size_of_mgh(voxels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.mgh"
    nib.save(nib.MGHImage(voxels, np.eye(4)), path)
    content = bytearray(path.read_bytes())
    struct.pack_into(">f", content, 34, -2.0)
    path.write_bytes(content)
    refused(path, GeometryError, "voxel size 1 × -2 × 1 mm")


def test_nibabel_log_is_silent(
    voxels: np.ndarray, save: Save, patch: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    monkeypatch.setattr(nib.imageglobals.logger, "handlers", [handler])
    path = patch(save(voxels), "f", 80, -1.5)
    refused(path, GeometryError)
    assert said == []
    nib.load(path)
    assert "should be positive" in said[0]


@pytest.mark.parametrize(
    "edges",
    [
        [[1, 1, 0], [0, 0, 0], [0, 0, 1]],
        [[1, 0, 1], [0, 1, 1], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[1, 0, 0], [0, 0, 0], [0, 0, 1]],
    ],
)
def test_singular_affine(
    edges: list[list[int]], voxels: np.ndarray, save: Save, patch: Patch
) -> None:
    path = save(voxels)
    for row in range(3):
        for column in range(3):
            patch(path, "f", 280 + 16 * row + 4 * column, edges[row][column])
    refused(path, GeometryError, "singular affine", "sform")


def test_affine_with_nan(voxels: np.ndarray, save: Save, patch: Patch) -> None:
    refused(patch(save(voxels), "f", 280, np.nan), GeometryError, "affine with NaN")
    refused(patch(save(voxels), "f", 280, 3e30), GeometryError, "affine with entries up to 3e+30")
    big = save(voxels, image_class=nib.Nifti2Image)
    refused(patch(big, "d", 424, 1e200), GeometryError, "affine with entries up to 1e+200")


def test_impossible_quaternion(voxels: np.ndarray, save: Save, patch: Patch) -> None:
    path = patch(save(voxels, codes=(1, 0)), "f", 256, 3.0)
    refused(path, GeometryError, "quaternion")


def test_infinite_intercept(voxels: np.ndarray, save: Save, patch: Patch) -> None:
    path = patch(save(voxels, slope=(2.0, 0.0)), "f", 116, np.inf)
    refused(path, VolumeError)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex(dtype: type, save: Save) -> None:
    path = save(np.ones((5, 6, 7), dtype))
    refused(path, VolumeError, f"complex voxels ({np.dtype(dtype)})", "magnitude")


@pytest.mark.parametrize("value", [0, 7])
def test_constant(value: int, save: Save) -> None:
    path = save(np.full((5, 6, 7), value, np.int16), slope=(1.0, 0.0))
    refused(path, VolumeError, f"all voxels are {value}", header=False)


def test_nonfinite_voxels_are_counted(save: Save) -> None:
    data = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    data[1, 2, 3:5], data[2, 3, 4], data[0, 0, 0], data[4, 5, 6] = np.nan, np.inf, -np.inf, np.inf
    path = save(data)
    words = ("2 NaN and 3 infinite voxels of 210", "--fill-nonfinite")
    refused(path, VolumeError, *words, header=False)
    for fill in (np.nan, np.inf, 1e38):
        with pytest.raises(ParameterError, match=r"--fill-nonfinite: .* finite number"):
            read_volume(path, fill_nonfinite=fill)


def test_all_nan_filled_is_constant(save: Save) -> None:
    path = save(np.full((5, 6, 7), np.nan, np.float32))
    refused(path, VolumeError, "all voxels are 3", fill_nonfinite=3.0)


def test_intensities_beyond_float32_are_refused(save: Save) -> None:
    data = np.random.default_rng(1).normal(size=(5, 6, 7))
    path = save(data * 1e200)
    refused(path, VolumeError, "intensities from", "e+200", "rescale", header=False)
    refused(save(data * 1e-40), VolumeError, "differ by", "e-40 only", header=False)


def test_cifti_surface_is_refused(tmp_path: Path) -> None:
    path = Path(nib.__file__).parent / "tests" / "data" / "row_major.dconn.nii"
    if not path.exists():
        pytest.skip("nibabel was installed without its test data")
    refused(path, VolumeError, "holds Cifti2Image, not a volume")


def test_too_little_memory(voxels: np.ndarray, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(scan: object, intake: object) -> None:
        raise MemoryError

    monkeypatch.setattr(read, "_stored_voxels", no_memory)
    refused(save(voxels), MemoryEstimateError, "210 voxels do not fit", header=False)


def test_unreadable_file(voxels: np.ndarray, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(voxels)

    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    refused(path, VolumeError, "cannot be read (Permission denied)")


def test_messages_hold_no_patient_name(voxels: np.ndarray, save: Save, patch: Patch) -> None:
    for path in (patch(save(voxels), "f", 80, -1.0), patch(save(voxels), "f", 280, np.nan)):
        assert "DOE" not in refused(path, GeometryError)


@pytest.mark.parametrize(
    ("name", "image_class", "length"),
    [
        ("a.nii", nib.Nifti1Image, 352),
        ("a.nii", nib.Nifti2Image, 544),
        ("a.hdr", nib.Nifti1Pair, 348),
        ("a.hdr", nib.Spm2AnalyzeImage, 348),
        ("a.mgh", nib.MGHImage, 100),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_headers_with_random_bytes_never_crash(
    name: str, image_class: type, length: int, voxels: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / name
    image_class(voxels, np.diag([1.0, 2.0, 3.0, 1.0])).to_filename(path)
    good = path.read_bytes()
    rng = np.random.default_rng(7)
    refusals = 0
    for _ in range(120):
        content = bytearray(good)
        for at in rng.integers(0, length, 2):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        try:
            volume = read_volume(path, frame=0, fill_nonfinite=0.0)
            write_volume(volume, tmp_path / "out.nii", overwrite=True)
        except MrisrError as error:
            assert "\n" not in str(error)
            refusals += 1
    assert 4 < refusals < 116
