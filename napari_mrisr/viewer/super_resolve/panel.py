"""What the dock widget looks like: fields, buttons, progress, status. No logic."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.progress import ProgressState
from napari_mrisr.methods import available_methods
from napari_mrisr.operators.degrade import DEGRADATIONS
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.trust import Caution
from napari_mrisr.viewer.common.fields import BankField, LayerField, ScaleField, narrow

_METHOD_TIPS = {
    "hashed": "Learned filters, chosen voxel by voxel from the gradients around it",
    "tricubic": "Cubic B-spline interpolation",
    "nearest": "Repeats voxels",
    "quadratic": "What the 2021 paper compares itself with",
}

_DEGRADATION_TIPS = {
    "standard": "Smooths, then samples by a cubic B-spline (the default everywhere)",
    "paper-2021": "The 2021 paper's: quadratic spline, no smoothing",
    "kspace": "Cuts off high frequencies, as a shorter scan would",
    "slice-profile": "Averages over thick slices",
}


class Panel(QWidget):
    """The form. Its owner connects the signals and calls the ``show_`` methods."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.error_color = "#d02020"
        self._hint = ""
        self.layer = LayerField(self)
        self.source = _note(self)
        self.method = _choices(self, available_methods(), _METHOD_TIPS)
        self.method.setCurrentText(UpscaleParameters().method)
        self.scale = ScaleField(self)
        self.bank = BankField(self)
        self.plan = _note(self)
        self.live = QCheckBox("Live preview", self)
        self.live.setToolTip(
            "Show the slice on screen super-resolved, as a layer, while you choose.\n"
            "Run then fills this layer, outward from the slice"
        )
        self.trust = QCheckBox("Trust maps", self)
        self.trust.setToolTip(
            "Also make maps of the error to expect, of where training saw too little,\n"
            "and of what the result lacks of the measured volume"
        )
        self.cautions = _note(self)
        self.cautions.setTextFormat(Qt.TextFormat.RichText)
        self.cautions.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.run_button = QPushButton("Run", self)
        self.cancel_button = QPushButton("Cancel", self)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.status = _note(self)
        # Room for two lines, or what is below would jump.
        self.status.setMinimumHeight(2 * self.status.fontMetrics().lineSpacing())
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.status.setTextFormat(Qt.TextFormat.RichText)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.degradation = _choices(self, DEGRADATIONS, _DEGRADATION_TIPS)
        self.simulate_button = QPushButton("Simulate LR, this layer as truth", self)
        self.simulate_button.setToolTip(
            "Take this layer as truth and make the low-resolution (LR) volume\n"
            "that would belong to it, at the scale above"
        )
        self._fields: tuple[QWidget, ...] = (
            self.layer,
            self.method,
            self.scale,
            self.bank,
            self.live,
            self.trust,
            self.degradation,
        )
        self._lay_out()
        self.show_idle("")
        self.show_cautions(())
        self.show_plan("", "", can_run=False, can_simulate=False)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        form.addRow("Layer", self.layer)
        form.addRow("", self.source)
        form.addRow("Method", self.method)
        form.addRow("Scale", self.scale)
        form.addRow("Bank", self.bank)
        form.addRow("Result", self.plan)
        form.addRow("", self.live)
        form.addRow("", self.trust)
        self._form = form
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        group = QGroupBox("No low-resolution (LR) scan at hand?", self)
        simulate = QFormLayout(group)
        simulate.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        simulate.addRow(self.simulate_button)
        simulate.addRow("Degradation", self.degradation)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addWidget(self.cautions)
        layout.addWidget(group)
        layout.addStretch(1)
        layout.addWidget(_note(self, "Research use. Not for diagnosis."))

    def show_bank(self, shown: bool) -> None:
        """Show or hide the rows of the bank and of what needs one."""
        self._form.setRowVisible(self.bank, shown)
        self._form.setRowVisible(self.trust, shown)

    def show_cautions(self, cautions: tuple[Caution, ...]) -> None:
        """Say what to be cautious of before a run."""
        lines = [f"<p><b>{escape(c.kind.capitalize())}:</b> {escape(c.text)}</p>" for c in cautions]
        self.cautions.setText("".join(lines))
        self.cautions.setVisible(bool(lines))

    def show_plan(self, source: str, plan: str, *, can_run: bool, can_simulate: bool) -> None:
        """Say what goes in and what would come out."""
        self.source.setText(source)
        self.plan.setText(plan or "–")
        self.run_button.setEnabled(can_run)
        self.simulate_button.setEnabled(can_simulate)

    def show_status(self, text: str) -> None:
        """Say something."""
        self.status.setText(escape(text))

    def show_hint(self, text: str) -> None:
        """Say something where nothing else is said; anything else replaces it."""
        if self.status.text() in ("", self._hint):
            self.show_status(text)
            self._hint = self.status.text()

    def show_error(self, line: str) -> None:
        """Say what is wrong."""
        self.status.setText(f'<span style="color: {self.error_color}">{escape(line)}</span>')

    def show_running(self, name: str) -> None:
        """A run has begun."""
        for field in self._fields:
            field.setEnabled(False)
        self.run_button.setEnabled(False)
        self.simulate_button.setEnabled(False)
        self.cancel_button.setEnabled(True)
        self.show_busy(f"Starting “{name}”…")

    def show_busy(self, text: str) -> None:
        """Something takes its time, nobody knows how long."""
        self.bar.setRange(0, 0)
        self.show_status(text)

    def show_progress(self, state: ProgressState, text: str) -> None:
        """Some steps are done."""
        self.bar.setRange(0, max(1, state.total))
        self.bar.setValue(state.done)
        self.show_status(text)

    def show_stopping(self) -> None:
        """Cancel was pressed."""
        self.cancel_button.setEnabled(False)
        self.show_busy("Stopping…")

    def show_idle(self, text: str) -> None:
        """No run."""
        for field in self._fields:
            field.setEnabled(True)
        self.layer.setEnabled(self.layer.count() > 0)
        self.cancel_button.setEnabled(False)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.show_status(text)


def _choices(
    parent: QWidget, names: list[str] | tuple[str, ...], tips: dict[str, str]
) -> QComboBox:
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
