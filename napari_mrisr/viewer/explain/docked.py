"""A dock widget that notices when it comes and goes."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


class Docked(QWidget):
    """Calls :meth:`attach` when shown or docked, :meth:`detach` when closed or its window is.

    Both are called in turn, each once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._attached = False
        self._window: QWidget | None = None

    def attach(self) -> None:
        """Listen to the viewer; for subclasses."""

    def detach(self, *, closing: bool) -> None:
        """End all work and let go of the viewer; for subclasses.

        Parameters
        ----------
        closing : bool
            Whether the whole window is going, so that its layers need no care.
        """

    def _come(self) -> None:
        if not self._attached:
            self._attached = True
            self.attach()

    def _go(self, *, closing: bool) -> None:
        self._window = None
        if self._attached:
            self._attached = False
            self.detach(closing=closing)

    def event(self, event: QEvent) -> bool:
        """Notice being docked, and napari's closing of the dock (it takes our parent)."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self._go(closing=False)
            else:
                self._come()
        elif event.type() == QEvent.Type.Show:
            self._come()
            self._follow_window()
        return super().event(event)

    def _follow_window(self) -> None:
        """Watch the main window, which is an ancestor even of a floating dock."""
        window: QWidget = self
        while (parent := window.parentWidget()) is not None:
            window = parent
        if window is not self and window is not self._window:
            # Filters on former windows may stay: eventFilter asks which window it is.
            window.installEventFilter(self)
            self._window = window

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Notice that the main window was closed (not: asked to close)."""
        if self._window is not None and watched is self._window:
            hidden = event.type() == QEvent.Type.Hide and not event.spontaneous()
            closed = event.type() == QEvent.Type.Close and not self._window.isVisible()
            if hidden or closed:
                self._go(closing=True)
        return False

    def closeEvent(self, event: QEvent) -> None:
        """A widget that is a window of its own ends here."""
        self._go(closing=False)
        super().closeEvent(event)
