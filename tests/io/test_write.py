"""Files that write_volume makes."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Grid, IntensityWindow, Origin, Volume
from napari_mrisr.errors import OutputError, ParameterError
from napari_mrisr.io import (
    atomic,
    check_writable,
    output_path,
    read_volume,
    write,
    write_volume,
)

Save = Callable[..., Path]
Corners = Callable[[Path], np.ndarray]

HISTORY = {"method": "hashed", "scale": "2x3x1", "bank": "t1w"}


def upsampled(volume: Volume, scale: Scale) -> Volume:
    """Repeat every voxel, to see where voxels go."""
    data = volume.data
    for axis, factor in enumerate(scale):
        data = np.repeat(data, factor, axis)
    grid = volume.grid.upsampled(scale)
    return Volume(data, grid, volume.window, volume.origin, HISTORY)


def repeated(path: Path, stored_scale: Scale) -> np.ndarray:
    """Return the stored voxels of a file, repeated along stored axes."""
    data = nib.load(path).get_fdata(dtype=np.float32)
    for axis, factor in enumerate(stored_scale):
        data = np.repeat(data, factor, axis)
    return data


def test_every_orientation_comes_back(
    axis_aligned: np.ndarray,
    voxels: np.ndarray,
    save: Save,
    field_of_view: Corners,
    tmp_path: Path,
) -> None:
    path, out = save(voxels, axis_aligned), tmp_path / "out.nii"
    volume = read_volume(path)
    write_volume(volume, out)
    same = nib.load(out)
    np.testing.assert_array_equal(same.get_fdata(), voxels)
    np.testing.assert_allclose(same.affine, axis_aligned, atol=1e-6)

    scale = (2, 3, 1)
    write_volume(upsampled(volume, scale), out, overwrite=True)
    stored_scale = volume.origin.from_ras(scale)  # type: ignore[union-attr]
    np.testing.assert_array_equal(nib.load(out).get_fdata(), repeated(path, stored_scale))
    assert nib.aff2axcodes(nib.load(out).affine) == nib.aff2axcodes(axis_aligned)
    # Same axes, so even the order of the corners is the same.
    np.testing.assert_allclose(field_of_view(out), field_of_view(path), atol=1e-4)


@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 2), (3, 4), (0, 0)])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(
    ("name", "image_class"),
    [
        ("scan.nii", nib.Nifti1Image),
        ("scan.nii.gz", nib.Nifti2Image),
        ("scan.hdr", nib.Nifti1Pair),
    ],
)
def test_oblique_nifti_keeps_field_of_view_codes_and_units(
    codes: tuple[int, int],
    big_endian: bool,
    name: str,
    image_class: type,
    voxels: np.ndarray,
    oblique: np.ndarray,
    save: Save,
    field_of_view: Corners,
    tmp_path: Path,
) -> None:
    affine = oblique if codes != (0, 0) else None
    path = save(
        voxels,
        affine,
        name,
        image_class=image_class,
        codes=codes,
        big_endian=big_endian,
        slope=(0.5, -3.0),
        units="micron" if big_endian else "mm",
    )
    source = nib.load(path)
    volume = read_volume(path)
    result = upsampled(volume, (2, 3, 1))
    out = tmp_path / f"out{name.removeprefix('scan')}"
    write_volume(result, out)
    image = nib.load(out)
    assert type(image) is image_class
    assert image.get_data_dtype() == np.float32
    assert (image.header["qform_code"], image.header["sform_code"]) == codes
    assert image.header.get_xyzt_units() == source.header.get_xyzt_units()
    stored_scale = volume.origin.from_ras((2, 3, 1))  # type: ignore[union-attr]
    np.testing.assert_array_equal(image.get_fdata(), repeated(path, stored_scale))
    zooms = np.array(source.header.get_zooms()) / stored_scale
    np.testing.assert_allclose(image.header.get_zooms(), zooms, rtol=1e-6)
    if codes == (0, 0):
        # The fallback: voxel sizes about the middle of the volume.
        middle = image.affine @ [*(np.array(image.shape) - 1) / 2, 1]
        np.testing.assert_allclose(middle, [0, 0, 0, 1], atol=1e-4)
    else:
        np.testing.assert_allclose(field_of_view(out), field_of_view(path), atol=1e-4)
    again = read_volume(out)
    np.testing.assert_array_equal(again.data, result.data)
    np.testing.assert_allclose(again.grid.corners(), volume.grid.corners(), atol=1e-4)


angle = st.floats(-np.pi, np.pi)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    angles=st.tuples(angle, angle, angle)
    | st.permutations([0.0, np.pi, 1e-4]).map(tuple)
    | st.permutations([np.pi, 0.0, np.pi / 2 + 3e-4]).map(tuple),
    zooms=st.tuples(*[st.floats(0.3, 5.0)] * 3),
    codes=st.sampled_from([(1, 0), (0, 1), (1, 1)]),
    flip=st.booleans(),
    scale=st.tuples(*[st.integers(1, 4)] * 3),
)
# The rotation's real part is small enough for nibabel to take it for zero.
@example(angles=(0.0, 3.0, 3.125), zooms=(1.0, 1.0, 1.0), codes=(1, 0), flip=False, scale=(1, 1, 2))
def test_any_rotation_keeps_the_field_of_view(
    angles: tuple[float, float, float],
    zooms: tuple[float, float, float],
    codes: tuple[int, int],
    flip: bool,
    scale: Scale,
    turn: Callable[..., np.ndarray],
    save: Save,
    field_of_view: Corners,
    tmp_path: Path,
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = turn(*angles) @ np.diag([*zooms[:2], -zooms[2] if flip else zooms[2]])
    affine[:3, 3] = [-120.0, 80.0, 45.0]
    # As large as scans are, so that rounding of the rotation shows; flat to be quick.
    data = np.zeros((200, 3, 2), np.int16)
    data[50] = 9
    path, out = save(data, affine, codes=codes), tmp_path / "out.nii"
    write_volume(upsampled(read_volume(path), scale), out, overwrite=True)
    np.testing.assert_allclose(field_of_view(out), field_of_view(path), atol=1e-4)


def test_scanner_and_template_space_both_survive(
    voxels: np.ndarray, oblique: np.ndarray, save: Save, field_of_view: Corners, tmp_path: Path
) -> None:
    template = np.diag([-1.0, 1.0, 1.5, 1.0])
    template[:3, 3] = [90, -126, -72]
    path = save(voxels, oblique)
    source = nib.load(path)
    source.header.set_sform(template, 4)
    nib.save(nib.Nifti1Image(voxels, None, source.header), path)
    out = tmp_path / "out.nii"
    write_volume(upsampled(read_volume(path), (2, 2, 2)), out)
    for sform in (4, 0):
        pair = []
        for file in (path, out):
            image = nib.load(file)
            assert (image.header["qform_code"], image.header["sform_code"]) == (1, 4)
            image.header["sform_code"] = sform
            copy = file.with_name(f"copy-{sform}-{file.name}")
            nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), copy)
            pair.append(field_of_view(copy))
        np.testing.assert_allclose(pair[1], pair[0], atol=1e-4)


@pytest.mark.parametrize(("unit", "step", "seconds"), [("sec", 2.5, 2.5), ("msec", 800.0, 0.8)])
def test_a_frame_keeps_the_repetition_time(
    tmp_path: Path, rng: np.random.Generator, unit: str, step: float, seconds: float
) -> None:
    series = nib.Nifti1Image(rng.random((6, 7, 8, 3), np.float32), np.diag([1.5, 1.25, 3, 1]))
    series.header.set_xyzt_units("mm", unit)
    series.header.set_zooms((1.5, 1.25, 3, step))
    series.to_filename(tmp_path / "bold.nii.gz")
    frame = read_volume(tmp_path / "bold.nii.gz", frame=1)
    assert frame.origin is not None
    assert frame.origin.acquisition == (f"repetition time {1000 * seconds:g} ms",)
    write_volume(upsampled(frame, (1, 1, 3)), tmp_path / "out.nii.gz")
    header = nib.load(tmp_path / "out.nii.gz").header
    assert header.get_zooms() == pytest.approx((1.5, 1.25, 1.0))
    assert header.get_xyzt_units() == ("mm", unit)
    assert header["pixdim"][4] == pytest.approx(step)
    assert read_volume(tmp_path / "out.nii.gz").origin.acquisition == ()


def test_a_sheared_affine_goes_to_the_sform_alone(
    voxels: np.ndarray, oblique: np.ndarray, save: Save, field_of_view: Corners, tmp_path: Path
) -> None:
    sheared = oblique @ np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    path, out = save(voxels, sheared, codes=(0, 2)), tmp_path / "out.nii"
    volume = upsampled(read_volume(path), (2, 2, 1))
    write_volume(volume, out)
    np.testing.assert_allclose(field_of_view(out), field_of_view(path), atol=1e-4)
    assert nib.load(out).header["qform_code"] == 0
    free = Volume(volume.data, volume.grid)
    write_volume(free, out, overwrite=True)
    header = nib.load(out).header
    assert (header["qform_code"], header["sform_code"]) == (0, 2)
    np.testing.assert_allclose(nib.load(out).affine, volume.grid.affine, atol=1e-5)


def test_a_crop_of_a_file_without_orientation_stays_in_place(
    voxels: np.ndarray, save: Save, tmp_path: Path
) -> None:
    volume = read_volume(save(voxels, codes=(0, 0))).cropped((1, 2, 0), (3, 4, 5))
    write_volume(volume, tmp_path / "out.nii")
    np.testing.assert_allclose(
        read_volume(tmp_path / "out.nii").grid.affine, volume.grid.affine, atol=1e-5
    )


@pytest.mark.parametrize("x_step", [1.0, -1.0])
@pytest.mark.parametrize("codes", [(1, 0), (1, 2), (0, 0)])
def test_new_grid_is_written_unchanged(
    x_step: float, codes: tuple[int, int], voxels: np.ndarray, save: Save, tmp_path: Path
) -> None:
    turned = np.array([[0, 0, 2.0, 1], [1.0, 0, 0, 2], [0, 1.5, 0, 3], [0, 0, 0, 1]])
    origin = read_volume(save(voxels, turned if x_step > 0 else None, codes=codes)).origin
    data = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    grid = Grid((3, 4, 5), np.diag([x_step, 2.0, 3.0, 1.0]))
    volume = Volume(data, grid, origin=Origin("scan.nii", header=origin.header))  # type: ignore[union-attr]
    write_volume(volume, tmp_path / "out.nii")
    back = nib.load(tmp_path / "out.nii")
    np.testing.assert_allclose(back.affine, grid.affine, atol=1e-6)
    np.testing.assert_allclose(back.get_qform(), grid.affine, atol=1e-6)
    np.testing.assert_array_equal(back.get_fdata(dtype=np.float32), data)


@pytest.mark.parametrize("name", ["o.nii", "o.nii.gz", "o.hdr", "o.img.gz", "o.mgz"])
def test_a_volume_from_memory_is_stored_ras(name: str, tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = [-4, 5, 6]
    write_volume(Volume(data, Grid((3, 4, 5), affine)), tmp_path / name)
    image = nib.load(tmp_path / name)
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), data)
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    if not name.endswith("mgz"):
        assert image.get_sform(coded=True)[1] == image.get_qform(coded=True)[1] == 2
        np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-5)


def test_normalized_volumes_are_brought_back(tmp_path: Path) -> None:
    data = np.random.default_rng(0).uniform(0, 1, (3, 4, 5)).astype(np.float32)
    volume = Volume(data, Grid((3, 4, 5), np.eye(4)), IntensityWindow(-100.0, 900.0))
    write_volume(volume, tmp_path / "a.nii")
    np.testing.assert_allclose(
        nib.load(tmp_path / "a.nii").get_fdata(), data * 1000.0 - 100.0, rtol=1e-5, atol=1e-3
    )


def test_a_very_long_axis_becomes_nifti_2(tmp_path: Path) -> None:
    data = np.arange(40000 * 4, dtype=np.float32).reshape(40000, 2, 2)
    write_volume(Volume(data, Grid(data.shape, np.eye(4))), tmp_path / "a.nii")
    assert type(nib.load(tmp_path / "a.nii")) is nib.Nifti2Image
    origin = Origin("a.img", header=nib.Spm2AnalyzeImage(data[:5], np.eye(4)).header)
    with pytest.raises(OutputError, match=r"format cannot hold this volume .* choose .nii.gz"):
        write_volume(Volume(data, Grid(data.shape, np.eye(4)), origin=origin), tmp_path / "b.img")
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii"]


def test_the_header_says_how_it_was_made(voxels: np.ndarray, save: Save, tmp_path: Path) -> None:
    from napari_mrisr import __version__

    out = tmp_path / "out.nii"
    write_volume(upsampled(read_volume(save(voxels)), (2, 3, 1)), out)
    header = nib.load(out).header
    expected = f"napari-mrisr {__version__} hashed 2x3x1; research use, not for diagnosis"
    assert header["descrip"].item().decode() == expected
    (extension,) = header.extensions
    assert extension.get_code() == 6
    note = json.loads(extension.text)
    assert note["notice"] == "research use, not for diagnosis"
    assert note["software"] == f"napari-mrisr {__version__}"
    assert {key: note[key] for key in HISTORY} == HISTORY


@pytest.mark.parametrize(
    ("name", "image_class"),
    [("a.nii", nib.Nifti1Image), ("a.hdr", nib.Nifti1Pair), ("a.nii", nib.Nifti2Image)],
)
@pytest.mark.parametrize("out", ["o.nii", "o.hdr", "o.mgh"])
def test_no_free_text_of_the_input_is_passed_on(
    name: str, image_class: type, out: str, voxels: np.ndarray, save: Save, tmp_path: Path
) -> None:
    path = save(voxels, name=name, image_class=image_class)
    assert b"DOE^JANE" in path.read_bytes()
    folder = tmp_path / "out"
    folder.mkdir()
    write_volume(read_volume(path), folder / out)
    for file in folder.iterdir():
        assert b"DOE" not in file.read_bytes()


def test_existing_files_are_kept_without_overwrite(tmp_path: Path) -> None:
    volume = Volume(np.ones((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)))
    for name, taken in [
        ("a.nii.gz", "a.nii.gz"),
        ("b.hdr", "b.img"),
        ("b.img", "b.hdr"),
        ("c.mgz", "c.mrisr.json"),
    ]:
        (tmp_path / taken).write_text("mine")
        for action in (lambda p: check_writable(p), lambda p: write_volume(volume, p)):
            with pytest.raises(OutputError, match=rf"{taken}: exists already; .*--overwrite"):
                action(tmp_path / name)
        assert (tmp_path / taken).read_text() == "mine"
        check_writable(tmp_path / name, overwrite=True)
        write_volume(volume, tmp_path / name, overwrite=True)
        assert nib.load(tmp_path / name).shape == (2, 3, 4)
        for file in tmp_path.iterdir():
            file.unlink()


@pytest.mark.parametrize(
    "name", ["a.mnc", "a.par", "a.REC", "a.txt", "a", "a.nii.bz2", "a+orig.HEAD"]
)
def test_suffixes_we_do_not_write(name: str, tmp_path: Path) -> None:
    volume = Volume(np.ones((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)))
    with pytest.raises(OutputError, match=r"cannot write .*; choose one of .nii, .nii.gz, .*mgz"):
        write_volume(volume, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_bad_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="no such folder; create it first"):
        check_writable(tmp_path / "no" / "a.nii")
    with pytest.raises(OutputError, match="is a folder; give another name"):
        check_writable(tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        check_writable(tmp_path / ("x" * 300 + ".nii"))
    with pytest.raises(OutputError, match=r"needs 95367\d+ MiB and the disk has \d+; free space"):
        check_writable(tmp_path / "a.nii", needed_bytes=10**18)
    check_writable(tmp_path / "a.nii", needed_bytes=10)
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(OutputError, match="folder cannot be written to; choose another"):
        check_writable(tmp_path / "a.nii")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr", "a.mgz"])
@pytest.mark.parametrize("old", [False, True])
def test_a_failing_disk_leaves_nothing(
    code: int, name: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(np.ones((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)))
    if old:
        write_volume(volume, tmp_path / name)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def fail(path: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic, "flush", fail)
    found = "the disk is full" if code == errno.ENOSPC else os.strerror(code)
    with pytest.raises(OutputError, match=found) as caught:
        write_volume(volume, tmp_path / name, overwrite=old)
    assert name in str(caught.value)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img", "a.mgz"])
def test_a_full_disk(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("cannot mount a small file system here (needs root on Linux)")
    try:
        data = np.random.default_rng(0).normal(size=(30, 31, 32)).astype(np.float32)
        volume = Volume(data, Grid(data.shape, np.eye(4)))
        monkeypatch.setattr(write, "check_writable", lambda *args, **kwargs: None)
        with pytest.raises(OutputError, match="the disk is full; free space"):
            write_volume(volume, tmp_path / name)
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_interrupted_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "_save", interrupt)
    volume = Volume(np.ones((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)))
    with pytest.raises(KeyboardInterrupt):
        write_volume(volume, tmp_path / "a.nii")
    assert not list(tmp_path.iterdir())


def test_the_same_volume_gives_the_same_bytes(tmp_path: Path) -> None:
    volume = Volume(np.ones((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)), history=HISTORY)
    write_volume(volume, tmp_path / "a.nii.gz")
    write_volume(volume, tmp_path / "b.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_io_needs_no_viewer() -> None:
    code = (
        "import sys, napari_mrisr.io; "
        "sys.exit(any(m in sys.modules for m in ('napari', 'qtpy', 'numba', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr"])
@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
def test_int16_is_rounded_by_no_more_than_the_note_says(
    name: str, image_class: type, voxels: np.ndarray, save: Save, tmp_path: Path
) -> None:
    origin = read_volume(save(voxels, image_class=image_class)).origin
    data = np.random.default_rng(0).normal(300, 100, (5, 6, 7)).astype(np.float32)
    volume = Volume(data, Grid(data.shape, np.eye(4)), origin=origin, history=HISTORY)
    note = write_volume(volume, tmp_path / name, dtype="int16")
    assert nib.load(tmp_path / name).get_data_dtype() == np.int16
    error = float(np.abs(read_volume(tmp_path / name).data - data).max())
    stated = float(re.search(r"at most (\S+) \((\S+) %", note)[1])  # type: ignore[index]
    assert error <= 1.05 * stated
    assert stated <= 1.1 * (data.max() - data.min()) / 65534
    assert "stored as int16, rounded" in note


def test_int16_keeps_whole_numbers_exactly(tmp_path: Path) -> None:
    data = np.arange(-30, 30, dtype=np.float32).reshape(3, 4, 5)
    volume = Volume(data, Grid(data.shape, np.eye(4)))
    note = write_volume(volume, tmp_path / "a.nii.gz", dtype="int16")
    assert note == "stored as int16 without rounding"
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").data, data)
    assert write_volume(volume, tmp_path / "b.nii.gz") == ""
    flat = Volume(np.full((3, 4, 5), 0.3, np.float32), volume.grid)
    write_volume(flat, tmp_path / "c.nii", dtype="int16")
    assert nib.load(tmp_path / "c.nii").get_fdata() == pytest.approx(0.3)


@pytest.mark.parametrize("name", ["a.mgz", "a.ome.zarr"])
def test_int16_needs_a_format_with_slope_and_intercept(name: str, tmp_path: Path) -> None:
    volume = Volume(np.ones((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)))
    with pytest.raises(ParameterError, match=r"--dtype: \..* has no slope .*; choose .nii.gz"):
        write_volume(volume, tmp_path / name, dtype="int16")
    with pytest.raises(ParameterError, match="--dtype: 'int8'; choose float32 or int16"):
        write_volume(volume, tmp_path / "a.nii", dtype="int8")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_bids_sidecar_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "sub-01_T1w.json").write_text("{}")
    volume = Volume(np.ones((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)))
    write_volume(volume, tmp_path / "sub-01_T1w.mgz", overwrite=True)
    assert (tmp_path / "sub-01_T1w.json").read_text() == "{}"


def test_an_unknown_suffix_is_named_before_a_missing_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "a.nrrd", tmp_path / "none" / "a.nrrd"):
        with pytest.raises(OutputError, match=r"cannot write '\.nrrd'; choose one of"):
            check_writable(path)
        assert output_path("scan.nii.gz", path, (2, 2, 2)) == path
