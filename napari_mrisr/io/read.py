"""Read a scan to RAS+ float32."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray, Grid, Origin, Volume
from napari_mrisr.errors import MemoryEstimateError, VolumeError, explain
from napari_mrisr.io.formats import PathLike, expansion_of, suffix_of
from napari_mrisr.io.header import (
    Scan,
    bytes_promised,
    open_scan,
    size_error,
    voxel_file,
)
from napari_mrisr.io.intake import Intake
from napari_mrisr.io.loading import quiet_nibabel, unpacking
from napari_mrisr.io.orientation import grid_in_ras, turn_to_ras


def read_volume(
    path: PathLike, *, frame: int | None = None, fill_nonfinite: float | None = None
) -> Volume:
    """Read a 3D scan of any format that nibabel knows.

    Parameters
    ----------
    path : str or path
        NIfTI-1/2, Analyze, MGH/MGZ, MINC, PAR/REC or AFNI file. Of two-file
        formats either file.
    frame : int, optional
        Which volume of a 4D image, or which color of an RGB one, from 0.
    fill_nonfinite : float, optional
        Put in place of NaN and infinite voxels, which are refused otherwise.

    Returns
    -------
    Volume
        Indexed (x, y, z), RAS+, float32, in the scan's intensities (slope and
        intercept applied); grid in mm. The axes are the stored ones, permuted
        and flipped to lie closest to RAS; nothing is resampled.

    Raises
    ------
    VolumeError
        When the file is no such image, is damaged, or needs a choice of frame;
        when voxels are not finite, all the same, or beyond 1e37.
    GeometryError
        When its affine, voxel size or shape cannot be processed.
    ParameterError
        For an impossible ``frame`` or ``fill_nonfinite``.
    MemoryEstimateError
        When the voxels do not fit into memory.

    Notes
    -----
    Without an orientation (NIfTI with both codes 0) nibabel's fallback stands:
    x runs to the left, the world's origin is in the middle. Plain Analyze is
    taken as SPM takes it: the same, with SPM's origin and ``.mat`` file if any.
    """
    intake = Intake(Path(path), fill=fill_nonfinite)
    with open_scan(path, frame) as scan:
        check_stream(scan)
        stored, intake.slope, intake.inter = _load(scan)
        data = _to_float32(stored, intake)
    del stored
    grid = grid_in_ras(scan.shape, scan.affine)
    return Volume(turn_to_ras(data, scan.affine), grid, origin=origin_of(scan))


def read_grid(path: PathLike, *, frame: int | None = None) -> Grid:
    """Read where the voxels would be, from the header alone.

    Parameters and errors are those of :func:`read_volume`, less what only the
    voxels can tell.

    Returns
    -------
    Grid
        That of the volume :func:`read_volume` would return.
    """
    with open_scan(path, frame) as scan:
        return grid_in_ras(scan.shape, scan.affine)


def origin_of(scan: Scan) -> Origin:
    """How the file stores the volume."""
    header: Any = scan.image.header
    return Origin(scan.path.name, scan.axis_codes, header.copy(), suffix_of(scan.path))


def check_stream(scan: Scan, take: Callable[[bytes], object] | None = None) -> None:
    """Unpack a compressed file once, keeping nothing, before room is made.

    This verifies the checksum, which nibabel does not reach, and tells the
    true size, which the header may have wrong.

    Parameters
    ----------
    scan : Scan
        Opened. Nothing is done where it is not compressed.
    take : callable, optional
        Given the unpacked bytes, in order.
    """
    path = voxel_file(scan.path, scan.image)
    if expansion_of(path) == 1:
        return
    held = 0
    with unpacking(path) as file:
        while chunk := _unpacked(file, scan.path, held):
            held += len(chunk)
            if take is not None:
                take(chunk)
    shape = tuple(int(n) for n in scan.image.shape)
    dtype = np.dtype(scan.image.get_data_dtype())
    needed = bytes_promised(scan.image, shape, dtype)
    if held < needed:
        raise size_error(scan.path, shape, dtype, needed, held)


def _unpacked(file: Any, path: Path, held: int) -> bytes:
    """The next megabyte of a compressed file."""
    try:
        chunk: bytes = file.read(1 << 20)
    except (OSError, EOFError, zlib.error) as error:
        found = f"compressed data end early or are damaged (after {held} bytes)"
        raise VolumeError(explain(path, found, "copy or export it again")) from error
    return chunk


def _load(scan: Scan) -> tuple[NDArray[Any], float, float]:
    """The chosen frame as stored, and the slope and intercept still to apply."""
    try:
        with quiet_nibabel():
            return _stored_voxels(scan)
    except MemoryError as error:
        found = f"{math.prod(scan.shape)} voxels do not fit into memory"
        raise MemoryEstimateError(explain(scan.path, found, "crop it")) from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        found = f"its voxels cannot be read ({reason})"
        raise VolumeError(explain(scan.path, found, "copy or export it again")) from error


def _stored_voxels(scan: Scan) -> tuple[NDArray[Any], float, float]:
    proxy = scan.image.dataobj
    if scan.channel is not None:
        return np.asarray(proxy.get_unscaled())[scan.channel][scan.index], 1.0, 0.0
    if not all(isinstance(i, slice) for i in scan.index):
        return np.asarray(proxy[scan.index]), 1.0, 0.0
    if type(proxy) is ArrayProxy:
        # Scaled later by slices, without nibabel's float64 copy of the whole.
        return np.asarray(scan.image.dataobj.get_unscaled()), float(proxy.slope), float(proxy.inter)
    return np.asarray(proxy), 1.0, 0.0


def _to_float32(stored: NDArray[Any], intake: Intake) -> FloatArray:
    """Convert voxels in stored order, one slice at a time, and judge them."""
    data = np.empty(stored.shape, np.float32, order="F")
    for k in range(stored.shape[2]):
        with np.errstate(over="ignore"):
            data[..., k] = intake.take(stored[..., k])
    intake.check()
    return data
