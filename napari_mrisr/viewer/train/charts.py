"""Charts of a training."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from qtpy.QtCore import QSize
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QSizePolicy

from napari_mrisr.viewer.train import model
from napari_mrisr.viewer.train.model import DECADES
from napari_mrisr.viewer.train.network import NetworkHistory

_ACCENT = "#2f9bff"
# Of the lines of a network, from the smallest factor to the largest.
_STYLES = ((".:", 0.6), (".--", 0.8), (".-", 1.0))
_DECADE_LABELS = ("0", "1", "10", "100", "1k", "10k", "100k", "≥1M")
# Labels that fit side by side below the curve.
_MOST_TICKS = 12
_FONT_SIZE = 8


class Chart(FigureCanvasQTAgg):
    """A matplotlib figure in the colors of napari's theme; subclasses draw its axes."""

    def __init__(self, history: Any) -> None:
        figure = Figure(layout="constrained")
        super().__init__(figure)
        self.axes = figure.add_subplot()
        self.history = history
        self.text_color, self.background = "black", "white"
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(200)
        self.setFixedHeight(12 * self.fontMetrics().lineSpacing())

    def set_colors(self, text: str, background: str) -> None:
        """Follow a theme."""
        self.text_color, self.background = text, background
        self.show_history(self.history)

    def show_history(self, shown: Any) -> None:
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


class NetworkGainChart(Chart):
    """Mean gain of a network by step, one line per factor or strength of noise."""

    def draw_axes(self, axes: Axes) -> None:
        """See the base class."""
        shown: NetworkHistory = self.history
        self.setToolTip(shown.gain_tip)
        axes.set_title(shown.gain_title, loc="left", fontweight="bold")
        axes.set_xlabel("step")
        axes.set_ylabel("dB")
        axes.set_xlim(0, max(1, shown.steps))
        axes.axhline(0.0, color=self.text_color, alpha=0.4, linewidth=0.8)
        lines = zip(_STYLES, sorted(shown.mean_gains.items()), strict=False)
        for (style, alpha), (factor, line) in lines:
            label = f"{shown.label(factor)}: {line[-1][1]:+.2f} dB"
            axes.plot(*zip(*line, strict=True), style, color=_ACCENT, alpha=alpha, label=label)
        axes.margins(y=0.2)
        if shown.gains:
            axes.legend(frameon=False, loc="best")
        else:
            axes.set_ylim(0.0, 1.0)
            text = "appears after 250 steps,\nwith a volume to validate on"
            axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")


class LossChart(Chart):
    """Mean error of the training patches by step."""

    def draw_axes(self, axes: Axes) -> None:
        """See the base class."""
        shown: NetworkHistory = self.history
        axes.set_title("Training error", loc="left", fontweight="bold")
        axes.set_xlabel("step")
        axes.set_ylabel("% of the window")
        axes.set_xlim(0, max(1, shown.steps))
        if shown.losses:
            steps, losses = zip(*shown.losses, strict=True)
            axes.plot(steps, [100.0 * loss for loss in losses], color=_ACCENT, linewidth=1)
        axes.margins(y=0.2)
