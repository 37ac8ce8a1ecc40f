"""Convert arrays, nibabel images and files to volumes, and results back to what was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray, Origin, Volume
from napari_mrisr.errors import GeometryError, ParameterError, VolumeError, explain
from napari_mrisr.io.formats import suffix_of
from napari_mrisr.io.geometry import axis_codes, grid_in_ras, turn_to, turn_to_ras, unit_in_mm
from napari_mrisr.io.header import MIN_SKEW, MIN_VOXELS
from napari_mrisr.io.nifti import make_nifti
from napari_mrisr.io.read import MAX_MAGNITUDE, Fill, read_volume

Back = Callable[[Volume], Any]


def as_volume(
    image: Any,
    *,
    voxel_size: float | Sequence[float] | None = None,
    affine: Any = None,
    frame: int | None = None,
    fill_nonfinite: Fill | None = None,
) -> tuple[Volume, Back]:
    """Convert to a volume, and return the function that converts a result back.

    Parameters
    ----------
    image : Volume, nibabel image, path or array
        Three axes, or four for a nibabel image or path with ``frame``.
    voxel_size : float or sequence of float, optional
        For an array: its voxel size in mm, along its axes.
    affine : (4, 4) array_like, optional
        For an array: voxel index to world, in mm, RAS+.
    frame : int, optional
        For a 4D file or nibabel image: the volume to take, from 0.
    fill_nonfinite : float or "mean", optional
        Replaces NaN and infinite voxels, which are refused otherwise.

    Returns
    -------
    volume : Volume
    back : callable
        Converts a volume on any grid of the same orientation to the kind and axis order
        of ``image``. The kind of a path is a volume.
    """
    is_array = not isinstance(image, Volume | SpatialImage | str | Path)
    if not is_array and (voxel_size is not None or affine is not None):
        found = f"given for a {type(image).__name__}, which has its own"
        raise ParameterError(explain("voxel_size or affine", found, "leave it out"))
    if isinstance(image, str | Path):
        return read_volume(image, frame=frame, fill_nonfinite=fill_nonfinite), _same
    if isinstance(image, SpatialImage):
        return _from_nibabel(image, frame, fill_nonfinite), to_nibabel
    if frame is not None:
        found = f"{frame} given for a {type(image).__name__}"
        raise ParameterError(explain("frame", found, "index the array instead"))
    if isinstance(image, Volume):
        name = image.origin.name if image.origin is not None else "volume"
        data = _checked(image.data, name, fill_nonfinite)
        if data is image.data:
            return image, _same
        window, origin, history = image.window, image.origin, image.history
        return Volume(data, image.grid, window, origin, history), _same
    return _from_array(image, voxel_size, affine, fill_nonfinite)


def to_nibabel(volume: Volume) -> Any:
    """Convert a volume to a nibabel image in the orientation of its file; RAS without one.

    The image is of the NIfTI family, or MGH if the volume was. The header keeps the codes,
    transforms and units of a NIfTI input, and no free text.
    """
    volume = volume.restored()
    origin = volume.origin
    codes = origin.axis_codes if origin is not None else ("R", "A", "S")
    data, affine = turn_to(codes, volume.data, volume.grid.affine)
    header = origin.header if origin is not None else None
    if isinstance(header, nibabel.MGHImage.header_class):
        return nibabel.MGHImage(data, affine)
    image = make_nifti(data, affine, header, volume.history, pair=False)
    # The affine of the header, which is the one that is saved.
    return type(image)(data, image.header.get_best_affine(), image.header)


def _same(volume: Volume) -> Volume:
    return volume


def _from_nibabel(image: Any, frame: int | None, fill: Fill | None) -> Volume:
    name = Path(image.get_filename() or "image").name
    data = image.dataobj
    shape = tuple(int(n) for n in data.shape)
    if len(shape) > 3:
        count = int(np.prod(shape[3:]))
        if frame is None and count > 1:
            found = f"is 4D with {count} frames"
            raise VolumeError(explain(name, found, f"pass frame=0 to {count - 1}"))
        if not 0 <= (frame or 0) < count:
            found = f"{name} has no frame {frame}"
            raise ParameterError(explain("frame", found, f"pass 0 to {count - 1}"))
        data = np.asarray(data).reshape(*shape[:3], count)[..., frame or 0]
    try:
        values = np.asarray(data)
    except MemoryError:
        raise
    except Exception as error:
        found = f"its voxels cannot be read ({type(error).__name__})"
        raise VolumeError(explain(name, found, "load the image again")) from error
    affine = _affine(name, image.affine) if image.affine is not None else np.eye(4)
    affine[:3] *= unit_in_mm(image.header)
    suffix = suffix_of(name) or ".nii.gz"
    return _make(values, affine, name, fill, image.header.copy(), suffix)


def _from_array(
    array: Any, voxel_size: float | Sequence[float] | None, affine: Any, fill: Fill | None
) -> tuple[Volume, Back]:
    try:
        data = np.asarray(array)
    except (TypeError, ValueError):
        data = np.empty(0, object)
    if data.dtype.kind not in "iufbc":
        mend = "give a Volume, nibabel image, path or NumPy array"
        raise ParameterError(explain("image", f"is a {type(array).__name__}", mend))
    if affine is not None and voxel_size is not None:
        raise ParameterError(explain("voxel_size", "given with affine", "pass one of them"))
    if affine is None:
        affine = np.diag([*_three(voxel_size), 1.0])
    volume = _make(data, _affine("array", affine), "array", fill)

    def back(result: Volume) -> FloatArray:
        assert volume.origin is not None
        restored = result.restored()
        turned, _ = turn_to(volume.origin.axis_codes, restored.data, restored.grid.affine)
        return np.ascontiguousarray(turned)

    return volume, back


def _make(
    data: NDArray[Any],
    affine: NDArray[np.float64],
    name: str,
    fill: Fill | None,
    header: object = None,
    suffix: str = ".nii.gz",
) -> Volume:
    """Check voxels in stored order and turn them to RAS."""
    shown = " × ".join(map(str, data.shape))
    if data.ndim != 3 or min(data.shape) < MIN_VOXELS:
        mend = f"give three axes of at least {MIN_VOXELS} voxels"
        raise GeometryError(explain(name, f"has {shown or 'no'} voxels", mend))
    if data.dtype.kind not in "iufb":
        mend = "use upscale_complex" if data.dtype.kind == "c" else "give real numbers"
        raise VolumeError(explain(name, f"voxels of type {data.dtype}", mend))
    values = turn_to_ras(_checked(data, name, fill).astype(np.float32, copy=False), affine)
    x, y, z = data.shape
    origin = Origin(name, axis_codes(affine), header, suffix)
    return Volume(values, grid_in_ras((x, y, z), affine), origin=origin)


def _checked(data: NDArray[Any], name: str, fill: Fill | None) -> NDArray[Any]:
    """Return the voxels without NaN and infinity, or raise :class:`VolumeError`."""
    if data.dtype.kind == "f" and not (finite := np.isfinite(data)).all():
        nans = int(np.isnan(data).sum())
        infinite = int(data.size - finite.sum()) - nans
        if fill is None or (fill == "mean" and not finite.any()):
            found = f"{nans} NaN and {infinite} infinite voxels of {data.size}"
            raise VolumeError(explain(name, found, "pass fill_nonfinite=0 to replace them"))
        value = float(data[finite].mean(dtype=np.float64)) if fill == "mean" else float(fill)
        if not abs(value) <= MAX_MAGNITUDE:
            found = f"{value:g} cannot fill voxels"
            raise ParameterError(explain("fill_nonfinite", found, "give a number such as 0"))
        data = np.where(finite, data, data.dtype.type(value))
    low, high = float(data.min()), float(data.max())
    if max(-low, high) > MAX_MAGNITUDE:
        found = f"intensities from {low:g} to {high:g}"
        mend = f"rescale it to magnitudes of at most {MAX_MAGNITUDE:g}"
        raise VolumeError(explain(name, found, mend))
    return data


def _affine(name: str, value: Any) -> NDArray[np.float64]:
    try:
        affine = np.array(value, np.float64)
    except (TypeError, ValueError):
        affine = np.empty(0)
    mend = "give a 4 × 4 matrix in mm with three independent axes"
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise GeometryError(explain(name, "affine is no finite 4 × 4 matrix", mend))
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not edges.all() or abs(np.linalg.det(affine[:3, :3] / edges)) < MIN_SKEW:
        rows = affine[:3, :3].round(4).tolist()
        raise GeometryError(explain(name, f"singular affine {rows}", mend))
    return affine


def _three(voxel_size: float | Sequence[float] | None) -> tuple[float, float, float]:
    """Read the voxel size of an array."""
    try:
        sizes = np.broadcast_to(np.array(1.0 if voxel_size is None else voxel_size, np.float64), 3)
    except (TypeError, ValueError):
        sizes = np.zeros(3)
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        mend = "give one positive length in mm, or three"
        raise ParameterError(explain("voxel_size", repr(voxel_size), mend))
    x, y, z = sizes.tolist()
    return x, y, z
