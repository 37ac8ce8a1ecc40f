"""Anonymous series: without names, and consistent with each other."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

pydicom = pytest.importorskip("pydicom")
from helpers import dicoms  # noqa: E402

from napari_mrisr.io import read_volume  # noqa: E402
from napari_mrisr.io.dicom import attributes  # noqa: E402
from napari_mrisr.io.dicom.anonymize import Anonymizer, shifted  # noqa: E402
from napari_mrisr.io.dicom.write import write_dicom  # noqa: E402


def headers(folder):
    return [pydicom.dcmread(path) for path in sorted(Path(folder).iterdir())]


def planted(folder):
    """Return what must not come out of a series: values about people, UIDs and dates."""
    one = headers(folder)[0]
    values = {str(v) for k, v in dicoms.PATIENT.items() if k not in ("PatientSex", "StudyTime")}
    uids = {str(e.value) for e in one if e.VR == "UI" and not e.keyword.startswith("SOPClass")}
    return values | uids | {"Planted", "PLANTED", "19331224", "20010203", "087Y"}


@pytest.fixture(params=["classic", "enhanced"])
def folder(request, tmp_path):
    source = dicoms.classic() if request.param == "classic" else [dicoms.enhanced()]
    for one in source:
        one.OtherPatientIDs, one.PatientComments = "PLANTED-2", "PLANTED comment"
        one.OperatorsName, one.StationName = "Planted^Operator", "PLANTEDSTATION"
        one.ProtocolName, one.StudyDescription = "PLANTED protocol", "PLANTED study"
        one.RequestedProcedureDescription = "PLANTED request"
        one.SeriesDescription = "PLANTED T1"
        region = pydicom.Dataset()
        region.CodeValue, region.CodingSchemeDesignator = "69536005", "SCT"
        region.CodeMeaning = "Head"
        region.private_block(0x0099, "PLANTED CREATOR", create=True).add_new(1, "LO", "PLANTED")
        one.AnatomicRegionSequence = [region]
    return dicoms.save(source, tmp_path / "scan")


def test_no_planted_value_comes_out(folder, tmp_path):
    scan = read_volume(folder)
    write_dicom(scan, tmp_path / "out", anonymize=True)
    for path in (tmp_path / "out").iterdir():
        content = path.read_bytes()
        for value in planted(folder):
            assert value.encode() not in content, value
    write_dicom(scan, tmp_path / "named")
    content = sorted((tmp_path / "named").iterdir())[0].read_bytes()
    for value in ("Planted^Person", "PLANTED-ID-7", "PLANTED-2", "PLANTED request", "19331224"):
        assert value.encode() in content, value


def test_an_anonymous_series_says_so(folder, tmp_path):
    write_dicom(read_volume(folder), tmp_path / "out", anonymize=True)
    one = headers(tmp_path / "out")[0]
    assert one.PatientIdentityRemoved == "YES"
    assert one.LongitudinalTemporalInformationModified == "MODIFIED"
    assert one.DeidentificationMethod.startswith("PS3.15 Basic Profile")
    assert str(one.PatientName) == f"Anonymous^{one.PatientID}"
    assert "AccessionNumber" in one and not one.AccessionNumber


def test_references_lead_to_the_new_uids_of_the_same_series(tmp_path):
    dicoms.series(tmp_path / "scan")
    scan = read_volume(tmp_path / "scan")
    for name in ("first", "second"):
        write_dicom(scan, tmp_path / name, anonymize=True)
    first, second = (headers(tmp_path / name)[0] for name in ("first", "second"))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDate"):
        assert first[keyword].value == second[keyword].value
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    references = [one.SourceImageSequence[0].ReferencedSOPInstanceUID for one in (first, second)]
    assert references[0] == references[1]


def test_dates_move_by_the_same_days():
    anonymizer = Anonymizer(b"secret")
    one = pydicom.Dataset()
    one.PatientID, one.StudyDate, one.AcquisitionDate = "7", "20010203", "20010305"
    one.AcquisitionDateTime = "20010305101112.5"
    out = anonymizer.applied(one)
    dates = [datetime.date.fromisoformat(d) for d in (out.StudyDate, out.AcquisitionDate)]
    assert dates[1] - dates[0] == datetime.timedelta(days=30)
    assert datetime.timedelta(days=365) <= datetime.date(2001, 2, 3) - dates[0]
    assert out.AcquisitionDateTime == out.AcquisitionDate + "101112.5"
    assert one.StudyDate == "20010203"  # the input is left as it is


def test_another_secret_gives_other_values():
    uids = {Anonymizer(secret).uid("1.2.3") for secret in (b"a", b"b", None, None)}
    assert len(uids) == 4
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    assert Anonymizer().uid("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize("text", ["2001", "notadate", "00010101", "20011399"])
def test_damaged_dates_are_replaced(text):
    assert shifted(text, 400) == "19000101"


def test_every_table_names_attributes_of_the_standard():
    for table in (
        attributes.PERSONAL,
        attributes.SERIES,
        attributes.ACQUISITION,
        attributes.ENHANCED,
        attributes.UIDS,
    ):
        assert [name for name in table if pydicom.datadict.tag_for_keyword(name) is None] == []
        assert len(set(table)) == len(table)
