"""Dock with the DICOM series of a study: list, thumbnails, and open as layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.slices import slices_of
from napari_mrisr.errors import MrisrError
from napari_mrisr.io.read import list_series
from napari_mrisr.viewer.common.dock import Dock, FormPanel
from napari_mrisr.viewer.common.worker import Worker, WorkerProgress
from napari_mrisr.viewer.dicom.reading import series_layers

_THUMBNAIL = 56
_SERIES, _FRAME = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


class DicomPanel(FormPanel):
    """Tree of series with thumbnails; buttons to open a study or a series. No logic."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.folder_button = QPushButton("Open folder…", self)
        self.file_button = QPushButton("Open file…", self)
        self.file_button.setToolTip("A file of a series, a ZIP file or a DICOMDIR")
        self.tree = QTreeWidget(self)
        self.tree.setHeaderHidden(True)
        self.tree.setIconSize(QSize(_THUMBNAIL, _THUMBNAIL))
        self.tree.setWordWrap(True)
        self.tree.setSelectionMode(QTreeWidget.SelectionMode.ExtendedSelection)
        self.tree.setMinimumHeight(4 * _THUMBNAIL)
        self.load_button = QPushButton("Open series", self)
        self.load_button.setToolTip("Open the selected series or volume as a layer")
        self.fields = (self.folder_button, self.file_button, self.load_button)
        top, bottom = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.folder_button)
        top.addWidget(self.file_button)
        bottom.addWidget(self.load_button, 2)
        bottom.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self.tree, 1)
        layout.addLayout(bottom)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        self.load_button.setEnabled(False)

    def show_series(self, listed: Sequence[Any]) -> None:
        """List series; those that cannot be read say why."""
        self.tree.clear()
        for series in listed:
            item = QTreeWidgetItem([series.description])
            item.setData(0, _SERIES, series)
            item.setIcon(0, QIcon(_blank()))
            if series.problem:
                reason = series.problem.removeprefix(f"{series.path}: ").partition("; ")[0]
                item.setText(0, f"{series.description}\n{reason}")
                item.setToolTip(0, f"Cannot be read: {reason}")
                item.setDisabled(True)
            else:
                self._describe(item, series)
            self.tree.addTopLevelItem(item)

    def _describe(self, item: QTreeWidgetItem, series: Any) -> None:
        stack = series.stacks[0]
        count = len(series.stacks)
        voxels = " × ".join(map(str, stack.shape)) + (f", {count} volumes" if count > 1 else "")
        spacing = " × ".join(f"{mm:.3g}" for mm in stack.spacing)
        item.setText(0, f"{series.description}\n{voxels}\n{spacing} mm")
        origin = series.origin(stack)
        slices = slices_of(series.grid(stack), origin)
        facts = [str(slices)] if slices is not None else []
        item.setToolTip(0, "\n".join([*facts, *origin.acquisition]))
        if count > 1:
            for frame, name in enumerate(series.frames):
                child = QTreeWidgetItem([name])
                child.setData(0, _SERIES, series)
                child.setData(0, _FRAME, frame)
                item.addChild(child)

    def show_thumbnail(self, row: int, image: QPixmap) -> None:
        """Show the thumbnail of a series."""
        item = self.tree.topLevelItem(row)
        if item is not None:
            item.setIcon(0, QIcon(image))

    @property
    def chosen(self) -> list[tuple[Any, int | None]]:
        """Selected series and volumes that can be read."""
        items = [item for item in self.tree.selectedItems() if not item.isDisabled()]
        return [(item.data(0, _SERIES), item.data(0, _FRAME)) for item in items]


class DicomWidget(Dock):
    """DICOM series of a folder, ZIP file, DICOMDIR or file, opened as layers.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "mrisr-dicom", DicomPanel(), scroll=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel, 1000)  # napari adds a stretch below
        self._paths: list[Path] = []
        self._asked = QTimer(self)
        self._asked.setSingleShot(True)
        self._asked.timeout.connect(self._list)
        self.thumbnails = Worker()
        self.thumbnails.reported.connect(self._show_thumbnail)
        self.panel.folder_button.clicked.connect(self._browse_folder)
        self.panel.file_button.clicked.connect(self._browse_file)
        self.panel.load_button.clicked.connect(self.load)
        self.panel.tree.itemDoubleClicked.connect(lambda *_: self.load())
        self.panel.tree.itemSelectionChanged.connect(self._selected)
        self.attach()

    def open_paths(self, paths: Sequence[Path]) -> None:
        """List the series of paths, and open the only one.

        Paths that arrive together, as napari hands over files that were dropped, are listed
        together.
        """
        self._paths += [path for path in paths if path not in self._paths]
        self._asked.start(0)

    @property
    def busy(self) -> bool:
        """True while series are listed, opened or drawn."""
        return self.worker.running or self.thumbnails.running or self._asked.isActive()

    def load(self) -> None:
        """Open the selected series or volumes as layers."""
        chosen = self.panel.chosen
        if chosen and not self.worker.running:
            self._open(chosen)

    def detached(self, *, closing: bool) -> None:
        """Stop drawing thumbnails."""
        self.thumbnails.close()
        self._asked.stop()

    def refresh(self) -> None:
        """Enable what can be done."""
        super().refresh()
        self._selected()

    def work_finished(self, result: Any) -> None:
        """Show the series that were listed, or add the layers that were read."""
        kind, found = result
        if kind == "layers":
            self._add(found)
            return
        self._paths.clear()
        self.panel.show_series(found)
        self.thumbnails.submit(lambda progress: _draw_thumbnails(found, progress))
        scans = [series for series in found if series.is_scan and not series.problem]
        if len(scans) == 1:
            self._open([(scans[0], None)])
        elif found:
            self.panel.show_status(f"{len(found)} series. Double-click one to open it.")
        else:
            self.panel.show_error("No DICOM series found.")

    def work_failed(self, error: Exception) -> None:
        """Forget the paths, and show the error."""
        self._paths.clear()
        super().work_failed(error)

    def work_cancelled(self) -> None:
        """Forget the paths."""
        self._paths.clear()
        super().work_cancelled()

    def _list(self) -> None:
        paths = list(self._paths)
        self.follow_window()
        self.panel.show_running("Reading DICOM headers…")
        # A listing under way starts again with the paths that came later.
        self.worker.submit(lambda progress: ("series", list_series(paths, progress=progress)))

    def _open(self, chosen: Sequence[tuple[Any, int | None]]) -> None:
        def work(progress: WorkerProgress) -> Any:
            return "layers", [(s, series_layers(s, frame, progress)) for s, frame in chosen]

        self.run_work(work, f"Reading “{chosen[0][0].description}”…")

    def _add(self, found: Sequence[tuple[Any, Any]]) -> None:
        cautions, names = [], []
        for series, layers in found:
            for data, kwargs, _ in layers:
                self._viewer.add_image(data, **kwargs)
                names.append(f"“{kwargs['name']}”")
            cautions += [caution.text for caution in series.origin(series.stacks[0]).cautions]
        self.panel.show_status(" ".join([f"Opened {', '.join(names)}.", *cautions]))

    def _selected(self) -> None:
        self.panel.load_button.setEnabled(bool(self.panel.chosen) and not self.worker.running)

    def _show_thumbnail(self, event: tuple[int, np.ndarray]) -> None:
        row, image = event
        self.panel.show_thumbnail(row, _pixmap(image))

    def _browse_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a DICOM folder")
        if path:
            self.open_paths([Path(path)])

    def _browse_file(self) -> None:
        kinds = "DICOM (*.dcm *.ima *.zip DICOMDIR);;All files (*)"
        paths, _ = QFileDialog.getOpenFileNames(self, "Open DICOM files", "", kinds)
        if paths:
            self.open_paths([Path(path) for path in paths])


def _draw_thumbnails(listed: Sequence[Any], progress: WorkerProgress) -> None:
    for row, series in enumerate(listed):
        progress.token.check()
        if series.problem:
            continue
        try:
            progress.report((row, series.thumbnail(_THUMBNAIL)))
        except MrisrError:
            continue  # opening the series reports the cause


def _blank() -> QPixmap:
    pixmap = QPixmap(_THUMBNAIL, _THUMBNAIL)
    pixmap.fill(Qt.GlobalColor.transparent)
    return pixmap


def _pixmap(image: np.ndarray) -> QPixmap:
    """Return gray levels 0 to 255, (row, column), as a square picture."""
    missing = [_THUMBNAIL - n for n in image.shape]
    image = np.pad(image, [(n // 2, n - n // 2) for n in missing])
    rows, columns = image.shape
    picture = QImage(image.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(picture.copy())
