"""Outputs that take boxes in any order and appear when they are complete.

A target lies in a private folder beside the output and is moved into place at
the end. NIfTI is written plane by plane at its final offset; a compressed one is
made at the end, in file order, from that.
"""

from __future__ import annotations

import abc
import contextlib
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Shape
from napari_mrisr.io.nifti import make_nifti
from napari_mrisr.io.orientation import turn_to

_nib: Any = nibabel.orientations

_COPY = 1 << 20


@dataclass(frozen=True)
class Target(abc.ABC):
    """Where the result goes.

    Attributes
    ----------
    folder : Path
        Private, where the result is made.
    shape : tuple of int
        Of the output, RAS+.
    codes : tuple of str
        Direction of the axes that are stored.
    """

    folder: Path
    shape: Shape
    codes: tuple[str, str, str]

    @abc.abstractmethod
    def create(
        self, grid: Grid, origin: Origin, history: dict[str, str], limits: tuple[float, float]
    ) -> None:
        """Begin an empty result.

        Parameters
        ----------
        grid : Grid
            Of the output.
        origin : Origin
            Of the input.
        history : dict of str to str
            How the output is made.
        limits : tuple of float
            Intensities to show from black to white.
        """

    @abc.abstractmethod
    def write(self, region: Region, data: FloatArray, pool: ThreadPool) -> None:
        """Put a box into the result; regions are whole chunks, or end with the volume."""

    @abc.abstractmethod
    def finish(self, progress: Progress) -> Path:
        """Make of the complete result what is to be moved into place."""


@dataclass(frozen=True)
class NiftiTarget(Target):
    """A NIfTI file, compressed at the end or not."""

    compressed: bool = False

    @property
    def _file(self) -> Path:
        return self.folder / "result.nii"

    def create(
        self, grid: Grid, origin: Origin, history: dict[str, str], limits: tuple[float, float]
    ) -> None:
        """See the base class."""
        # The header alone is wanted; one zero stands for all voxels.
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
        """Shape of the stored whole, and where the region begins in it."""
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
            # As nibabel packs: quick, and without a name or a time in it.
            gzip.GzipFile("", "wb", 1, raw, mtime=0) as file,
        ):
            while chunk := source.read(_COPY):
                file.write(chunk)
                progress.advance()
        return packed


def move_into_place(made: Path, out: Path) -> None:
    """Put a finished file or folder where it shall be, in place of an older one."""
    _set_modes(made)
    if not made.is_dir() and not out.is_dir():
        made.replace(out)
        return
    # A folder cannot take another's place at one stroke: the old one steps aside.
    aside = made.with_name("replaced")
    if out.exists():
        out.rename(aside)
    try:
        made.rename(out)
    except OSError:
        with contextlib.suppress(OSError):
            aside.rename(out)
        raise


def _set_modes(made: Path) -> None:
    """Give the modes that new files and folders have here; they were private."""
    probe = made.parent / "mode"
    probe.touch(0o666)
    files = probe.stat().st_mode & 0o666
    probe.unlink()
    folders = files | (files & 0o444) >> 2
    with contextlib.suppress(PermissionError):
        made.chmod(folders if made.is_dir() else files)


def make_private(folder: Path) -> None:
    """A folder that only its owner can look into."""
    folder.mkdir(mode=0o700)
    folder.chmod(0o700)  # whatever the umask
