"""Parts of the window and their layout; no logic."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QSplitter, QVBoxLayout, QWidget

from napari_mrisr.viewer.common.fields import VerticalScroll, guard_wheel
from napari_mrisr.viewer.compare.exporting import Exporter
from napari_mrisr.viewer.compare.fields import button
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.numbers import NumbersPanel
from napari_mrisr.viewer.compare.settings import was_shown
from napari_mrisr.viewer.compare.side_panel import SidePanel
from napari_mrisr.viewer.compare.toolbar import Toolbar
from napari_mrisr.viewer.compare.view import CompareView


class MovedNotice(QWidget):
    """Line above the panels: which layers were moved by hand, and a button that undoes it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.text = QLabel(self)
        self.put_back = button("Put back", "Move the layer to its true place", self)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 8, 2)
        row.addWidget(self.text)
        row.addWidget(self.put_back)
        row.addStretch(1)
        self.hide()

    def show_moved(self, moved: dict[str, float]) -> None:
        """Show the layers and how far they were moved, mm; hide without one."""
        self.text.setText(
            "; ".join(f"{key} was moved {mm:.1f} mm by hand" for key, mm in moved.items())
        )
        self.setVisible(bool(moved))


class CompareForm(QWidget):
    """Top-level window with toolbar, panels, numbers and side panel.

    Parameters
    ----------
    controller : Controller
        Shown and changed by the parts.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__(None, Qt.WindowType.Window)
        self.setWindowTitle("Compare")
        self.controller = controller
        self.numbers = NumbersPanel()
        self.view = CompareView(controller, self)
        self.toolbar = Toolbar(controller, self)
        self.side = SidePanel(controller, self)
        self.exporter = Exporter(self)
        self._add_buttons()
        self._lay_out()
        guard_wheel(self)

    def _add_buttons(self) -> None:
        """Add what belongs to the whole window; the commonest at 1280 pixels, others in menus."""
        self.toolbar.addWidget(self.exporter.button)
        self.exporter.menu.addSeparator()
        self.methods = self.exporter.menu.addAction("Compare methods…")
        self.methods.setToolTip("Run several methods on one layer and compare their results")
        self.blinded = self.exporter.menu.addAction("Blinded reading…")
        self.blinded.setToolTip("Cases with hidden names and shuffled columns")
        self.toolbar.view_menu.addSeparator()
        self.help = self.toolbar.view_menu.addAction("Keys and mouse (H)")
        self.full = self.toolbar.view_menu.addAction("Full screen (F11)")
        self.numbers_button = button("Numbers", "Show the numbers (T)", self, checkable=True)
        self.numbers_button.setChecked(was_shown("numbers", True))
        self.side_button = button("Panel", "Columns, reference, regions (S)", self, checkable=True)
        self.side_button.setChecked(was_shown("side", False))
        self.toolbar.addWidget(self.numbers_button)
        self.toolbar.addWidget(self.side_button)

    def _lay_out(self) -> None:
        self._rows = QSplitter(Qt.Orientation.Vertical, self)
        self._rows.setChildrenCollapsible(False)
        self._rows.addWidget(self.view)
        self._rows.addWidget(self.numbers)
        self._rows.setStretchFactor(0, 1)
        self._rows.setStretchFactor(1, 0)
        self._rows.setSizes([700, 150])
        self._columns = QSplitter(Qt.Orientation.Horizontal, self)
        self._columns.setChildrenCollapsible(False)
        self._columns.addWidget(self._rows)
        self.side_scroll = VerticalScroll(self.side, self)
        self.side_scroll.setVisible(self.side_button.isChecked())
        self._columns.addWidget(self.side_scroll)
        self._columns.setStretchFactor(0, 1)
        self._columns.setStretchFactor(1, 0)
        self.place = QLineEdit(self)
        self.place.setPlaceholderText("Go to, e.g. R 12 P 4 S 7")
        self.place.setToolTip("Position in mm, or voxel 120 88 70; Return goes there (G)")
        self.place.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.place.setFixedWidth(190)
        self.view.below.insertWidget(1, self.place)
        self.notice = MovedNotice(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.toolbar)
        layout.addWidget(self.notice)
        layout.addWidget(self._columns, 1)
        self.setFocusProxy(self.view)
