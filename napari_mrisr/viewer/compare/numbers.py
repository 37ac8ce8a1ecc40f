"""Table of numbers: regions first, the head last."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.comparison.table import Quantity, Row, Table
from napari_mrisr.viewer.compare.controls import button

_NO_REGION = "Draw a box (B) or an ellipsoid (E) in a panel to measure a region."


class NumbersPanel(QWidget):
    """Table of numbers; the tooltip of each cell explains how it was measured."""

    copy_requested = Signal()
    save_requested = Signal()
    region_selected = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._regions, self._head = Table(()), Table(())
        self._titles: Mapping[str, str] = {}
        self.grid = QTableWidget(0, 0, self)
        self.grid.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.grid.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.grid.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.grid.verticalHeader().hide()
        self.grid.verticalHeader().setDefaultSectionSize(self.fontMetrics().lineSpacing() + 6)
        self.grid.setWordWrap(False)
        self.grid.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.grid.cellClicked.connect(self._clicked)
        self.error_color = "#d02020"
        self.error = QLabel(self)
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        self.error.setWordWrap(True)
        self.error.hide()
        self.status = QLabel(_NO_REGION, self)
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.copy_button = button("Copy", "Copy the table to the clipboard", self)
        self.save_button = button("CSV…", "Save the table and how it was measured", self)
        self.copy_button.clicked.connect(self.copy_requested)
        self.save_button.clicked.connect(self.save_requested)
        bar = QHBoxLayout()
        bar.setContentsMargins(4, 0, 4, 0)
        bar.addWidget(self.status, 1)
        bar.addWidget(self.copy_button)
        bar.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.error)
        layout.addWidget(self.grid, 1)
        layout.addLayout(bar)

    @property
    def table(self) -> Table:
        """Return all rows."""
        if not self._regions.rows:
            return self._head
        return self._regions + self._head if self._head.rows else self._regions

    def set_titles(self, titles: Mapping[str, str]) -> None:
        """Set the names of the volumes."""
        if titles != self._titles:
            self._titles = titles
            self._show()

    def show_regions(self, table: Table) -> None:
        """Show new numbers of the regions."""
        self._regions = table
        self._show()

    def show_head(self, table: Table) -> None:
        """Show new numbers of the head."""
        self._head = table
        self._show()

    def show_status(self, text: str) -> None:
        """Show a line below the table."""
        self.status.setText(text or ("" if self._regions.rows else _NO_REGION))
        self.status.setToolTip(self.status.text())

    def show_error(self, line: str) -> None:
        """Show an error until it is replaced or emptied."""
        self.error.setStyleSheet(f"color: {self.error_color}; padding: 2px 6px;")
        self.error.setText(line)
        self.error.setVisible(bool(line))

    def _show(self) -> None:
        table, grid = self.table, self.grid
        headings = [h.replace(", ", "\n") for h in table.headings()] if table.rows else []
        grid.setUpdatesEnabled(False)
        if grid.columnCount() != len(headings) or grid.rowCount() != len(table.rows):
            grid.setColumnCount(len(headings))
            grid.setRowCount(len(table.rows))
            header = grid.horizontalHeader()
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
            # A number must not be cut off: scroll instead.
            header.setMinimumSectionSize(self.fontMetrics().horizontalAdvance("0,000,000") + 14)
        for place, heading in enumerate(headings):
            item = grid.horizontalHeaderItem(place)
            if item is None or item.text() != heading:
                item = QTableWidgetItem(heading)
                if place >= 2:
                    item.setToolTip(table.quantities[place - 2].formula)
                grid.setHorizontalHeaderItem(place, item)
        for line, row in enumerate(table.rows):
            texts = (row.region, self._titles.get(row.volume, row.volume))
            for place, text in enumerate(texts):
                self._put(line, place, text, text)
            for place, quantity in enumerate(table.quantities, start=2):
                self._put(line, place, row.text(quantity), _tip(row, quantity))
        grid.setUpdatesEnabled(True)
        if self._regions.rows and self.status.text() == _NO_REGION:
            self.show_status("")

    def _put(self, line: int, place: int, text: str, tip: str) -> None:
        item = self.grid.item(line, place)
        if item is None:
            item = QTableWidgetItem()
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            item.setTextAlignment(left if place < 2 else right)
            self.grid.setItem(line, place, item)
        if item.text() != text:
            item.setText(text)
        if item.toolTip() != tip:
            item.setToolTip(tip)

    def _clicked(self, line: int, place: int) -> None:
        rows = self.table.rows
        if 0 <= line < len(rows):
            self.region_selected.emit(rows[line].region)


def _tip(row: Row, quantity: Quantity) -> str:
    value = row.values.get(quantity.name)
    return value.tooltip if value is not None else ""
