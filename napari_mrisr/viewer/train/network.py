"""History and texts of a network's training. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from napari_mrisr.core.progress import format_seconds
from napari_mrisr.methods.network import METHODS
from napari_mrisr.networks.file import DENOISER, THICK
from napari_mrisr.training.events import NetworkMeasured, NetworkStarted, StepTaken, TrainEvent
from napari_mrisr.training.networks.run import NetworkReport, baseline_label, condition_label
from napari_mrisr.viewer.common.labels import duration_label

OF_THICK = "the network learns along the pixels only"

# Points of the curve of the training error; each is the mean of the steps since the last.
_POINTS = 400


@dataclass
class NetworkHistory:
    """Collects the events of a network's training for charts and texts.

    Attributes
    ----------
    kind : str
    step, steps : int
    gains : dict of int to (dict of float to tuple of float)
        Gain in dB per validation volume, by step and factor, see
        :data:`~napari_mrisr.training.networks.run.MEASURED_FACTORS`.
    losses : list of (int, float)
        Step, and mean error of the patches since the point before, in engine units.
    """

    kind: str = THICK
    step: int = 0
    steps: int = 0
    place: str = ""
    gains: dict[int, dict[float, tuple[float, ...]]] = field(default_factory=dict)
    losses: list[tuple[int, float]] = field(default_factory=list)
    _seconds_left: float = math.nan
    _newest: list[float] = field(default_factory=list)

    def add(self, event: TrainEvent) -> None:
        """Add an event."""
        if isinstance(event, NetworkStarted):
            self.step, self.steps, self.place = event.step, event.steps, event.place
            self.gains = {step: g for step, g in self.gains.items() if step <= event.step}
            self.losses = [point for point in self.losses if point[0] <= event.step]
            self._newest.clear()
        elif isinstance(event, StepTaken):
            self.step, self._seconds_left = event.step, event.seconds_left
            self._newest.append(event.loss)
            if event.step % self._every == 0:
                self.losses.append((event.step, float(np.mean(self._newest))))
                self._newest.clear()
        elif isinstance(event, NetworkMeasured):
            self.gains[event.step] = event.gains_db

    def changed_by(self, event: TrainEvent) -> bool:
        """Return True if an event changes the charts."""
        # Steps can be faster than drawing; the dock also draws them by its clock.
        return not isinstance(event, StepTaken)

    @property
    def _every(self) -> int:
        return max(1, self.steps // _POINTS)

    @property
    def mean_gains(self) -> dict[float, list[tuple[int, float]]]:
        """Points (step, mean gain in dB), one line per factor."""
        lines: dict[float, list[tuple[int, float]]] = {}
        for step, gains in sorted(self.gains.items()):
            for factor, each in gains.items():
                lines.setdefault(factor, []).append((step, float(np.mean(each))))
        return lines

    @property
    def gain_title(self) -> str:
        """Title of the gain chart."""
        return f"Validation gain over {baseline_label(self.kind)}"

    @property
    def gain_tip(self) -> str:
        """Explanation of the gain chart."""
        several = "strengths of noise" if self.kind == DENOISER else "factors"
        return (
            f"Mean PSNR over {baseline_label(self.kind)} inside the head, in the middle of each\n"
            f"validation volume, for several {several}."
        )

    def label(self, factor: float) -> str:
        """Return what a line of the gain chart is: ``4×``, or ``5 % noise``."""
        return condition_label(self.kind, factor)

    @property
    def status(self) -> str:
        """Progress in one line."""
        if not self.steps:
            return "Reading the volumes…"
        text = f"Step {self.step:,} of {self.steps:,}"
        if math.isnan(self._seconds_left):
            return text
        return f"{text}, about {format_seconds(self._seconds_left)} left"

    @property
    def speed(self) -> str:
        """Device, precision and speed in one line."""
        if math.isnan(self._seconds_left) or self.step >= self.steps:
            return self.place
        return f"{self.place}; {self._seconds_left / (self.steps - self.step):.2g} s per step"

    def outcome(self, report: NetworkReport) -> str:
        """Describe the result."""
        gains = (f"{gain:+.2f} dB at {self.label(f)}" for f, gain in report.gains_db.items())
        measured = f" Validation gain {', '.join(gains)}." if report.gains_db else ""
        if report.stopped:
            stopped = report.stopped[0].upper() + report.stopped[1:]
            return f"{stopped}; saved as “{report.name}”.{measured} Resume continues."
        took = duration_label(report.seconds)
        bank = f"Choose it as Bank of method {METHODS[self.kind]} in Super-resolve."
        return f"Saved “{report.name}” in {took}.{measured} {bank}"
