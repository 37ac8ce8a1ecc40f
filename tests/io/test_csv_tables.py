"""Cells of a CSV table that a spreadsheet must not run."""

from __future__ import annotations

import csv

import pytest

from napari_mrisr.io.csv_tables import csv_text, original_cell, safe_cell

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe_that_can_be_removed(text):
    assert safe_cell(text) == f"'{text}"
    assert original_cell(safe_cell(text)) == text


@pytest.mark.parametrize(
    "text", ["-1.5", "+2", "-inf", "1e-3", "sub-01.nii", "it's", "'quoted'", ""]
)
def test_numbers_and_plain_text_stay(text):
    assert safe_cell(text) == original_cell(text) == text


def test_rows_keep_their_numbers_and_quote_their_commas():
    text = csv_text([["file", "db"], ["=a,b", -1.25], ["c", None]])
    assert list(csv.reader(text.splitlines())) == [["file", "db"], ["'=a,b", "-1.25"], ["c", ""]]
