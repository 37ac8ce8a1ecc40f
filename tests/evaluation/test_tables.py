"""Rows to JSON, CSV and the table."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from napari_mrisr.evaluation.tables import (
    EvaluationReport,
    EvaluationRow,
    Failure,
    Statistic,
    times,
)


def row(file, method, psnr, *, scale="2", mask="head", ssim=0.9, gain=0.0, note=""):
    return EvaluationRow(
        file, scale, method, "standard", mask, psnr, ssim, gain, 1.5, "all settings", note
    )


@pytest.fixture
def report():
    rows = [
        row("a.nii", "nearest", 30.0, gain=-2.0),
        row("a.nii", "tricubic", 32.0),
        row("b.nii", "nearest", 33.0, gain=-1.0, ssim=0.8),
        row("b.nii", "tricubic", 34.0),
        row("a.nii", "tricubic", 36.0, mask="full"),
        row("a.nii", "tricubic", 28.0, scale="1x1x4"),
    ]
    failures = [Failure("c.nii", "c.nii: no such file; check the name")]
    return EvaluationReport({"name": "standard", "settings": "all settings"}, rows, failures)


def test_a_statistic_is_the_mean_and_the_sample_sd():
    found = Statistic.of([1.0, 2.0, 6.0, math.nan, math.inf])
    assert found == Statistic(3.0, pytest.approx(math.sqrt(7.0)), 3)


def test_one_value_has_no_sd_and_none_has_no_mean():
    assert math.isnan(Statistic.of([4.0]).sd)
    assert Statistic.of([4.0]).mean == 4.0
    assert math.isnan(Statistic.of([]).mean)


def test_the_summary_groups_by_scale_method_and_mask(report):
    found = {(s.scale, s.method, s.mask): s for s in report.summary()}
    assert set(found) == {
        ("2", "nearest", "head"),
        ("2", "tricubic", "head"),
        ("2", "tricubic", "full"),
        ("1x1x4", "tricubic", "head"),
    }
    nearest = found["2", "nearest", "head"]
    assert nearest.psnr_db == Statistic(31.5, pytest.approx(4.5**0.5), 2)
    assert nearest.ssim.mean == pytest.approx(0.85)
    assert nearest.gain_db.mean == pytest.approx(-1.5)


def test_the_table_is_the_paper_s(report):
    text = report.summary_table()
    assert text.startswith("Protocol standard: all settings")
    head = text[text.index("Mask head, 2 volumes") :].splitlines()
    assert head[1].split() == ["scale", "nearest", "tricubic"]
    assert "31.50 ± 2.12 / 0.8500" in head[2]
    assert "33.00 ± 1.41 / 0.9000" in head[2]
    assert head[2].startswith("2×")
    assert head[3].split() == ["-1.50", "±", "0.71"]
    assert head[4].split() == ["1×1×4", "–", "28.00", "/", "0.9000"]
    assert "Mask full, 1 volume" in text
    assert text.endswith("Not evaluated: c.nii: no such file; check the name")


def test_json_has_rows_summary_failures_and_protocol(report):
    content = json.loads(report.to_json())
    assert content["protocol"]["name"] == "standard"
    assert content["rows"][0] == {
        "file": "a.nii",
        "scale": "2",
        "axis": "",
        "method": "nearest",
        "protocol": "standard",
        "mask": "head",
        "psnr_db": 30.0,
        "ssim": 0.9,
        "gain_db": -2.0,
        "seconds": 1.5,
        "settings": "all settings",
        "note": "",
    }
    assert len(content["rows"]) == 6
    assert content["summary"][0]["psnr_db"] == {
        "mean": 31.5,
        "sd": pytest.approx(4.5**0.5),
        "count": 2,
    }
    assert content["failures"] == [
        {"file": "c.nii", "error": "c.nii: no such file; check the name"}
    ]


def test_json_stays_json_when_numbers_are_infinite_or_undefined():
    rows = [row("a.nii", "tricubic", math.inf, ssim=math.nan, note="equal")]
    text = EvaluationReport({"name": "n", "settings": "s"}, rows).to_json()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["rows"][0]["psnr_db"] is None
    assert content["rows"][0]["ssim"] is None
    assert content["rows"][0]["note"] == "equal"


def test_csv_has_a_header_and_a_line_a_row(report):
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert len(lines) == 6
    assert lines[0]["psnr_db"] == "30.0"
    assert lines[5]["scale"] == "1x1x4"


def test_csv_gives_a_spreadsheet_no_formula():
    report = EvaluationReport({}, [row("=1+1.nii", "nearest", -2.5)], [])
    (line,) = csv.DictReader(io.StringIO(report.to_csv()))
    assert line["file"] == "'=1+1.nii"
    assert line["psnr_db"] == "-2.5"


def test_a_report_of_failures_alone_has_a_table():
    report = EvaluationReport({"name": "n", "settings": "s"}, [], [Failure("a", "a: bad; mend")])
    assert report.summary_table().endswith("Not evaluated: a: bad; mend")


def test_scales_for_a_person():
    assert (times("2"), times("1x1x4")) == ("2×", "1×1×4")
