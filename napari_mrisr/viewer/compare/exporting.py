"""Export of figure, table and comparison; without names unless the user wants them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from napari.utils.colormaps import ensure_colormap
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication, QFileDialog, QWidget

from napari_mrisr.comparison.document import OpenedState
from napari_mrisr.comparison.opening import neutral_labels
from napari_mrisr.comparison.state import RoiBox
from napari_mrisr.core.progress import Progress, ProgressState
from napari_mrisr.errors import MrisrError
from napari_mrisr.io import write_text
from napari_mrisr.viewer.common.dialogs import ask_volume_path, last_folder, remember_folder
from napari_mrisr.viewer.common.dock import saved_text
from napari_mrisr.viewer.common.labels import progress_label
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.compare.fields import caller, menu_button
from napari_mrisr.viewer.compare.linking.link import Link
from napari_mrisr.viewer.compare.live import LiveColumns, short_name
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.numbers import NumbersPanel
from napari_mrisr.viewer.compare.view import CompareView
from napari_mrisr.viewer.layers.convert import is_made, snapshot
from napari_mrisr.viewer.layers.saving import save_snapshot, suggested_path

_FIGURES = "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)"


class Exported(Protocol):
    """Window whose comparison is exported."""

    controller: Controller
    numbers: NumbersPanel
    link: Link
    live: LiveColumns | None
    view: CompareView

    def tell_error(self, error: Exception) -> None:
        """Show an error to the user."""

    def show_opened(self, found: OpenedState) -> None:
        """Show a comparison that was opened."""


class Exporter(QObject):
    """Export menu and the actions of its entries.

    Parameters
    ----------
    widget : Exported and QWidget
        Window whose comparison is exported.
    """

    def __init__(self, widget: Any) -> None:
        super().__init__(widget)
        self._widget: Exported = widget
        self._parent: QWidget = widget
        self._work = Worker()
        self._work.finished.connect(self._done)
        self._work.failed.connect(self._failed)
        self._work.progressed.connect(self._progressed)
        self.button, self.menu = menu_button(
            "File", "Open a comparison; save the figure, the table or the comparison", widget
        )
        self._add("Open comparison (JSON)…", self.open_state)
        self.menu.addSeparator()
        self.volume_menu = self.menu.addMenu("Save a volume (NIfTI)")
        self.volume_menu.aboutToShow.connect(self._offer_volumes)
        self._add("Save the figure (PNG, SVG, PDF)…", self.save_figure)
        self._add("Save the table (CSV)…", self.save_table)
        self._add("Copy the table", self.copy_table)
        self._add("Save the comparison (JSON)…", self.save_state)
        self.menu.addSeparator()
        self.magnify = self.menu.addAction("Magnify the selected region in the figure")
        self.magnify.setCheckable(True)
        self.names = self.menu.addAction("Include layer names and file paths")
        self.names.setCheckable(True)
        self.names.setToolTip(
            "Names and paths may identify patients. Without them, volumes are called reference,\n"
            "LR 2×, hashed 2× …, and a saved comparison finds its files by their content."
        )

    @property
    def busy(self) -> bool:
        """True while a file is being written."""
        return self._work.busy

    def close(self) -> None:
        """Cancel writing; no partial file stays."""
        self._work.close()

    def labels(self) -> dict[str, str]:
        """Return the names of the volumes in exports."""
        controller = self._widget.controller
        state = controller.state
        if self.names.isChecked():
            return dict(zip(*[state.keys()] * 2, strict=True))
        keys = tuple(state.keys())
        return neutral_labels(controller.volumes, keys, state.truth, state.measured)

    # Actions of the user; without a path a dialog asks for one.

    def copy_table(self) -> None:
        """Copy the numbers, separated by tabs, to the clipboard."""
        table = self._widget.numbers.table
        if table.rows:
            QApplication.clipboard().setText(table.text(self.labels()))
            self._widget.numbers.show_status("Table copied.")

    def save_table(self, path: str = "") -> None:
        """Save the numbers with their protocol as CSV."""
        table = self._widget.numbers.table
        if not table.rows:
            self._widget.numbers.show_status("No numbers yet.")
            return
        path = path or self._ask("Save the table", "comparison.csv", "CSV (*.csv)")
        if path:
            text = table.csv(self.labels())
            self._run(path, lambda progress: write_text(Path(path), text))

    def save_state(self, path: str = "") -> None:
        """Save the comparison, to be opened again."""
        from napari_mrisr.comparison.document import save_state

        controller = self._widget.controller
        if not controller.state.columns:
            self._widget.numbers.show_status("Nothing to save yet.")
            return
        if self._unfinished():
            return
        path = path or self._ask("Save the comparison", "comparison.json", "JSON (*.json)")
        if not path:
            return
        state, volumes = controller.state, controller.volumes_of_state()
        paths = self._widget.link.volumes.paths() if self.names.isChecked() else None
        self._run(
            path,
            lambda progress: save_state(state, volumes, path, paths=paths, overwrite=True),
        )

    def _offer_volumes(self) -> None:
        """List the columns, results first."""
        controller = self._widget.controller
        self.volume_menu.clear()
        layers = self._widget.link.volumes
        for key in sorted(controller.state.columns, key=lambda key: not is_made(layers.layer(key))):
            text = f"{short_name(controller.title(key))}…"
            self.volume_menu.addAction(text).triggered.connect(caller(self.save_volume, key))
        if self.volume_menu.isEmpty():
            self.volume_menu.addAction("No columns").setEnabled(False)

    def save_volume(self, key: str) -> None:
        """Save the layer of a column; ask for the file."""
        layers = self._widget.link.volumes
        live = self._widget.live
        if (live is not None and key in live.names()) and self._unfinished():
            return
        layer = layers.layer(key)
        if layer is None:
            return
        known = [layers.layer(other) for other in layers]
        path = ask_volume_path(self._parent, suggested_path(layer, known, last_folder()))
        if path is None:
            return
        try:
            taken = snapshot(layer)
        except MrisrError as error:
            self._widget.tell_error(error)
            return
        remember_folder(path.parent)
        self._run(str(path), lambda progress: save_snapshot(taken, path, progress))

    def open_state(self, path: str = "") -> None:
        """Open a saved comparison; its volumes are found among the layers and in its folder."""
        from napari_mrisr.comparison.document import open_state

        if not path:
            path, _ = QFileDialog.getOpenFileName(
                self._parent, "Open a comparison", "", "Comparison (*.json)"
            )
        if not path:
            return
        layers = self._widget.link.volumes
        volumes = {key: layers[key] for key in layers if layers.trouble(key) is None}
        self._widget.numbers.show_status(f"Opening {Path(path).name}…")
        self._work.submit(lambda progress: open_state(path, open_volumes=volumes))

    def save_figure(self, path: str = "") -> None:
        """Save the panels as a figure for a publication."""
        from napari_mrisr.figures.figure import scene_figure
        from napari_mrisr.figures.page import save_figure

        controller = self._widget.controller
        if not controller.state.columns:
            self._widget.numbers.show_status("Nothing to draw yet.")
            return
        if self._unfinished():
            return
        path = path or self._ask("Save the figure", "comparison.png", _FIGURES)
        if not path:
            return
        scene = controller.scene(self.labels(), self._inset())
        colors = {name: color_table(name) for name in controller.colormaps()}

        def write(progress: Progress) -> None:
            save_figure(scene_figure(scene, colormaps=colors), path)

        self._run(path, write)

    def _unfinished(self) -> bool:
        """Return whether a column is still being computed, and show which."""
        live = self._widget.live
        if live is None or not live.names():
            return False
        self._widget.numbers.show_status(f"Wait until {live.names()[0]} is computed, or remove it.")
        return True

    def _inset(self) -> RoiBox | None:
        """Return the selected region if the figure magnifies it."""
        view = self._widget.view
        if not self.magnify.isChecked() or view.pointing.chosen is None:
            return None
        return self._widget.controller.roi(view.pointing.chosen)

    def _ask(self, title: str, name: str, kinds: str) -> str:
        path, kind = QFileDialog.getSaveFileName(self._parent, title, name, kinds)
        if path and not Path(path).suffix and "*." in kind:
            path += "." + kind.partition("*.")[2].rstrip(")")
        return path

    def _run(self, path: str, write: Callable[[Progress], Any]) -> None:
        self._widget.numbers.show_status(f"Writing {Path(path).name}…")

        def work(progress: Progress) -> str:
            write(progress)
            return path

        self._work.submit(work)

    def _done(self, result: Any) -> None:
        if isinstance(result, str):
            text = saved_text(Path(result), self._widget.numbers.link_color)
            self._widget.numbers.show_status(text)
            if not self._widget.numbers.isVisible():
                show_info(f"Saved {Path(result).name}")
        else:
            self._widget.numbers.show_status("")
            self._widget.show_opened(result)

    def _progressed(self, state: ProgressState) -> None:
        self._widget.numbers.show_status(progress_label(state))

    def _failed(self, error: Exception) -> None:
        self._widget.tell_error(error)

    def _add(self, text: str, action: Callable[[], None]) -> None:
        self.menu.addAction(text).triggered.connect(lambda *_: action())


def color_table(name: str) -> np.ndarray:
    """Return the (256, 4) colors of a napari colormap, from 0 to 1."""
    colors: np.ndarray = ensure_colormap(name).map(np.linspace(0.0, 1.0, 256))
    return colors
