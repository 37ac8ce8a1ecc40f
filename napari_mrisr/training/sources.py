"""Training volumes: files, or volumes in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io import read_volume
from napari_mrisr.io.dicom.sources import names_dicom
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sampling import Pair, make_pair


class TrainingSource(Protocol):
    """A high-resolution volume to train on."""

    @property
    def name(self) -> str:
        """Name for licenses, thinning and, if names are kept, the provenance."""
        ...

    @property
    def path(self) -> Path | None:
        """File for a later resume; None for a volume in memory."""
        ...

    def digest(self) -> str:
        """Return a SHA-256 that identifies the volume."""
        ...

    def volume(self) -> Volume:
        """Return the volume, in the scan's intensities."""
        ...


@dataclass(frozen=True)
class TrainingFile:
    """A volume in a file."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes; for DICOM of the voxels."""
        if names_dicom(self.path):
            return voxel_digest(self.volume())
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
        Returns the volume; called once, when the training first needs it.
    """

    name: str
    make: Callable[[], Volume]
    path: None = None

    @cached_property
    def _volume(self) -> Volume:
        return self.make()

    def digest(self) -> str:
        """Return the SHA-256 of the shape and the voxels."""
        return voxel_digest(self._volume)

    def volume(self) -> Volume:
        """Return the volume."""
        return self._volume


@dataclass(frozen=True, eq=False)
class TrainingVolume:
    """A volume of a training.

    Attributes
    ----------
    index : int
        Position in the list of volumes, from 0.
    source : TrainingSource
    sha256 : str
        Digest of the source when the training took it in.
    """

    index: int
    source: TrainingSource
    sha256: str

    @property
    def in_first_half(self) -> bool:
        """True for every second volume; each half is judged by filters of the other."""
        return self.index % 2 == 0

    def pairs(self, parameters: TrainParameters, pool: ThreadPool) -> Iterator[Pair]:
        """Read the volume and yield its low-resolution versions, one per thick axis.

        Raises
        ------
        VolumeError
            If the volume cannot be used, or has changed.
        """
        pool.check()
        source = self.source
        if source.digest() != self.sha256:
            found = "has changed since its sums were saved"
            mend = "restore it, or train from the start"
            raise VolumeError(explain(source.path or source.name, found, mend))
        volume, step = source.volume(), parameters.thinning(source.name)
        for axes in parameters.orders(source.name, volume.grid.voxel_size):
            yield make_pair(volume, parameters, step, pool, axes)


class Recording(Protocol):
    """Parameters that say how volumes are recorded; see :class:`~.presets.TrainParameters`."""

    @property
    def licenses(self) -> dict[str, str]:
        """License per file name."""
        ...

    @property
    def license(self) -> str:
        """License of all other volumes."""
        ...

    @property
    def names(self) -> bool:
        """Write the names of volumes."""
        ...


def volume_record(
    source: TrainingSource, digest: str, number: int, parameters: Recording
) -> dict[str, str]:
    """Return what a bank or network states about a training volume; ``number`` is from 1."""
    name = source.name if parameters.names else f"volume {number}"
    license_ = parameters.licenses.get(source.name, parameters.license)
    return {"name": name, "license": license_, "sha256": digest}


def as_source(entry: Path | str | TrainingSource) -> TrainingSource:
    """Return a path as a source, and a source as it is."""
    return TrainingFile(Path(entry)) if isinstance(entry, (str, Path)) else entry


def voxel_digest(volume: Volume) -> str:
    """Return the SHA-256 of a volume's shape and voxels."""
    digest = hashlib.sha256(repr(volume.data.shape).encode())
    digest.update(np.ascontiguousarray(volume.data).data)
    return digest.hexdigest()
