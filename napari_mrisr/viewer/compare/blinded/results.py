"""Results of a blinded reading: scores per method, and sign tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.comparison.blinded.unblind import Unblinded, unblind
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.errors import MrisrError
from napari_mrisr.io import write_text
from napari_mrisr.viewer.common.dialogs import keep_open
from napari_mrisr.viewer.common.dock import note, saved_text

_NOTE = (
    "Better and worse: number of cases in which the first method of a pair is better or worse. p: "
    "two-sided exact sign test without ties. CI: exact confidence interval (Clopper–Pearson). "
    "One reader; cases count as independent."
)


class ResultsWindow(QWidget):
    """Window with the tables of an unblinded reading.

    Parameters
    ----------
    found : Unblinded
    path : Path
        File of answers.
    style : str
        Qt style sheet, such as napari's.
    """

    def __init__(self, found: Unblinded, path: Path, style: str = "") -> None:
        super().__init__(None, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        keep_open(self)
        self.setWindowTitle("Results of the blinded reading")
        self.setStyleSheet(style)
        self._found, self._path = found, path
        heading = QLabel(f"{found.question}   {len(found.answers)} of {found.planned} cases", self)
        heading.setTextFormat(Qt.TextFormat.PlainText)
        heading.setStyleSheet("font-size: 17px; font-weight: bold;")
        self.methods = _table(found.method_table(), self)
        self.pairs = _table(found.pair_table(), self)
        several = len(found.pairs())
        more = f" The {several} tests are not corrected for their number." if several > 1 else ""
        self.status = note(self)
        self.status.setOpenExternalLinks(True)
        copy, save = QPushButton("Copy", self), QPushButton("Save…", self)
        copy.setToolTip("Copy the tables as text")
        save.setToolTip("Save the scores of every case as CSV")
        copy.clicked.connect(self.copy)
        save.clicked.connect(lambda: self.save())
        buttons = QHBoxLayout()
        buttons.addWidget(self.status, 1)
        buttons.addWidget(copy)
        buttons.addWidget(save)
        layout = QVBoxLayout(self)
        words = note(self, f"{found.hit_text} {_NOTE}{more}".strip())
        for part in (heading, self.methods, self.pairs, words):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addLayout(buttons)
        layout.addWidget(note(self, f"{RESEARCH_USE[0].upper()}{RESEARCH_USE[1:]}."))
        self.resize(860, 420)

    def copy(self) -> None:
        """Copy the summary as text."""
        QApplication.clipboard().setText(self._found.summary())
        self.status.setText("Copied.")

    def save(self, path: str = "") -> None:
        """Save the scores of every case; without a path, ask for one."""
        if not path:
            name = str(self._path.with_name(f"{self._path.stem}-unblinded.csv"))
            path, _ = QFileDialog.getSaveFileName(self, "Save the scores", name, "CSV (*.csv)")
        if not path:
            return
        out = Path(path) if Path(path).suffix else Path(f"{path}.csv")
        try:
            write_text(out, self._found.to_csv())
        except MrisrError as error:
            self.status.setText(str(error))
            return
        self.status.setText(saved_text(out, "#6db3ff"))


def _table(rows: Sequence[tuple[str, ...]], parent: QWidget) -> QTableWidget:
    """Return a table that is as high as its rows and never cuts a number."""
    headings, *body = rows
    table = QTableWidget(len(body), len(headings), parent)
    table.setHorizontalHeaderLabels(headings)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.verticalHeader().hide()
    for line, row in enumerate(body):
        for place, text in enumerate(row):
            item = QTableWidgetItem(text)
            side = Qt.AlignmentFlag.AlignLeft if place == 0 else Qt.AlignmentFlag.AlignRight
            item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
            table.setItem(line, place, item)
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    row_height = table.verticalHeader().defaultSectionSize()
    table.setFixedHeight(row_height * len(body) + header.sizeHint().height() + 6)
    return table


def open_results(path: Path, style: str = "") -> ResultsWindow:
    """Return the window of a reading's results; raise :class:`MrisrError` for other files."""
    return ResultsWindow(unblind(path), path, style)


def ask_results(parent: QWidget, folder: Path) -> ResultsWindow | None:
    """Ask for a file of answers and return the window of its results, or None."""
    path, _ = QFileDialog.getOpenFileName(parent, "Answers", str(folder), "CSV (*.csv)")
    return open_results(Path(path), parent.styleSheet()) if path else None
