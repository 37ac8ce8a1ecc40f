"""Dock "Compare": opens the comparison window and lists its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_mrisr.comparison.state import CompareState
from napari_mrisr.viewer.common.dock import Dock, note
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.window import CompareWindow

if TYPE_CHECKING:
    from napari.viewer import Viewer


class CompareWidget(Dock):
    """Small dock that owns the window: it opens with the dock, and closes with it.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose layers are compared.

    Attributes
    ----------
    comparison : CompareWindow
        May be closed while the dock stays. A dock that was closed and is docked again has
        a new window with the same comparison.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "compare", ComparePanel(), scroll=False)
        self.comparison: CompareWindow | None = None
        self.controller = Controller()
        self.controller.subscribe(self._state_changed)
        layout = QVBoxLayout(self)
        layout.addWidget(self.panel)
        layout.addStretch(1)
        self.panel.open_button.clicked.connect(self._open)
        self.attach()

    def _open(self) -> None:
        if self.comparison is not None:
            self.comparison.open_window()

    def attached(self) -> None:
        """Open the window."""
        self.comparison = CompareWindow(self._viewer, self.controller, self.tell_error)
        self.theme_changed()
        self.comparison.open_window()

    def detached(self, *, closing: bool) -> None:
        """Close the window for good."""
        comparison, self.comparison = self.comparison, None
        if comparison is not None:
            comparison.remove(napari_closes=closing)

    def theme_changed(self) -> None:
        """Show the window in napari's theme."""
        if self.comparison is not None:
            self.comparison.set_theme(self._viewer.theme, self.panel.error_color)

    def _state_changed(self, state: CompareState) -> None:
        self.panel.show_columns([self.controller.title(key) for key in state.columns])


class ComparePanel(QWidget):
    """Button that opens the window, and the names of the columns."""

    def __init__(self) -> None:
        super().__init__()
        self.error_color = "#d02020"
        self.open_button = QPushButton("Open comparison window", self)
        self.columns = QLabel(self)
        self.columns.setTextFormat(Qt.TextFormat.PlainText)
        self.error = note(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.open_button, self.columns, self.error):
            layout.addWidget(part)

    def show_columns(self, titles: list[str]) -> None:
        """List the columns."""
        metrics, width = self.columns.fontMetrics(), 260
        middle = Qt.TextElideMode.ElideMiddle
        lines = [f"{i}  {metrics.elidedText(t, middle, width)}" for i, t in enumerate(titles, 1)]
        self.columns.setText("\n".join(lines) or "No columns")
        self.columns.setToolTip("\n".join(titles))

    def show_error(self, line: str) -> None:
        """Show an error until the next one."""
        self.error.setStyleSheet(f"color: {self.error_color};")
        self.error.setText(line)
