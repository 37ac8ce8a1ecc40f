"""Folders, ZIP files and DICOMDIRs."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from helpers import dicoms
from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

import napari_mrisr as sr
from napari_mrisr.errors import VolumeError
from napari_mrisr.io.dicom.sources import holds_dicom, names_dicom

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"


def zipped(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return path


def dicomdir(folder, names):
    """Write a DICOMDIR that names files, each as a list of parts."""
    data = dicoms.dataset(MediaStorageDirectoryStorage)
    records = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of parts that are not allowed
        for parts in names:
            record = Dataset()
            record.DirectoryRecordType = "IMAGE"
            record.ReferencedFileID = parts
            records.append(record)
    data.DirectoryRecordSequence = records
    data.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def test_a_zip_file_is_read_without_unpacking(tmp_path):
    folder = dicoms.series(tmp_path / "study" / "sub")
    expected = sr.read_volume(folder)
    archive = zipped(tmp_path / "study", tmp_path / "a.zip")
    before = sorted(tmp_path.rglob("*"))
    for path in (archive, archive / "2_T1w", archive / "sub" / "IM0003"):
        volume = sr.read_volume(path)
        np.testing.assert_array_equal(volume.data, expected.data)
    assert sr.list_series(archive)[0].files[0] == archive / "sub" / "IM0000"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_file_is_opened_once_for_all_its_files(tmp_path, monkeypatch):
    archive = zipped(dicoms.series(tmp_path / "study"), tmp_path / "a.zip")
    opened = []
    real = zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda path: opened.append(path) or real(path))
    sr.read_volume(archive)
    # For the names, the headers and the voxels.
    assert opened == [archive] * 3


def test_a_damaged_zip_file_is_refused(tmp_path):
    archive = zipped(dicoms.series(tmp_path / "study"), tmp_path / "a.zip")
    content = archive.read_bytes()
    archive.write_bytes(content[:-40])
    with pytest.raises(VolumeError, match="is no usable ZIP file"):
        sr.read_volume(archive)


def test_a_dicomdir_names_its_files(tmp_path):
    folder = dicoms.series(tmp_path / "IMAGES")
    dicoms.series(tmp_path / "other", number=9)
    names = [["IMAGES", file.name] for file in folder.iterdir()]
    path = dicomdir(tmp_path, names)
    assert [series.label for series in sr.list_series(path)] == ["2_T1w"]
    np.testing.assert_array_equal(sr.read_volume(path).data, sr.read_volume(folder).data)
    assert len(sr.list_series(tmp_path)) == 2  # the folder: the DICOMDIR itself is skipped


@pytest.mark.parametrize("parts", [["..", "SECRET"], ["/etc", "passwd"], ["a", "../../SECRET"]])
def test_a_dicomdir_cannot_name_files_outside_its_folder(tmp_path, parts):
    (tmp_path / "medium").mkdir()
    dicoms.classic()[0].save_as(tmp_path / "SECRET", enforce_file_format=True)
    with pytest.raises(VolumeError, match="names a file outside its folder"):
        sr.list_series(dicomdir(tmp_path / "medium", [parts]))


def test_a_link_that_leaves_the_folder_of_a_dicomdir_is_refused(tmp_path):
    folder = dicoms.series(tmp_path / "elsewhere")
    (tmp_path / "medium").mkdir()
    (tmp_path / "medium" / "IMAGES").symlink_to(folder)
    path = dicomdir(tmp_path / "medium", [["IMAGES", "IM0000"]])
    with pytest.raises(VolumeError, match="outside its folder"):
        sr.list_series(path)


def test_a_file_that_a_dicomdir_misses_is_named(tmp_path):
    path = dicomdir(tmp_path, [["IMAGES", "IM0001"]])
    with pytest.raises(VolumeError, match="names IMAGES/IM0001, which is missing"):
        sr.list_series(path)


def test_the_dicomdir_that_pydicom_ships_lists_its_series():
    found = {series.label: series for series in sr.list_series(SHIPPED / "DICOMDIR")}
    heart = found["5_SmartScore---Gated-0-5-sec"]
    assert heart.stacks[0].shape == (16, 16, 5)
    assert heart.stacks[0].spacing == pytest.approx((0.488281, 0.488281, 2.5))
    assert "161 slices are missing" in found["2_Routine-Brain"].problem
    assert "3 orientations" in found["2_T-S-C-RF-FAST-PILOT"].problem
    assert not found["1_FAST-LOCALIZER"].is_scan


def test_what_may_name_dicom(tmp_path):
    folder = dicoms.series(tmp_path / "study")
    for path in (folder, folder / "IM0001", folder / "2_T1w", folder / "series_x"):
        assert names_dicom(path)
    for path in (folder / "a.nii", folder / "a.nii.gz", folder / "missing", tmp_path / "a" / "2_b"):
        assert not names_dicom(path)
    assert holds_dicom(tmp_path) and not holds_dicom(tmp_path, most=0)


def test_damaged_files_are_named_in_a_caution(tmp_path):
    folder = dicoms.series(tmp_path / "study")
    (folder / "broken").write_bytes(
        b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL\x04\0\xff\xff\xff\xff\x08"
    )
    (caution,) = sr.read_volume(folder).origin.cautions
    assert caution.kind == "damaged files" and "broken" in caution.text
