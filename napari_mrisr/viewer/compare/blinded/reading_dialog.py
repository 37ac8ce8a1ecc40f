"""Asks which cases to read blinded, and where the answers go."""

from __future__ import annotations

from pathlib import Path

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
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.comparison.blinded.cases import read_plan
from napari_mrisr.comparison.blinded.session import QUESTION, Reading
from napari_mrisr.errors import MrisrError

_INTRODUCTION = (
    "The list of cases is a CSV file, such as\n"
    "    case,tricubic,hashed\n"
    "    1,a-tricubic.nii.gz,a-hashed.nii.gz\n"
    "with two to four methods; files are relative to it. Names are hidden and the columns\n"
    "shuffled anew for each case. Answers are kept one by one: close the window at any time,\n"
    "and choose the same files to go on. What the letters stood for is in a file of its own."
)


class ReadingDialog(QDialog):
    """List, answers, question and seed; ``reading`` is there once it is accepted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Blinded reading")
        self.reading: Reading | None = None
        self.cases, self.answers = QLineEdit(self), QLineEdit(self)
        self.question = QLineEdit(QUESTION, self)
        self.seed = QSpinBox(self)
        self.seed.setRange(0, 999_999)
        self.seed.setToolTip("Another seed shuffles the columns another way")
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
        """Check all, and close; or say what is wrong, and stay."""
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
    """The reading to go through; None when it was called off."""
    dialog = ReadingDialog(parent)
    accepted = dialog.exec()
    dialog.deleteLater()
    return dialog.reading if accepted else None
