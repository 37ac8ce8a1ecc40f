"""Where training volumes come from: files, or voxels that somebody holds in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io import read_volume


class TrainingSource(Protocol):
    """A high-resolution volume to train on."""

    @property
    def name(self) -> str:
        """For licenses, thinning and, where names are wanted, the bank's provenance."""
        ...

    @property
    def path(self) -> Path | None:
        """Where it can be found again by a later resume; None for voxels in memory."""
        ...

    def digest(self) -> str:
        """SHA-256 that tells it from other volumes."""
        ...

    def volume(self) -> Volume:
        """The voxels, in the scan's intensities."""
        ...


@dataclass(frozen=True)
class TrainingFile:
    """A volume in a file."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def digest(self) -> str:
        """Of the file's bytes."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            message = explain(
                self.path, f"cannot be read ({error.strerror})", "check its permissions"
            )
            raise VolumeError(message) from error

    def volume(self) -> Volume:
        """Read the file."""
        return read_volume(self.path)


@dataclass(frozen=True, eq=False)
class VolumeSource:
    """A volume in memory.

    Attributes
    ----------
    name : str
    make : callable
        Gives the volume; called once, when the training first asks for it.
    """

    name: str
    make: Callable[[], Volume]
    path: None = None

    @cached_property
    def _volume(self) -> Volume:
        return self.make()

    def digest(self) -> str:
        """Of the voxels."""
        return voxel_digest(self._volume)

    def volume(self) -> Volume:
        """The volume."""
        return self._volume


def voxel_digest(volume: Volume) -> str:
    """SHA-256 over a volume's shape and voxels."""
    digest = hashlib.sha256(repr(volume.data.shape).encode())
    digest.update(np.ascontiguousarray(volume.data).data)
    return digest.hexdigest()
