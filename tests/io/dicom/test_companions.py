"""Parametric maps and Encapsulated PDFs belong to the study of the result."""

from __future__ import annotations

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")
from helpers import dicoms  # noqa: E402

from napari_mrisr.core.volume import Volume  # noqa: E402
from napari_mrisr.io import read_volume  # noqa: E402
from napari_mrisr.io.dicom.companions import write_dicom_map, write_dicom_report  # noqa: E402
from napari_mrisr.io.dicom.write import write_dicom  # noqa: E402

from .test_write import errors_of, finer, headers  # noqa: E402


@pytest.fixture(params=["classic", "enhanced"])
def result(request, tmp_path):
    """A result and the folder with its series."""
    source = dicoms.classic(orientation=dicoms.OBLIQUE)
    if request.param == "enhanced":
        source = [dicoms.enhanced(orientation=dicoms.OBLIQUE)]
    result = finer(read_volume(dicoms.save(source, tmp_path / "scan")), (2, 1, 2))
    write_dicom(result, tmp_path / "series")
    return result


@pytest.mark.parametrize("factor", [1, 2])
def test_a_map_lies_where_the_result_does(factor, result, tmp_path):
    grid = result.grid
    shape = tuple(n // f for n, f in zip(grid.shape, (factor, 1, factor), strict=True))
    grid = grid.degraded((factor, 1, factor))
    data = np.zeros(shape, np.float32)
    data[2, 5, 3] = 0.75
    write_dicom_map(Volume(data, grid), tmp_path / "map", tmp_path / "series", "expected error")
    (one,) = headers(tmp_path / "map")
    volume = highdicom.image.Image.from_dataset(one).get_volume()
    (where,) = np.argwhere(volume.array == np.float32(0.75))
    place = (volume.affine @ [*where, 1])[:3] * [-1, -1, 1]
    assert np.allclose(place, (grid.affine @ [2, 5, 3, 1])[:3], atol=1e-6)
    series = headers(tmp_path / "series")[0]
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SeriesDate"):
        assert one[keyword].value == series[keyword].value
    assert one.SeriesDescription == "expected error NOT FOR DIAGNOSIS"
    assert one.ContentQualification == "RESEARCH"
    assert errors_of(tmp_path / "map" / "0001.dcm") == []


def test_a_constant_map_is_written(result, tmp_path):
    data = np.zeros(result.grid.shape, np.float32)
    write_dicom_map(Volume(data, result.grid), tmp_path / "map", tmp_path / "series", "support")
    assert errors_of(tmp_path / "map" / "0001.dcm") == []


def test_a_report_is_a_pdf_of_the_study(result, tmp_path):
    pdf = b"%PDF-1.7\n" + bytes(range(100))
    write_dicom_report(pdf, tmp_path / "report", tmp_path / "series", "Report")
    (one,) = headers(tmp_path / "report")
    assert one.EncapsulatedDocument[: one.EncapsulatedDocumentLength] == pdf
    assert one.MIMETypeOfEncapsulatedDocument == "application/pdf"
    series = headers(tmp_path / "series")[0]
    for keyword in ("PatientName", "StudyInstanceUID", "AccessionNumber"):
        assert one[keyword].value == series[keyword].value
    assert one.SeriesInstanceUID != series.SeriesInstanceUID
    assert errors_of(tmp_path / "report" / "0001.dcm") == []
