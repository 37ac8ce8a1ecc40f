"""MGH, Analyze, MINC, PAR/REC and AFNI."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import OutputError, VolumeError
from napari_mrisr.io import find_volumes, read_grid, read_volume, write_volume

DATA = Path(nib.__file__).parent / "tests" / "data"

# nibabel itself, the oracle, leaves files of these formats open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


def nibabels(name: str) -> Path:
    """Return a file of nibabel's test data."""
    if not (DATA / name).exists():
        pytest.skip(f"nibabel was installed without its test data ({name})")
    return DATA / name


def doubled(volume: Volume) -> Volume:
    data = volume.data.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    grid = volume.grid.upsampled((2, 2, 2))
    return Volume(data, grid, origin=volume.origin, history={"method": "nearest", "scale": "2"})


def corner_set(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Compute the eight corners, sorted so that the order of axes does not matter."""
    corners = []
    for bits in range(8):
        at = [-0.5 if bits >> axis & 1 else shape[axis] - 0.5 for axis in range(3)]
        world = affine[:3, 0] * at[0] + affine[:3, 1] * at[1] + affine[:3, 2] * at[2]
        corners.append(tuple((world + affine[:3, 3]).round(5)))
    return np.array(sorted(corners))


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
def test_mgh_round_trip(
    suffix: str, axis_aligned: np.ndarray, voxels: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"brain{suffix}"
    nib.save(nib.MGHImage(voxels, axis_aligned), path)
    volume = read_volume(path)
    canonical = nib.as_closest_canonical(nib.load(path))
    np.testing.assert_array_equal(volume.data, canonical.get_fdata())
    np.testing.assert_allclose(volume.grid.affine, canonical.affine, atol=1e-5)
    assert read_grid(path).shape == volume.grid.shape

    out = tmp_path / f"out{suffix}"
    write_volume(doubled(volume), out)
    image = nib.load(out)
    assert type(image) is nib.MGHImage
    expected = voxels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(image.get_fdata(), expected)
    np.testing.assert_allclose(
        corner_set(image.shape, image.affine), corner_set(voxels.shape, axis_aligned), atol=1e-4
    )
    note = json.loads((tmp_path / "out.mrisr.json").read_text())
    assert note["method"] == "nearest"
    assert note["notice"] == "research use, not for diagnosis"


def test_mgh_to_nifti_and_back(voxels: np.ndarray, oblique: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "brain.mgz"
    nib.save(nib.MGHImage(voxels, oblique), path)
    write_volume(read_volume(path), tmp_path / "brain.nii.gz")
    image = nib.load(tmp_path / "brain.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(), voxels)
    np.testing.assert_allclose(image.affine, oblique, atol=1e-5)
    assert (image.header["qform_code"], image.header["sform_code"]) == (1, 1)
    np.testing.assert_allclose(image.get_qform(), oblique, atol=1e-4)
    write_volume(read_volume(tmp_path / "brain.nii.gz"), path, overwrite=True)
    np.testing.assert_allclose(nib.load(path).affine, oblique, atol=1e-5)


@pytest.mark.parametrize(
    "image_class", [nib.AnalyzeImage, nib.Spm99AnalyzeImage, nib.Spm2AnalyzeImage]
)
@pytest.mark.parametrize("big_endian", [False, True])
def test_analyze_round_trip(
    image_class: type, big_endian: bool, voxels: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "scan.img"
    header = image_class.header_class(endianness=">" if big_endian else "<")
    header["descrip"] = b"DOE^JANE"
    affine = np.diag([-2.0, 1.0, 1.5, 1.0])
    affine[:3, 3] = [4.0, -2.5, -4.5]
    header.set_data_shape(voxels.shape)
    header.set_zooms((2.0, 1.0, 1.5))
    image_class(voxels, affine, header).to_filename(path)
    volume = read_volume(path)
    # Without SPM's origin: x to the left, the world's origin in the middle.
    assert volume.origin.axis_codes == ("L", "A", "S")  # type: ignore[union-attr]
    np.testing.assert_array_equal(volume.data, voxels[::-1])
    np.testing.assert_allclose(volume.grid.voxel_size, (2.0, 1.0, 1.5))

    out = tmp_path / "out.hdr"
    write_volume(doubled(volume), out)
    image = nib.load(out)
    assert type(image) is nib.Spm2AnalyzeImage
    np.testing.assert_array_equal(image.get_fdata()[::2, ::2, ::2], voxels)
    source = nib.load(path)
    np.testing.assert_allclose(
        corner_set(image.shape, image.affine), corner_set(source.shape, source.affine), atol=1e-4
    )
    assert image.header["descrip"].item().startswith(b"napari-mrisr")
    written = sorted(file.name for file in tmp_path.glob("out.*"))
    assert written == ["out.hdr", "out.img", "out.mat", "out.mrisr.json"]
    assert not any(b"DOE" in file.read_bytes() for file in tmp_path.glob("out.*"))

    write_volume(volume, tmp_path / "as.nii")
    header = nib.load(tmp_path / "as.nii").header
    assert (header["qform_code"], header["sform_code"]) == (2, 2)


@pytest.mark.parametrize("name", ["tiny.mnc", "minc1_1_scale.mnc", "minc2_1_scale.mnc"])
def test_minc_is_read(name: str, tmp_path: Path) -> None:
    path = nibabels(name)
    if name.startswith("minc2") and importlib.util.find_spec("h5py") is None:
        pytest.skip("h5py is not installed")
    image = nib.load(path)
    canonical = nib.as_closest_canonical(image)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.data, canonical.get_fdata(), rtol=1e-6)
    np.testing.assert_allclose(volume.grid.affine, canonical.affine)
    with pytest.raises(OutputError, match=r"cannot write '.mnc'; choose one of .nii"):
        write_volume(volume, tmp_path / "out.mnc")
    write_volume(volume, tmp_path / "out.nii")
    out = nib.load(tmp_path / "out.nii")
    assert nib.aff2axcodes(out.affine) == nib.aff2axcodes(image.affine)
    np.testing.assert_allclose(out.get_fdata(), image.get_fdata(), rtol=1e-6)


def test_the_frames_of_minc_come_first() -> None:
    path = nibabels("minc1_4d.mnc")
    stored = nib.load(path)
    assert stored.shape == (2, 10, 20, 20)
    with pytest.raises(VolumeError, match=r"4D with 2 frames; choose .* 0 to 1"):
        read_volume(path)
    for frame in (0, 1):
        image = nib.Nifti1Image(stored.get_fdata()[frame], stored.affine)
        expected = nib.as_closest_canonical(image).get_fdata()
        np.testing.assert_allclose(read_volume(path, frame=frame).data, expected, rtol=1e-6)


def test_minc_2_without_h5py_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(VolumeError, match="reading it needs the package h5py; pip install h5py"):
        read_volume(nibabels("minc2_1_scale.mnc"))


@pytest.mark.filterwarnings("ignore:multiple TRs")
@pytest.mark.parametrize("name", ["phantom_varscale.PAR", "phantom_varscale.REC"])
def test_par_rec_is_read(name: str, tmp_path: Path) -> None:
    path = nibabels(name)
    image = nib.load(path)
    frame = image.get_fdata()[..., 2]
    canonical = nib.as_closest_canonical(nib.Nifti1Image(frame, image.affine))
    volume = read_volume(path, frame=2)
    np.testing.assert_allclose(volume.data, canonical.get_fdata(), rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(volume.grid.affine, canonical.affine, atol=1e-6)
    write_volume(volume, tmp_path / "out.nii.gz")
    np.testing.assert_allclose(nib.load(tmp_path / "out.nii.gz").affine, image.affine, atol=1e-4)


@pytest.mark.filterwarnings("ignore:multiple TRs")
def test_a_rec_file_cut_short(tmp_path: Path) -> None:
    for suffix in ("PAR", "REC"):
        content = nibabels(f"phantom_EPI_asc_CLEAR_2_1.{suffix}").read_bytes()
        (tmp_path / f"a.{suffix}").write_bytes(content[:-100] if suffix == "REC" else content)
    with pytest.raises(VolumeError, match=r"header says 64 × 64 × 9 × 3 voxels of uint16, 221184"):
        read_grid(tmp_path / "a.PAR")


def test_afni_is_read() -> None:
    path = nibabels("example4d+orig.HEAD")
    image = nib.load(path)
    canonical = nib.as_closest_canonical(nib.Nifti1Image(image.get_fdata()[..., 1], image.affine))
    for name in (path, nibabels("example4d+orig.BRIK.gz")):
        volume = read_volume(name, frame=1)
        np.testing.assert_allclose(volume.data, canonical.get_fdata())
        np.testing.assert_allclose(volume.grid.affine, canonical.affine)


def test_every_file_nibabel_ships_is_read_or_refused_in_one_line(
    recwarn: pytest.WarningsRecorder,
) -> None:
    nibabels("standard.nii.gz")
    read, refused = 0, 0
    for path in find_volumes(DATA):
        try:
            read_volume(path, frame=0, fill_nonfinite=0)
            read += 1
        except VolumeError as error:
            assert "\n" not in str(error)
            refused += 1
    assert read >= 15
    assert refused >= 20


@pytest.fixture(autouse=True)
def _no_new_files_in_nibabel() -> object:
    before = set(DATA.iterdir()) if DATA.exists() else set()
    yield
    assert (set(DATA.iterdir()) if DATA.exists() else set()) == before


def test_save_fixture_names_a_patient(save: Callable[..., Path], voxels: np.ndarray) -> None:
    # Guards the privacy tests: a fixture without a name would pass them all.
    assert save(voxels).read_bytes().count(b"DOE^JANE") >= 4
