"""Read a scan to RAS+ float32."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import NDArray

from napari_mrisr.core.notice import Caution
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Volume
from napari_mrisr.errors import (
    Cancelled,
    MemoryEstimateError,
    ParameterError,
    VolumeError,
    explain,
    install,
)
from napari_mrisr.io.dicom.sources import names_dicom
from napari_mrisr.io.formats import PathLike, expansion_of, is_zarr
from napari_mrisr.io.geometry import turn_to_ras
from napari_mrisr.io.header import Scan, open_scan
from napari_mrisr.io.loading import quiet_nibabel, unpacking
from napari_mrisr.io.ngff import open_ngff
from napari_mrisr.io.nifti import read_note

if TYPE_CHECKING:
    from napari_mrisr.io.dicom.series import DicomSeries

MAX_MAGNITUDE = 1e37
"""Largest intensity. Differences and spline overshoot of larger ones would exceed the range of
float32 (3.4e38)."""

MIN_RANGE = 1e-37
"""Smallest difference between the extremes whose inverse fits float32."""

Fill = float | Literal["mean"]
"""Replacement of NaN and infinite voxels: a number, or the mean of the finite voxels."""


def read_volume(
    path: PathLike,
    *,
    frame: int | None = None,
    fill_nonfinite: Fill | None = None,
    progress: Progress | None = None,
) -> Volume:
    """Read a 3D scan.

    Parameters
    ----------
    path : str or path
        NIfTI-1/2, Analyze, MGH/MGZ, MINC, PAR/REC or AFNI file, or OME-Zarr folder. Of
        two-file formats either file. A DICOM series by one of its files, or by its folder,
        ZIP file or DICOMDIR, followed by the series' label if that holds several (see
        :func:`list_series`).
    frame : int, optional
        Volume of a 4D image or DICOM series, or color of an RGB one, from 0.
    fill_nonfinite : float or "mean", optional
        Replaces NaN and infinite voxels, which are refused otherwise: a number, or the mean
        of the finite voxels.
    progress : Progress, optional
        Receives one step per file of a DICOM series.

    Returns
    -------
    Volume
        Indexed (x, y, z), RAS+, float32, in the scan's intensities (slope and intercept
        applied); grid in mm. The axes are the stored ones, permuted and flipped to lie closest
        to RAS; nothing is resampled. ``origin.cautions`` lists what is unusual about the file.

    Raises
    ------
    VolumeError
        When the file is no such image, is damaged, or a frame must be chosen; when voxels
        are not finite, all equal, or beyond 1e37.
    GeometryError
        When its affine, voxel size or shape cannot be processed.
    ParameterError
        For an impossible ``frame`` or ``fill_nonfinite``.
    MemoryEstimateError
        When the voxels do not fit into memory.

    Notes
    -----
    Without an orientation (NIfTI with both codes 0) nibabel's fallback applies: x runs to the
    left, the world's origin is in the middle. Plain Analyze is read as SPM reads it: the same,
    with SPM's origin and ``.mat`` file if any.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> scan = sr.read_volume("scan.nii.gz")
    >>> scan.grid.shape, scan.grid.voxel_size
    ((24, 28, 26), (2.0, 2.0, 2.0))
    """
    path = Path(path)
    intake = Intake(path, fill=fill_nonfinite)
    if is_zarr(path):
        image = open_ngff(path, frame)
        data = to_float32(_in_memory(image.path, image.shape, image.read), intake)
        grid, origin = image.grid, image.origin
        return Volume(turn_to_ras(data, image.affine), grid, origin=origin, history=image.history)
    if names_dicom(path):
        return _read_dicom(path, frame, intake, progress or Progress())
    with open_scan(path, frame) as scan:
        trailing = check_stream(scan)
        stored = _in_memory(path, scan.shape, lambda: _stored_voxels(scan, intake))
        data = to_float32(stored, intake)
        grid, origin = scan.grid, scan.origin
    del stored
    if trailing:
        origin = replace(origin, cautions=(*origin.cautions, TRAILING_DATA))
    history = read_note(origin.header)
    return Volume(turn_to_ras(data, scan.affine), grid, origin=origin, history=history)


def read_header(
    path: PathLike, *, frame: int | None = None, complex_voxels: bool = False
) -> tuple[Grid, Origin]:
    """Read the grid of the voxels and the description of the file, without the voxels.

    Parameters and errors are those of :func:`read_volume`, without those about voxels.
    ``complex_voxels`` allows them; :func:`read_complex` reads such a file.

    Returns
    -------
    Grid, Origin
        Those of the volume that :func:`read_volume` would return.
    """
    if is_zarr(path):
        image = open_ngff(path, frame)
        return image.grid, image.origin
    if names_dicom(Path(path)):
        series = need_dicom(Path(path)).find_series(Path(path))
        stack = series.stack(frame)
        return series.grid(stack), series.origin(stack)
    with open_scan(path, frame, complex_voxels=complex_voxels) as scan:
        return scan.grid, scan.origin


def read_grid(path: PathLike, *, frame: int | None = None) -> Grid:
    """Read the grid of the voxels from the header; see :func:`read_header`."""
    return read_header(path, frame=frame)[0]


def list_series(
    paths: PathLike | Iterable[PathLike], *, progress: Progress | None = None
) -> list[DicomSeries]:
    """List the DICOM series in folders, ZIP files and DICOMDIRs. Only headers are read.

    Parameters
    ----------
    paths : path or iterable of path
        Folders (with all below them), ZIP files, DICOMDIRs, or files. A file stands for its
        series: all files in its folder, and below, that belong to it.
    progress : Progress, optional
        Receives one step per file.

    Returns
    -------
    list of DicomSeries
        Sorted by series number. A series that cannot be read is listed too, with its
        ``problem``. ``path`` names a series in :func:`read_volume`.

    Raises
    ------
    VolumeError
        When a path does not exist or cannot be opened.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> for series in sr.list_series("study"):
    ...     print(series.description, len(series.files), series.stacks[0].shape)
    T1w 10 (14, 12, 10)
    """
    found: list[DicomSeries] = need_dicom(Path("DICOM")).list_all(paths, progress)
    return found


def need_dicom(path: Path) -> Any:
    """Return the module :mod:`napari_mrisr.io.dicom.series`; it needs packages that are optional.

    Raises
    ------
    VolumeError
        When they are not installed.
    """
    try:
        from napari_mrisr.io.dicom import series
    except ImportError as error:
        found = "DICOM needs the package pydicom"
        raise VolumeError(explain(path, found, install("dicom"))) from error
    return series


def _read_dicom(path: Path, frame: int | None, intake: Intake, progress: Progress) -> Volume:
    """Read a volume of a DICOM series."""
    series = need_dicom(path).find_series(path, progress)
    stack = series.stack(frame)
    grid, origin = series.grid(stack), series.origin(stack)

    def load() -> NDArray[Any]:
        stored = series.read(stack, progress)
        intake.slope, intake.inter = stored.slope, stored.intercept
        voxels: NDArray[Any] = stored.voxels
        return voxels

    data = to_float32(_in_memory(path, stack.shape, load), intake)
    return Volume(turn_to_ras(data, stack.affine), grid, origin=origin, history=series.history)


TRAILING_DATA = Caution(
    "data after the end",
    "The gzip stream is complete, but other data follow it in the file. They are ignored; if "
    "the file was damaged in transfer, copy it again.",
)


def check_stream(scan: Scan, take: Callable[[bytes], object] | None = None) -> bool:
    """Unpack a compressed file once, keeping nothing, before memory is allocated.

    This verifies the checksum, which nibabel does not reach, and the size, which the header
    may have wrong.

    Parameters
    ----------
    scan : Scan
        Opened. Uncompressed files are not read.
    take : callable, optional
        Receives the unpacked bytes, in order.

    Returns
    -------
    bool
        True if other data follow the compressed ones.
    """
    path = scan.voxel_file
    if expansion_of(path) == 1:
        return False
    held = 0
    with unpacking(path) as stream:
        try:
            for piece in stream:
                held += len(piece)
                if take is not None:
                    take(piece)
        except (OSError, EOFError, zlib.error) as error:
            found = f"compressed data end early or are damaged (after {held} bytes)"
            raise VolumeError(explain(scan.path, found, "copy or export it again")) from error
    if held < scan.bytes_promised:
        raise scan.size_error(held)
    return stream.trailing


@dataclass
class Intake:
    """Converts the voxels of a volume piece by piece and judges them at the end.

    Attributes
    ----------
    path : Path
        For messages.
    slope, inter : float
        Applied in float64, as nibabel does.
    fill : float, "mean" or None
        Replaces NaN and infinite voxels; None refuses them. With "mean" they stay NaN until
        :attr:`mean` is known.
    """

    path: Path
    slope: float = 1.0
    inter: float = 0.0
    fill: Fill | None = None
    count: int = 0
    nans: int = 0
    infinities: int = 0
    low: float = math.inf
    high: float = -math.inf
    _sums: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.fill is None or self.fill == "mean":
            return
        fill: object = self.fill  # may come from the command line
        if not isinstance(fill, int | float) or not abs(fill) <= MAX_MAGNITUDE:
            found = f"{str(fill)[:80]} cannot fill voxels"
            remedy = "give a finite number such as 0, or mean"
            raise ParameterError(explain("--fill-nonfinite", found, remedy))

    def take(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Return the intensities of stored voxels, and count and compare them."""
        values: NDArray[np.float64] = stored.astype(np.float64)
        if (self.slope, self.inter) != (1.0, 0.0):
            values = values * self.slope + self.inter
        finite = np.isfinite(values)
        self.count += values.size
        judged = values
        if self.fill == "mean":
            judged = values[finite]
            self._sums.append(float(judged.sum()))
        if not finite.all():
            nans = int(np.isnan(values).sum())
            self.nans += nans
            self.infinities += int((~finite).sum()) - nans
            if self.fill == "mean":
                values[~finite] = math.nan
            else:
                values[~finite] = 0.0 if self.fill is None else self.fill
        if judged.size:
            self.low = min(self.low, float(judged.min()))
            self.high = max(self.high, float(judged.max()))
        return values

    @property
    def mean(self) -> float:
        """Mean of the finite voxels that were taken with ``fill="mean"``."""
        finite = self.count - self.nans - self.infinities
        return math.fsum(self._sums) / finite if finite else math.nan

    def check(self) -> None:
        """Raise :class:`VolumeError` when the voxels cannot be processed."""
        if self.nans + self.infinities and self.fill is None:
            found = f"{self.nans} NaN and {self.infinities} infinite voxels of {self.count}"
            remedy = "replace them with --fill-nonfinite 0"
            raise VolumeError(explain(self.path, found, remedy))
        low, high = self.low, self.high
        if low > high:
            raise VolumeError(explain(self.path, "no finite voxel", "give a scan with contrast"))
        if max(-low, high) > MAX_MAGNITUDE:
            found = f"intensities from {low:g} to {high:g}"
            remedy = f"rescale it to magnitudes of at most {MAX_MAGNITUDE:g}"
            raise VolumeError(explain(self.path, found, remedy))
        if low == high:
            found = "all voxels are 0" if low == 0 else f"all voxels are {low:g}"
            raise VolumeError(explain(self.path, found, "give a scan with contrast"))
        if high - low < MIN_RANGE:
            found = f"intensities differ by {high - low:g} only"
            raise VolumeError(explain(self.path, found, "rescale it"))


def _in_memory(
    path: Path, shape: tuple[int, ...], load: Callable[[], NDArray[Any]]
) -> NDArray[Any]:
    """Return what ``load`` returns, with errors that name the file."""
    try:
        with quiet_nibabel():
            return load()
    except MemoryError as error:
        found = f"{math.prod(shape)} voxels do not fit into memory"
        raise MemoryEstimateError(explain(path, found, "crop it")) from error
    except (VolumeError, Cancelled):
        raise
    except Exception as error:
        remedy = "copy or export it again"
        raise VolumeError(explain(path, "its voxels cannot be read", remedy)) from error


def _stored_voxels(scan: Scan, intake: Intake) -> NDArray[Any]:
    """Return the chosen frame as stored; ``intake`` receives a slope that is still to apply."""
    proxy = scan.image.dataobj
    if scan.channel is not None:
        return np.asarray(np.asarray(proxy.get_unscaled())[scan.channel][scan.index])
    if not all(isinstance(i, slice) for i in scan.index):
        return np.asarray(proxy[scan.index])
    if type(proxy) is ArrayProxy:
        # Scaled later by slices, without nibabel's float64 copy of the whole.
        intake.slope, intake.inter = float(proxy.slope), float(proxy.inter)
        return np.asarray(scan.image.dataobj.get_unscaled())
    return np.asarray(proxy)


def to_float32(stored: NDArray[Any], intake: Intake) -> FloatArray:
    """Convert voxels in stored order, one slice at a time, and judge them."""
    data = np.empty(stored.shape, np.float32, order="F")
    for k in range(stored.shape[2]):
        with np.errstate(over="ignore"):
            data[..., k] = intake.take(stored[..., k])
    intake.check()
    if intake.fill == "mean":
        np.nan_to_num(data, copy=False, nan=intake.mean)
    return data
