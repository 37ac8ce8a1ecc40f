"""What the dock asks a training for, frozen. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_mrisr.bank.folder import SUFFIX, SUMS_SUFFIX, bank_folder
from napari_mrisr.bank.model import bundled_banks
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import Grid, Shape
from napari_mrisr.errors import OutputError, explain
from napari_mrisr.training import TrainingReport, Watch, train
from napari_mrisr.training.cost import MemoryNeed, estimate_training
from napari_mrisr.training.presets import TrainParameters, get_preset
from napari_mrisr.training.sources import TrainingSource
from napari_mrisr.viewer.common.jobs import PostedProgress

UNKNOWN_LICENSE = "unknown"


@dataclass(frozen=True, eq=False)
class TrainRequest:
    """Train a bank, or go on with one.

    Attributes
    ----------
    sources, validation : tuple of TrainingSource
        Volumes to learn from, and to measure the gain on.
    out : Path
        The bank's file.
    parameters : TrainParameters
    resume, overwrite : bool
        As of :func:`~napari_mrisr.training.train`.
    stop : CancelToken
        Ends the training with a bank.
    """

    sources: tuple[TrainingSource, ...]
    validation: tuple[TrainingSource, ...]
    out: Path
    parameters: TrainParameters
    resume: bool = False
    overwrite: bool = False
    stop: CancelToken = field(default_factory=CancelToken)

    def run(self, progress: PostedProgress) -> TrainingReport:
        """Do the work; for a background thread."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        return train(
            self.sources,
            self.out,
            self.parameters,
            resume=self.resume,
            overwrite=self.overwrite,
            progress=progress,
            watch=Watch(progress.tell, self.validation, self.stop),
        )


def bank_path(name: str, folder: Path | None = None) -> Path:
    """The file for a bank's name.

    Parameters
    ----------
    name : str
        Without a path; the suffix may be left out.
    folder : Path, optional
        The user's folder of banks by default.

    Raises
    ------
    OutputError
        For a name that is no file name, or a bundled bank's.
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
    """The memory that a training on volumes of these grids takes."""
    shapes: list[Shape] = [grid.shape for grid in grids]
    largest = max(shapes, key=lambda s: s[0] * s[1] * s[2], default=(0, 0, 0))
    preset = get_preset(parameters.preset, parameters.scale, parameters.degradation)
    return estimate_training(preset, parameters.scale, largest, processors())
