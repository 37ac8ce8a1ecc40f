"""Base of the docks: work, errors, layers and theme from attach to detach."""

from __future__ import annotations

import html
import logging
import re
import threading

import pytest
from helpers.desk import Endless
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from napari.utils.theme import available_themes, get_theme
from qtpy.QtCore import QPoint, Qt, QUrl
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QLineEdit,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.errors import VolumeError
from napari_mrisr.viewer.common.dock import Dock, FormPanel, error_color, is_dark, note


class Panel(FormPanel):
    def __init__(self) -> None:
        super().__init__()
        self.field = QLineEdit(self)
        self.fields = (self.field,)
        layout = QVBoxLayout(self)
        for widget in (self.field, self.bar, self.status, self.cancel_button):
            layout.addWidget(widget)


class Widget(Dock):
    def __init__(self, viewer) -> None:
        super().__init__(viewer, "made-up", Panel())
        self.calls: list = []
        self.watch_layers(self._listed, {"name": self._named})
        self.attach()

    def _listed(self, event) -> None:
        self.layers.watch(list(self._viewer.layers))
        self.calls.append("listed")

    def _named(self, event) -> None:
        self.calls.append("named")

    def attached(self) -> None:
        self.calls.append("attached")

    def detached(self, *, closing: bool) -> None:
        self.calls.append(("detached", closing))

    def work_finished(self, result) -> None:
        self.calls.append(result)
        self.panel.show_status("Done.")

    def work_reported(self, event) -> None:
        self.calls.append(event)


@pytest.fixture
def dock(qapp):
    widget = Widget(ViewerModel())
    yield widget
    widget.close()


def test_attaches_and_detaches_once(dock):
    assert dock.calls == ["attached", "listed"]
    dock.attach()
    dock.detach()
    dock.detach()
    assert dock.calls == ["attached", "listed", ("detached", False)]


def test_layers_are_watched_only_while_attached(dock):
    layer = dock._viewer.add_points(name="a")
    layer.name = "b"
    assert dock.calls[2:] == ["listed", "named"]
    dock.detach()
    layer.name = "c"
    dock._viewer.layers.clear()
    assert dock.calls[4:] == [("detached", False)]
    dock.attach()
    assert dock.calls[5:] == ["attached", "listed"]


def test_docked_in_a_window_that_closes(dock):
    window = QWidget()
    dock.setParent(window)
    window.show()
    dock.show()
    window.close()
    assert dock.calls[-1] == ("detached", True)
    dock.setParent(None)


def test_the_form_is_locked_while_work_runs(dock, qtbot):
    go = threading.Event()

    def work(progress):
        progress.report("event")
        assert go.wait(60)
        return "result"

    panel = dock.panel
    dock.run_work(work, "Working…")
    assert not panel.field.isEnabled()
    assert panel.cancel_button.isEnabled()
    assert not panel.bar.isHidden() and panel.bar.maximum() == 0
    assert panel.status.text() == "Working…"
    dock.run_work(lambda progress: "other", "Other")  # refused
    go.set()
    qtbot.waitUntil(lambda: not dock.worker.running)
    assert dock.calls[2:] == ["event", "result"]
    assert panel.field.isEnabled() and panel.bar.isHidden()
    assert not panel.cancel_button.isEnabled()
    assert panel.status.text() == "Done."


def test_cancel_says_so(dock, qtbot):
    dock.run_work(Endless(), "Working…")
    qtbot.waitUntil(lambda: "endless: 0 %" in dock.panel.status.text())
    dock.panel.cancel_button.click()
    assert dock.panel.status.text() == "Stopping…"
    qtbot.waitUntil(lambda: not dock.worker.running)
    assert dock.panel.status.text() == "Cancelled."
    assert dock.panel.field.isEnabled()


def test_detach_ends_work_and_unlocks_the_form(dock):
    dock.run_work(Endless(), "Working…")
    dock.detach()
    assert not dock.worker.running
    assert dock.panel.field.isEnabled()
    assert dock.panel.status.text() == ""


@pytest.mark.parametrize(
    ("error", "line", "logged"),
    [
        (VolumeError("a.nii: empty; use another"), "a.nii: empty; use another", False),
        (ValueError("<odd>"), "unexpected ValueError: &lt;odd&gt;", True),
    ],
)
def test_errors_are_shown_and_only_unexpected_ones_logged(dock, qtbot, caplog, error, line, logged):
    shown = []
    notification_manager.notification_ready.connect(lambda note: shown.append(note.message))

    def work(progress):
        raise error

    with caplog.at_level(logging.ERROR):
        dock.run_work(work, "Working…")
        qtbot.waitUntil(lambda: not dock.worker.running)
    assert line in dock.panel.status.text()
    assert dock.panel.error_color in dock.panel.status.text()
    assert len(shown) == 1
    assert bool(caplog.records) == logged
    assert dock.panel.field.isEnabled()


@pytest.fixture
def window(qapp):
    """A main window of 1280 × 720 with docks of other programs at the left and right."""
    made = QMainWindow()
    made.resize(1280, 720)
    made.setCentralWidget(QWidget())
    for area in (Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea):
        other = QDockWidget("other", made)
        other.setWidget(QWidget())
        made.addDockWidget(area, other)
    made.show()
    yield made
    made.close()


def put(window, widget) -> QDockWidget:
    holder = QDockWidget(widget.objectName(), window)
    holder.setWidget(widget)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, holder)
    QApplication.processEvents()
    return holder


def test_our_docks_open_as_tabs_and_the_last_one_is_in_front(window, dock, qtbot):
    more = [Widget(ViewerModel()) for _ in range(2)]
    holders = [put(window, widget) for widget in (dock, *more)]
    qtbot.waitUntil(lambda: not holders[2].visibleRegion().isEmpty())
    assert set(holders[:2]) < set(window.tabifiedDockWidgets(holders[2]))
    assert all(widget.visibleRegion().isEmpty() for widget in (dock, more[0]))
    # Each has the height of the window, though another program's dock is there.
    assert holders[2].height() > 600
    # A dock that the user moved stays where it is.
    holders[0].setFloating(True)
    holders[0].show()
    QApplication.processEvents()
    assert holders[0].isFloating()
    for widget in more:
        widget.close()


def test_a_pinned_button_does_not_move_when_the_form_grows(window, qapp):
    panel = FormPanel()
    panel.field = note(panel, "one line")
    layout = QVBoxLayout(panel)
    layout.addWidget(panel.field)
    panel.pin(panel.bar, panel.status, panel.cancel_button)
    widget = Dock(ViewerModel(), "pinned", panel)
    put(window, widget)
    before = panel.cancel_button.mapTo(window, QPoint(0, 0))
    for text in ("line\n" * 30, "", "line\n" * 90):
        panel.field.setText(text)
        QApplication.processEvents()
        assert panel.cancel_button.mapTo(window, QPoint(0, 0)) == before
    panel.show_running("Working…")
    panel.show_error("One, two, three words that say what happened, then what to do. " * 2)
    QApplication.processEvents()
    assert panel.cancel_button.mapTo(window, QPoint(0, 0)) == before
    assert panel.cancel_button.isVisible()
    widget.close()


def test_a_saved_file_is_named_with_a_link_to_its_folder(dock, tmp_path):
    folder = tmp_path / "a <b>"
    folder.mkdir()
    dock.panel.show_saved(folder / "x&y.nii.gz")
    text = dock.panel.status.text()
    assert text.startswith("Saved x&amp;y.nii.gz (")
    (link,) = re.findall('href="([^"]*)"', text)
    assert QUrl(html.unescape(link)).toLocalFile() == str(folder)
    assert dock.panel.status.openExternalLinks()


def test_error_color_follows_the_theme(dock):
    dark = dock.panel.error_color
    assert dock.dark
    dock._viewer.theme = "light"
    assert not dock.dark
    assert dock.panel.error_color != dark
    dock.detach()
    dock._viewer.theme = "dark"
    assert dock.panel.error_color != dark


def test_a_hint_gives_way(qapp):
    panel = Panel()
    panel.show_hint("hint")
    panel.show_hint("other hint")
    assert panel.status.text() == "other hint"
    panel.show_status("text")
    panel.show_hint("hint")
    assert panel.status.text() == "text"


def luminance(color: str) -> float:
    """Return the relative luminance of ``#rrggbb``, as WCAG 2.1 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_dark_and_light_themes(theme):
    assert is_dark(theme) == (theme == "dark")


@pytest.mark.parametrize("theme", sorted({*available_themes()} - {"system"}))
def test_errors_are_readable_on_every_theme(theme):
    """WCAG requires a contrast of 4.5 for text."""
    ground = get_theme(theme).background.as_rgb_tuple()[:3]
    background = "#" + "".join(f"{int(c):02x}" for c in ground)
    low, high = sorted((luminance(error_color(theme)), luminance(background)))
    assert (high + 0.05) / (low + 0.05) >= 4.5
