"""An input that is read box by box.

A :class:`Source` gives any box of the volume as :func:`~napari_mrisr.io.read_volume`
would: RAS+, float32, slope and intercept applied, the same bits. What is stored is
a stack of planes along the last axis; each is converted by itself, so that
temporaries stay the size of a plane or a chunk.

Uncompressed files are memory-mapped, a plane at a time, so that pages of the file
never add up. Compressed ones are read by indexed_gzip where that is installed;
otherwise they are unpacked once into a private file.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Shape
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io.formats import expansion_of
from napari_mrisr.io.header import Scan, open_scan, voxel_file
from napari_mrisr.io.intake import Intake
from napari_mrisr.io.orientation import grid_in_ras
from napari_mrisr.io.read import check_stream, origin_of

Check = Callable[[], None]
Say = Callable[[str], None]

# nibabel's orientation functions carry no types.
_nib: Any = nibabel.orientations


def go_on() -> None:
    """Never stop."""


@dataclass(frozen=True, eq=False)
class Source(abc.ABC):
    """A volume in a file.

    Attributes
    ----------
    path : Path
        Of the file.
    shape : tuple of int
        Voxels along the stored axes.
    affine : (4, 4) ndarray
        Stored voxel index to world, mm.
    origin : Origin
        How it is stored.
    intake : Intake
        Converts and judges voxels.
    identity : str
        Text that changes when the file does.
    step : int
        Planes along the last stored axis that are best read together.
    """

    path: Path
    shape: Shape
    affine: NDArray[np.float64]
    origin: Origin
    intake: Intake
    identity: str
    step: int = 1

    @functools.cached_property
    def grid(self) -> Grid:
        """Where the voxels are, RAS+."""
        return grid_in_ras(self.shape, self.affine)

    @functools.cached_property
    def _turn(self) -> NDArray[np.float64]:
        """For each stored axis the one of RAS+, and its sign, as nibabel says it.

        Kept, as the grid is: looking for it takes longer than reading a small box.
        """
        turn: NDArray[np.float64] = _nib.io_orientation(self.affine)
        return turn

    @abc.abstractmethod
    def stored(self, start: Shape, stop: Shape) -> NDArray[Any]:
        """A box of the stored array, as it is stored."""

    def read(self, region: Region, check: Check = go_on) -> FloatArray:
        """A box of the volume, in the scan's intensities.

        Parameters
        ----------
        region : Region
            In RAS+ voxels.
        check : callable
            Asked between planes; raises to stop.

        Returns
        -------
        ndarray of float32, shape ``region.shape``, C order
        """
        out = np.empty(region.shape, np.float32)
        start, stop = self._in_stored_order(region)
        view = _nib.apply_orientation(out, _nib.ornt_transform(_RAS, self._turn))
        for low, high in self._layers(start[2], stop[2]):
            check()
            part = self.stored((start[0], start[1], low), (stop[0], stop[1], high))
            for k in range(low, high):
                # Beyond float32's range only where the check of the whole has refused the file.
                with np.errstate(over="ignore"):
                    view[..., k - start[2]] = self.intake.take(part[..., k - low])
        return out

    def layers(self) -> Iterator[Region]:
        """Boxes that make up the volume, in the order in which it is stored."""
        for low, high in self._layers(0, self.shape[2]):
            yield self._in_ras_order((0, 0, low), (self.shape[0], self.shape[1], high))

    def _layers(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        low = start
        while low < stop:
            high = min(stop, (low // self.step + 1) * self.step)
            yield low, high
            low = high

    def _in_stored_order(self, region: Region) -> tuple[Shape, Shape]:
        starts, stops = [], []
        for n, (axis, flip) in zip(self.shape, self._turn.astype(int), strict=True):
            a, b = region.start[axis], region.stop[axis]
            starts.append(a if flip > 0 else n - b)
            stops.append(b if flip > 0 else n - a)
        return (starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2])

    def _in_ras_order(self, start: Shape, stop: Shape) -> Region:
        low, high = [0, 0, 0], [0, 0, 0]
        for number, (axis, flip) in enumerate(self._turn.astype(int)):
            n, a, b = self.shape[number], start[number], stop[number]
            low[axis], high[axis] = (a, b) if flip > 0 else (n - b, n - a)
        return Region((low[0], low[1], low[2]), (high[0], high[1], high[2]))


_RAS = _nib.axcodes2ornt("RAS")


@dataclass(frozen=True, eq=False)
class FileSource(Source):
    """An image that nibabel opens, its voxels in one piece of one file.

    Attributes
    ----------
    voxels : Path
        The file to read from: that of the image, or what it was unpacked to.
    offset : int
        Byte of the first voxel.
    dtype : dtype
        As stored.
    stream : object or None
        An indexed gzip file, where ``voxels`` is compressed.
    """

    voxels: Path = Path()
    offset: int = 0
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    stream: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def stored(self, start: Shape, stop: Shape) -> NDArray[Any]:
        """See the base class."""
        planes = [
            self._plane(k)[start[0] : stop[0], start[1] : stop[1]].copy()
            for k in range(start[2], stop[2])
        ]
        return np.stack(planes, axis=2)

    def _plane(self, k: int) -> NDArray[Any]:
        nx, ny, _ = self.shape
        size = nx * ny * self.dtype.itemsize
        at = self.offset + k * size
        try:
            if self.stream is None:
                return np.memmap(self.voxels, self.dtype, "r", at, (nx, ny), "F")
            with self._lock:
                self.stream.seek(at)
                content = self.stream.read(size)
            return np.frombuffer(content, self.dtype).reshape((nx, ny), order="F")
        except (OSError, ValueError) as error:
            found = f"its voxels cannot be read ({error})"
            raise VolumeError(explain(self.path, found, "copy or export it again")) from error


@contextlib.contextmanager
def open_file(
    path: Path,
    frame: int | None,
    fill: float | None,
    aid: Path | None,
) -> Iterator[FileSource]:
    """Open an image to read boxes of it.

    Parameters
    ----------
    path : Path
        NIfTI, Analyze or MGH, compressed or not.
    frame : int or None
        Of a 4D image.
    fill : float or None
        In place of NaN and infinite voxels.
    aid : Path or None
        What :func:`prepare_file` made of a compressed file.

    Raises
    ------
    MrisrError
        As :func:`~napari_mrisr.io.read_volume` for what the header can tell, and
        for formats that are not one piece of voxels.
    """
    with open_scan(path, frame) as scan, contextlib.ExitStack() as stack:
        proxy = scan.image.dataobj
        dtype = np.dtype(scan.image.get_data_dtype())
        if type(proxy) is not ArrayProxy or scan.channel is not None or proxy.order != "F":
            found = "is of a kind that cannot be read piece by piece"
            raise VolumeError(explain(path, found, "convert it to NIfTI, or drop --memory"))
        voxels, stream = voxel_file(path, scan.image), None
        if expansion_of(voxels) > 1 and aid is not None:
            if aid.suffix == ".gzidx":
                stream = stack.enter_context(_indexed(voxels, aid))
            else:
                voxels = aid
        yield FileSource(
            path,
            scan.shape,
            scan.affine,
            origin_of(scan),
            Intake(path, float(proxy.slope), float(proxy.inter), fill),
            " ".join(map(_identity, sorted({path, voxel_file(path, scan.image)}))),
            1,
            voxels,
            _first_byte(scan, proxy, dtype),
            dtype,
            stream,
        )


def _identity(path: Path) -> str:
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


def _first_byte(scan: Scan, proxy: Any, dtype: np.dtype[Any]) -> int:
    """Where the chosen frame begins."""
    x, y, z = scan.shape
    frame, stride = 0, 1
    for n, i in zip(scan.image.shape[3:], scan.index[3:], strict=True):
        frame += stride * (i if isinstance(i, int) else 0)
        stride *= n
    return int(proxy.offset) + frame * x * y * z * dtype.itemsize


def prepare_file(
    path: Path, frame: int | None, folder: Path, say: Say, check: Check
) -> Path | None:
    """Check a compressed file to its end, and make what reading boxes of it takes.

    Parameters
    ----------
    path, frame
        As :func:`open_file`.
    folder : Path
        Private, where that goes.
    say : callable
        Told when the file is unpacked onto the disk.
    check : callable
        Asked meanwhile; raises to stop.

    Returns
    -------
    Path or None
        An index or the unpacked file; None for uncompressed files.
    """
    with open_scan(path, frame) as scan:
        voxels = voxel_file(path, scan.image)
        if expansion_of(voxels) == 1:
            return None
        if has_indexed_gzip() and voxels.suffix.lower() != ".bz2":
            check_stream(scan, lambda _: check())
            return _make_index(voxels, folder / "input.gzidx", check)
        say(f"{path.name}: unpacked once into a private file (indexed_gzip is not installed)")
        target = folder / "input.raw"
        with target.open("wb") as out:

            def take(chunk: bytes) -> None:
                check()
                out.write(chunk)

            check_stream(scan, take)
        return target


def has_indexed_gzip() -> bool:
    """Whether the package is installed."""
    import importlib.util

    return importlib.util.find_spec("indexed_gzip") is not None


def _make_index(voxels: Path, target: Path, check: Check) -> Path:
    import indexed_gzip

    with indexed_gzip.IndexedGzipFile(str(voxels)) as file:
        while file.read(1 << 20):
            check()
        file.export_index(str(target))
    return target


@contextlib.contextmanager
def _indexed(voxels: Path, index: Path) -> Iterator[Any]:
    import indexed_gzip

    with indexed_gzip.IndexedGzipFile(str(voxels), index_file=str(index)) as file:
        yield file
