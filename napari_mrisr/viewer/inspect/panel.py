"""Form of the inspector, and the table of buckets; no logic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.scale import RealScale
from napari_mrisr.inspection.buckets import sort_rows
from napari_mrisr.viewer.common.dock import FormPanel
from napari_mrisr.viewer.common.fields import (
    BankField,
    LayerField,
    OptionalLayerField,
    ScaleField,
    narrow,
)
from napari_mrisr.viewer.inspect.controller import Column
from napari_mrisr.viewer.inspect.filter_view import FilterPanel
from napari_mrisr.viewer.inspect.painted import Lines, Readout

BAR_ROLE = Qt.ItemDataRole.UserRole + 1
_COLORS = {"voxels": QColor(70, 140, 210, 170), "training": QColor(230, 150, 50, 170)}

MAP, VOXEL, BUCKETS = range(3)
_FACTS = 15

_ABOUT = (
    "A bucket is a set of ranges of gradient features. All voxels of a bucket get the same "
    "filter. In the map, label n is bucket n − 1. Flat voxels have no filter and no color. "
    "Buckets that differ only in phase share a color."
)


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


class SecondBankField(BankField):
    """A bank to compare with, or none."""

    def set_names(self, names: Sequence[str], scale: RealScale | None) -> None:
        """Offer banks; the first entry is none instead of "auto"."""
        super().set_names(names, scale)
        self.setItemText(0, "no second bank")
        self.setToolTip("Bank with the same buckets, to compare filter by filter")


class InspectPanel(FormPanel):
    """The dock connects the signals and calls the ``show_`` methods."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.status.deleteLater()
        self.status = Lines(2, self)
        self.layer = LayerField(self)
        self.scale = ScaleField(self)
        self.bank = BankField(self)
        self.stage = narrow(QComboBox(self))
        self.stage.setToolTip(
            "A bank has several stages, each with its own buckets.\n"
            "Later stages work on the output of earlier stages."
        )
        self.show_button = QPushButton("Show bucket map", self)
        self.features_button = QPushButton("Add a feature map as a layer", self)
        self.features_button.setToolTip("Orientation, features, and the bins of features")
        self.features = QMenu(self.features_button)
        self.features_button.setMenu(self.features)
        self.bar.setMaximumHeight(8)
        self.follow = QCheckBox("Follow the cursor (click to hold a voxel)", self)
        self.follow.setChecked(True)
        self.readout = Readout(_FACTS, self)
        self.second = SecondBankField(self)
        tip = "Layer with the true values: measures the gain over tricubic per bucket"
        self.reference = OptionalLayerField("no reference", tip, self)
        self.only = QPushButton("Show only this", self)
        self.only.setCheckable(True)
        self.only.setToolTip("Show only the voxels of the chosen bucket in the map")
        self.save_button = QPushButton("CSV…", self)
        self.save_button.setToolTip("Save the table, all values in full")
        self.table = BucketView(self)
        self.bucket_line = Lines(3, self)
        self.filter = FilterPanel(self)
        self._form = {
            "Scan": self.layer, "Scale": self.scale, "Bank": self.bank, "Stage": self.stage,
        }  # fmt: skip
        self.fields = (
            *self._form.values(), self.reference, self.show_button, self.features_button,
        )  # fmt: skip
        self._lay_out()
        self.show_idle()

    def _lay_out(self) -> None:
        self.tabs = QTabWidget(self)
        self.tabs.addTab(self._map_tab(), "Map")
        self.tabs.addTab(self._voxel_tab(), "Voxel")
        self.tabs.addTab(self._bucket_tab(), "Buckets")
        self.tabs.currentChanged.connect(self._tab_changed)
        self._tab_changed(MAP)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.filter)

    def _tab_changed(self, current: int) -> None:
        self.filter.setVisible(current != MAP)
        for number in range(self.tabs.count()):
            # Ignore hidden tabs: the tallest would push the filter off the screen.
            preferred, ignored = QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored
            vertical = preferred if number == current else ignored
            self.tabs.widget(number).setSizePolicy(preferred, vertical)

    def _map_tab(self) -> QWidget:
        tab = QWidget(self)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, field in self._form.items():
            form.addRow(name, field)
        buttons = QHBoxLayout()
        buttons.addWidget(self.show_button, 3)
        buttons.addWidget(self.cancel_button, 2)
        about = Lines(7, tab)
        about.setText(_ABOUT)
        column = QVBoxLayout(tab)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.features_button)
        column.addWidget(about)
        column.addStretch(1)
        return tab

    def _voxel_tab(self) -> QWidget:
        tab = QWidget(self)
        column = QVBoxLayout(tab)
        column.setContentsMargins(4, 4, 4, 0)
        column.addWidget(self.follow)
        column.addWidget(self.readout)
        column.addStretch(1)
        return tab

    def _bucket_tab(self) -> QWidget:
        tab = QWidget(self)
        bar = QHBoxLayout()
        bar.setSpacing(4)
        bar.addWidget(self.second, 1)
        bar.addWidget(self.reference, 1)
        bar.addWidget(self.only)
        bar.addWidget(self.save_button)
        self.table.setMinimumHeight(150)
        column = QVBoxLayout(tab)
        column.setContentsMargins(0, 4, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.table, 1)
        column.addWidget(self.bucket_line)
        return tab

    def write_status(self, text: str, color: str | None) -> None:
        """Write into the status lines."""
        self.status.setText(text, color)

    def show_inspected(self, inspected: bool, *, buckets: bool = True) -> None:
        """Enable the tabs for voxel and buckets; a network has no buckets."""
        self.tabs.setTabEnabled(VOXEL, inspected)
        self.tabs.setTabEnabled(BUCKETS, inspected and buckets)
        self.follow.setVisible(buckets)

    def show_idle(self, text: str = "") -> None:
        """Enable the fields; without layers the scan stays disabled."""
        super().show_idle(text)
        self.layer.setEnabled(self.layer.count() > 0)

    def show_ready(self, *, show: bool, features: bool) -> None:
        """Enable the buttons that start a run."""
        self.show_button.setEnabled(show)
        self.features_button.setEnabled(features)
