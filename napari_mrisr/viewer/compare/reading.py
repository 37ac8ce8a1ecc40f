"""Blinded reading: the dialog that chooses the cases, and the window that shows them."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.comparison.blinded.cases import read_plan
from napari_mrisr.comparison.blinded.session import QUESTION, Case, Reading, key_path
from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.model.texts import READING_KEYS
from napari_mrisr.viewer.compare.settings import as_remembered
from napari_mrisr.viewer.compare.view import CompareView

_log = logging.getLogger(__name__)

_INTRODUCTION = (
    "The list of cases is a CSV file, for example\n"
    "    case,tricubic,hashed\n"
    "    1,a-tricubic.nii.gz,a-hashed.nii.gz\n"
    "with two to four methods. Paths are relative to the list. Names are hidden, and the\n"
    "columns of each case are shuffled. Every answer is saved at once: close the window at\n"
    "any time, and choose the same files to continue. A second file holds the key to the letters."
)


class ReadingDialog(QDialog):
    """Dialog for the list of cases, answers, question and seed.

    ``reading`` is set when the user accepts.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Blinded reading")
        self.reading: Reading | None = None
        self.cases, self.answers = QLineEdit(self), QLineEdit(self)
        self.question = QLineEdit(QUESTION, self)
        self.seed = QSpinBox(self)
        self.seed.setRange(0, 999_999)
        self.seed.setToolTip("A different seed shuffles the columns differently")
        self.status = QLabel(self)
        self.status.setWordWrap(True)
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Cases", self._with_button(self.cases, self._browse_cases))
        form.addRow("Answers", self._with_button(self.answers, self._browse_answers))
        form.addRow("Question", self.question)
        form.addRow("Seed", self.seed)
        buttons = QDialogButtonBox(self)
        self.start_button = buttons.addButton("Start", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.start)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(_INTRODUCTION, self))
        layout.addLayout(form)
        layout.addWidget(self.status)
        layout.addWidget(buttons)
        self.resize(640, 0)

    def start(self) -> None:
        """Check the fields and close, or show what is wrong."""
        if not self.cases.text().strip() or not self.answers.text().strip():
            self.status.setText("Choose a list of cases and a file for the answers.")
            return
        try:
            question = self.question.text().strip() or QUESTION
            plan = read_plan(self.cases.text().strip(), self.seed.value(), question)
            self.reading = Reading(plan, self.answers.text().strip())
        except MrisrError as error:
            self.status.setText(str(error))
            return
        self.accept()

    def _with_button(self, field: QLineEdit, browse: object) -> QWidget:
        holder = QWidget(self)
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(field, 1)
        opener = QPushButton("Browse…", holder)
        opener.clicked.connect(browse)
        row.addWidget(opener)
        return holder

    def _browse_cases(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "List of cases", "", "CSV (*.csv)")
        if path:
            self.cases.setText(path)
            if not self.answers.text():
                self.answers.setText(str(Path(path).with_name("reading.csv")))

    def _browse_answers(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self,
            "Answers",
            self.answers.text() or "reading.csv",
            "CSV (*.csv)",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if path:
            self.answers.setText(path)


def ask_reading(parent: QWidget) -> Reading | None:
    """Return the reading that the user chose, or None."""
    dialog = ReadingDialog(parent)
    accepted = dialog.exec()
    dialog.deleteLater()
    return dialog.reading if accepted else None


class ReadingWindow(QWidget):
    """Window that shows the cases without an answer, one after another.

    Parameters
    ----------
    reading : Reading
        Continued where it was left.
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
        self._loader = Worker()
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
        """Load the next case without an answer, or show that all are read."""
        remaining = self._reading.remaining
        self._given = []
        self._case = remaining[0] if remaining else None
        self._label()
        if self._case is None:
            self.view.message = (
                f"All {len(self._reading.plan.cases)} cases are read.\n\n"
                f"Answers: {self._reading.path.name}\n"
                f"Key to the letters: {key_path(self._reading.path).name}"
            )
            self.controller.set_volumes({})
            self.view.schedule()
            return
        case, reading = self._case, self._reading
        self.view.message = "Loading …"
        self.controller.set_volumes({})
        self._loader.submit(lambda progress: _load(reading, case, progress))

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
        self._show_message(line)

    def _show_message(self, line: str) -> None:
        self.view.message = line
        self.progress.setText(line)
        self.view.schedule()

    # Answers.

    def give(self, place: int) -> None:
        """Give the answer at a place of the scale, from the left."""
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

    def _label(self) -> None:
        """Update question, progress and answers."""
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
        self.progress.setText(f"{shown}   ·   Backspace: withdraw the last answer   ·   H: help")
        for place, (made, value) in enumerate(zip(self.answers, sorted(plan.scale), strict=True)):
            made.setText(f"{place + 1}   {plan.scale[value]}")
            made.setEnabled(self._case is not None)

    def _acted(self, action: str) -> None:
        if action.startswith("answer_"):
            self.give(int(action[-1]) - 1)
        elif action == "take_back":
            self.withdraw()
        elif action == "reset_window":
            self.controller.reset_windows()
        elif action == "full_screen":
            self.showNormal() if self.isFullScreen() else self.showFullScreen()
        elif action == "escape" and not self.view.step_back() and self.isFullScreen():
            self.showNormal()

    def closeEvent(self, event: Any) -> None:
        """Stop loading; every answer is on disk."""
        self._loader.close()
        self.view.close_view()
        super().closeEvent(event)


def _load(reading: Reading, case: Case, progress: Progress) -> tuple[Case, dict[str, Volume]]:
    progress.begin("loading", 1)
    return case, reading.volumes(case)
