"""Window of a blinded reading: shows the cases, one after another, and takes the answers."""

from __future__ import annotations

import functools
import logging
import time
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.comparison.blinded.plan import CHOICE, LESION, ReadingItem
from napari_mrisr.comparison.blinded.session import Reading, key_path
from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.comparison.state import Point
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.common.dialogs import keep_open
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.compare.blinded.results import open_results
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.model.texts import READING_KEYS
from napari_mrisr.viewer.compare.settings import as_remembered
from napari_mrisr.viewer.compare.view import CompareView

_log = logging.getLogger(__name__)

_MOST_ANSWERS = 5
_MARK, _NO_LESION = "Mark the lesion at the crosshair", "No lesion"

Loaded = tuple[ReadingItem, dict[str, Volume]]


class ReadingWindow(QWidget):
    """Window that shows the cases without an answer, one after another.

    The next case is loaded while the reader looks at one.

    Parameters
    ----------
    reading : Reading
        Continued where it was left.
    style : str
        Qt style sheet, such as napari's.
    """

    def __init__(self, reading: Reading, style: str = "") -> None:
        super().__init__(None, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        keep_open(self)
        self.setWindowTitle("Blinded reading")
        self.setStyleSheet(style)
        self._reading = reading
        self._item: ReadingItem | None = None
        self._since = 0.0
        self._given: list[float] = []
        self._start: Point | None = None  # the crosshair before the reader has clicked
        self._loader = Worker()
        self._loader.finished.connect(self._arrived)
        self._loader.failed.connect(self._load_failed)
        self._loading: ReadingItem | None = None
        self._ahead: Loaded | None = None
        self.controller = Controller()
        self.question = QLabel(self)
        self.question.setTextFormat(Qt.TextFormat.PlainText)
        self.question.setStyleSheet("font-size: 17px; font-weight: bold;")
        self.progress = QLabel(self)
        self.view = CompareView(self.controller, self, keys=READING_KEYS)
        self.view.acted.connect(self._acted)
        self.answers = [self._answer_button(i) for i in range(_MOST_ANSWERS)]
        self.results_button = QPushButton("Unblind and show the results", self)
        self.results_button.clicked.connect(self.show_results)
        self._lay_out()
        self.setFocusProxy(self.view)
        self.next_case()

    def _answer_button(self, place: int) -> QPushButton:
        made = QPushButton(self)
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made.clicked.connect(lambda *_: self.give(place))
        return made

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(10, 6, 10, 6)
        top.addWidget(self.question, 1)
        top.addWidget(self.progress)
        bottom = QHBoxLayout()
        bottom.setContentsMargins(6, 4, 6, 6)
        for made in (*self.answers, self.results_button):
            bottom.addWidget(made)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        layout.addLayout(bottom)

    # Cases.

    def next_case(self) -> None:
        """Show the next case without an answer, or that all are read."""
        remaining = self._reading.remaining
        self._given = []
        self._item = remaining[0] if remaining else None
        self._label()
        if self._item is None:
            self._show_end()
        elif self._ahead is not None and self._ahead[0] == self._item:
            self._show_case(*self._ahead)
        else:
            self.view.message = "Loading …"
            self.controller.set_volumes({})
            self._load(self._item)

    def _show_end(self) -> None:
        path = self._reading.path
        self.view.message = (
            f"All {len(self._reading.plan.cases)} cases are read.\n\n"
            f"Answers: {path.name}\n"
            f"Key to the letters: {key_path(path).name}"
        )
        self._ahead = None
        self.controller.set_volumes({})
        self.view.schedule()

    def _load(self, item: ReadingItem) -> None:
        """Load a case unless it is being loaded."""
        if self._loading != item:
            self._loading = item
            self._loader.submit(functools.partial(_load, self._reading, item))

    def _arrived(self, loaded: Loaded) -> None:
        self._loading = None
        if loaded[0] == self._item:
            self._show_case(*loaded)
        else:
            self._ahead = loaded

    def _show_case(self, item: ReadingItem, volumes: dict[str, Volume]) -> None:
        one = len(volumes) == 1
        titles = {letter: "image" if one else f"image {letter}" for letter in volumes}
        self.controller.set_volumes(volumes, titles=titles)
        self.controller.restore(as_remembered(opening_state(volumes, tuple(volumes))))
        self._start = self.controller.state.crosshair
        self._since = time.monotonic()
        self._label()
        self.view.setFocus()
        following = self._reading.remaining[1:2]
        if following:
            self._load(following[0])

    def _load_failed(self, error: Exception) -> None:
        failed, self._loading = self._loading, None
        if failed != self._item:  # told when its turn has come
            return
        line = error_line(error)
        if not isinstance(error, MrisrError):
            _log.error("%s", line, exc_info=error)
        self.view.message = line
        self.progress.setText(line)
        self.view.schedule()

    # Answers.

    def give(self, place: int) -> None:
        """Give the answer at a place of the scale, from the left."""
        plan = self._reading.plan
        if self._item is None or not self.controller.state.columns or place >= len(self._texts()):
            return
        if plan.kind == LESION:
            self._given = [] if place else list(self.controller.state.crosshair)
            if self._given and self.controller.state.crosshair == self._start:
                self._given = []
                self.progress.setText("Click on the lesion first.")
                return
        else:
            self._given.append(sorted(plan.scale)[place])
            if plan.rates and len(self._given) < len(plan.letters):
                self._label()
                return
        try:
            self._reading.answer(self._item, self._given, time.monotonic() - self._since)
        except MrisrError as error:
            self._given = []
            self._label()
            self.progress.setText(error_line(error))
            return
        self.next_case()

    def withdraw(self) -> None:
        """Withdraw the last answer, of this case or the one before."""
        if self._given:
            self._given.pop()
            self._label()
            return
        try:
            if self._reading.take_back() is not None:
                self.next_case()
        except MrisrError as error:
            self.progress.setText(error_line(error))

    def show_results(self) -> None:
        """Unblind the answers and show their tables."""
        try:
            window = open_results(self._reading.path, self.styleSheet())
        except MrisrError as error:
            self.progress.setText(error_line(error))
            return
        window.show()

    def _texts(self) -> list[str]:
        """Return the texts of the answers, from the left."""
        plan = self._reading.plan
        if plan.kind == LESION:
            return [_MARK, _NO_LESION]
        texts = [plan.scale[value] for value in sorted(plan.scale)]
        return [f"{text} is best" for text in texts] if plan.kind == CHOICE else texts

    def _label(self) -> None:
        """Update question, progress and answers."""
        plan = self._reading.plan
        question = plan.question
        if plan.rates and self._item is not None:
            question += f"   Rate {plan.letters[len(self._given)]}"
            given = zip(plan.letters, self._given, strict=False)
            rated = ", ".join(f"{letter}: {value:g}" for letter, value in given)
            question += f"   ({rated})" if rated else ""
        self.question.setText(question)
        done, total = len(self._reading.answers), len(plan.items)
        shown = f"case {done + 1} of {total}" if self._item is not None else f"{done} of {total}"
        self.progress.setText(f"{shown}   ·   Backspace: withdraw the last answer   ·   H: help")
        texts = self._texts()
        for place, made in enumerate(self.answers):
            made.setVisible(place < len(texts) and self._item is not None)
            made.setText(f"{place + 1}   {texts[place]}" if place < len(texts) else "")
        self.results_button.setVisible(self._item is None)

    def _acted(self, action: str) -> None:
        if action.startswith("answer_"):
            self.give(int(action[-1]) - 1)
        elif action == "take_back":
            self.withdraw()
        elif action == "reset_window":
            self.controller.reset_windows()
        elif action == "full_screen":
            self._toggle_full_screen()
        elif action == "escape":
            self._go_back()

    def _go_back(self) -> None:
        """Leave help or a maximized panel, then full screen."""
        if not self.view.step_back() and self.isFullScreen():
            self._toggle_full_screen()

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on our keys, wherever the focus is."""
        if not self.view.handle_key(event):
            super().keyPressEvent(event)

    def closeEvent(self, event: Any) -> None:
        """Stop loading; every answer is on disk."""
        self._loader.close()
        self.view.close_view()
        super().closeEvent(event)


def _load(reading: Reading, item: ReadingItem, progress: Progress) -> Loaded:
    progress.begin("loading", 1)
    return item, reading.volumes(item, progress)
