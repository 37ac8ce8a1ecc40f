"""Table of buckets: one row per bucket, counts as bars, sortable by every column."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from napari_mrisr.inspection.buckets import sort_rows
from napari_mrisr.viewer.inspect.controller import Column

BAR_ROLE = Qt.ItemDataRole.UserRole + 1
_COLORS = {"voxels": QColor(70, 140, 210, 170), "training": QColor(230, 150, 50, 170)}


class BucketModel(QAbstractTableModel):
    """Table model of the columns."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.columns: list[Column] = []
        self.rows = np.zeros(0, np.int64)

    def set_columns(self, columns: list[Column], sort: str, descending: bool) -> None:
        """Show columns, sorted by one of them."""
        self.beginResetModel()
        self.columns = columns
        self.rows = sort_rows(columns[self.position(sort)].values, descending)
        self.endResetModel()

    def position(self, name: str) -> int:
        """Return the position of a column."""
        names = [column.name for column in self.columns]
        return names.index(name) if name in names else 0

    def row_of(self, bucket: int) -> int:
        """Return the row of a bucket; -1 for none."""
        found = np.flatnonzero(self.rows == bucket)
        return int(found[0]) if found.size else -1

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of buckets."""
        return int(self.rows.size)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return len(self.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return text, bar or alignment of a cell."""
        column, row = self.columns[index.column()], int(self.rows[index.row()])
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(row)
        if role == BAR_ROLE and column.bars is not None:
            return column.name, float(column.bars[row])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Return headings and their tooltips."""
        if orientation == Qt.Orientation.Horizontal and section < len(self.columns):
            if role == Qt.ItemDataRole.DisplayRole:
                return self.columns[section].heading
            if role == Qt.ItemDataRole.ToolTipRole:
                return self.columns[section].tip
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; unknown values come last."""
        if 0 <= column < len(self.columns):
            self.layoutAboutToBeChanged.emit()
            descending = order == Qt.SortOrder.DescendingOrder
            before, self.rows = self.rows, sort_rows(self.columns[column].values, descending)
            # The chosen bucket stays chosen.
            old = self.persistentIndexList()
            new = [self.index(self.row_of(int(before[i.row()])), i.column()) for i in old]
            self.changePersistentIndexList(old, new)
            self.layoutChanged.emit()


class _Bars(QStyledItemDelegate):
    """Paints a bar behind the text."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint the bar, then the text."""
        bar = index.data(BAR_ROLE)
        if bar is not None:
            name, length = bar
            cell = QRectF(option.rect).adjusted(1, 2, -1, -2)
            cell.setWidth(cell.width() * length)
            painter.fillRect(cell, _COLORS[name])
        super().paint(painter, option, index)


class BucketView(QTableView):
    """Table view; signals which bucket the user chooses."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buckets = BucketModel(self)
        self.setModel(self.buckets)
        self.setItemDelegate(_Bars(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        rows = self.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(self.fontMetrics().horizontalAdvance("000,000") + 10)
        header.setStretchLastSection(True)
        # The most frequent buckets first.
        header.setSortIndicator(1, Qt.SortOrder.DescendingOrder)
        header.setSortIndicatorShown(True)
        self.setSortingEnabled(True)
        self.selectionModel().currentRowChanged.connect(self._current_changed)
        self._choosing = False

    def set_columns(self, columns: list[Column]) -> None:
        """Show columns in the present order."""
        header = self.horizontalHeader()
        position = header.sortIndicatorSection()
        before = self.buckets.columns
        name = before[position].name if position < len(before) else "voxels"
        descending = header.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder
        self._choosing = True
        self.buckets.set_columns(columns, name, descending)
        header.setSortIndicator(self.buckets.position(name), header.sortIndicatorOrder())
        self._choosing = False
        for number, column in enumerate(columns):
            widest = max((column.text(row) for row in _samples(column)), key=len, default="")
            # Space for bold headings and the sort arrow.
            text = max(column.heading + "      ", widest + "  ", key=len)
            self.setColumnWidth(number, self.fontMetrics().horizontalAdvance(text) + 8)

    @property
    def bucket(self) -> int | None:
        """Bucket of the chosen row."""
        row = self.currentIndex().row()
        return int(self.buckets.rows[row]) if 0 <= row < self.buckets.rowCount() else None

    def choose(self, bucket: int) -> None:
        """Select the row of a bucket without a signal."""
        row = self.buckets.row_of(bucket)
        if row >= 0:
            self._choosing = True
            self.setCurrentIndex(self.buckets.index(row, 0))
            self._choosing = False

    def _current_changed(self, current: QModelIndex, before: QModelIndex) -> None:
        if not self._choosing and current.isValid():
            self.chosen.emit(int(self.buckets.rows[current.row()]))


def _samples(column: Column) -> list[int]:
    """Return the rows of the largest and smallest value, which have the longest texts."""
    values = column.values.astype(float)
    if not np.isfinite(values).any():
        return []
    return [int(np.nanargmax(values)), int(np.nanargmin(values))]
