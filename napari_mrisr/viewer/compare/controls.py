"""Controls above the panels: they show the state and call the controller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)
from superqt import QFlowLayout

from napari_mrisr.comparison.scene import difference_title
from napari_mrisr.comparison.state import (
    CHECKERBOARD,
    FLICKER,
    MAX_COLUMNS,
    SIDE_BY_SIDE,
    SWIPE,
    CompareState,
    Difference,
)
from napari_mrisr.core.frames import PLANES
from napari_mrisr.viewer.compare.model.controller import Controller

_MODES = (
    (SIDE_BY_SIDE, "Side by side", "All columns, side by side (1)"),
    (SWIPE, "Swipe", "Two columns, separated by a line that you drag (2)"),
    (FLICKER, "Flicker", "Two columns in turn, by the space bar or at a rate (3)"),
    (CHECKERBOARD, "Checker", "Checkerboard of two columns, 20 mm squares (4)"),
)
_TOOLS = (
    ("box", "▭ Box", "Draw a box; its depth is the field on the right (B)"),
    ("ellipsoid", "◯ Ellipsoid", "Draw an ellipsoid; its depth is the field on the right (E)"),
)
NONE = "–"


class ChoiceBox(QComboBox):
    """Choice of a key, or none; long names are elided, the tooltip has them in full."""

    picked = Signal(object)

    def __init__(
        self, tip: str, none: str | None, parent: QWidget | None = None, length: int = 7
    ) -> None:
        super().__init__(parent)
        self._tip, self._none = tip, none
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(length)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        # Arrow keys and letters belong to the panels.
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.activated.connect(lambda index: self.picked.emit(self.itemData(index)))

    def show_choices(self, keys: Sequence[Any], titles: Sequence[str], chosen: Any) -> None:
        """Offer choices; emit nothing."""
        with QSignalBlocker(self):
            self.clear()
            if self._none is not None:
                self.addItem(self._none, None)
            for key, title in zip(keys, titles, strict=True):
                self.addItem(title, key)
                self.setItemData(self.count() - 1, title, Qt.ItemDataRole.ToolTipRole)
            index = list(keys).index(chosen) if chosen in keys else -1
            offset = 0 if self._none is None else 1
            self.setCurrentIndex(index + offset if index >= 0 else (0 if offset else -1))
        shown = self.currentText()
        self.setToolTip(self._tip if shown in ("", self._none) else f"{shown}\n{self._tip}")
        self.setEnabled(self.count() > offset)


def button(text: str, tip: str, parent: QWidget, checkable: bool = False) -> QToolButton:
    """Return a flat button with a text."""
    made = QToolButton(parent)
    made.setText(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
    return made


def number(suffix: str, ends: tuple[float, float], tip: str, parent: QWidget) -> QDoubleSpinBox:
    """Return a short field for a number."""
    made = QDoubleSpinBox(parent)
    made.setRange(*ends)
    made.setDecimals(1)
    made.setSuffix(suffix)
    made.setToolTip(tip)
    made.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    made.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    made.setKeyboardTracking(False)
    made.setFixedWidth(76)
    return made


class Group(QFrame):
    """Fields that stay together in one line."""

    def __init__(self, parent: QWidget, title: str, fields: Sequence[QWidget]) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 8, 0)
        self.setFixedHeight(26)
        row.setSpacing(3)
        if title:
            row.addWidget(QLabel(title, self))
        for field in fields:
            row.addWidget(field)


class Controls(QWidget):
    """All groups, wrapped into lines.

    Parameters
    ----------
    controller : Controller
        Shown and changed.
    """

    columns_picked = Signal(list)
    truth_picked = Signal(object)
    measured_picked = Signal(object)
    convention_picked = Signal(bool)
    tool_picked = Signal(str)
    depth_set = Signal(float)
    regions_picked = Signal(object)

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._seen: object = None
        self._flow = QFlowLayout(self)
        self._flow.setContentsMargins(4, 2, 4, 2)
        self._flow.setHorizontalSpacing(6)
        self._flow.setVerticalSpacing(2)
        self._groups = [
            self._column_group(),
            self._mode_group(),
            self._look_group(),
            self._role_group(),
            self._roi_group(),
        ]
        for group in self._groups:
            self._flow.addWidget(group)

    def add_group(self, fields: Sequence[QWidget]) -> None:
        """Add a group before the group of regions."""
        self._flow.removeWidget(self._groups[-1])
        self._groups.insert(-1, Group(self, "", fields))
        for group in self._groups[-2:]:
            self._flow.addWidget(group)

    # Construction.

    def _column_group(self) -> Group:
        tip = "Columns from left to right; the first defines the axes and the slices"
        self.columns = [ChoiceBox(tip, None if i == 0 else NONE, self) for i in range(MAX_COLUMNS)]
        for choice in self.columns:
            choice.picked.connect(lambda _: self._pick_columns())
        self.truth = ChoiceBox("Reference volume, for the numbers of the others", NONE, self)
        self.truth.picked.connect(self.truth_picked)
        self.measured = ChoiceBox(
            "Measured low-resolution scan: consistency of a column with it\nneeds no reference",
            NONE,
            self,
        )
        self.measured.picked.connect(self.measured_picked)
        self.live = button("Live ▾", "Add a column: choose a method, see it at once", self)
        self.live.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.live_menu = QMenu(self.live)
        self.live_menu.setToolTipsVisible(True)
        self.live.setMenu(self.live_menu)
        return Group(self, "Columns", [*self.columns, self.live])

    def _role_group(self) -> Group:
        return Group(self, "Reference", [self.truth, QLabel("LR", self), self.measured])

    def _mode_group(self) -> Group:
        controller = self._controller
        self.modes: dict[str, QToolButton] = {}
        for mode, text, tip in _MODES:
            made = button(text, tip, self, checkable=True)
            made.clicked.connect(_caller(self._choose_mode, mode))
            self.modes[mode] = made
        self.pair = ChoiceBox(
            "Pair of columns; the first is on the left of the line (P)", None, self, 4
        )
        self.pair.picked.connect(lambda pair: controller.set_pair(*pair))
        self.rate = number(" Hz", (0.0, 10.0), "Flicker rate in Hz (0: manual, space bar)", self)
        self.rate.setSpecialValueText("manual")
        self.rate.valueChanged.connect(lambda hz: controller.change(flicker_hz=float(hz)))
        self.difference = button("Difference ▾", "Show the difference of two columns (D, A)", self)
        self.difference.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.difference)
        self.menu.aboutToShow.connect(self._fill_differences)
        self.difference.setMenu(self.menu)
        fields = [*self.modes.values(), self.pair, self.rate, self.difference]
        return Group(self, "", fields)

    def _look_group(self) -> Group:
        self.toggles: dict[str, QToolButton] = {}
        for name, text, tip in (
            (
                "radiological",
                "R|L",
                "R|L, radiological: the patient's right is on the left; L|R, neurological (R)",
            ),
            ("smooth", "Smooth", "Smooth the display; hides single voxels (I)"),
            ("one_window", "Link W/L", "Same window and level for all columns (L)"),
        ):
            made = button(text, tip, self, checkable=True)
            made.clicked.connect(_caller(self._controller.toggle, name))
            self.toggles[name] = made
        self.toggles["radiological"].clicked.connect(self.convention_picked)
        self.planes: dict[str, QToolButton] = {}
        for plane in PLANES:
            made = button(plane.name[:2].capitalize(), f"Show the {plane.name} plane", self, True)
            made.clicked.connect(_caller(self._toggle_plane, plane.name))
            self.planes[plane.name] = made
        return Group(self, "", [*self.planes.values(), *self.toggles.values()])

    def _roi_group(self) -> Group:
        self.tools: dict[str, QToolButton] = {}
        for tool, text, tip in _TOOLS:
            made = button(text, tip, self, checkable=True)
            made.clicked.connect(lambda on, tool=tool: self.tool_picked.emit(tool if on else ""))
            self.tools[tool] = made
        self.depth = number(" mm", (0.1, 500.0), "Depth of the region through its plane", self)
        self.depth.setValue(20.0)
        self.depth.valueChanged.connect(self.depth_set)
        self.regions = ChoiceBox("napari layer whose shapes or labels are regions", NONE, self)
        self.regions.picked.connect(self.regions_picked)
        fields = [*self.tools.values(), self.depth, QLabel("Layer", self), self.regions]
        return Group(self, "ROI", fields)

    # Actions.

    def _pick_columns(self) -> None:
        chosen = [choice.currentData() for choice in self.columns]
        self.columns_picked.emit([key for key in chosen if key is not None])

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
            action.triggered.connect(_caller(self._switch, wanted))
        if self.menu.isEmpty():
            self.menu.addAction("Needs two columns").setEnabled(False)

    def _switch(self, wanted: Difference) -> None:
        differences = self._controller.state.differences
        kept = [d for d in differences if not d.is_like(wanted)]
        more = [wanted] if len(kept) == len(differences) else []
        self._controller.set_differences([*kept, *more])

    # Display.

    def show_again(self) -> None:
        """Show the state again after a click has changed the fields."""
        self._seen = None
        self.show_state(self._controller.state)

    def show_state(self, state: CompareState) -> None:
        """Show the choices; emit nothing.

        Returns at once if only position, contrast or regions have changed.
        """
        controller = self._controller
        seen = (
            tuple((key, controller.title(key)) for key in controller.volumes),
            (state.columns, state.truth, state.measured, state.mode, state.pair),
            (state.flicker_hz, state.radiological, state.smooth, state.one_window, state.planes),
        )
        if seen == self._seen:
            return
        self._seen = seen
        keys = list(controller.volumes)
        titles = [controller.title(key) for key in keys]
        for i, choice in enumerate(self.columns):
            chosen = state.columns[i] if i < len(state.columns) else None
            choice.show_choices(keys, titles, chosen)
        self.truth.show_choices(keys, titles, state.truth)
        self.measured.show_choices(keys, titles, state.measured)
        count = len(state.columns)
        for mode, made in self.modes.items():
            made.setChecked(mode == state.mode)
            made.setEnabled(mode == SIDE_BY_SIDE or count > 1)
        pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
        names = [f"{a + 1} ↔ {b + 1}" for a, b in pairs]
        self.pair.show_choices(pairs, names, tuple(state.pair))
        with QSignalBlocker(self.rate):
            self.rate.setValue(state.flicker_hz)
        self.rate.setVisible(state.mode == FLICKER)
        self.difference.setEnabled(count > 1)
        for name, made in self.toggles.items():
            made.setChecked(bool(getattr(state, name)))
        for name, made in self.planes.items():
            made.setChecked(name in state.planes)
        self.toggles["radiological"].setText("R|L" if state.radiological else "L|R")

    def set_colors(self, plain: str, on: str, text: str) -> None:
        """Set the colors of buttons, of checked buttons, and of texts."""
        self.setStyleSheet(
            f"QToolButton {{ background: {plain}; color: {text}; border-radius: 3px;"
            " padding: 3px 5px; }"
            f"QToolButton:checked, QToolButton:hover {{ background: {on}; }}"
            "QToolButton:disabled { color: gray; }"
            "QToolButton::menu-indicator { image: none; }"
        )

    def show_tool(self, tool: str) -> None:
        """Show the active drawing tool."""
        for name, made in self.tools.items():
            made.setChecked(name == tool)

    def show_regions(self, names: Sequence[str], chosen: str | None) -> None:
        """Offer the layers whose shapes or labels may be regions."""
        self.regions.show_choices(names, names, chosen)


def possible_differences(state: CompareState) -> list[Difference]:
    """Return the difference of each pair, signed, then absolute; the reference is subtracted."""
    keys = list(state.columns)
    pairs = []
    for i, first in enumerate(keys):
        for second in keys[i + 1 :]:
            minuend, subtrahend = (first, second) if second == state.truth else (second, first)
            pairs.append((minuend, subtrahend))
    return [Difference(m, s, absolute) for absolute in (False, True) for m, s in pairs]


def _caller(function: Callable[[Any], Any], argument: Any) -> Callable[..., None]:
    """Return a slot that ignores the arguments of the signal."""
    return lambda *_: function(argument) and None
