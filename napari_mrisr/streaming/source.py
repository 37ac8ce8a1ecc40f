"""Inputs that are read box by box.

A :class:`Source` returns any box of the volume with the same bits as
:func:`~napari_mrisr.io.read_volume`: RAS+, float32, slope and intercept applied. Planes along
the last stored axis are converted one at a time, so that temporaries stay the size of a plane
or a chunk.

Uncompressed files are memory-mapped plane by plane, so that pages of the file never add up.
Compressed files are read by indexed_gzip if it is installed; otherwise they are unpacked once
into a private file. OME-Zarr is read in whole chunks.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import NDArray

from napari_mrisr.core.percentiles import go_on
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Shape
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io.dicom.sources import names_dicom
from napari_mrisr.io.formats import expansion_of
from napari_mrisr.io.geometry import grid_in_ras
from napari_mrisr.io.header import Scan, open_scan
from napari_mrisr.io.loading import printable
from napari_mrisr.io.ngff import NgffImage, open_ngff
from napari_mrisr.io.read import TRAILING_DATA, Fill, Intake, check_stream

Check = Callable[[], None]

# nibabel's orientation functions carry no types.
_nib: Any = nibabel.orientations


@dataclass(frozen=True, eq=False)
class Source(abc.ABC):
    """A volume in a file.

    Attributes
    ----------
    path : Path
        The file or folder.
    shape : tuple of int
        Voxels along the stored axes.
    affine : (4, 4) ndarray
        Stored voxel index to world, mm.
    origin : Origin
        Description of the file.
    intake : Intake
        Converts and judges voxels.
    identity : str
        Text that changes when the file does.
    step : int
        Number of planes along the last stored axis to read together.
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
        """Grid of the voxels, RAS+."""
        return grid_in_ras(self.shape, self.affine)

    @functools.cached_property
    def _turn(self) -> NDArray[np.float64]:
        """RAS+ axis and sign of each stored axis, in nibabel's form.

        Cached, since computing it takes longer than reading a small box.
        """
        turn: NDArray[np.float64] = _nib.io_orientation(self.affine)
        return turn

    @abc.abstractmethod
    def stored(self, start: Shape, stop: Shape) -> NDArray[Any]:
        """Read a box of the stored array, in the stored type."""

    def read(self, region: Region, check: Check = go_on) -> FloatArray:
        """Read a box of the volume, in the scan's intensities.

        Parameters
        ----------
        region : Region
            In RAS+ voxels.
        check : callable
            Called between planes; raises to stop.

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
                # Values beyond float32's range are refused by the check of the whole volume.
                with np.errstate(over="ignore"):
                    view[..., k - start[2]] = self.intake.take(part[..., k - low])
        return out

    def layers(self) -> Iterator[Region]:
        """Yield boxes that make up the volume, in stored order."""
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
    """An image that nibabel opens, its voxels contiguous in one file.

    Attributes
    ----------
    voxels : Path
        The file to read: that of the image, or the unpacked copy.
    offset : int
        Byte of the first voxel.
    dtype : dtype
        Stored type.
    stream : object or None
        An indexed gzip file, if ``voxels`` is compressed.
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
            remedy = "copy or export it again"
            raise VolumeError(explain(self.path, "its voxels cannot be read", remedy)) from error


@contextlib.contextmanager
def open_file(
    path: Path, frame: int | None, fill: Fill | None, aid: Path | None
) -> Iterator[FileSource]:
    """Open an image to read boxes of it.

    Parameters
    ----------
    path : Path
        NIfTI, Analyze or MGH, compressed or not.
    frame : int or None
        Frame of a 4D image.
    fill : float, "mean" or None
        Replaces NaN and infinite voxels.
    aid : Path or None
        Result of :func:`prepare_file` for a compressed file.

    Raises
    ------
    MrisrError
        As :func:`~napari_mrisr.io.read_volume` for unusable headers, and for formats whose
        voxels are not contiguous.
    """
    if names_dicom(path):
        found = "DICOM cannot be read block by block"
        raise VolumeError(explain(path, found, "drop --memory, and write NIfTI or MGH"))
    with open_scan(path, frame) as scan, contextlib.ExitStack() as stack:
        proxy = scan.image.dataobj
        if type(proxy) is not ArrayProxy or scan.channel is not None or proxy.order != "F":
            found = "its format cannot be read block by block"
            raise VolumeError(explain(path, found, "convert it to NIfTI, or drop --memory"))
        voxels, stream = scan.voxel_file, None
        if expansion_of(voxels) > 1 and aid is not None:
            if aid.suffix == ".gzidx":
                stream = stack.enter_context(_indexed(voxels, aid))
            else:
                voxels = aid
        yield FileSource(
            path,
            scan.shape,
            scan.affine,
            scan.origin,
            Intake(path, float(proxy.slope), float(proxy.inter), fill),
            " ".join(map(_identity, sorted({path.resolve(), scan.voxel_file.resolve()}))),
            1,
            voxels,
            _first_byte(scan, proxy),
            scan.dtype,
            stream,
        )


def _identity(path: Path) -> str:
    status = path.stat()
    return f"{printable(path.name)} {status.st_size} {status.st_mtime_ns}"


def _first_byte(scan: Scan, proxy: Any) -> int:
    """Return the byte at which the chosen frame begins."""
    x, y, z = scan.shape
    frame, stride = 0, 1
    for n, i in zip(scan.image.shape[3:], scan.index[3:], strict=True):
        frame += stride * (i if isinstance(i, int) else 0)
        stride *= n
    return int(proxy.offset) + frame * x * y * z * scan.dtype.itemsize


def prepare_file(
    path: Path, frame: int | None, folder: Path, message: Callable[[str], None], check: Check
) -> Path | None:
    """Check a compressed file to its end, and make an index or an unpacked copy.

    Parameters
    ----------
    path, frame
        As for :func:`open_file`.
    folder : Path
        Private folder for the index or copy.
    message : callable
        Receives a line when the file is unpacked onto the disk, or data follow its end.
    check : callable
        Called repeatedly; raises to stop.

    Returns
    -------
    Path or None
        The index or the unpacked copy; None for uncompressed files.
    """
    with open_scan(path, frame) as scan:
        voxels = scan.voxel_file
        if expansion_of(voxels) == 1:
            return None
        if has_indexed_gzip() and voxels.suffix.lower() != ".bz2":
            trailing = check_stream(scan, lambda _: check())
            target = _make_index(voxels, folder / "input.gzidx", scan.bytes_promised, check)
        else:
            message(f"{path.name}: unpacked into a private file (indexed_gzip is not installed)")
            target = folder / "input.raw"
            with target.open("wb") as out:

                def take(chunk: bytes) -> None:
                    check()
                    out.write(chunk)

                trailing = check_stream(scan, take)
        if trailing:
            message(f"{path.name}: {TRAILING_DATA.kind}: {TRAILING_DATA.text}")
        return target


def has_indexed_gzip() -> bool:
    """Return True if the package indexed_gzip is installed."""
    import importlib.util

    return importlib.util.find_spec("indexed_gzip") is not None


def _make_index(voxels: Path, target: Path, size: int, check: Check) -> Path:
    import indexed_gzip

    with indexed_gzip.IndexedGzipFile(str(voxels)) as file:
        while size > 0 and (chunk := file.read(min(size, 1 << 20))):
            size -= len(chunk)
            check()
        file.export_index(str(target))
    return target


@contextlib.contextmanager
def _indexed(voxels: Path, index: Path) -> Iterator[Any]:
    import indexed_gzip

    with indexed_gzip.IndexedGzipFile(str(voxels), index_file=str(index)) as file:
        yield file


@dataclass(frozen=True, eq=False)
class ZarrSource(Source):
    """An OME-Zarr image.

    Attributes
    ----------
    image : NgffImage
        The opened image.
    """

    image: NgffImage | None = None

    def stored(self, start: Shape, stop: Shape) -> NDArray[Any]:
        """See the base class; the stored axes are the array's, last first."""
        assert self.image is not None
        return self.image.read(start, stop)

    def layers(self) -> Iterator[Region]:
        """See the base class; single chunks, since layers of chunks may be large."""
        assert self.image is not None
        edges = self.image.chunks
        starts = [range(0, n, e) for n, e in zip(self.shape, edges, strict=True)]
        for z, y, x in itertools.product(*reversed(starts)):
            at = (x, y, z)
            far = [min(n, a + e) for n, a, e in zip(self.shape, at, edges, strict=True)]
            yield self._in_ras_order(at, (far[0], far[1], far[2]))


def open_zarr(path: Path, frame: int | None, fill: Fill | None) -> ZarrSource:
    """Open an OME-Zarr image to read boxes of it.

    Parameters and errors are those of :func:`~napari_mrisr.io.ngff.open_ngff`;
    ``fill`` replaces NaN and infinite voxels.
    """
    image = open_ngff(path, frame)
    files = [file.stat() for file in path.rglob("*") if file.is_file()]
    newest = max((status.st_mtime_ns for status in files), default=0)
    size = sum(status.st_size for status in files)
    identity = f"{printable(path.name)} {len(files)} {size} {newest}"
    intake = Intake(path, fill=fill)
    return ZarrSource(
        path, image.shape, image.affine, image.origin, intake, identity, image.chunks[2], image
    )
