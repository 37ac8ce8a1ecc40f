"""Volumes that can be chosen for training: layers and files. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from napari_mrisr.errors import MrisrError
from napari_mrisr.io import read_grid
from napari_mrisr.training.sources import FileSource, Source, voxel_digest
from napari_mrisr.viewer.layers import LayerSnapshot
from napari_mrisr.volume import Grid, Volume

TRAIN, VALIDATE, UNUSED = "train", "validate", "unused"


@dataclass(frozen=True, eq=False)
class LayerSource:
    """A layer's voxels as they were when the training was asked for."""

    snapshot: LayerSnapshot
    path: None = None

    @property
    def name(self) -> str:
        """The layer's."""
        return self.snapshot.name

    @cached_property
    def _volume(self) -> Volume:
        return self.snapshot.to_volume()

    def digest(self) -> str:
        """SHA-256 of the voxels."""
        return voxel_digest(self._volume)

    def volume(self) -> Volume:
        """The voxels."""
        return self._volume


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
    def source(self) -> Source:
        """For the training."""
        return FileSource(self.path)
