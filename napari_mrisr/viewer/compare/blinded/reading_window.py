"""A window for blinded reading: cases one after another, no names, answers by keys."""

from __future__ import annotations

import logging
import time
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_mrisr.comparison.blinded.session import Case, Reading, key_path
from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.common.latest import Latest
from napari_mrisr.viewer.compare.memory import as_remembered
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.model.keys import READING_KEYS
from napari_mrisr.viewer.compare.model.windowing import reset_windows
from napari_mrisr.viewer.compare.view import CompareView

_log = logging.getLogger(__name__)


class ReadingWindow(QWidget):
    """Goes through the cases that have no answer yet.

    Parameters
    ----------
    reading : Reading
        Where it was left.
    style : str
        Qt style sheet, such as napari's.
    """

    def __init__(self, reading: Reading, style: str = "") -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Blinded reading")
        self.setStyleSheet(style)
        self._reading = reading
        self._case: Case | None = None
        self._since = 0.0
        self._given: list[int] = []
        self._loader = Latest()
        self._loader.finished.connect(self._show_case)
        self._loader.failed.connect(self._load_failed)
        self.controller = Controller()
        self.question = QLabel(self)
        self.question.setTextFormat(Qt.TextFormat.PlainText)
        self.question.setStyleSheet("font-size: 17px; font-weight: bold;")
        self.progress = QLabel(self)
        self.view = CompareView(self.controller, self, keys=READING_KEYS)
        self.view.acted.connect(self._acted)
        self.answers = [self._answer_button(i) for i in range(5)]
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
        for made in self.answers:
            bottom.addWidget(made)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        layout.addLayout(bottom)

    # Cases.

    def next_case(self) -> None:
        """Load the next case without an answer, or say that there is none."""
        remaining = self._reading.remaining
        self._given = []
        self._case = remaining[0] if remaining else None
        self._label()
        if self._case is None:
            self.view.message = (
                f"All {len(self._reading.plan.cases)} cases are read.\n\n"
                f"Answers: {self._reading.path.name}\n"
                f"What the letters stood for: {key_path(self._reading.path).name}"
            )
            self.controller.set_volumes({})
            self.view.schedule()
            return
        case, reading = self._case, self._reading
        self.view.message = "Loading …"
        self.controller.set_volumes({})
        self._loader.ask(lambda progress: _load(reading, case, progress))

    def _show_case(self, loaded: tuple[Case, dict[str, Volume]]) -> None:
        case, volumes = loaded
        if case is not self._case:
            return
        self.controller.set_volumes(
            volumes, titles={letter: f"image {letter}" for letter in volumes}
        )
        self.controller.restore(as_remembered(opening_state(volumes, tuple(volumes))))
        self._since = time.monotonic()
        self._label()
        self.view.setFocus()

    def _load_failed(self, error: Exception) -> None:
        line = error_line(error)
        if not isinstance(error, MrisrError):
            _log.error("%s", line, exc_info=error)
        self._say(line)

    def _say(self, line: str) -> None:
        self.view.message = line
        self.progress.setText(line)
        self.view.schedule()

    # Answers.

    def give(self, place: int) -> None:
        """The answer at a place of the scale, from the left."""
        if self._case is None or not self.controller.state.columns:
            return
        plan = self._reading.plan
        self._given.append(sorted(plan.scale)[place])
        if not plan.compares and len(self._given) < len(plan.letters):
            self._label()
            return
        try:
            self._reading.answer(self._case, self._given, time.monotonic() - self._since)
        except MrisrError as error:
            self._given = []
            self._label()
            self.progress.setText(error_line(error))
            return
        self.next_case()

    def take_back(self) -> None:
        """The last answer again: of this case, or the case before."""
        if self._given:
            self._given.pop()
            self._label()
            return
        try:
            if self._reading.take_back() is not None:
                self.next_case()
        except MrisrError as error:
            self.progress.setText(error_line(error))

    def _label(self) -> None:
        """Question, progress and answers as they are now."""
        plan = self._reading.plan
        question = plan.question
        if not plan.compares and self._case is not None:
            question += f"   Rate {plan.letters[len(self._given)]}"
            given = zip(plan.letters, self._given, strict=False)
            rated = ", ".join(f"{letter}: {value}" for letter, value in given)
            question += f"   ({rated})" if rated else ""
        self.question.setText(question)
        done, total = len(self._reading.answers), len(plan.cases)
        shown = f"case {done + 1} of {total}" if self._case is not None else f"{done} of {total}"
        self.progress.setText(f"{shown}   ·   Backspace takes the last answer back   ·   H help")
        for place, (made, value) in enumerate(zip(self.answers, sorted(plan.scale), strict=True)):
            made.setText(f"{place + 1}   {plan.scale[value]}")
            made.setEnabled(self._case is not None)

    def _acted(self, action: str) -> None:
        if action.startswith("answer_"):
            self.give(int(action[-1]) - 1)
        elif action == "take_back":
            self.take_back()
        elif action == "reset_window":
            reset_windows(self.controller)
        elif action == "full_screen":
            self.showNormal() if self.isFullScreen() else self.showFullScreen()
        elif action == "escape" and not self.view.step_back() and self.isFullScreen():
            self.showNormal()

    def closeEvent(self, event: Any) -> None:
        """Nothing is lost: every answer is on disk."""
        self._loader.close()
        self.view.close_view()
        super().closeEvent(event)


def _load(reading: Reading, case: Case, progress: Progress) -> tuple[Case, dict[str, Volume]]:
    progress.begin("loading", 1)
    return case, reading.volumes(case)
