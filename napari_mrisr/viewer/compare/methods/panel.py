"""Form of the dock. No logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QRadioButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.viewer.common.dock import FormPanel, note
from napari_mrisr.viewer.common.fields import LayerField, ScaleField

_ROWS_SHOWN = 10


class MethodTable(QTableWidget):
    """Methods with a check mark and a time, and their numbers after a run.

    Signals
    -------
    picked
        The user has checked or unchecked a method.
    """

    picked = Signal()

    def __init__(self, checked: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self._checked = set(checked)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        line = self.fontMetrics().lineSpacing() + 6
        self.verticalHeader().setDefaultSectionSize(line)
        self.setMinimumHeight(line * (_ROWS_SHOWN + 1))
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setStretchLastSection(True)
        self.itemChanged.connect(self._changed)

    def show_methods(self, methods: Mapping[str, tuple[str, str]]) -> None:
        """Offer methods: summary, and why one does not fit (empty if it does)."""
        with QSignalBlocker(self):
            self.setRowCount(len(methods))
            for row, (name, (summary, trouble)) in enumerate(methods.items()):
                item = QTableWidgetItem(name)
                item.setToolTip(trouble or summary)
                flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable
                item.setFlags(flags if trouble else flags | Qt.ItemFlag.ItemIsEnabled)
                on = name in self._checked and not trouble
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
                self.setItem(row, 0, item)

    def names(self) -> list[str]:
        """Return all methods."""
        return [self._text(row, 0) for row in range(self.rowCount())]

    def chosen(self) -> tuple[str, ...]:
        """Return the checked methods, from the top."""
        rows = range(self.rowCount())
        checked = (row for row in rows if self._item(row).checkState() == Qt.CheckState.Checked)
        return tuple(self._text(row, 0) for row in checked)

    def show_numbers(
        self, times: Mapping[str, str], headings: Sequence[str], rows: Mapping[str, Sequence[str]]
    ) -> None:
        """Show the time of each method, and below the other headings its numbers."""
        with QSignalBlocker(self):
            self.setColumnCount(2 + len(headings))
            self.setHorizontalHeaderLabels(["method", "time", *map(_short, headings)])
            for column, heading in enumerate(headings, start=2):
                item = self.horizontalHeaderItem(column)
                if item is not None:
                    item.setToolTip(heading)
            for row, name in enumerate(self.names()):
                cells = rows.get(name, [""] * len(headings))
                for column, text in enumerate([times.get(name, ""), *cells], start=1):
                    item = QTableWidgetItem(text)
                    item.setFlags(self._item(row).flags() & ~Qt.ItemFlag.ItemIsUserCheckable)
                    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    item.setTextAlignment(right)
                    item.setToolTip(self._item(row).toolTip())
                    self.setItem(row, column, item)

    def _item(self, row: int) -> QTableWidgetItem:
        item = self.item(row, 0)
        assert item is not None, "every row has a method"
        return item

    def _text(self, row: int, column: int) -> str:
        item = self.item(row, column)
        return "" if item is None else item.text()

    def _changed(self, item: QTableWidgetItem) -> None:
        on = item.checkState() == Qt.CheckState.Checked
        (self._checked.add if on else self._checked.discard)(item.text())
        self.picked.emit()


def _short(heading: str) -> str:
    """Return a heading that leaves room for three numbers in a dock."""
    return heading.replace(" over tricubic", "").replace(" of window", "").replace(" (", "\n(")


class MethodsPanel(FormPanel):
    """Layer, what is compared, scale, methods; Compare, Cancel, and the page."""

    def __init__(self, checked: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer = LayerField(self, results=False)
        self.source = note(self)
        self.simulate = QRadioButton("Simulate a low-resolution scan", self)
        self.simulate.setToolTip(
            "Degrade this layer, super-resolve it, and measure the gain.\nThis layer is the truth."
        )
        self.direct = QRadioButton("Super-resolve this layer", self)
        self.direct.setToolTip("No truth is known: width of edges, noise and stripes are measured.")
        self.kind = QButtonGroup(self)
        self.kind.addButton(self.simulate)
        self.kind.addButton(self.direct)
        self.simulate.setChecked(True)
        self.scale = ScaleField(self, real=True)
        self.table = MethodTable(checked, self)
        self.plan = note(self)
        self.run_button = QPushButton("Compare", self)
        self.save_button = QPushButton("Save page (PDF)…", self)
        self.save_button.setToolTip("Slices, differences and the table on one page, without names")
        self.fields = (
            self.layer,
            self.simulate,
            self.direct,
            self.scale,
            self.table,
            self.run_button,
            self.save_button,
        )
        self._lay_out()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Layer", self.layer)
        form.addRow("", self.source)
        form.addRow("Compare", self.simulate)
        form.addRow("", self.direct)
        form.addRow("Scale", self.scale)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.plan)
        layout.addWidget(note(self, "Research use. Not for diagnosis."))
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        buttons.addWidget(self.save_button, 2)
        self.pin(self.bar, self.status, buttons)
