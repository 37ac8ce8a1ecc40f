"""Tables of an unblinded reading in their window."""

from __future__ import annotations

import csv

from qtpy.QtWidgets import QApplication

from napari_mrisr.comparison.blinded.unblind import Unblinded, UnblindedAnswer
from napari_mrisr.viewer.compare.blinded.results import ResultsWindow

FOUND = Unblinded(
    "Sharper?",
    ("tricubic", "hashed"),
    tuple(UnblindedAnswer(f"c{i}", (-1, 1) if i else (1, -1), 2.0) for i in range(8)),
    9,
)


def test_tables_copy_and_file(qtbot, tmp_path):
    window = ResultsWindow(FOUND, tmp_path / "reading.csv")
    qtbot.addWidget(window)
    window.show()
    headings = [window.pairs.horizontalHeaderItem(i).text() for i in range(6)]
    cells = [window.pairs.item(0, i).text() for i in range(6)]
    assert headings[:4] == ["Methods", "Better", "Worse", "Equal"]
    assert cells[:4] == ["tricubic – hashed", "1", "7", "0"]
    assert "95 % CI" in cells[4] and cells[5] == "0.0703"
    # Every cell is wide enough for its text.
    for table in (window.methods, window.pairs):
        for column in range(table.columnCount()):
            for row in range(table.rowCount()):
                text = table.item(row, column).text()
                assert table.columnWidth(column) >= table.fontMetrics().horizontalAdvance(text)
    window.copy()
    assert "two-sided sign test" in QApplication.clipboard().text()
    window.save(str(tmp_path / "scores"))
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text("utf-8").splitlines()))
    assert rows[0] == {"case": "c0", "tricubic": "1", "hashed": "-1", "seconds": "2.0"}
    assert "Saved scores.csv" in window.status.text()
    window.save(str(tmp_path / "no" / "x.csv"))
    assert "no" in window.status.text() and "Saved" not in window.status.text()
