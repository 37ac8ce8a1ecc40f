"""The list of volumes: layers and files, with the role of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.errors import MrisrError, VolumeError
from napari_mrisr.io import READABLE, find_volumes
from napari_mrisr.viewer.train.model import TRAIN, UNUSED, VALIDATE, FileEntry

_COLUMNS = {TRAIN: 1, VALIDATE: 2}
_CHECKED, _UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked


class VolumeList(QWidget):
    """Layers of the viewer and files to train on, to validate on, or unused."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: list[Any] = []
        self._roles: dict[int, str] = {}
        self.tree = QTreeWidget(self)
        self.tree.setHeaderLabels(["Volume", "Train", "Validate"])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setFixedHeight(8 * self.fontMetrics().lineSpacing())
        # An empty box is hardly visible on napari's dark theme.
        self.tree.setStyleSheet(
            "QTreeView::indicator:unchecked { border: 1px solid gray; width: 11px; height: 11px; }"
        )
        self.tree.header().setStretchLastSection(False)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in _COLUMNS.values():
            mode = QHeaderView.ResizeMode.ResizeToContents
            self.tree.header().setSectionResizeMode(column, mode)
        self.files_button = QPushButton("Add files…", self)
        self.folder_button = QPushButton("Add folder…", self)
        self.remove_button = QPushButton("Remove", self)
        self.remove_button.setToolTip("Remove the selected files from the list")
        buttons = QHBoxLayout()
        for button in (self.files_button, self.folder_button, self.remove_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        layout.addLayout(buttons)
        self.tree.itemChanged.connect(self._item_changed)
        self.tree.itemSelectionChanged.connect(self._selected)
        self.files_button.clicked.connect(self._browse_files)
        self.folder_button.clicked.connect(self._browse_folder)
        self.remove_button.clicked.connect(self.remove_selected)
        # Headers are read one per event loop, so that a long list does not freeze the window.
        self._reader = QTimer(self)
        self._reader.setInterval(0)
        self._reader.timeout.connect(self._read_next)
        self._selected()

    @property
    def layers(self) -> list[Any]:
        """The layers in the list."""
        return [entry for entry in self._entries if not isinstance(entry, FileEntry)]

    @property
    def files(self) -> list[FileEntry]:
        """The files in the list."""
        return [entry for entry in self._entries if isinstance(entry, FileEntry)]

    def chosen(self, role: str) -> list[Any]:
        """Return the layers and files of a role, in the order of the list."""
        return [entry for entry in self._entries if self.role(entry) == role]

    def role(self, entry: Any) -> str:
        """Return the role of a layer or file."""
        return self._roles.get(id(entry), UNUSED)

    def set_role(self, entry: Any, role: str) -> None:
        """Change the role of a layer or file."""
        self._roles[id(entry)] = role
        self._show_roles()
        self.changed.emit()

    def set_layers(self, layers: Sequence[Any]) -> None:
        """List these layers above the files; layers that stay keep their role."""
        gone = [entry for entry in self.layers if entry not in layers]
        for entry in gone:
            self._roles.pop(id(entry), None)
        self._fill([*layers, *self.files])

    def add_paths(self, paths: Sequence[Path | str]) -> None:
        """Add files and the files in folders, to train on."""
        unread: list[VolumeError] = []
        try:
            found = find_volumes(paths, unread)
        except MrisrError as error:
            self.failed.emit(error)
            return
        for folder_error in unread:
            self.failed.emit(folder_error)
        known = {entry.path for entry in self.files}
        new = [FileEntry(path) for path in found if path not in known]
        for entry in new:
            self._roles[id(entry)] = entry.role
        self._fill([*self._entries, *new])
        self._reader.start()

    def remove_selected(self) -> None:
        """Remove the selected files from the list."""
        rows = {self.tree.indexOfTopLevelItem(item) for item in self.tree.selectedItems()}
        off = [self._entries[r] for r in rows if isinstance(self._entries[r], FileEntry)]
        for entry in off:
            self._roles.pop(id(entry), None)
        self._fill([entry for entry in self._entries if entry not in off])

    def stop(self) -> None:
        """Stop reading headers."""
        self._reader.stop()

    def _fill(self, entries: list[Any]) -> None:
        self._entries = entries
        self.tree.blockSignals(True)
        self.tree.clear()
        for entry in entries:
            is_file = isinstance(entry, FileEntry)
            item = QTreeWidgetItem([entry.path.name if is_file else entry.name, "", ""])
            item.setToolTip(0, str(entry.path) if is_file else f"layer “{entry.name}”")
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            self.tree.addTopLevelItem(item)
        self.tree.blockSignals(False)
        self._show_roles()
        self._selected()
        self.changed.emit()

    def _show_roles(self) -> None:
        self.tree.blockSignals(True)
        for row, entry in enumerate(self._entries):
            item = self.tree.topLevelItem(row)
            if item is not None:
                for role, column in _COLUMNS.items():
                    on = self.role(entry) == role
                    item.setCheckState(column, _CHECKED if on else _UNCHECKED)
        self.tree.blockSignals(False)

    def _item_changed(self, item: QTreeWidgetItem, column: int) -> None:
        """Set the role of an item whose box was ticked; only one of its boxes can be."""
        role = next((role for role, c in _COLUMNS.items() if c == column), None)
        if role is not None:
            entry = self._entries[self.tree.indexOfTopLevelItem(item)]
            on = item.checkState(column) == _CHECKED
            self.set_role(entry, role if on else UNUSED)

    def _selected(self) -> None:
        rows = [self.tree.indexOfTopLevelItem(item) for item in self.tree.selectedItems()]
        files = any(isinstance(self._entries[row], FileEntry) for row in rows)
        self.remove_button.setEnabled(files)

    def _read_next(self) -> None:
        for row, entry in enumerate(self._entries):
            if isinstance(entry, FileEntry) and not entry.was_read:
                entry.read()
                item = self.tree.topLevelItem(row)
                if entry.error and item is not None:
                    item.setText(0, f"{entry.path.name} (cannot be used)")
                    item.setToolTip(0, entry.error)
                    self._roles[id(entry)] = UNUSED
                    self._show_roles()
                return
        self._reader.stop()
        self.changed.emit()

    def _browse_files(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in sorted(READABLE))
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Add high-resolution volumes", "", f"MRI volumes ({kinds});;All files (*)"
        )
        if paths:
            self.add_paths(paths)

    def _browse_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Add a folder of volumes")
        if path:
            self.add_paths([path])
