"""CSV text whose cells a spreadsheet shows and never runs as formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV, each text cell made safe by :func:`safe_cell`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue()


def safe_cell(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run as a formula.

    A file name such as ``=HYPERLINK(...).nii`` becomes ``'=HYPERLINK(...).nii``.
    Numbers stay as they are. :func:`original_cell` undoes it.
    """
    return f"'{text}" if _is_formula(text) and not _is_number(text) else text


def original_cell(text: str) -> str:
    """Return the text that :func:`safe_cell` was given."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    # Leading apostrophes count as added ones, so that the change can be undone.
    return text.lstrip("'").startswith(_FORMULA)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
