"""Volumes to choose from, request, history and texts of a training. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.folder import NETWORK_SUFFIX, SUFFIX, SUMS_SUFFIX, bank_folder
from napari_mrisr.bank.model import bundled_banks
from napari_mrisr.core.progress import CancelToken, format_seconds
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import Grid, Shape
from napari_mrisr.errors import MrisrError, OutputError, explain
from napari_mrisr.io import read_grid
from napari_mrisr.training import TrainingReport, Watch, train
from napari_mrisr.training.cost import MemoryNeed, estimate_training
from napari_mrisr.training.events import (
    CalibrationStarted,
    GainMeasured,
    TrainEvent,
    TrainingStarted,
    VolumeAdded,
    VolumeStarted,
)
from napari_mrisr.training.networks.run import (
    KINDS,
    NetworkParameters,
    NetworkReport,
    train_network,
)
from napari_mrisr.training.presets import TrainParameters, get_preset
from napari_mrisr.training.sources import TrainingFile, TrainingSource
from napari_mrisr.viewer.common.labels import bytes_label, duration_label
from napari_mrisr.viewer.common.worker import WorkerProgress
from napari_mrisr.viewer.train.network import NetworkHistory

UNKNOWN_LICENSE = "unknown"
TRAIN, VALIDATE, UNUSED = "train", "validate", "unused"

EMPTY = "Open high-resolution MRI volumes or add files; tick those to train on."
NO_VOLUME = "Tick at least one volume to train on."
OF_THICK = "filters across the slices will learn blur"

# Few scans are exactly isotropic; slices up to this much thicker than pixels are fine.
_THICK = 1.6
_FEW = 3

DECADES = (0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""Lower edges of the bins of samples per bucket; the last bin has no upper edge."""


@dataclass(eq=False)
class FileEntry:
    """A file in the list of volumes, and its header once it was read."""

    path: Path
    role: str = TRAIN
    grid: Grid | None = None
    error: str = ""
    was_read: bool = field(default=False, repr=False)

    def read(self) -> None:
        """Read the header."""
        self.was_read = True
        try:
            self.grid = read_grid(self.path)
        except MrisrError as error:
            self.error = str(error)

    @property
    def source(self) -> TrainingSource:
        """The file as a source of the training."""
        return TrainingFile(self.path)


@dataclass(frozen=True, eq=False)
class TrainRequest:
    """Train a bank or a network, or continue one.

    Attributes
    ----------
    sources, validation : tuple of TrainingSource
        Volumes to train on, and to measure the gain on.
    out : Path
        File of the bank or network.
    parameters : TrainParameters or NetworkParameters
    resume, overwrite : bool
        As in :func:`~napari_mrisr.training.train`.
    stop : CancelToken
        Ends the training and saves what was learned.
    """

    sources: tuple[TrainingSource, ...]
    validation: tuple[TrainingSource, ...]
    out: Path
    parameters: TrainParameters | NetworkParameters
    resume: bool = False
    overwrite: bool = False
    stop: CancelToken = field(default_factory=CancelToken)

    def new_history(self) -> TrainingHistory | NetworkHistory:
        """Return the history before the first event."""
        if isinstance(self.parameters, TrainParameters):
            return TrainingHistory()
        return NetworkHistory(self.parameters.kind)

    def run(self, progress: WorkerProgress) -> TrainingReport | NetworkReport:
        """Train; for a background thread."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        run: Callable[..., TrainingReport | NetworkReport] = (
            train if isinstance(self.parameters, TrainParameters) else train_network
        )
        return run(
            self.sources,
            self.out,
            self.parameters,
            resume=self.resume,
            overwrite=self.overwrite,
            progress=progress,
            watch=Watch(progress.report, self.validation, self.stop),
        )


def bank_path(name: str, folder: Path | None = None, suffix: str = SUFFIX) -> Path:
    """Return the file for the name of a bank or network.

    Parameters
    ----------
    name : str
        Without a folder; with or without the suffix.
    folder : Path, optional
        The user's folder of banks by default.
    suffix : str
        That of banks or of networks.

    Raises
    ------
    OutputError
        If the name is no file name, or that of a bundled file.
    """
    of_network = suffix == NETWORK_SUFFIX
    kind, bundled = ("network", list(KINDS)) if of_network else ("bank", bundled_banks())
    plain = name.strip().removesuffix(suffix)
    if not plain or plain.startswith(".") or set(plain) & set('/\\:*?"<>|'):
        mend = 'give letters, digits, "-" and "_"'
        raise OutputError(explain("name", f"{name!r} is no name for a {kind}", mend))
    if plain in bundled:
        mend = "choose another name"
        raise OutputError(explain("name", f"{plain} is a bundled {kind}", mend))
    path = (folder or bank_folder()) / f"{plain}{suffix}"
    if path.name.endswith(SUMS_SUFFIX):
        mend = "choose another name"
        raise OutputError(explain("name", f"{plain} is a name for sums", mend))
    return path


def training_memory(parameters: TrainParameters, grids: Sequence[Grid]) -> MemoryNeed:
    """Estimate the memory of a training on volumes of these grids."""
    shapes: list[Shape] = [grid.shape for grid in grids]
    largest = max(shapes, key=lambda s: s[0] * s[1] * s[2], default=(0, 0, 0))
    preset = get_preset(parameters.preset, parameters.scale, parameters.degradation)
    return estimate_training(preset, parameters.scale, largest, processors())


@dataclass
class TrainingHistory:
    """Collects the events of a training for charts and texts.

    Attributes
    ----------
    stages, volumes : int
        As in :class:`~napari_mrisr.training.events.TrainingStarted`; 0 before it.
    gains : dict of (stage, volumes) to tuple of float
        Gain over tricubic per validation volume, in dB.
    support : (filters,) ndarray of int64
        Samples per bucket of the latest stage.
    """

    clock: Callable[[], float] = time.monotonic
    stages: int = 0
    volumes: int = 0
    stage: int = 0
    volume: int = 0
    calibrating: bool = False
    gains: dict[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)
    voxels: int = 0
    support: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    support_stage: int = 0
    samples_per_s: float = 0.0
    gflops: float = 0.0
    sgemm_gflops: float = 0.0
    _started: float = 0.0
    _reported_at: float = 0.0
    _share_left: float = 1.0

    def add(self, event: TrainEvent) -> None:
        """Add an event."""
        if isinstance(event, TrainingStarted):
            self.stages, self.volumes = event.stages, event.volumes
            self.sgemm_gflops = event.sgemm_gflops
            self.stage = self.volume = 0
            self.calibrating = False
            self._started, self._share_left = self.clock(), 1.0
            # Stages that start again will report their gains again.
            kept = {s: event.volumes - n for s, n in enumerate(event.missing, 1)}
            self.gains = {key: g for key, g in self.gains.items() if key[1] <= kept.get(key[0], 0)}
        elif isinstance(event, VolumeStarted):
            self.stage, self.volume = event.stage, event.volume
        elif isinstance(event, VolumeAdded):
            self.support, self.support_stage = event.support, event.stage
            self.samples_per_s, self.gflops = event.samples_per_s, event.gflops
            self._share_left, self._reported_at = event.share_left, self.clock()
        elif isinstance(event, CalibrationStarted):
            self.calibrating = True
        elif isinstance(event, GainMeasured):
            self.gains[event.stage, event.volumes] = event.gains_db
            self.voxels = event.voxels

    @property
    def eta_s(self) -> float | None:
        """Seconds left; None before the first volume is done."""
        done = 1.0 - self._share_left
        if done <= 0.0:
            return None
        total = (self._reported_at - self._started) / done
        return max(0.0, self._started + total - self.clock())

    @property
    def status(self) -> str:
        """Progress in one line."""
        return stage_text(self)

    @property
    def speed(self) -> str:
        """Speed in one line."""
        return speed_text(self)

    def changed_by(self, event: TrainEvent) -> bool:
        """Return True if an event changes the charts."""
        return isinstance(event, (TrainingStarted, VolumeAdded, GainMeasured))

    def outcome(self, report: TrainingReport) -> str:
        """Describe the result."""
        return outcome_text(report, self)

    @property
    def mean_gains(self) -> list[list[tuple[float, float]]]:
        """Points (position, mean gain in dB), one line per stage.

        The stages lie next to each other: stage s with n volumes is at
        (s − 1) · volumes + n.
        """
        return self._lines(lambda gains: float(np.mean(gains)))

    @property
    def gains_per_volume(self) -> list[list[tuple[float, float]]]:
        """As :attr:`mean_gains`, one line per stage and validation volume."""
        count = max((len(g) for g in self.gains.values()), default=0)
        if count < 2:
            return []
        parts = [self._lines(lambda gains, n=n: gains[n], n) for n in range(count)]
        return [line for lines in parts for line in lines]

    def _lines(
        self, value: Callable[..., float], needs: int = 0
    ) -> list[list[tuple[float, float]]]:
        lines = []
        for stage in range(1, self.stages + 1):
            line = [
                (float((stage - 1) * self.volumes + n), value(gains))
                for (s, n), gains in sorted(self.gains.items())
                if s == stage and len(gains) > needs
            ]
            if line:
                lines.append(line)
        return lines

    @property
    def last_gain_db(self) -> float | None:
        """Latest mean gain."""
        return float(np.mean(self.gains[max(self.gains)])) if self.gains else None

    @property
    def buckets_by_decade(self) -> NDArray[np.int64]:
        """Number of buckets in each bin of :data:`DECADES`."""
        edges = [*DECADES, np.iinfo(np.int64).max]
        return np.asarray(np.histogram(self.support, bins=edges)[0], np.int64)


def plan_text(train: int, validate: int, grids: Sequence[Grid], memory: int) -> str:
    """Describe the volumes and the memory of a training."""
    text = f"{_volumes(train)} to train on, {validate or 'none'} to validate on"
    if grids:
        shape = max((g.shape for g in grids), key=lambda s: s[0] * s[1] * s[2])
        text += f"\nlargest {' × '.join(map(str, shape))} voxels"
    return f"{text}\nneeds about {bytes_label(memory)} of memory"


def warnings(
    train: Sequence[Grid],
    count: int,
    validate: int,
    of_thick: str = OF_THICK,
) -> list[str]:
    """Return cautions before the start, one sentence each; ``of_thick`` follows thick slices."""
    found = []
    thick = [g for g in train if max(g.voxel_size) > _THICK * min(g.voxel_size)]
    if thick:
        size = " × ".join(f"{s:.3g}" for s in thick[0].voxel_size)
        which = "One volume has" if len(thick) == 1 else f"{len(thick)} volumes have"
        found.append(f"{which} thick slices ({size} mm): {of_thick}.")
    if 0 < count < _FEW:
        found.append(f"Only {_volumes(count)}: expect a smaller gain on other scans.")
    if count and not validate:
        found.append("No volume to validate on: the gain will not be measured.")
    return found


def stage_text(history: TrainingHistory) -> str:
    """Return ``Stage 2 of 3, volume 1 of 3, about 40 s left``."""
    if not history.stage:
        return "Reading the volumes…"
    text = (
        f"Stage {history.stage} of {history.stages}, volume {history.volume} of {history.volumes}"
    )
    if history.calibrating:
        text = "Measuring expected errors"
    eta = history.eta_s
    return text if eta is None else f"{text}, about {format_seconds(eta)} left"


def speed_text(history: TrainingHistory) -> str:
    """Return samples per second and GFLOP/s, with the machine's own rate."""
    if not history.samples_per_s:
        return ""
    return (
        f"{_thousands(history.samples_per_s)} samples/s, {history.gflops:.0f} GFLOP/s "
        f"(matrix product of this machine: {history.sgemm_gflops:.0f} GFLOP/s)"
    )


def gain_title(history: TrainingHistory) -> str:
    """Return the title of the gain chart."""
    count = max((len(g) for g in history.gains.values()), default=0)
    if not count:
        return "Validation gain"
    return f"Validation gain: {history.last_gain_db:+.2f} dB over tricubic"


def gain_note(history: TrainingHistory) -> str:
    """Return the axis label of the gain chart."""
    count = max((len(g) for g in history.gains.values()), default=0)
    slabs = "" if not count else f", PSNR in {count} axial slab{'s' if count > 1 else ''}"
    return f"volumes trained on{slabs}"


def gain_tip(history: TrainingHistory) -> str:
    """Return the explanation of the gain chart."""
    return (
        "Mean PSNR over tricubic interpolation inside the head, with the filters so far\n"
        "(gray: each validation volume). Measured in one axial slab per volume, where the\n"
        f"head is widest: {history.voxels:,} voxels in all."
    )


def support_title(history: TrainingHistory) -> str:
    """Return the title of the histogram."""
    if not history.support.size:
        return "Samples per bucket"
    used = int((history.support > 0).sum())
    return f"Stage {history.support_stage}: {used} of {history.support.size} buckets used"


def support_note(history: TrainingHistory) -> str:
    """Return the axis label of the histogram, with the median."""
    if not history.support.size:
        return "samples per bucket"
    return f"samples per bucket (median {_thousands(float(np.median(history.support)))})"


def outcome_text(report: TrainingReport, history: TrainingHistory) -> str:
    """Describe the result."""
    time = duration_label(report.seconds)
    gain = (
        "" if history.last_gain_db is None else f" Validation gain {history.last_gain_db:+.2f} dB."
    )
    if not report.stopped:
        return f"Saved “{report.bank.name}” in {time}.{gain} Choose it as Bank in Super-resolve."
    stopped = report.stopped[0].upper() + report.stopped[1:]
    return f"{stopped}; saved as “{report.bank.name}”.{gain} Resume continues."


def _volumes(count: int) -> str:
    return "1 volume" if count == 1 else f"{count} volumes"


def _thousands(value: float) -> str:
    """Format with three digits: ``950``, ``12,300`` or ``1.4 million``."""
    return f"{value / 1e6:.1f} million" if value >= 999_500 else f"{float(f'{value:.3g}'):,.0f}"
