"""A docked widget that fills the main window, or the screen."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QWidget

# Of the main window's width, for a window that was opened to compare.
_SHARE = 0.62


def dock_of(widget: QWidget) -> QDockWidget | None:
    """The dock that a widget is in."""
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
    """Lets a widget fill the screen; a docked one floats meanwhile.

    Parameters
    ----------
    widget : QWidget
        In a dock, or a window of its own.
    """

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget
        self._was_floating = False

    def toggle(self) -> None:
        """Fill the screen, or be as before."""
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
        """Be as before."""
        window = self._widget.window()
        if not window.isFullScreen():
            return
        window.showNormal()
        dock = dock_of(self._widget)
        if dock is not None and not self._was_floating:
            dock.setFloating(False)
