"""Volumes to choose from, and the frozen request of a training. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_mrisr.bank.folder import SUFFIX, SUMS_SUFFIX, bank_folder
from napari_mrisr.bank.model import bundled_banks
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import Grid, Shape
from napari_mrisr.errors import MrisrError, OutputError, explain
from napari_mrisr.io import read_grid
from napari_mrisr.training import TrainingReport, Watch, train
from napari_mrisr.training.cost import MemoryNeed, estimate_training
from napari_mrisr.training.presets import TrainParameters, get_preset
from napari_mrisr.training.sources import TrainingFile, TrainingSource
from napari_mrisr.viewer.common.worker import WorkerProgress

UNKNOWN_LICENSE = "unknown"
TRAIN, VALIDATE, UNUSED = "train", "validate", "unused"


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
    """Train a bank, or continue one.

    Attributes
    ----------
    sources, validation : tuple of TrainingSource
        Volumes to train on, and to measure the gain on.
    out : Path
        File of the bank.
    parameters : TrainParameters
    resume, overwrite : bool
        As in :func:`~napari_mrisr.training.train`.
    stop : CancelToken
        Ends the training and saves a bank.
    """

    sources: tuple[TrainingSource, ...]
    validation: tuple[TrainingSource, ...]
    out: Path
    parameters: TrainParameters
    resume: bool = False
    overwrite: bool = False
    stop: CancelToken = field(default_factory=CancelToken)

    def run(self, progress: WorkerProgress) -> TrainingReport:
        """Train; for a background thread."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        return train(
            self.sources,
            self.out,
            self.parameters,
            resume=self.resume,
            overwrite=self.overwrite,
            progress=progress,
            watch=Watch(progress.report, self.validation, self.stop),
        )


def bank_path(name: str, folder: Path | None = None) -> Path:
    """Return the file for a bank's name.

    Parameters
    ----------
    name : str
        Without a folder; with or without the suffix.
    folder : Path, optional
        The user's folder of banks by default.

    Raises
    ------
    OutputError
        If the name is no file name, or that of a bundled bank.
    """
    plain = name.strip().removesuffix(SUFFIX)
    if not plain or plain.startswith(".") or set(plain) & set('/\\:*?"<>|'):
        mend = 'give letters, digits, "-" and "_"'
        raise OutputError(explain("name", f"{name!r} is no name for a bank", mend))
    if plain in bundled_banks():
        mend = "choose another name"
        raise OutputError(explain("name", f"{plain} is a bundled bank", mend))
    path = (folder or bank_folder()) / f"{plain}{SUFFIX}"
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
