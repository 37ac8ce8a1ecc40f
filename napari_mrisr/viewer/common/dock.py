"""Base of the dock widgets: life cycle, background work, status, errors, theme."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, Qt, QTimer, QUrl
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import (
    QDockWidget,
    QLabel,
    QLayout,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.progress import ProgressState
from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.common.events import Callback, ContextKeeper, LayerWatch
from napari_mrisr.viewer.common.fields import VerticalScroll, guard_wheel
from napari_mrisr.viewer.common.labels import error_line, progress_label
from napari_mrisr.viewer.common.worker import Work, Worker

_log = logging.getLogger(__name__)

# napari's own error color is hard to read as text on its dark theme.
_ERROR_ON_DARK, _ERROR_ON_LIGHT = "#ff8a75", "#b00020"


class FormPanel(QWidget):
    """Form of a dock: fields, buttons, progress bar and status line; no logic.

    A subclass makes its fields, lists in :attr:`fields` what cannot be used during a
    run, and puts :attr:`bar`, :attr:`status` and :attr:`cancel_button` into its layout, or
    pins them below the scroll area by :meth:`pin`.

    Attributes
    ----------
    bar : QProgressBar
        Shown during a run; keeps its space otherwise.
    status : QLabel
        One or two lines of rich text; write by :meth:`show_status` and :meth:`show_error`.
    cancel_button : QPushButton
        Enabled during a run. The dock connects it.
    fields : sequence of QWidget
        Disabled during a run; buttons that start a run, too.
    error_color, link_color : str
        ``#rrggbb``; the dock sets them to fit napari's theme.
    footer : QWidget or None
        Pinned widgets. The dock puts them below the scroll area, where they do not move.
    """

    stopping_text = "Stopping…"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.error_color, self.link_color = "#d02020", "#2a6fc9"
        self.footer: QWidget | None = None
        self.fields: Sequence[QWidget] = ()
        self._hint = ""
        self.cancel_button = QPushButton("Cancel", self)
        self.cancel_button.setEnabled(False)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        self.bar.hide()
        self.status = note(self)
        # Space for two lines keeps the widgets below in place.
        self.status.setMinimumHeight(2 * self.status.fontMetrics().lineSpacing())
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.status.setTextFormat(Qt.TextFormat.RichText)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self.status.setOpenExternalLinks(True)

    def pin(self, *parts: QWidget | QLayout) -> None:
        """Keep widgets and layouts below the scroll area, from top to bottom."""
        self.footer = QWidget(self)
        layout = QVBoxLayout(self.footer)
        layout.setContentsMargins(9, 2, 9, 6)
        layout.setSpacing(3)
        for part in parts:
            if isinstance(part, QWidget):
                layout.addWidget(part)
            else:
                layout.addLayout(part)

    def write_status(self, text: str, color: str | None) -> None:
        """Write a line into the status, in a color or the theme's."""
        line = escape(text)
        self.status.setText(
            line if color is None else f'<span style="color: {color}">{line}</span>'
        )

    def show_status(self, text: str) -> None:
        """Show a text in the status line."""
        self.write_status(text, None)

    def show_error(self, line: str) -> None:
        """Show an error in the status line."""
        self.write_status(line, self.error_color)

    def show_saved(self, path: Path) -> None:
        """Show that a file was saved, with a link to its folder."""
        self.status.setText(saved_text(path, self.link_color))

    def show_hint(self, text: str) -> None:
        """Show a text while the status line is empty; any other text replaces it."""
        if self.status.text() in ("", self._hint):
            self.show_status(text)
            self._hint = self.status.text()

    def show_running(self, text: str) -> None:
        """Disable the fields, enable Cancel, and show the bar."""
        for field in self.fields:
            field.setEnabled(False)
        self.cancel_button.setEnabled(True)
        self.bar.show()
        self.show_busy(text)

    def show_busy(self, text: str) -> None:
        """Show work of unknown duration."""
        self.bar.setRange(0, 0)
        self.show_status(text)

    def show_progress(self, state: ProgressState) -> None:
        """Show how many steps are done."""
        self.bar.setRange(0, max(1, state.total))
        self.bar.setValue(state.done)
        self.show_status(progress_label(state))

    def show_stopping(self) -> None:
        """Show that the run was cancelled and has not stopped yet."""
        self.cancel_button.setEnabled(False)
        self.show_busy(self.stopping_text)

    def show_idle(self, text: str = "") -> None:
        """Enable the fields, disable Cancel, and hide the bar."""
        for field in self.fields:
            field.setEnabled(True)
        self.cancel_button.setEnabled(False)
        self.bar.hide()
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.show_status(text)


def saved_text(path: Path, color: str) -> str:
    """Return ``Saved NAME (open folder)`` as rich text, with a link in a color."""
    folder = QUrl.fromLocalFile(str(path.resolve().parent)).toString()
    link = f'<a href="{escape(folder)}" style="color: {color}">open folder</a>'
    return f"Saved {escape(path.name)} ({link})"


def is_dark(theme: str) -> bool:
    """Return whether a theme of napari's, by name, has a dark background."""
    red, green, blue = get_theme(theme).background.as_rgb_tuple()[:3]
    return red + green + blue < 3 * 128


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that a widget is in, or None."""
    found: QWidget | None = widget
    while found is not None and not isinstance(found, QDockWidget):
        found = found.parentWidget()
    return found


def is_closed(dock: QDockWidget) -> bool:
    """Return whether the user has closed a dock; a tab in the background is not closed."""
    return not dock.toggleViewAction().isChecked()


def error_color(theme: str) -> str:
    """Return the color of error texts, ``#rrggbb``."""
    return _ERROR_ON_DARK if is_dark(theme) else _ERROR_ON_LIGHT


def link_color(theme: str) -> str:
    """Return the color of links, ``#rrggbb``."""
    return "#6db3ff" if is_dark(theme) else "#1a5fb4"


def note(parent: QWidget, text: str = "") -> QLabel:
    """Return a label that wraps its text and never widens the dock."""
    label = QLabel(text, parent)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


class Dock(QWidget):
    """Base of the dock widgets.

    The base holds what all docks share:

    - **Life cycle.** Layers can be deleted safely while a canvas of ours exists
      (:mod:`~napari_mrisr.viewer.common.events`). :meth:`attached` runs when the dock
      comes into use, :meth:`detached` when it is closed, taken out, or the main window
      closes. The subclass calls :meth:`attach` as the last line of ``__init__``.
    - **Layers.** Call :meth:`watch_layers` in ``__init__``; the base attaches and
      detaches :attr:`layers`.
    - **Work.** :meth:`run_work` runs one callable on :attr:`worker` and shows it in the
      panel; :meth:`cancel` stops it within 200 ms. Results arrive in
      :meth:`work_finished`, :meth:`work_cancelled` and :meth:`work_reported`. Before
      any of them :meth:`refresh` shows the idle form. A dock may hold more workers of
      its own (only the latest submission counts); it closes them in :meth:`detached`.
    - **Errors.** :meth:`tell_error` shows one line in the panel and as napari's
      notification, and logs the traceback of an unexpected error.
    - **Theme.** ``panel.error_color`` follows napari's theme; override
      :meth:`theme_changed` for more.

    Example
    -------
    ::

        class SumWidget(Dock):
            def __init__(self, napari_viewer):
                super().__init__(napari_viewer, "sum", SumPanel())
                self.watch_layers(self._layers_listed, {"name": self._layers_listed})
                self.panel.run_button.clicked.connect(self.run)
                self.attach()

            def run(self):
                layer = self.panel.layer.layer
                data = np.asarray(layer.data)  # frozen here, used by the thread
                self.run_work(lambda progress: float(data.sum()), f"Adding “{layer.name}”…")

            def refresh(self):
                super().refresh()
                self.panel.run_button.setEnabled(self.panel.layer.layer is not None)

            def work_finished(self, result):
                self.panel.show_status(f"Sum: {result:g}")

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Or the proxy that plugins get, or in tests its model.
    name : str
        Qt's object name of the dock.
    panel : FormPanel
        Or any widget with ``error_color`` and ``show_error(line)`` if the dock never
        calls :meth:`run_work`.
    scroll : bool
        Put the panel into a vertical scroll area that fills the dock. With False the
        subclass makes its own layout.

    Attributes
    ----------
    panel : FormPanel
    worker : Worker
    layers : LayerWatch or None
    """

    def __init__(self, viewer: Any, name: str, panel: Any, *, scroll: bool = True) -> None:
        super().__init__()
        self.setObjectName(name)
        self._viewer = viewer
        self._contexts: ContextKeeper | None = None
        self._attached = False
        self._window: QWidget | None = None
        self._joined = False
        self.panel = panel
        guard_wheel(panel)
        self.layers: LayerWatch | None = None
        self.worker = Worker()
        self.worker.progressed.connect(self.work_progressed)
        self.worker.messaged.connect(self.work_messaged)
        self.worker.reported.connect(self.work_reported)
        self.worker.finished.connect(self._work_finished)
        self.worker.failed.connect(self._work_failed)
        self.worker.cancelled.connect(self._work_cancelled)
        if isinstance(panel, FormPanel):
            panel.cancel_button.clicked.connect(self.cancel)
        if scroll:
            layout = QVBoxLayout(self)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(0)
            layout.addWidget(VerticalScroll(panel, self), 1)
            if isinstance(panel, FormPanel) and panel.footer is not None:
                layout.addWidget(panel.footer)

    # To override.

    def attached(self) -> None:
        """Connect to the viewer; called before the layers are listed for the first time."""

    def detached(self, *, closing: bool) -> None:
        """Disconnect from the viewer; called when the work has ended and the panel is idle.

        Parameters
        ----------
        closing : bool
            True if the main window closes: its layers can stay as they are.
        """

    def refresh(self) -> None:
        """Show the idle form and what it would do; called when work ends."""
        if isinstance(self.panel, FormPanel):
            self.panel.show_idle()

    def work_progressed(self, state: ProgressState) -> None:
        """Show progress of the work."""
        self.panel.show_progress(state)

    def work_messaged(self, text: str) -> None:
        """Show a message of the work."""
        self.panel.show_busy(text)

    def work_reported(self, event: Any) -> None:
        """Receive an event of the work."""

    def work_finished(self, result: Any) -> None:
        """Receive the result; it took ``self.worker.seconds``."""

    def work_failed(self, error: Exception) -> None:
        """Receive the error of the work."""
        self.tell_error(error)

    def work_cancelled(self) -> None:
        """Show that the work was cancelled."""
        self.panel.show_status("Cancelled.")

    def theme_changed(self) -> None:
        """Adapt to napari's theme; called once when attached."""

    # To call.

    def watch_layers(self, listed: Callback, changed: Mapping[str, Callback]) -> None:
        """Listen to the viewer's layers from the next attach to the next detach.

        Parameters
        ----------
        listed : callable
            Called with napari's event when a layer was added, removed or moved, and
            with None when the dock attaches. It calls ``self.layers.watch`` with the
            layers that matter.
        changed : mapping of str to callable
            From the name of a layer event, such as ``name`` or ``data``, to the
            callback for each layer watched.
        """
        self.layers = LayerWatch(self._viewer, listed, changed)

    @property
    def busy(self) -> bool:
        """True while work runs; override where a dock has more workers."""
        return self.worker.running

    @property
    def dark(self) -> bool:
        """True if napari's theme has a dark background."""
        return is_dark(self._viewer.theme)

    def run_work(self, work: Work, text: str) -> None:
        """Run work in the background and show a text; does nothing while work runs.

        Parameters
        ----------
        work : callable
            Called on a thread with a :class:`~.worker.WorkerProgress`. It must not touch
            a widget: freeze what the form says before.
        text : str
            Status until the work reports progress.
        """
        if self.worker.running:
            return
        # At the first show event the dock may not be in the main window yet.
        self.follow_window()
        self.panel.show_running(text)
        self.worker.submit(work)

    def cancel(self) -> None:
        """Cancel the work; nothing of it stays."""
        if self.worker.running:
            self.worker.cancel()
            self.panel.show_stopping()

    def tell_error(self, error: Exception) -> None:
        """Show an error in the panel and as napari's notification."""
        line = error_line(error)
        if not isinstance(error, MrisrError):
            _log.error("%s", line, exc_info=error)
        self.panel.show_error(line)
        show_error(line)

    # Life cycle.

    def attach(self) -> None:
        """Connect to the viewer unless connected."""
        if self._attached:
            return
        self._attached = True
        self._contexts = ContextKeeper(self._viewer, self)
        self._viewer.events.theme.connect(self._follow_theme)
        self._follow_theme()
        self.attached()
        if self.layers is not None:
            self.layers.attach()
            self.layers.listed(None)

    def detach(self, *, closing: bool = False) -> None:
        """End the work and disconnect from the viewer if connected."""
        self._window = None
        if not self._attached:
            return
        self._attached = False
        self.worker.close()
        if self.layers is not None:
            self.layers.detach()
        self._viewer.events.theme.disconnect(self._follow_theme)
        if isinstance(self.panel, FormPanel):
            self.panel.show_idle()
        self.detached(closing=closing)
        if self._contexts is not None:
            self._contexts.close()

    def event(self, event: QEvent) -> bool:
        """Attach when docked or shown; detach when napari closes the dock (it takes our parent)."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self.detach()
            else:
                self.attach()
        elif event.type() == QEvent.Type.Show:
            self.attach()
            self.follow_window()
            self._join_tabs()
        return super().event(event)

    def _join_tabs(self) -> None:
        """Become a tab of the other docks at the right when shown there for the first time."""
        dock = dock_of(self)
        main = None if dock is None else dock.parentWidget()
        if self._joined or dock is None or not isinstance(main, QMainWindow):
            return
        self._joined = True
        right = Qt.DockWidgetArea.RightDockWidgetArea
        there = [
            other
            for other in main.findChildren(QDockWidget)
            if not other.isFloating() and main.dockWidgetArea(other) == right
        ]
        others = [other for other in there if other is not dock and not is_closed(other)]
        if others and dock in there:
            main.tabifyDockWidget(others[-1], dock)
            # Qt raises the new tab only after it has laid out the docks.
            QTimer.singleShot(0, dock.raise_)

    def follow_window(self) -> None:
        """Watch the main window, which is an ancestor even of a floating dock.

        Called again when work starts: at the first show event the dock may not be
        in the main window yet.
        """
        window: QWidget = self
        while (parent := window.parentWidget()) is not None:
            window = parent
        if window is not self and window is not self._window:
            # Filters on former windows may stay: eventFilter compares the window.
            window.installEventFilter(self)
            self._window = window

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Detach when the main window has closed (not when it is asked to close)."""
        if self._window is not None and watched is self._window:
            hidden = event.type() == QEvent.Type.Hide and not event.spontaneous()
            closed = event.type() == QEvent.Type.Close and not self._window.isVisible()
            if hidden or closed:
                self.detach(closing=True)
        return False

    def closeEvent(self, event: QCloseEvent) -> None:
        """Detach as a window without a dock."""
        self.detach()
        super().closeEvent(event)

    def _follow_theme(self, event: Any = None) -> None:
        self.panel.error_color = error_color(self._viewer.theme)
        self.panel.link_color = link_color(self._viewer.theme)
        self.theme_changed()

    def _work_finished(self, result: Any) -> None:
        self.refresh()
        self.work_finished(result)

    def _work_failed(self, error: Exception) -> None:
        self.refresh()
        self.work_failed(error)

    def _work_cancelled(self) -> None:
        self.refresh()
        self.work_cancelled()
