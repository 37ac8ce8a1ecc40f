"""Files that can be chosen for training. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MrisrError
from napari_mrisr.io import read_grid
from napari_mrisr.training.sources import TrainingFile, TrainingSource

TRAIN, VALIDATE, UNUSED = "train", "validate", "unused"


@dataclass(eq=False)
class FileEntry:
    """A file in the list, with what its header says once it was read."""

    path: Path
    role: str = TRAIN
    grid: Grid | None = None
    error: str = ""
    looked: bool = field(default=False, repr=False)

    def look(self) -> None:
        """Read the header."""
        self.looked = True
        try:
            self.grid = read_grid(self.path)
        except MrisrError as error:
            self.error = str(error)

    @property
    def source(self) -> TrainingSource:
        """For the training."""
        return TrainingFile(self.path)
