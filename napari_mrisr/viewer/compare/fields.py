"""Small fields of the window: choices, buttons, numbers. The mouse wheel never changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
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
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        # Arrow keys and letters belong to the panels.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
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


def menu_button(text: str, tip: str, parent: QWidget) -> tuple[QToolButton, QMenu]:
    """Return a button that opens a menu, and the menu."""
    made = button(f"{text} ▾", tip, parent)
    made.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    menu = QMenu(made)
    menu.setToolTipsVisible(True)
    made.setMenu(menu)
    return made, menu


def caller(function: Callable[..., Any], *arguments: Any) -> Callable[..., None]:
    """Return a slot that ignores the arguments of the signal."""

    def call(*_: Any) -> None:
        function(*arguments)

    return call
