"""Headers: classic, enhanced and mosaic files, values slice by slice, and what is no slice."""

from __future__ import annotations

import warnings

import highdicom
import numpy as np
import pydicom
import pytest
from helpers import dicoms
from pydicom.dataset import Dataset

import napari_mrisr as sr
from napari_mrisr.errors import VolumeError
from napari_mrisr.io.dicom.headers import read_file_header


def problem_of(slices, folder):
    (series,) = sr.list_series(dicoms.save(slices, folder))
    assert series.problem
    return series


def test_slope_and_intercept_are_applied_slice_by_slice(tmp_path):
    data = dicoms.voxels()
    slices = dicoms.classic(data)
    for k, one in enumerate(slices):
        one.RescaleSlope, one.RescaleIntercept = 0.5 + 0.25 * k, -10 * k
    volume = sr.read_volume(dicoms.save(slices, tmp_path))
    expected = data * (0.5 + 0.25 * np.arange(10)) - 10 * np.arange(10)
    np.testing.assert_array_equal(volume.data, expected[::-1, ::-1].astype(np.float32))


def test_unsigned_values_of_12_bits_are_exact(tmp_path):
    data = dicoms.voxels().astype(np.uint16)
    slices = dicoms.classic(data)
    for one in slices:
        one.BitsStored, one.HighBit = 12, 11
    volume = sr.read_volume(dicoms.save(slices, tmp_path))
    np.testing.assert_array_equal(volume.data, data[::-1, ::-1])


@pytest.mark.parametrize("orientation", [dicoms.AXIAL, dicoms.SAGITTAL, dicoms.OBLIQUE])
def test_enhanced_and_mosaic_equal_classic(tmp_path, orientation):
    expected = sr.read_volume(dicoms.series(tmp_path / "classic", orientation=orientation))
    for name, one in {
        "enhanced": dicoms.enhanced(orientation=orientation),
        "mosaic": dicoms.mosaic(orientation=orientation),
    }.items():
        volume = sr.read_volume(dicoms.save([one], tmp_path / name))
        np.testing.assert_array_equal(volume.data, expected.data)
        np.testing.assert_allclose(volume.grid.affine, expected.grid.affine, atol=1e-6)
        assert volume.origin.slice_thickness == 3.0


def test_a_mosaic_stacked_downward_is_not_turned(tmp_path):
    data = dicoms.voxels()
    upward = sr.read_volume(dicoms.save([dicoms.mosaic(data)], tmp_path / "up"))
    down = sr.read_volume(dicoms.save([dicoms.mosaic(data, downward=True)], tmp_path / "down"))
    np.testing.assert_array_equal(down.data, upward.data[..., ::-1])
    assert down.grid.affine[2, 3] == pytest.approx(upward.grid.affine[2, 3] - 9 * 3.5)


def test_a_mosaic_without_its_number_of_slices_is_refused(tmp_path):
    one = dicoms.mosaic()
    del one[0x0029, 0x1010]
    dicoms.save([one], tmp_path)
    with pytest.raises(VolumeError, match="does not tell its number of slices"):
        read_file_header(tmp_path / "IM0000")


def test_volumes_of_an_enhanced_file_have_their_own_scaling(tmp_path):
    def phase(group):
        kind = group.MRImageFrameTypeSequence[0]
        kind.FrameType, kind.ComplexImageComponent = ["ORIGINAL", "PRIMARY", "P", "NONE"], "PHASE"
        value = group.PixelValueTransformationSequence[0]
        value.RescaleSlope, value.RescaleIntercept = 2, -4096

    data = np.stack([dicoms.voxels(), dicoms.voxels(seed=5)])
    dicoms.save([dicoms.enhanced(data, frames=[lambda group: None, phase])], tmp_path)
    (series,) = sr.list_series(tmp_path)
    assert series.frames == ("magnitude", "phase")
    volume = sr.read_volume(tmp_path, frame=1)
    np.testing.assert_array_equal(volume.data, 2.0 * data[1][::-1, ::-1] - 4096)


def test_an_enhanced_file_is_placed_as_highdicom_places_it(tmp_path):
    dicoms.save([dicoms.enhanced(orientation=dicoms.OBLIQUE)], tmp_path)
    (series,) = sr.list_series(tmp_path)
    stack = series.stacks[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file lacks elements that only archives need
        theirs = highdicom.imread(series.files[0]).get_volume(apply_real_world_transform=False)
    # highdicom: (slice, row, column), LPS.
    affine = np.diag([-1, -1, 1, 1.0]) @ theirs.affine[:, [2, 1, 0, 3]]
    stored = series.read(stack, sr.Progress())
    voxels = stored.voxels.transpose(2, 1, 0)
    if np.sign(affine[:3, 2] @ stack.affine[:3, 2]) < 0:
        voxels = voxels[::-1]
    np.testing.assert_array_equal(voxels, theirs.array)


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("ISO_IR 100", "Schädel Übersicht"),
        ("ISO_IR 192", "頭部 T1 強調 é"),
        (["", "ISO 2022 IR 87"], "頭部 T1"),
    ],
)
def test_descriptions_in_other_characters(tmp_path, charset, text):
    slices = dicoms.classic()
    for one in slices:
        one.SpecificCharacterSet, one.SeriesDescription = charset, text
    (series,) = sr.list_series(dicoms.save(slices, tmp_path))
    assert series.description == text
    assert sr.read_volume(series.path).origin.name == text


def test_what_is_no_scan_is_refused_by_name(tmp_path):
    color = dicoms.classic()[:2]
    for one in color:
        one.SamplesPerPixel, one.PhotometricInterpretation = 3, "RGB"
        one.PlanarConfiguration = 0
        one.PixelData = one.PixelData[:168] * 3
        one.BitsAllocated = one.BitsStored = 8
        one.HighBit = 7
    assert "is color (RGB)" in problem_of(color, tmp_path / "a").problem
    capture = dicoms.classic()[:2]
    for one in capture:
        one.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    assert "secondary capture" in problem_of(capture, tmp_path / "b").problem
    empty = dicoms.classic()[:2]
    for one in empty:
        del one.PixelData
    series = problem_of(empty, tmp_path / "c")
    assert "has no pixel data (MR Image Storage)" in series.problem and not series.is_scan
    localizer = dicoms.classic()
    for one in localizer:
        one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert "a localizer" in problem_of(localizer, tmp_path / "d").problem
    mixed = dicoms.classic()
    mixed[3].SamplesPerPixel = 3
    series = problem_of(mixed, tmp_path / "e")
    assert "1 of 10 files cannot be slices: one is color" in series.problem and series.is_scan


def test_text_pictures_and_reports_beside_a_series_do_no_harm(tmp_path):
    folder = dicoms.series(tmp_path / "study")
    (folder / "README.txt").write_text("hello")
    (folder / "icon.png").write_bytes(b"\x89PNG\r\n")
    (folder / "empty").touch()
    report = dicoms.dataset(pydicom.uid.BasicTextSRStorage, "Report", 99)
    dicoms.save([report], folder)
    assert sr.read_volume(folder).grid.shape == dicoms.SHAPE
    assert [series.is_scan for series in sr.list_series(folder)] == [True, False]


def test_files_without_preamble_are_read(tmp_path):
    for k, one in enumerate(dicoms.classic()):
        one.preamble = None
        pydicom.dcmwrite(tmp_path / f"{k}", one, enforce_file_format=False)
        content = (tmp_path / f"{k}").read_bytes()
        assert content[128:132] != b"DICM"
    assert sr.read_volume(tmp_path).grid.shape == dicoms.SHAPE


def test_lossy_compression_is_a_caution(tmp_path):
    slices = dicoms.classic()
    for one in slices:
        one.LossyImageCompression = "01"
    volume = sr.read_volume(dicoms.save(slices, tmp_path))
    assert [caution.kind for caution in volume.origin.cautions] == ["lossy compression"]


def test_nothing_of_the_patient_is_kept(tmp_path):
    (series,) = sr.list_series(dicoms.series(tmp_path / "study"))
    text = repr(series.headers) + repr(sr.read_volume(series.path).origin)
    assert not [v for v in dicoms.PATIENT.values() if len(v) > 3 and v in text]


@pytest.mark.parametrize("shared", [True, False])
def test_the_repetition_time_of_an_enhanced_file_is_shown(tmp_path, shared):
    one = dicoms.enhanced()
    timing = Dataset()
    timing.RepetitionTime = 2435
    groups = one.SharedFunctionalGroupsSequence if shared else one.PerFrameFunctionalGroupsSequence
    for group in groups:
        group.MRTimingAndRelatedParametersSequence = [timing]
    volume = sr.read_volume(dicoms.save([one], tmp_path))
    assert "repetition time 2435 ms" in volume.origin.acquisition
