"""upscale --dicom and --anonymize; nothing about the patient in any output."""

from __future__ import annotations

import gzip
import json
import signal

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")
from helpers import dicoms  # noqa: E402
from pydicom.uid import (  # noqa: E402
    EncapsulatedPDFStorage,
    MRImageStorage,
    ParametricMapStorage,
)
from pypdf import PdfReader  # noqa: E402

from napari_mrisr.io import read_volume  # noqa: E402

from .conftest import interrupt_at, make_scan  # noqa: E402

SHAPE = (27, 22, 24)


@pytest.fixture
def study(tmp_path):
    folder = dicoms.series(
        tmp_path / "study", dicoms.voxels(SHAPE), orientation=dicoms.SAGITTAL, distance=0.9
    )
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        one.OperatorsName, one.PatientComments = "Planted^Operator", "PLANTED comment"
        one.save_as(path)
    return folder


def headers(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def planted(study):
    """Return names, IDs, UIDs and dates of a study."""
    one = headers(study)[0]
    uids = {str(e.value) for e in one if e.VR == "UI" and not e.keyword.startswith("SOPClass")}
    return {"Planted", "PLANTED", "19331224", "20010203"} | uids


def content_of(path):
    """Return the bytes of a file, unpacked."""
    content = path.read_bytes()
    if path.suffix == ".pdf":
        return content + "".join(page.extract_text() for page in PdfReader(path).pages).encode()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def check_unnamed(study, root, found, skip=()):
    texts = {"output": (found.out + found.err).encode()}
    texts |= {
        str(path.relative_to(root)): str(path.relative_to(root)).encode() + content_of(path)
        for path in root.rglob("*")
        if path.is_file() and study not in path.parents
    }
    assert len(texts) > 1
    for name, text in texts.items():
        for value in planted(study):
            assert value.encode() not in text, f"{value} in {name}"


def test_a_series_is_written_into_a_folder_of_its_own(run, study, tmp_path):
    arguments = ("--method", "tricubic", "--scale", "1x1x2", "--dicom")
    found = run("upscale", study, tmp_path / "out", *arguments)
    assert found.code == 0, found.err
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name == "2_T1w_desc-sr1x1x2"
    assert f"{folder}: 27 × 22 × 48 voxels" in found.out
    assert "stored as integers, rounded by at most 0.5" in found.out
    run("upscale", study, tmp_path / "same.nii", *arguments[:-1])
    ours, back = read_volume(tmp_path / "same.nii"), read_volume(folder)
    assert np.array_equal(np.rint(ours.data), back.data)
    assert np.allclose(ours.grid.affine, back.grid.affine, atol=1e-5)
    again = run("upscale", study, tmp_path / "out", *arguments)
    assert again.code == 2
    assert "exists already" in again.error
    found = run("upscale", study, tmp_path / "out", *arguments, "--skip-existing", "--json")
    assert json.loads(found.out)["status"] == "skipped"
    assert run("upscale", study, tmp_path / "out", *arguments, "--overwrite").code == 0


def test_results_inside_the_study_are_no_input_of_the_next_run(run, study):
    arguments = ("--method", "tricubic", "--scale", "1x1x2", "--dicom")
    for number in ("first", "second"):
        found = run("upscale", study, study / "results" / number, *arguments)
        assert found.code == 0, found.err
        assert len(list((study / "results" / number).iterdir())) == 1


def test_maps_report_and_series_are_anonymous(run, study, bank, tmp_path):
    out = tmp_path / "out"
    options = ("--bank", bank, "--maps", "--report", "--dicom", "--anonymize", "--verbose")
    found = run("upscale", study, out, *options)
    assert found.code == 0, found.err
    kinds = {path.name: headers(path) for path in out.iterdir()}
    assert {name: (ones[0].SOPClassUID, len(ones)) for name, ones in kinds.items()} == {
        "2_T1w_desc-sr2x": (MRImageStorage, 48),
        "2_T1w_desc-sr2xexperr": (ParametricMapStorage, 1),
        "2_T1w_desc-sr2xsupport": (ParametricMapStorage, 1),
        "2_T1w_desc-sr2xconsistency": (ParametricMapStorage, 1),
        "2_T1w_desc-sr2xreport": (EncapsulatedPDFStorage, 1),
    }
    firsts = [ones[0] for ones in kinds.values()]
    for keyword in ("PatientID", "StudyInstanceUID", "StudyDate"):
        assert len({one[keyword].value for one in firsts}) == 1
    assert len({one.SeriesInstanceUID for one in firsts}) == 5
    assert sorted(one.SeriesNumber for one in firsts) == [201, 202, 203, 204, 205]
    check_unnamed(study, tmp_path, found)


def test_nothing_about_the_patient_leaves_in_other_formats(
    run, study, bank, small_presets, tmp_path
):
    found = run(
        "upscale", study, tmp_path / "high.nii.gz", "--bank", bank, "--maps", "--report",
        "--verbose", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    check_unnamed(study, tmp_path, found)
    found = run("train", study, "--scale", "2", "--out", tmp_path / "own.safetensors")
    assert found.code == 0, found.err
    check_unnamed(study, tmp_path, found)
    found = run("info", study)
    check_unnamed(study, tmp_path, found)
    assert run("degrade", study, tmp_path / "low.nii", "--scale", "2").code == 0
    files = [f"--{kind}={tmp_path / name}" for kind, name in
             (("figure", "f.pdf"), ("csv", "t.csv"), ("json", "t.json"))]  # fmt: skip
    found = run("evaluate", study, "--methods", "nearest,tricubic", "--verbose", *files)
    assert found.code == 0, found.err
    check_unnamed(study, tmp_path, found)
    files = [f"--figure={tmp_path / 'c.pdf'}", f"--table={tmp_path / 'c.csv'}"]
    found = run("compare", tmp_path / "high.nii.gz", study, "--measured", study, *files)
    assert found.code == 0, found.err
    check_unnamed(study, tmp_path, found)


def test_ctrl_c_leaves_no_series_half_written(run, study, tmp_path, monkeypatch):
    interrupt_at(monkeypatch, "writing 2_T1w", signal.SIGINT, done=5)
    options = ("--method", "tricubic", "--scale", "1x1x2", "--dicom")
    found = run("upscale", study, tmp_path / "out", *options)
    assert found.code == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


@pytest.mark.parametrize(
    ("out", "options", "error"),
    [
        ("o.nii.gz", ["--dicom"], r"o.nii.gz is no folder; give a folder as OUT"),
        ("out", ["--anonymize"], "add --dicom"),
        ("out", ["--dicom", "--dtype", "int16"], "drop --dtype"),
        ("out", ["--dicom", "--memory", "1GB"], "drop --dicom"),
        ("out", ["--dicom", "--anonymize", "--dask", "tcp://localhost:1"], "drop --dask"),
    ],
)
def test_options_that_do_not_fit_are_refused(run, study, tmp_path, out, options, error):
    found = run("upscale", study, tmp_path / out, "--method", "tricubic", *options)
    assert found.code == 2
    assert error in found.error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_only_dicom_input_gives_dicom(run, tmp_path):
    scan = make_scan(tmp_path / "scan.nii.gz")
    found = run("upscale", scan, tmp_path / "out", "--method", "tricubic", "--dicom")
    assert found.code == 2
    assert "scan.nii.gz is no DICOM series" in found.error
