"""Toolbar of the window: modes, differences, tools, and menus with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QPoint, QSignalBlocker, Qt, Signal
from qtpy.QtGui import QAction, QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QMenu, QToolBar, QToolButton, QWidget

from napari_mrisr.comparison.scene import difference_title
from napari_mrisr.comparison.state import (
    CHECKERBOARD,
    FLICKER,
    MOSAIC,
    PAIR_MODES,
    SIDE_BY_SIDE,
    SWIPE,
    CompareState,
    Difference,
)
from napari_mrisr.core.frames import PLANES
from napari_mrisr.viewer.compare.fields import ChoiceBox, button, caller, menu_button, number
from napari_mrisr.viewer.compare.model.controller import Controller

_MODES = (
    (SIDE_BY_SIDE, "Side by side", "All columns, side by side (1)"),
    (SWIPE, "Swipe", "Two columns, separated by a line that you drag (2)"),
    (FLICKER, "Flicker", "Two columns in turn, by the space bar or at a rate (3)"),
    (CHECKERBOARD, "Checker", "Checkerboard of two columns, 20 mm squares (4)"),
    (MOSAIC, "Mosaic", "Every n-th slice of one volume (5)"),
)
_TOOLS = (
    ("box", "Box", "Draw a box as a region of interest (B)"),
    ("ellipsoid", "Ellipsoid", "Draw an ellipsoid as a region of interest (E)"),
    ("ruler", "Ruler", "Measure a length in mm: drag (K)"),
    ("angle", "Angle", "Measure an angle: drag to its corner, then click (J)"),
)
_TOGGLES = (
    ("smooth", "Smooth display (I)", "Interpolate between voxels on screen"),
    ("one_window", "Same contrast for all columns (L)", "Window and level of all columns change"),
    ("crosshair_shown", "Crosshair (X)", ""),
)
# Text, and percentiles of the volume or of the selected region; none to reset.
_PRESETS = (
    ("Full range", (0.0, 100.0), False),
    ("1 to 99 %", (1.0, 99.0), False),
    ("1 to 99 % of the selected region", (1.0, 99.0), True),
    ("Reset (W)", None, False),
)


# Qt's name of the button that shows what has no room.
_MORE = "qt_toolbar_ext_button"


class Toolbar(QToolBar):
    """One row of buttons and menus; those without room are behind the arrow at its end.

    Parameters
    ----------
    controller : Controller
        Shown and changed.
    """

    tool_picked = Signal(str)
    preset_picked = Signal(object, bool)

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._seen: object = None
        self.setMovable(False)
        self._add_modes()
        self._add_tools()
        self._add_view()

    # Construction.

    def _add_modes(self) -> None:
        controller = self._controller
        self.modes: dict[str, QToolButton] = {}
        for mode, text, tip in _MODES:
            made = button(text, tip, self, checkable=True)
            made.clicked.connect(caller(self._choose_mode, mode))
            self.modes[mode] = made
            self.addWidget(made)
        self.pair = ChoiceBox(
            "Pair of columns; the first is on the left of the line (P)", None, self, 4
        )
        self.pair.setFixedWidth(84)
        self.pair.picked.connect(lambda pair: controller.set_pair(*pair))
        self.addWidget(self.pair)
        self.rate = number(" Hz", (0.0, 10.0), "Flicker rate in Hz (0: manual, space bar)", self)
        self.rate.setSpecialValueText("manual")
        self.rate.valueChanged.connect(lambda hz: controller.change(flicker_hz=float(hz)))
        self._rate = self.addWidget(self.rate)
        self.difference, self.menu = menu_button(
            "Difference", "Show the difference of two columns (D, A)", self
        )
        self.menu.aboutToShow.connect(self._fill_differences)
        self.addWidget(self.difference)
        self.live, self.live_menu = menu_button(
            "Live", "Add a column: choose a method, see it at once", self
        )
        self.addWidget(self.live)
        self.addSeparator()

    def _add_tools(self) -> None:
        self.tools: dict[str, QToolButton] = {}
        for tool, text, tip in _TOOLS:
            made = button(text, tip, self, checkable=True)
            made.clicked.connect(lambda on, tool=tool: self.tool_picked.emit(tool if on else ""))
            self.tools[tool] = made
            self.addWidget(made)
        self.addSeparator()

    def _add_view(self) -> None:
        contrast, self.contrast_menu = menu_button(
            "Contrast", "Window and level: drag with the right button, or choose here", self
        )
        for text, percentiles, of_region in _PRESETS:
            action = self.contrast_menu.addAction(text)
            action.triggered.connect(caller(self.preset_picked.emit, percentiles, of_region))
        self.addWidget(contrast)
        view, menu = menu_button("View", "Planes, contrast, display", self)
        self.view_menu: QMenu = menu
        self.planes: dict[str, QAction] = {}
        for plane in PLANES:
            action = menu.addAction(f"{plane.name.capitalize()} plane")
            action.setCheckable(True)
            action.triggered.connect(caller(self._toggle_plane, plane.name))
            self.planes[plane.name] = action
        menu.addSeparator()
        self.toggles: dict[str, QAction] = {}
        for name, text, tip in _TOGGLES:
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.setCheckable(True)
            action.triggered.connect(caller(self._controller.toggle, name))
            self.toggles[name] = action
        self.addWidget(view)

    # Actions.

    def _choose_mode(self, mode: str) -> None:
        self._controller.set_mode(mode)
        self.show_again()

    def _toggle_plane(self, name: str) -> None:
        self._controller.toggle_plane(name)
        self.show_again()

    def _fill_differences(self) -> None:
        """Offer each pair of columns, signed and absolute; check those shown."""
        controller, state = self._controller, self._controller.state
        self.menu.clear()
        titles = {key: controller.title(key) for key in state.columns}
        for wanted in possible_differences(state):
            shown = [d for d in state.differences if d.is_like(wanted)]
            action = self.menu.addAction(difference_title(wanted, titles))
            action.setCheckable(True)
            action.setChecked(bool(shown))
            action.triggered.connect(caller(self._switch, wanted))
        if self.menu.isEmpty():
            self.menu.addAction("Needs two columns").setEnabled(False)

    def _switch(self, wanted: Difference) -> None:
        differences = self._controller.state.differences
        kept = [d for d in differences if not d.is_like(wanted)]
        more = [wanted] if len(kept) == len(differences) else []
        self._controller.set_differences([*kept, *more])

    # Display.

    def show_again(self) -> None:
        """Show the state again after a click has changed the buttons."""
        self._seen = None
        self.show_state(self._controller.state)

    def show_state(self, state: CompareState) -> None:
        """Show the choices; emit nothing.

        Returns at once if only position, contrast or regions have changed.
        """
        seen = (
            (len(state.columns), state.mode, state.pair, state.flicker_hz, state.planes),
            tuple(getattr(state, name) for name in self.toggles),
        )
        if seen == self._seen:
            return
        self._seen = seen
        count = len(state.columns)
        for mode, made in self.modes.items():
            made.setChecked(mode == state.mode)
            made.setEnabled(mode not in PAIR_MODES or count > 1)
        pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
        names = [f"{a + 1} ↔ {b + 1}" for a, b in pairs]
        self.pair.show_choices(pairs, names, tuple(state.pair))
        with QSignalBlocker(self.rate):
            self.rate.setValue(state.flicker_hz)
        self._rate.setVisible(state.mode == FLICKER)
        self.difference.setEnabled(count > 1)
        for name, toggle in self.toggles.items():
            toggle.setChecked(bool(getattr(state, name)))
        for name, plane in self.planes.items():
            plane.setChecked(name in state.planes)

    def show_tool(self, tool: str) -> None:
        """Show the active tool."""
        for name, made in self.tools.items():
            made.setChecked(name == tool)

    def set_colors(self, plain: str, on: str, text: str) -> None:
        """Set the colors of buttons, of checked buttons, and of texts."""
        self.setStyleSheet(
            "QToolBar { spacing: 3px; padding: 2px 4px; border: none; }"
            f"QToolButton {{ background: {plain}; color: {text}; border-radius: 3px;"
            " padding: 3px 5px; }"
            f"QToolButton:checked, QToolButton:hover {{ background: {on}; }}"
            "QToolButton:disabled { color: gray; }"
            "QToolButton::menu-indicator { image: none; }"
            f"QToolButton#{_MORE} {{ background: {on}; padding: 0px; }}"
        )
        more = self.findChild(QToolButton, _MORE)
        if more is not None:
            more.setIcon(_chevron(text))
            more.setToolTip("More buttons")


def _chevron(color: str) -> QIcon:
    """Return a double arrow to the right; Qt's own is black, also on dark themes."""
    pixmap = QPixmap(12, 16)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setPen(QPen(QColor(color), 2))
    for x in (2, 6):
        painter.drawPolyline([QPoint(x, 4), QPoint(x + 4, 8), QPoint(x, 12)])
    painter.end()
    return QIcon(pixmap)


def possible_differences(state: CompareState) -> list[Difference]:
    """Return the difference of each pair, signed, then absolute; the reference is subtracted."""
    keys: Sequence[Any] = list(state.columns)
    pairs = []
    for i, first in enumerate(keys):
        for second in keys[i + 1 :]:
            minuend, subtrahend = (first, second) if second == state.truth else (second, first)
            pairs.append((minuend, subtrahend))
    return [Difference(m, s, absolute) for absolute in (False, True) for m, s in pairs]
