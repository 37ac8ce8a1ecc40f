"""Form of the training, and its charts; no logic."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.progress import ProgressState
from napari_mrisr.operators.degrade import DEGRADATION_SUMMARIES
from napari_mrisr.training.presets import PRESET_SUMMARIES
from napari_mrisr.viewer.common.dock import FormPanel, note
from napari_mrisr.viewer.common.fields import ScaleField, narrow
from napari_mrisr.viewer.common.labels import COMMON_SCALES
from napari_mrisr.viewer.train import model
from napari_mrisr.viewer.train.model import DECADES, UNKNOWN_LICENSE, TrainingHistory, speed_text
from napari_mrisr.viewer.train.volumes import VolumeList

_ACCENT = "#2f9bff"
_DECADE_LABELS = ("0", "1", "10", "100", "1k", "10k", "100k", "≥1M")
# Labels that fit side by side below the curve.
_MOST_TICKS = 12
_FONT_SIZE = 8

PROGRESS = 1
"""Index of the tab with the charts."""


class Chart(FigureCanvasQTAgg):
    """A matplotlib figure in the colors of napari's theme; subclasses draw its axes."""

    def __init__(self) -> None:
        figure = Figure(layout="constrained")
        super().__init__(figure)
        self.axes = figure.add_subplot()
        self.history = TrainingHistory()
        self.text_color, self.background = "black", "white"
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(200)
        self.setFixedHeight(12 * self.fontMetrics().lineSpacing())

    def set_colors(self, text: str, background: str) -> None:
        """Follow a theme."""
        self.text_color, self.background = text, background
        self.show_history(self.history)

    def show_history(self, shown: TrainingHistory) -> None:
        """Draw the events so far."""
        self.history = shown
        axes, color = self.axes, self.text_color
        axes.clear()
        self.figure.set_facecolor(self.background)
        axes.set_facecolor(self.background)
        self.draw_axes(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(color)
        axes.tick_params(colors=color, labelsize=_FONT_SIZE)
        for text in axes.findobj(Text):
            text.set(color=color, fontsize=_FONT_SIZE)
        self.draw_idle()

    def draw_axes(self, axes: Axes) -> None:
        """Draw the data and the labels."""
        raise NotImplementedError

    def sizeHint(self) -> QSize:
        """Let the other widgets determine the width of the dock."""
        return QSize(self.minimumWidth(), self.height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area of the dock."""
        event.ignore()


class GainChart(Chart):
    """Mean gain over tricubic after each volume, one stage next to the other."""

    def draw_axes(self, axes: Axes) -> None:
        """See the base class."""
        shown = self.history
        self.setToolTip(model.gain_tip(shown))
        axes.set_title(model.gain_title(shown), loc="left", fontweight="bold")
        axes.set_xlabel(model.gain_note(shown))
        axes.set_ylabel("dB")
        stages, volumes = max(1, shown.stages), max(1, shown.volumes)
        axes.set_xlim(0.5, stages * volumes + 0.5)
        step = -(-stages * volumes // _MOST_TICKS)
        ticks = [(s, n) for s in range(stages) for n in range(step, volumes + 1, step)]
        axes.set_xticks([s * volumes + n for s, n in ticks], [str(n) for _, n in ticks])
        axes.axhline(0.0, color=self.text_color, alpha=0.4, linewidth=0.8)
        for stage in range(stages):
            first = stage * volumes + 0.5
            if stage:
                axes.axvline(first, color=self.text_color, alpha=0.4, linewidth=0.8, linestyle="--")
            axes.annotate(
                f"stage {stage + 1}",
                (first + volumes / 2, 1.0),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="top",
                alpha=0.6,
            )
        for line in shown.gains_per_volume:
            axes.plot(*zip(*line, strict=True), ".-", color=self.text_color, alpha=0.3, linewidth=1)
        for line in shown.mean_gains:
            axes.plot(*zip(*line, strict=True), "o-", color=_ACCENT, markersize=4)
        axes.margins(y=0.2)
        if not shown.gains:
            axes.set_ylim(0.0, 1.0)
            axes.text(
                *(0.5, 0.5),
                "appears after the first volume,\nwith a volume to validate on",
                transform=axes.transAxes,
                ha="center",
                va="center",
            )


class SupportChart(Chart):
    """Number of buckets per number of samples."""

    def draw_axes(self, axes: Axes) -> None:
        """See the base class."""
        counts = self.history.buckets_by_decade
        axes.set_title(model.support_title(self.history), loc="left", fontweight="bold")
        axes.set_xlabel(model.support_note(self.history))
        axes.set_ylabel("buckets")
        bars = axes.bar(range(len(DECADES)), counts, color=_ACCENT)
        axes.bar_label(bars, [str(n) if n else "" for n in counts])
        axes.set_xticks(range(len(DECADES)), _DECADE_LABELS)
        axes.margins(y=0.2)
        if not self.history.support.size:
            axes.set_ylim(0.0, 1.0)
            axes.set_yticks([])
            axes.text(
                *(0.5, 0.5),
                "appears after the first volume",
                transform=axes.transAxes,
                ha="center",
                va="center",
            )


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
