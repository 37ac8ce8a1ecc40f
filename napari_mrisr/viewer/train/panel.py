"""Form of the training; no logic."""

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
    QSpinBox,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.progress import ProgressState
from napari_mrisr.operators.degrade import DEGRADATION_SUMMARIES
from napari_mrisr.training.networks.run import KINDS
from napari_mrisr.training.presets import PRESET_SUMMARIES
from napari_mrisr.viewer.common.dock import FormPanel, note
from napari_mrisr.viewer.common.fields import NamedChoice, ScaleField, narrow
from napari_mrisr.viewer.common.labels import COMMON_SCALES
from napari_mrisr.viewer.train.charts import GainChart, LossChart, NetworkGainChart, SupportChart
from napari_mrisr.viewer.train.model import UNKNOWN_LICENSE, TrainingHistory
from napari_mrisr.viewer.train.network import NetworkHistory
from napari_mrisr.viewer.train.volumes import VolumeList

METHODS = {
    "hashed": "learned filters",
    **{kind: f"network for {use}" for kind, use in KINDS.items()},
}
"""Filters and kinds of networks to train, with a summary each."""

PROGRESS = 1
"""Index of the tab with the charts."""


class TrainPanel(FormPanel):
    """The form. The dock connects the signals and calls the ``show_`` methods."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.volumes = VolumeList(self)
        self.method = NamedChoice(METHODS, self)
        self.scale = ScaleField(self)
        self.scale.set_scales(COMMON_SCALES, True)
        self.degradation = _choices(self, DEGRADATION_SUMMARIES)
        self.degradation.setToolTip("Simulates the low-resolution volumes")
        self.preset = _choices(self, PRESET_SUMMARIES)
        self.start = narrow(QComboBox(self))
        self.start.setToolTip("A network to train further on your volumes, or a new one")
        self.steps = QSpinBox(self)
        self.steps.setRange(100, 1_000_000)
        self.steps.setSingleStep(1000)
        self.steps.setGroupSeparatorShown(True)
        self.steps.setToolTip("More steps take longer and gain more, but less and less")
        self.license = QLineEdit(self)
        self.license.setPlaceholderText(UNKNOWN_LICENSE)
        self.license.setToolTip("License of these volumes, such as CC0; saved in the file")
        self.names = QCheckBox("Save names of files and layers", self)
        self.names.setToolTip(
            "Names may identify patients. Without them “volume 1” and so on is saved.\n"
            "The file of sums next to a bank contains the paths of files in any case."
        )
        self.name = QLineEdit(self)
        self.name.setToolTip("Name in the list of Super-resolve")
        self.folder_button = QToolButton(self)
        self.folder_button.setText("…")
        self.folder_button.setToolTip("Save into another folder")
        self.out = note(self)
        self.replace = QCheckBox("Replace the file of this name", self)
        self.plan = note(self)
        self.warnings = note(self)
        self.train_button = QPushButton("Train", self)
        self.stop_button = self.cancel_button
        self.stop_button.setText("Stop")
        self.resume_button = QPushButton("Resume", self)
        self.gain, self.support = GainChart(TrainingHistory()), SupportChart(TrainingHistory())
        self.curve, self.loss = NetworkGainChart(NetworkHistory()), LossChart(NetworkHistory())
        self.speed = note(self)
        self.fields = (
            self.volumes,
            self.method,
            self.start,
            self.steps,
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
        self.show_method("hashed")
        self.show_idle()

    def _lay_out(self) -> None:
        form = self._form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Method", self.method)
        form.addRow("Start from", self.start)
        form.addRow("Steps", self.steps)
        form.addRow("Scale", self.scale)
        form.addRow("Degradation", self.degradation)
        form.addRow("Preset", self.preset)
        form.addRow("License", self.license)
        form.addRow(self.names)
        name = QHBoxLayout()
        name.addWidget(self.name)
        name.addWidget(self.folder_button)
        form.addRow("Name", name)
        form.addRow("", self.out)
        form.addRow("", self.replace)
        form.addRow("Plan", self.plan)
        buttons = QHBoxLayout()
        for button in (self.train_button, self.stop_button, self.resume_button):
            buttons.addWidget(button)
        self.tabs = QTabWidget(self)
        self.tabs.addTab(_page(self.volumes, form, self.warnings), "Set up")
        self.tabs.addTab(
            _page(self.gain, self.support, self.curve, self.loss, self.speed), "Progress"
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.tabs)
        layout.addStretch(1)
        layout.addWidget(note(self, "Research use. Not for diagnosis."))
        self.pin(self.bar, self.status, buttons)

    def show_method(self, method: str) -> None:
        """Show the fields of a method."""
        network = method != "hashed"
        for field in (self.start, self.steps):
            self._form.setRowVisible(field, network)
        for field in (self.scale, self.degradation, self.preset):
            self._form.setRowVisible(field, not network)
        if network:
            self.stopping_text = "Stopping; saving the network…"
            stop = "Stop now and save the network as it is"
            resume = "Continue this training where it was stopped, on the same volumes"
        else:
            self.stopping_text = "Stopping; saving the finished volumes…"
            stop = "Stop now and save a bank of the finished volumes"
            resume = (
                "Continue this bank's training and add the ticked volumes.\n"
                "The result equals a training on all of them at once."
            )
        self.stop_button.setToolTip(stop)
        self.resume_button.setToolTip(resume)

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

    def show_history(self, history: TrainingHistory | NetworkHistory) -> None:
        """Draw the charts."""
        charts = ((self.gain, self.support), (self.curve, self.loss))
        network = isinstance(history, NetworkHistory)
        for number, pair in enumerate(charts):
            for chart in pair:
                chart.setVisible(number == network)
                if number == network:
                    chart.show_history(history)
        self.speed.setText(history.speed)

    def set_chart_colors(self, text: str, background: str) -> None:
        """Draw the charts in the colors of a theme."""
        for chart in (self.gain, self.support, self.curve, self.loss):
            chart.set_colors(text, background)

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
