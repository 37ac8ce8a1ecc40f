"""The histogram of buckets: a row a bucket, its counts as bars, sorted by any column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
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

from napari_mrisr.inspection import BankComparison, BucketTable, MeasuredGain
from napari_mrisr.inspection.buckets import sort_rows
from napari_mrisr.inspection.texts import number_text

BAR_ROLE = Qt.ItemDataRole.UserRole + 1
_COLORS = {"here": QColor(70, 140, 210, 170), "training": QColor(230, 150, 50, 170)}


@dataclass(frozen=True, eq=False)
class Column:
    """A column: its values, how to write them, and bars from 0 to 1 where there are."""

    name: str
    heading: str
    tip: str
    values: NDArray[Any]
    digits: int = 0
    bars: NDArray[np.float64] | None = None

    def text(self, row: int) -> str:
        """A cell."""
        value = self.values[row]
        return f"{value:,}" if self.values.dtype.kind in "iu" else number_text(value, self.digits)


def columns_of(
    table: BucketTable,
    reference: str | None,
    comparison: BankComparison | None = None,
    measured: MeasuredGain | None = None,
) -> list[Column]:
    """The columns of a table, of what was measured, and of the comparison with a second bank."""
    here, training = _bars(table.share("voxels"), table.share("training"))
    gain_tip = f"Over {reference}, of the training samples" if reference else (
        "Not known: the bank holds no error from before this stage"
    )  # fmt: skip
    columns = [
        Column("bucket", "Bucket", "Id; its label in the map is one more", table.bucket),
        Column("here", "Here", "Voxels of this volume inside the head", table.voxels, bars=here),
        Column("training", "Training", "Training samples", table.training, bars=training),
        Column("gain", "Gain, dB", gain_tip, table.gain, 2),
        Column(
            "error", "Error", "Residual RMSE of the training samples; window = 1", table.error, 4
        ),
    ]
    if measured is not None:
        tip = "dB, of the whole bank over tricubic, against the truth, inside the head"
        columns.insert(4, Column("measured", "Gain here", tip, measured.gain, 2))
    if comparison is None:
        return columns
    return [
        *columns,
        Column(
            "difference",
            "Filter Δ",
            "Length of the filters' difference over the first one's length",
            comparison.difference,
            3,
        ),
        Column(
            "error_ratio", "Error 2nd/1st", "Residual errors", comparison.error_ratio, 3
        ),
        Column(
            "support_ratio", "Training 2nd/1st", "Training samples", comparison.support_ratio, 2
        ),
    ]  # fmt: skip


def _bars(*shares: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Bars on one scale, the fullest bucket of all across the cell."""
    most = max(float(np.nanmax(share, initial=0.0)) for share in shares) or 1.0
    return [np.nan_to_num(share / most) for share in shares]


class BucketModel(QAbstractTableModel):
    """Columns for Qt."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.columns: list[Column] = []
        self.rows = np.zeros(0, np.int64)

    def set_columns(self, columns: list[Column], sort: str, descending: bool) -> None:
        """Show these, sorted by a column."""
        self.beginResetModel()
        self.columns = columns
        self.rows = sort_rows(columns[self.place(sort)].values, descending)
        self.endResetModel()

    def place(self, name: str) -> int:
        """Where a column stands."""
        names = [column.name for column in self.columns]
        return names.index(name) if name in names else 0

    def row_of(self, bucket: int) -> int:
        """Which row shows a bucket; -1 for none."""
        found = np.flatnonzero(self.rows == bucket)
        return int(found[0]) if found.size else -1

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Buckets."""
        return int(self.rows.size)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """See :func:`columns_of`."""
        return len(self.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, and the length of the bar."""
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
        """Headings and what they mean."""
        if orientation == Qt.Orientation.Horizontal and section < len(self.columns):
            if role == Qt.ItemDataRole.DisplayRole:
                return self.columns[section].heading
            if role == Qt.ItemDataRole.ToolTipRole:
                return self.columns[section].tip
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; what is not known comes last."""
        if 0 <= column < len(self.columns):
            self.layoutAboutToBeChanged.emit()
            descending = order == Qt.SortOrder.DescendingOrder
            before, self.rows = self.rows, sort_rows(self.columns[column].values, descending)
            # The chosen bucket stays chosen, wherever its row goes.
            old = self.persistentIndexList()
            new = [self.index(self.row_of(int(before[i.row()])), i.column()) for i in old]
            self.changePersistentIndexList(old, new)
            self.layoutChanged.emit()


class _Bars(QStyledItemDelegate):
    """A bar behind the text."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """From the left, as long as the count."""
        bar = index.data(BAR_ROLE)
        if bar is not None:
            name, length = bar
            cell = QRectF(option.rect).adjusted(1, 2, -1, -2)
            cell.setWidth(cell.width() * length)
            painter.fillRect(cell, _COLORS[name])
        super().paint(painter, option, index)


class BucketView(QTableView):
    """The histogram; tells which bucket a person chose."""

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
        # Most used first, until another order is asked for.
        header.setSortIndicator(1, Qt.SortOrder.DescendingOrder)
        header.setSortIndicatorShown(True)
        self.setSortingEnabled(True)
        self.selectionModel().currentRowChanged.connect(self._current_changed)
        self._quiet = False

    def set_columns(self, columns: list[Column]) -> None:
        """Show these in the order chosen before."""
        header = self.horizontalHeader()
        place = header.sortIndicatorSection()
        before = self.buckets.columns
        name = before[place].name if place < len(before) else "here"
        descending = header.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder
        self._quiet = True
        self.buckets.set_columns(columns, name, descending)
        header.setSortIndicator(self.buckets.place(name), header.sortIndicatorOrder())
        self._quiet = False
        for number, column in enumerate(columns):
            widest = max((column.text(row) for row in _samples(column)), key=len, default="")
            # Bold headings, and room for the arrow of the sort.
            text = max(column.heading + "      ", widest + "  ", key=len)
            self.setColumnWidth(number, self.fontMetrics().horizontalAdvance(text) + 8)

    @property
    def bucket(self) -> int | None:
        """The bucket of the chosen row."""
        row = self.currentIndex().row()
        return int(self.buckets.rows[row]) if 0 <= row < self.buckets.rowCount() else None

    def choose(self, bucket: int) -> None:
        """Mark a bucket's row and bring it in sight, without telling."""
        row = self.buckets.row_of(bucket)
        if row >= 0:
            self._quiet = True
            self.setCurrentIndex(self.buckets.index(row, 0))
            self._quiet = False

    def _current_changed(self, current: QModelIndex, before: QModelIndex) -> None:
        if not self._quiet and current.isValid():
            self.chosen.emit(int(self.buckets.rows[current.row()]))


def _samples(column: Column) -> list[int]:
    """Rows of the largest and smallest value, which are the longest texts."""
    values = column.values.astype(float)
    if not np.isfinite(values).any():
        return []
    return [int(np.nanargmax(values)), int(np.nanargmin(values))]
