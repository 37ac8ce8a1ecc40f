"""Table of numbers, and the schedule of their computation: regions at once, then the head."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from qtpy.QtCore import QObject, Qt, QTimer, Signal
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

from napari_mrisr.comparison.measures import VolumeCache
from napari_mrisr.comparison.readouts import NumberBook
from napari_mrisr.comparison.roi import Roi
from napari_mrisr.comparison.table import Quantity, Row, Table
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.compare.fields import button

_NO_REGION = "Draw a box (B) or an ellipsoid (E) in a panel to measure a region."

_log = logging.getLogger(__name__)

# Letters of a heading that fit above a column.
_LONG_HEADING = 12

# Numbers of regions that take longer are computed in the background.
_AT_ONCE_S = 0.050


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
        # Keys belong to the panels.
        self.grid.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.grid.verticalHeader().hide()
        self.grid.verticalHeader().setDefaultSectionSize(self.fontMetrics().lineSpacing() + 6)
        self.grid.setWordWrap(False)
        self.grid.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.grid.cellClicked.connect(self._clicked)
        self.error_color, self.link_color = "#d02020", "#6db3ff"
        self.error = QLabel(self)
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        self.error.setWordWrap(True)
        self.error.hide()
        self.status = QLabel(_NO_REGION, self)
        self.status.setOpenExternalLinks(True)
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
        headings = [_in_lines(h) for h in table.headings()] if table.rows else []
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


def _in_lines(heading: str) -> str:
    """Return a heading in two lines: name and unit, or the halves of a long name."""
    name, _, unit = heading.partition(", ")
    if len(name) <= _LONG_HEADING:
        return f"{name}\n{unit}".strip()
    first, *rest = name.split(" ")
    return f"{first}\n{' '.join(rest)}{', ' if unit else ''}{unit}"


def _tip(row: Row, quantity: Quantity) -> str:
    value = row.values.get(quantity.name)
    return value.tooltip if value is not None else ""


class Meter(QObject):
    """Keeps the tables of the regions and the head up to date.

    Signals
    -------
    regions_measured, head_measured : Table
        New numbers.
    status_changed : str
        Work in progress, or an error; empty if none.
    """

    regions_measured = Signal(object)
    head_measured = Signal(object)
    status_changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.cache = VolumeCache()
        self._book: NumberBook | None = None
        self._rois: tuple[Roi, ...] = ()
        self._took_s = 0.0
        self._waiting = False
        self._on = True
        self._head, self._regions = Worker(), Worker()
        self._head.finished.connect(self._head_done)
        self._head.failed.connect(self._failed)
        self._head.progressed.connect(self._head_progressed)
        self._regions.finished.connect(self._regions_done)
        self._regions.failed.connect(self._failed)
        # A region that moves is measured once per turn of the event loop.
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._measure_regions)

    @property
    def busy(self) -> bool:
        """True while numbers are still to come."""
        running = self._head.busy or self._regions.busy
        return running or self._waiting or self._timer.isActive()

    def set_volumes(
        self,
        volumes: Mapping[str, Volume],
        columns: Sequence[str],
        truth: str | None,
        measured: str | None,
    ) -> None:
        """Measure these volumes from now on."""
        needed = [key for key in (*columns, truth, measured) if key is not None]
        chosen = {key: volumes[key] for key in needed}
        book = self._book
        if (
            book is not None
            and (book.columns, book.truth, book.measured) == (tuple(columns), truth, measured)
            and all(book.volumes.get(key) is volume for key, volume in chosen.items())
        ):
            return
        self._took_s = 0.0
        self._book = NumberBook(chosen, tuple(columns), truth, measured, self.cache)
        if not columns:
            self.forget()
            return
        book = self._book
        self.status_changed.emit("Measuring the head…")

        def head(progress: Progress) -> Table:
            lower_priority()
            book.prepare(progress)
            return book.head(progress)

        self._head.submit(head)
        self._measure_soon()

    def set_regions(self, rois: Sequence[Roi]) -> None:
        """Measure these regions from now on."""
        self._rois = tuple(rois)
        self._measure_soon()

    def forget(self) -> None:
        """Stop measuring."""
        self._book, self._waiting = None, False
        self._head.cancel()
        self._regions.cancel()
        self._timer.stop()
        self.status_changed.emit("")

    def close(self) -> None:
        """Stop all threads and wait for them."""
        self._on = False
        self._timer.stop()
        for worker in (self._head, self._regions):
            worker.close()

    def _measure_soon(self) -> None:
        if self._on and self._book is not None and not self._timer.isActive():
            self._timer.start()

    def _measure_regions(self) -> None:
        book, rois = self._book, self._rois
        if book is None:
            return
        # The head's thread is measuring what regions need of the reference.
        self._waiting = bool(rois) and not book.ready and self._head.busy
        if self._waiting:
            return
        # Regions that took long the last time are not measured at once again.
        if not rois or (book.ready and self._took_s < _AT_ONCE_S and not self._regions.running):
            started = time.perf_counter()
            try:
                table = measure(book, rois)
            except MrisrError as error:
                self._failed(error)
                return
            self._took_s = time.perf_counter() - started if rois else 0.0
            self.regions_measured.emit(table)
            return

        def work(progress: Progress) -> tuple[Table, float]:
            book.prepare(progress)
            started = time.perf_counter()
            return measure(book, rois, progress), time.perf_counter() - started

        self._regions.submit(work)

    def _regions_done(self, result: tuple[Table, float]) -> None:
        table, self._took_s = result
        self.regions_measured.emit(table)

    def _head_progressed(self, _: object) -> None:
        if self._waiting and self._book is not None and self._book.ready:
            self._measure_soon()

    def _head_done(self, table: Table) -> None:
        self.status_changed.emit("")
        self.head_measured.emit(table)
        if self._waiting:
            self._measure_soon()

    def _failed(self, error: Exception) -> None:
        line = error_line(error)
        if not isinstance(error, MrisrError):
            _log.error("%s", line, exc_info=error)
        self.status_changed.emit(line)
        if self._waiting:
            self._measure_soon()


def measure(book: NumberBook, rois: Sequence[Roi], progress: Progress | None = None) -> Table:
    """Return the numbers of regions, and the contrast of the first one with each other."""
    tables = [book.region(roi, progress) for roi in rois]
    tables += [book.contrast_to_noise(rois[0], roi) for roi in rois[1:]]
    return sum(tables[1:], tables[0]) if tables else Table(())


def lower_priority() -> None:
    """Let the GUI thread go first, before this thread and those that it starts."""
    if sys.platform == "linux":  # elsewhere this number is not a thread's
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
