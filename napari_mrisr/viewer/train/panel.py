"""The form of the training dock: fields, buttons, charts, status. No logic."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLayout,
    QLineEdit,
    QPushButton,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.progress import ProgressState
from napari_mrisr.operators.degrade import DEGRADATION_SUMMARIES
from napari_mrisr.training.presets import PRESET_SUMMARIES
from napari_mrisr.viewer.common.choices import COMMON_SCALES
from napari_mrisr.viewer.common.dock import FormPanel, note
from napari_mrisr.viewer.common.fields import ScaleField, narrow
from napari_mrisr.viewer.train.charts import GainChart, SupportChart
from napari_mrisr.viewer.train.history import TrainingHistory, speed_text
from napari_mrisr.viewer.train.request import UNKNOWN_LICENSE
from napari_mrisr.viewer.train.volumes import VolumeList

PROGRESS = 1
"""Index of the tab with the charts."""


class TrainPanel(FormPanel):
    """The form. The dock connects the signals and calls the ``show_`` methods."""

    stopping_text = "Stopping; saving the finished volumes…"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.volumes = VolumeList(self)
        self.scale = ScaleField(self)
        self.scale.set_scales(COMMON_SCALES, True)
        self.degradation = _choices(self, DEGRADATION_SUMMARIES)
        self.degradation.setToolTip("Simulates the low-resolution volumes")
        self.preset = _choices(self, PRESET_SUMMARIES)
        self.license = QLineEdit(self)
        self.license.setPlaceholderText(UNKNOWN_LICENSE)
        self.license.setToolTip("License of these volumes, such as CC0; saved in the bank")
        self.names = QCheckBox("Save file and layer names in the bank", self)
        self.names.setToolTip(
            "Names may identify patients. Without them the bank lists “volume 1” and so on.\n"
            "The file of sums next to the bank contains the paths of files in any case."
        )
        self.name = QLineEdit(self)
        self.name.setToolTip("Name of the bank in the list of Super-resolve")
        self.folder_button = QToolButton(self)
        self.folder_button.setText("…")
        self.folder_button.setToolTip("Save into another folder")
        self.out = note(self)
        self.replace = QCheckBox("Replace the bank of this name", self)
        self.plan = note(self)
        self.warnings = note(self)
        self.train_button = QPushButton("Train", self)
        self.stop_button = self.cancel_button
        self.stop_button.setText("Stop")
        self.stop_button.setToolTip("Stop now and save a bank of the finished volumes")
        self.resume_button = QPushButton("Resume", self)
        self.resume_button.setToolTip(
            "Continue this bank's training and add the ticked volumes.\n"
            "The result equals a training on all of them at once."
        )
        self.gain = GainChart()
        self.support = SupportChart()
        self.speed = note(self)
        self.fields = (
            self.volumes,
            self.scale,
            self.degradation,
            self.preset,
            self.license,
            self.names,
            self.name,
            self.folder_button,
            self.replace,
            self.train_button,
            self.resume_button,
        )
        self._lay_out()
        self.show_idle()

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
        layout.addWidget(note(self, "Research use. Not for diagnosis."))

    def show_plan(self, plan: str, warnings: list[str], out: str) -> None:
        """Show the plan, its cautions, and the file of the bank."""
        self.plan.setText(plan or "–")
        self.warnings.setText("\n".join(f"⚠ {warning}" for warning in warnings))
        self.warnings.setVisible(bool(warnings))
        self.out.setText(out)

    def offer(self, *, train: bool, resume: bool, replace: bool) -> None:
        """Enable the buttons that can be used, and show the box to replace a bank."""
        self.train_button.setEnabled(train)
        self.resume_button.setEnabled(resume)
        self.replace.setVisible(replace)

    def show_history(self, history: TrainingHistory) -> None:
        """Draw the charts."""
        self.gain.show_history(history)
        self.support.show_history(history)
        self.speed.setText(speed_text(history))

    def set_chart_colors(self, text: str, background: str) -> None:
        """Draw the charts in the colors of a theme."""
        self.gain.set_colors(text, background)
        self.support.set_colors(text, background)

    def show_running(self, text: str) -> None:
        """Show that a training runs."""
        super().show_running(text)
        self.tabs.setCurrentIndex(PROGRESS)

    def show_progress(self, state: ProgressState) -> None:
        """Show how many steps are done; the dock writes the status."""
        self.bar.setRange(0, max(1, state.total))
        self.bar.setValue(state.done)


def _page(*parts: QWidget | QLayout) -> QWidget:
    """Make a page of a tab with parts from top to bottom."""
    page = QWidget()
    layout = QVBoxLayout(page)
    for part in parts:
        if isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)
    layout.addStretch(1)
    return page


def _choices(parent: QWidget, summaries: dict[str, str]) -> QComboBox:
    """Make a combo box of names with a summary as the tooltip of each."""
    combo = narrow(QComboBox(parent))
    for index, (name, summary) in enumerate(summaries.items()):
        combo.addItem(name)
        combo.setItemData(index, summary, Qt.ItemDataRole.ToolTipRole)
    return combo
