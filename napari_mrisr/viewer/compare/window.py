"""Window of Compare: its dock, full screen, and settings that stay between sessions."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import QSettings, Qt
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_mrisr.comparison.state import CompareState

# Fraction of the main window's width when it is opened to compare.
_SHARE = 0.62
_CONVENTION = "compare/radiological"


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that a widget is in, or None."""
    found: QWidget | None = widget
    while found is not None and not isinstance(found, QDockWidget):
        found = found.parentWidget()
    return found


def fill_window(widget: QWidget) -> None:
    """Give a widget's dock most of the main window."""
    dock = dock_of(widget)
    if dock is not None and not dock.isFloating():
        main = dock.parentWidget()
        main.showMaximized()
        main.resizeDocks([dock], [int(main.width() * _SHARE)], Qt.Orientation.Horizontal)


class FullScreen:
    """Full screen for a widget; a docked one floats for the time.

    Parameters
    ----------
    widget : QWidget
        In a dock, or a top-level window.
    """

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget
        self._was_floating = False

    def toggle(self) -> None:
        """Enter or leave full screen."""
        window = self._widget.window()
        if window.isFullScreen():
            self.leave()
            return
        dock = dock_of(self._widget)
        if dock is None:
            window.showFullScreen()
            return
        self._was_floating = dock.isFloating()
        dock.setFloating(True)
        dock.showFullScreen()

    def leave(self) -> None:
        """Leave full screen."""
        window = self._widget.window()
        if not window.isFullScreen():
            return
        window.showNormal()
        dock = dock_of(self._widget)
        if dock is not None and not self._was_floating:
            dock.setFloating(False)


def settings() -> QSettings:
    """Return the settings, a file of the user's."""
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-mrisr", "napari-mrisr"
    )


def remember_convention(radiological: bool) -> None:
    """Remember the convention that the user has chosen."""
    settings().setValue(_CONVENTION, radiological)


def as_remembered(state: CompareState) -> CompareState:
    """Return a state in the convention chosen last; radiological by default."""
    return replace(state, radiological=settings().value(_CONVENTION, True, type=bool))
