"""Outputs that take boxes in any order and appear when they are complete.

A target lies in a private folder next to the output and is moved into place at the end. NIfTI
is written plane by plane at its final offset; a compressed file is made from that at the end.
"""

from __future__ import annotations

import abc
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Shape
from napari_mrisr.io.geometry import turn_to
from napari_mrisr.io.ngff import NgffWriter
from napari_mrisr.io.nifti import make_nifti

_nib: Any = nibabel.orientations

_COPY = 1 << 20


@dataclass(frozen=True)
class Target(abc.ABC):
    """A result in the making.

    Attributes
    ----------
    folder : Path
        Private folder in which the result is made.
    shape : tuple of int
        Shape of the output, RAS+.
    codes : tuple of str
        Directions of the stored axes.
    """

    folder: Path
    shape: Shape
    codes: tuple[str, str, str]

    @abc.abstractmethod
    def create(
        self, grid: Grid, origin: Origin, history: dict[str, str], limits: tuple[float, float]
    ) -> None:
        """Create an empty result.

        Parameters
        ----------
        grid : Grid
            Grid of the output.
        origin : Origin
            Description of the input file.
        history : dict of str to str
            Method, bank and so on.
        limits : tuple of float
            Intensities to show from black to white.
        """

    @abc.abstractmethod
    def write(self, region: Region, data: FloatArray, pool: ThreadPool) -> None:
        """Write a box into the result; boxes are whole chunks, or end with the volume."""

    @abc.abstractmethod
    def finish(self, progress: Progress) -> Path:
        """Complete the result and return the file or folder to move into place."""


@dataclass(frozen=True)
class NiftiTarget(Target):
    """A NIfTI file, optionally compressed at the end."""

    compressed: bool = False

    @property
    def _file(self) -> Path:
        return self.folder / "result.nii"

    def create(
        self, grid: Grid, origin: Origin, history: dict[str, str], limits: tuple[float, float]
    ) -> None:
        """See the base class."""
        # Only the header is needed, so one zero represents all voxels.
        nothing = np.broadcast_to(np.float32(0), grid.shape)
        data, affine = turn_to(self.codes, nothing, grid.affine)
        header = make_nifti(data, affine, origin.header, history, pair=False).header
        header.set_slope_inter(1.0, 0.0)
        with self._file.open("wb") as file:
            header.write_to(file)
            first = int(header["vox_offset"])
            file.truncate(first + 4 * data.size)

    def write(self, region: Region, data: FloatArray, pool: ThreadPool) -> None:
        """See the base class."""
        first = self._file.stat().st_size - 4 * int(np.prod(self.shape, dtype=np.int64))
        turn = _nib.ornt_transform(_nib.axcodes2ornt("RAS"), _nib.axcodes2ornt(self.codes))
        stored = _nib.apply_orientation(data, turn)
        (nx, ny, _), (x, y, z) = self._in_stored_order(region)
        with self._file.open("r+b") as file:
            for k in range(stored.shape[2]):
                pool.check()
                plane = np.asfortranarray(stored[..., k]).T  # rows of x
                rows = [plane] if stored.shape[0] == nx else plane
                for j, row in enumerate(rows):
                    file.seek(first + 4 * (x + nx * (y + j + ny * (z + k))))
                    file.write(np.ascontiguousarray(row).tobytes())

    def _in_stored_order(self, region: Region) -> tuple[Shape, Shape]:
        """Return the stored shape, and the first stored voxel of the region."""
        sizes, starts = [], []
        for code in self.codes:
            axis = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[code]
            n = self.shape[axis]
            sizes.append(n)
            starts.append(region.start[axis] if code in "RAS" else n - region.stop[axis])
        return (sizes[0], sizes[1], sizes[2]), (starts[0], starts[1], starts[2])

    def finish(self, progress: Progress) -> Path:
        """See the base class."""
        if not self.compressed:
            return self._file
        packed = self._file.with_suffix(".nii.gz")
        size = self._file.stat().st_size
        progress.begin("compressing", -(-size // _COPY))
        with (
            self._file.open("rb") as source,
            packed.open("wb") as raw,
            # As nibabel compresses: fast, and without a name or a time.
            gzip.GzipFile("", "wb", 1, raw, mtime=0) as file,
        ):
            while chunk := source.read(_COPY):
                file.write(chunk)
                progress.advance()
        return packed


@dataclass(frozen=True)
class ZarrTarget(Target):
    """An OME-Zarr image, RAS+, with coarser levels made at the end."""

    @property
    def _writer(self) -> NgffWriter:
        return NgffWriter(self.folder / "result.ome.zarr", self.shape)

    def create(
        self, grid: Grid, origin: Origin, history: dict[str, str], limits: tuple[float, float]
    ) -> None:
        """See the base class."""
        self._writer.create(grid, origin.name, history, limits)

    def write(self, region: Region, data: FloatArray, pool: ThreadPool) -> None:
        """See the base class."""
        self._writer.write(region, data, pool)

    def finish(self, progress: Progress) -> Path:
        """See the base class."""
        self._writer.finish(progress)
        return self._writer.group
