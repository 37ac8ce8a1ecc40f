"""Dialog that starts a blinded reading, or shows the results of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.comparison.blinded.cases import plan_of_volumes, read_plan
from napari_mrisr.comparison.blinded.plan import (
    KIND_SUMMARIES,
    LESION,
    QUESTIONS,
    TOLERANCE_MM,
    Point,
    ReadingPlan,
)
from napari_mrisr.comparison.blinded.session import (
    Reading,
    check_path,
    key_path,
    load_key,
    seed_for,
)
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError
from napari_mrisr.evaluation.planted_reading import PlantedParameters, plan_of_planted
from napari_mrisr.viewer.common.dialogs import last_folder
from napari_mrisr.viewer.common.dock import note
from napari_mrisr.viewer.common.fields import guard_wheel
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.compare.blinded.planted import PlantedFields
from napari_mrisr.viewer.compare.blinded.results import ResultsWindow, ask_results

_ANSWERS = "reading.csv"
_FOLDER_TIP = (
    "A folder with one folder per case, one folder per method, or images such as\n"
    "sub-01_desc-hashed_T1w.nii.gz; or a list: a CSV file with the header case,METHOD,METHOD"
)
_TARGETS_TIP = (
    "Reference points: the crosshair of the comparison, the points of a layer, or the center\n"
    "of each connected part of its labels or mask. The distance of a mark to the nearest one\n"
    "is recorded."
)

_UNKNOWN = "unknown (no distance)"

Marked = Callable[[], Sequence[Point]]


class ReadingDialog(QDialog):
    """Dialog for cases, question, file of answers and seed.

    ``reading`` is set when the user accepts.

    Parameters
    ----------
    parent : QWidget, optional
    volumes : mapping of str to Volume
        Open volumes, by name.
    sources : mapping of str to str
        From a result to the volume that it was made from.
    marked : mapping of str to callable
        Each returns places of lesions, world mm, such as those of a layer.
    """

    def __init__(
        self,
        parent: QWidget | None = None,
        volumes: Mapping[str, Volume] | None = None,
        sources: Mapping[str, str] | None = None,
        marked: Mapping[str, Marked] | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Blinded reading")
        self.reading: Reading | None = None
        self.results: ResultsWindow | None = None
        self._volumes, self._sources = volumes or {}, sources or {}
        self._marked = {key: cache(find) for key, find in (marked or {}).items()}
        self._plan_error = ""
        self.layers_button = QRadioButton("Open layers", self)
        self.files_button = QRadioButton("Files", self)
        self.planted_button = QRadioButton("Lesions planted in an open scan", self)
        self.planted_button.setToolTip("Their places are known: the results have the hit rate")
        self.planted = PlantedFields(self._volumes, self)
        self.planted_button.setEnabled(self.planted.volume is not None)
        self.planter = Worker()
        self.planter.finished.connect(self._read)
        self.planter.failed.connect(self._not_planted)
        self.finished.connect(self._end)
        self.cases, self.answers = QLineEdit(self), QLineEdit(self)
        self.cases.setToolTip(_FOLDER_TIP)
        self.kind = QComboBox(self)
        for kind, summary in KIND_SUMMARIES.items():
            self.kind.addItem(summary[0].upper() + summary[1:], kind)
        self.targets = QComboBox(self)
        self.targets.setToolTip(_TARGETS_TIP)
        self.targets.addItems([_UNKNOWN, *self._marked])
        self.question = QLineEdit(self)
        self.seed = QSpinBox(self)
        self.seed.setRange(-1, 999_999)
        self.seed.setSpecialValueText("random")
        self.seed.setValue(-1)
        self.seed.setToolTip("Shuffles the columns; it is recorded in the key file")
        self.status = note(self)
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setMinimumHeight(3 * self.status.fontMetrics().lineSpacing())
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._lay_out()
        self._connect()
        guard_wheel(self)
        has_layers = self._plan_of_layers() is not None
        self.layers_button.setChecked(has_layers)
        self.files_button.setChecked(not has_layers)
        self._refresh()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Cases", self.layers_button)
        self.folder_button = QPushButton("Folder…", self)
        self.list_button = QPushButton("List…", self)
        files = QHBoxLayout()
        files.addWidget(self.files_button)
        files.addWidget(self.cases, 1)
        files.addWidget(self.folder_button)
        files.addWidget(self.list_button)
        form.addRow("", files)
        form.addRow("", self.planted_button)
        form.addRow("", self.planted)
        form.addRow("Answer", self.kind)
        form.addRow("Lesions at", self.targets)
        form.addRow("Question", self.question)
        self._form = form
        self.answers_button = QPushButton("Browse…", self)
        answers = QHBoxLayout()
        answers.addWidget(self.answers, 1)
        answers.addWidget(self.answers_button)
        form.addRow("Save to", answers)
        form.addRow("Seed", self.seed)
        buttons = QDialogButtonBox(self)
        self.start_button = buttons.addButton("Start", QDialogButtonBox.ButtonRole.AcceptRole)
        self.results_button = buttons.addButton(
            "Results of a reading…", QDialogButtonBox.ButtonRole.ActionRole
        )
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.start)
        buttons.rejected.connect(self.reject)
        self.results_button.clicked.connect(self.show_results)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.status)
        layout.addWidget(buttons)
        self.resize(680, 0)

    def _connect(self) -> None:
        self.layers_button.toggled.connect(self._refresh)
        self.planted_button.toggled.connect(self._refresh)
        self.planted.changed.connect(self._refresh)
        self.cases.editingFinished.connect(self._cases_chosen)
        self.answers.editingFinished.connect(self._refresh)
        self.kind.currentIndexChanged.connect(self._refresh)
        self.targets.currentIndexChanged.connect(self._refresh)
        self.folder_button.clicked.connect(self._browse_folder)
        self.list_button.clicked.connect(self._browse_list)
        self.answers_button.clicked.connect(self._browse_answers)

    # The plan.

    def start(self) -> None:
        """Check the fields and close, or show what is wrong; planting takes seconds."""
        if self.planted_button.isChecked():
            self._plant()
        else:
            self._read(self._plan())

    def _plant(self) -> None:
        """Choose the places of the lesions in the background."""
        volume, path = self.planted.volume, self._answers_path()
        if volume is None or self.planter.running:
            return
        try:
            check_path(path)
            parameters = self._planted_parameters(volume, self._seed())
        except MrisrError as error:
            self._show(str(error))
            return
        self.start_button.setEnabled(False)
        self._show("Placing the lesions…")
        self.planter.submit(lambda progress: plan_of_planted(volume, parameters, progress=progress))

    def _planted_parameters(self, volume: Volume, seed: int) -> PlantedParameters:
        """Return the fields, checked for a scan."""
        parameters = self.planted.parameters(seed)
        parameters.check(volume.cropped_to_multiple(parameters.scale).grid)
        return parameters

    def _not_planted(self, error: Exception) -> None:
        self.start_button.setEnabled(True)
        self._show(error_line(error))

    def _end(self, _: int) -> None:
        self.planter.close()

    def _read(self, plan: ReadingPlan | None) -> None:
        """Begin or continue the reading of a plan."""
        self.start_button.setEnabled(True)
        if plan is None:
            self._show(self._plan_error)
            return
        try:
            self.reading = Reading(plan, self._answers_path())
        except MrisrError as error:
            self._show(str(error))
            return
        self.accept()

    def _plan(self, seed: int | None = None) -> ReadingPlan | None:
        """Return the plan, or None and set the error."""
        question, kind = self.question.text().strip(), str(self.kind.currentData())
        path = self.cases.text().strip()
        try:
            seed = self._seed() if seed is None else seed
            if self.layers_button.isChecked():
                find = self._marked.get(self.targets.currentText()) if kind == LESION else None
                targets = find() if find is not None else ()
                return plan_of_volumes(self._volumes, self._sources, seed, question, kind, targets)
            if path:
                return read_plan(path, seed, question, kind)
        except MrisrError as error:
            self._plan_error = str(error)
            return None
        self._plan_error = "Choose a folder or a list of cases."
        return None

    def _seed(self) -> int:
        chosen = self.seed.value()
        return chosen if chosen >= 0 else seed_for(self._answers_path())

    def _plan_of_layers(self) -> ReadingPlan | None:
        try:
            return plan_of_volumes(self._volumes, self._sources)
        except MrisrError:
            return None

    def _answers_path(self) -> Path:
        """Return the file of answers: as typed, else in the folder of the cases."""
        typed = self.answers.text().strip()
        return Path(typed) if typed else self._default_answers()

    def _default_answers(self) -> Path:
        path = self.cases.text().strip()
        if not self.files_button.isChecked() or not path:
            return _unused(last_folder() / _ANSWERS)
        return (Path(path) if Path(path).is_dir() else Path(path).parent) / _ANSWERS

    # What is shown.

    def _refresh(self, *_: object) -> None:
        """Show what would be read, or what is missing."""
        on_files = self.files_button.isChecked()
        for field in (self.cases, self.folder_button, self.list_button):
            field.setEnabled(on_files)
        planting = self.planted_button.isChecked()
        self._form.setRowVisible(self.planted, planting)
        self.kind.setEnabled(not planting)
        self.question.setEnabled(not planting)
        self.question.setPlaceholderText(QUESTIONS[str(self.kind.currentData())])
        self.answers.setPlaceholderText(str(self._default_answers()))
        if planting:
            self._show_planted()
            return
        self._follow_key()
        lesion = self.kind.currentData() == LESION
        self._form.setRowVisible(self.targets, lesion and not on_files and bool(self._marked))
        plan = self._plan(seed=0)
        if plan is None:
            self._show(self._plan_error)
            return
        cases = "1 case" if len(plan.cases) == 1 else f"{len(plan.cases)} cases"
        text = f"{cases} of {len(plan.methods)} images: {', '.join(plan.methods)}."
        if count := len(plan.cases[0].targets):
            text += f" {count} reference point{'s' if count > 1 else ''}."
        if self._answers_path().exists():
            text += f"\n{self._answers_path().name} exists: the reading continues."
        else:
            text += "\nNames are hidden, and every method is equally often at each place."
        self._show(text)

    def _show_planted(self) -> None:
        """Show how many images there will be, or what does not fit."""
        volume = self.planted.volume
        if volume is None or self.planter.running:
            return
        self._form.setRowVisible(self.targets, False)
        with QSignalBlocker(self.kind):
            self.kind.setCurrentIndex(self.kind.findData(LESION))
        try:
            parameters = self._planted_parameters(volume, 0)
        except MrisrError as error:
            self._show(str(error))
            return
        self.question.setPlaceholderText(parameters.question)
        count = parameters.cases * len(parameters.methods)
        self._show(
            f"{count} images: {parameters.cases} lesions, each in the result of "
            f"{', '.join(parameters.methods)}, whose names are hidden.\n"
            f"Hit: marked within the lesion's largest semi-axis and {TOLERANCE_MM:g} mm."
        )

    def _follow_key(self) -> None:
        """Take kind and question of a reading that was begun."""
        key = key_path(self._answers_path())
        if not key.exists():
            return
        try:
            content = load_key(key)
        except MrisrError:  # shown at the start
            return
        with QSignalBlocker(self.kind):
            self.kind.setCurrentIndex(self.kind.findData(content["kind"]))
        self.question.setText(content["question"])

    def _show(self, text: str) -> None:
        self.status.setText(text)

    def _cases_chosen(self) -> None:
        self.files_button.setChecked(True)
        self._refresh()

    # Files.

    def _browse_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder of cases", self.cases.text())
        if path:
            self.cases.setText(path)
            self._cases_chosen()

    def _browse_list(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "List of cases", "", "CSV (*.csv)")
        if path:
            self.cases.setText(path)
            self._cases_chosen()

    def _browse_answers(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self,
            "Answers",
            str(self._answers_path()),
            "CSV (*.csv)",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if path:
            chosen = Path(path)
            self.answers.setText(str(chosen if chosen.suffix else chosen.with_suffix(".csv")))
            self._refresh()

    def show_results(self) -> None:
        """Ask for a file of answers and close to show its results, or show what is wrong."""
        try:
            self.results = ask_results(self, self._answers_path().parent)
        except MrisrError as error:
            self._show(str(error))
            return
        if self.results is not None:
            self.reject()


def _unused(path: Path) -> Path:
    """Return a path that does not exist: ``reading.csv``, ``reading-2.csv`` …."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def ask_reading(
    parent: QWidget,
    volumes: Mapping[str, Volume],
    sources: Mapping[str, str],
    marked: Mapping[str, Marked],
    show: Callable[[QWidget], None],
) -> Reading | None:
    """Return the reading that the user chose, or None; ``show`` gets a window of results."""
    dialog = ReadingDialog(parent, volumes, sources, marked)
    accepted = dialog.exec()
    dialog.deleteLater()
    if dialog.results is not None:
        show(dialog.results)
    return dialog.reading if accepted else None
