"""Coming and going of a dock widget: docked, taken out, the main window closed."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QWidget

from napari_mrisr.viewer.common.contexts import ContextKeeper


class Docked(QWidget):
    """A dock widget that knows when it is in use.

    While it is, layers can go without harm to what OpenGL draws
    (:mod:`~napari_mrisr.viewer.common.contexts`). Subclasses connect in :meth:`attached` and
    disconnect, and end their work, in :meth:`detached`. They call :meth:`attach` once
    they are built.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose window it is for.
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._contexts: ContextKeeper | None = None
        self._attached = False
        self._window: QWidget | None = None

    def attached(self) -> None:
        """The widget is in use: connect."""

    def detached(self, *, closing: bool) -> None:
        """It is not any more: let go of everything.

        Parameters
        ----------
        closing : bool
            Whether the whole window is going, so that its layers need no care.
        """

    def attach(self) -> None:
        """Be in use, unless so already."""
        if not self._attached:
            self._attached = True
            self._contexts = ContextKeeper(self._viewer, self)
            self.attached()

    def detach(self, *, closing: bool = False) -> None:
        """Be out of use, unless so already."""
        self._window = None
        if self._attached:
            self._attached = False
            self.detached(closing=closing)
            if self._contexts is not None:
                self._contexts.close()

    def event(self, event: QEvent) -> bool:
        """Notice being docked, and napari's closing of the dock (it takes our parent)."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self.detach()
            else:
                self.attach()
        elif event.type() == QEvent.Type.Show:
            self.attach()
            self.follow_window()
        return super().event(event)

    def follow_window(self) -> None:
        """Watch the main window, which is an ancestor even of a floating dock.

        Also for the start of work: when first shown, the dock may not be in the
        main window yet.
        """
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
                self.detach(closing=True)
        return False

    def closeEvent(self, event: QCloseEvent) -> None:
        """Let go as a window of one's own."""
        self.detach()
        super().closeEvent(event)
