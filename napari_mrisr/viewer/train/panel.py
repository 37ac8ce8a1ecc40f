"""What the training dock looks like: fields, buttons, charts, status. No logic."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.operators.degrade import DEGRADATIONS
from napari_mrisr.training.presets import PRESETS
from napari_mrisr.viewer.common.choices import COMMON_SCALES
from napari_mrisr.viewer.common.fields import ScaleField, narrow
from napari_mrisr.viewer.train.charts import GainChart, SupportChart
from napari_mrisr.viewer.train.request import UNKNOWN_LICENSE
from napari_mrisr.viewer.train.story import Story
from napari_mrisr.viewer.train.texts import speed_text
from napari_mrisr.viewer.train.volumes import VolumeList

SET_UP, PROGRESS = 0, 1

_PRESET_TIPS = {
    "default": "Three stages: a minute or two for three volumes",
    "paper": "The 2021 paper's recipe: one stage, several GB, slow",
}


class TrainPanel(QWidget):
    """The form. Its owner connects the signals and calls the ``show_`` methods."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.error_color = "#d02020"
        self.volumes = VolumeList(self)
        self.scale = ScaleField(self)
        self.scale.set_scales(COMMON_SCALES, True)
        self.degradation = _choices(self, DEGRADATIONS, {})
        self.degradation.setToolTip("How the low-resolution volumes are made from these")
        self.preset = _choices(self, PRESETS, _PRESET_TIPS)
        self.license = QLineEdit(self)
        self.license.setPlaceholderText(UNKNOWN_LICENSE)
        self.license.setToolTip("License of these volumes, for the bank's record, such as CC0")
        self.names = QCheckBox("Write names of files and layers into the bank", self)
        self.names.setToolTip(
            "They may tell who the patients are. Otherwise the bank's record says\n"
            "“volume 1” and so on. The sums beside it keep the paths of files."
        )
        self.name = QLineEdit(self)
        self.name.setToolTip("The bank's name; it is then among the banks of Super-resolve")
        self.folder_button = QToolButton(self)
        self.folder_button.setText("…")
        self.folder_button.setToolTip("Save into another folder")
        self.out = _note(self)
        self.replace = QCheckBox("Replace the bank of this name", self)
        self.plan = _note(self)
        self.warnings = _note(self)
        self.train_button = QPushButton("Train", self)
        self.stop_button = QPushButton("Stop", self)
        self.stop_button.setToolTip("Stop now, and save a bank of the volumes that are finished")
        self.resume_button = QPushButton("Resume", self)
        self.resume_button.setToolTip(
            "Go on where this bank's training stopped, and add the volumes ticked;\n"
            "the result is as if all had been trained on at once"
        )
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.status = _note(self)
        self.status.setMinimumHeight(2 * self.status.fontMetrics().lineSpacing())
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.status.setTextFormat(Qt.TextFormat.RichText)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.gain = GainChart(self)
        self.support = SupportChart(self)
        self.speed = _note(self)
        self._fields = (
            self.volumes,
            self.scale,
            self.degradation,
            self.preset,
            self.license,
            self.names,
            self.name,
            self.folder_button,
            self.replace,
        )
        self._lay_out()
        self.show_idle("")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Scale", self.scale)
        form.addRow("Degradation", self.degradation)
        form.addRow("Preset", self.preset)
        form.addRow("License", self.license)
        form.addRow(self.names)
        name = QHBoxLayout()
        name.addWidget(self.name)
        name.addWidget(self.folder_button)
        form.addRow("Bank", name)
        form.addRow("", self.out)
        form.addRow("", self.replace)
        form.addRow("Plan", self.plan)
        buttons = QHBoxLayout()
        for button in (self.train_button, self.stop_button, self.resume_button):
            buttons.addWidget(button)
        self.tabs = QTabWidget(self)
        self.tabs.addTab(_page(self.volumes, form, self.warnings), "Set up")
        self.tabs.addTab(_page(self.gain, self.support, self.speed), "Progress")
        layout = QVBoxLayout(self)
        layout.addWidget(self.tabs)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addStretch(1)
        layout.addWidget(_note(self, "Research use. Not for diagnosis."))

    def show_plan(self, plan: str, warnings: list[str], out: str) -> None:
        """Say what would be done, and what to think of first."""
        self.plan.setText(plan or "–")
        self.warnings.setText("\n".join(f"⚠ {warning}" for warning in warnings))
        self.warnings.setVisible(bool(warnings))
        self.out.setText(out)

    def offer(self, *, train: bool, resume: bool, replace: bool) -> None:
        """Which buttons make sense."""
        self.train_button.setEnabled(train)
        self.resume_button.setEnabled(resume)
        self.replace.setVisible(replace)

    def show_status(self, text: str) -> None:
        """Say something."""
        self.status.setText(escape(text))

    def show_error(self, line: str) -> None:
        """Say what is wrong."""
        self.status.setText(f'<span style="color: {self.error_color}">{escape(line)}</span>')

    def show_story(self, story: Story) -> None:
        """Draw the charts anew."""
        self.gain.show_story(story)
        self.support.show_story(story)
        self.speed.setText(speed_text(story))

    def show_running(self, text: str) -> None:
        """A training has begun."""
        for field in self._fields:
            field.setEnabled(False)
        self.train_button.setEnabled(False)
        self.resume_button.setEnabled(False)
        self.stop_button.setEnabled(True)
        self.tabs.setCurrentIndex(PROGRESS)
        self.show_busy(text)

    def show_busy(self, text: str) -> None:
        """Something takes its time, nobody knows how long."""
        self.bar.setRange(0, 0)
        self.show_status(text)

    def show_progress(self, done: int, total: int) -> None:
        """Some steps are done."""
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)

    def show_stopping(self) -> None:
        """Stop was pressed."""
        self.stop_button.setEnabled(False)
        self.show_busy("Stopping; saving what is finished…")

    def show_idle(self, text: str) -> None:
        """No training."""
        for field in self._fields:
            field.setEnabled(True)
        self.stop_button.setEnabled(False)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.show_status(text)


def _page(*parts: QWidget | QLayout) -> QWidget:
    """A tab's page with parts from top to bottom."""
    page = QWidget()
    layout = QVBoxLayout(page)
    for part in parts:
        if isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)
    layout.addStretch(1)
    return page


def _choices(parent: QWidget, names: tuple[str, ...], tips: dict[str, str]) -> QComboBox:
    combo = narrow(QComboBox(parent))
    for index, name in enumerate(names):
        combo.addItem(name)
        combo.setItemData(index, tips.get(name, ""), Qt.ItemDataRole.ToolTipRole)
    return combo


def _note(parent: QWidget, text: str = "") -> QLabel:
    label = QLabel(text, parent)
    label.setWordWrap(True)
    # Ignored: a long word must not widen the dock.
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label
