"""Tables: digits, dashes, CSV and the clipboard."""

from __future__ import annotations

import csv
import io
import math

import pytest

from napari_mrisr.comparison.table import (
    CNR,
    MEAN,
    PSNR,
    SSIM,
    WITH_REFERENCE,
    WITHOUT_REFERENCE,
    Basis,
    Row,
    Table,
    Value,
)

BASIS = Basis(
    "box, 20 × 20 × 10 mm; 4000 voxels",
    "the reference, 64 × 64 × 40 voxels of 1 × 1 × 1 mm",
    "the same voxels",
    "870, 0 to the reference's 99.9th percentile 870",
    "Gaussian σ 1.5, 11³ voxels",
)


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        (41.23456, ".2f", "41.23"),
        (0.98765, ".4f", "0.9877"),
        (1234567.0, ",d", "1,234,567"),
        (0.0, "4g", "0"),
        (12345.67, "4g", "12,346"),
        (123.456, "4g", "123.5"),
        (9.99996, "4g", "10.00"),
        (0.0012345, "4g", "0.001234"),
        (1.23456e-7, "4g", "1.235e−07"),
        (-4.5678, "4g", "−4.568"),
        (4.5678, "+3g", "+4.57"),
        (-0.0, "+3g", "0"),
        (math.nan, ".2f", "–"),
        (math.inf, ".2f", "∞"),
        (-math.inf, ".2f", "−∞"),
    ],
)
def test_values_have_sensible_digits(value, style, text):
    assert Value(value, style=style).text == text


def test_a_tooltip_begins_with_the_reason():
    assert Value(math.nan, "too small", "mask: box").tooltip == "too small\nmask: box"
    assert Value(1.0, "", "mask: box").tooltip == "mask: box"


def rows():
    """Two volumes; the first number of each quantity is its place in the table."""
    known = {
        q.name: Value(i + 0.123456789012, "", "", q.style) for i, q in enumerate(WITH_REFERENCE)
    }
    dashes = known | {
        "psnr": Value(math.inf, "equal", style=".2f"),
        "ssim": Value(math.nan, "too small", style=".4f"),
        "sd": Value(math.nan, "too small"),
    }
    return (
        Row("cortex", "Smith_T1", known, BASIS, True),
        Row("cortex", "Smith_SR", dashes, BASIS),
    )


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_full_digits_and_the_protocol():
    first, second = read(Table(WITH_REFERENCE, rows()).csv({"Smith_T1": "reference"}))
    assert (first["region"], first["volume"], first["role"]) == ("cortex", "reference", "reference")
    assert first["psnr_db"] == "0.123456789"
    assert float(first["rmse"]) == pytest.approx(2.123456789)
    assert first["n_voxels"] == "5"
    assert first["mask"] == BASIS.mask
    assert first["data_range"] == BASIS.data_range
    assert first["ssim_window"] == BASIS.ssim_window
    assert first["grid"] == BASIS.grid
    assert first["resampling"] == "the same voxels"
    assert first["notes"] == ""
    assert "research use, not for diagnosis" in first["made_by"]
    assert (second["role"], second["psnr_db"], second["ssim"]) == ("compared", "inf", "")
    assert second["notes"] == "PSNR: equal; SSIM, SD: too small"


def test_names_of_layers_are_not_exported_unless_given():
    text = Table(WITH_REFERENCE, rows()).csv({"Smith_SR": "hashed"}, {"cortex": "region 1"})
    assert "Smith" not in text
    assert "cortex" not in text
    assert [row["volume"] for row in read(text)] == ["volume 1", "hashed"]
    assert [row["region"] for row in read(text)] == ["region 1", "region 1"]


def test_no_cell_says_nan():
    table = Table(WITH_REFERENCE, rows())
    for text in (table.csv({}), table.text({})):
        assert "nan" not in text.lower()


def test_the_clipboard_gets_tabs_and_what_is_shown():
    lines = Table(WITH_REFERENCE, rows()).text({"Smith_SR": "SR\tof\ntoday"}).splitlines()
    heading, first, second = (line.split("\t") for line in lines)
    assert heading[:4] == ["Region", "Volume", "PSNR, dB", "SSIM"]
    assert first[:4] == ["cortex", "volume 1", "0.12", "1.1235"]
    assert second[:4] == ["cortex", "SR of today", "∞", "–"]


def test_neither_csv_nor_clipboard_gives_a_spreadsheet_a_formula():
    table = Table(WITH_REFERENCE, rows())
    labels = {"Smith_SR": "@SUM(A1)"}
    assert read(table.csv(labels, {"cortex": "=1+1"}))[1]["volume"] == "'@SUM(A1)"
    assert read(table.csv(labels, {"cortex": "=1+1"}))[1]["region"] == "'=1+1"
    assert "\t'@SUM(A1)\t" in table.text(labels)


def test_tables_add_up():
    pair = Row("a | b", "Smith_T1", {"cnr": Value(3.14159, style=CNR.style)}, BASIS)
    both = Table(WITH_REFERENCE, rows()) + Table((CNR,), (pair,))
    assert both.quantities == (*WITH_REFERENCE, CNR)
    assert both.cells(both.rows[2], {})[-2:] == ("", "3.14")
    assert both.cells(both.rows[0], {})[-1] == ""
    assert read(both.csv({}))[2]["psnr_db"] == ""
    assert (both + both).quantities == both.quantities


def test_a_protocol_has_what_matters_to_its_quantity():
    assert "data range: 870" in BASIS.describe(PSNR)
    assert "window" not in BASIS.describe(PSNR)
    assert "SSIM window: Gaussian" in BASIS.describe(SSIM)
    assert "data range" not in BASIS.describe(MEAN)
    for quantity in (*WITH_REFERENCE, *WITHOUT_REFERENCE, CNR):
        assert BASIS.describe(quantity).startswith(
            f"{quantity.title}: {quantity.formula}\nmask: box"
        )
