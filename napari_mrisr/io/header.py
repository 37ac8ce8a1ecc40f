"""Open an image and check everything that its header can tell.

No voxel is loaded here, and nothing is allocated by a size that the header
claims.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.openers import ImageOpener
from numpy.typing import NDArray

from napari_mrisr.core.volume import Shape
from napari_mrisr.errors import GeometryError, ParameterError, VolumeError, explain
from napari_mrisr.io.formats import MINC, PathLike, expansion_of, suffix_of
from napari_mrisr.io.loading import check_file, load_header, quiet_nibabel, unreadable
from napari_mrisr.io.orientation import axis_codes

MIN_VOXELS = 2
"""Fewest voxels along an axis. With one there is no neighbor to interpolate
to and no gradient; from two on, reflecting at the border defines both."""

MIN_SKEW = 1e-3
"""Smallest volume of the parallelepiped of the unit voxel edges. Below, the
axes lie in one plane to within the precision of a header."""

MAX_LENGTH = 1e9
"""Largest entry of an affine and, inverted, smallest voxel size, mm. What lies
beyond is no scan, and its products would overflow."""

#: Millimeters in a header's unit; unknown (0) counts as mm, as in nibabel.
_MM = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}


@dataclass(frozen=True)
class Scan:
    """An opened image, its header checked.

    Attributes
    ----------
    path : Path
        The file as given.
    image : SpatialImage
        nibabel's, voxels not loaded.
    shape : tuple of int
        Of the three space axes, as stored.
    affine : (4, 4) ndarray
        Stored voxel index to world, mm.
    index : tuple
        What to index the stored array with to get the chosen frame in 3D.
    channel : str or None
        The color chosen as a frame of an RGB image.
    """

    path: Path
    image: Any
    shape: Shape
    affine: NDArray[np.float64]
    index: tuple[int | slice, ...]
    channel: str | None

    @property
    def axis_codes(self) -> tuple[str, str, str]:
        """Direction of the stored axes."""
        return axis_codes(self.affine)


def unit_in_mm(header: object) -> float:
    """Millimeters in the header's unit of space; 1 where it names none."""
    with contextlib.suppress(TypeError, KeyError, ValueError, IndexError):
        return _MM.get(int(header["xyzt_units"]) % 8, 1.0)  # type: ignore[index]
    return 1.0


@contextlib.contextmanager
def open_scan(path: PathLike, frame: int | None) -> Iterator[Scan]:
    """Open an image file and check its header.

    Parameters
    ----------
    path : str or path
        The image; for formats of two files, either of them.
    frame : int or None
        Which volume of a 4D image (or which color of an RGB one), from 0.

    Yields
    ------
    Scan
        Ready to load. Closed when the block ends.

    Raises
    ------
    VolumeError
        When there is no such file, it is no image, its size cannot be what
        the header says, or a choice of frame is needed.
    GeometryError
        When voxel size, affine or shape cannot be processed.
    ParameterError
        When ``frame`` is out of range.
    """
    path = Path(path)
    try:
        check_file(path)
    except OSError as error:
        found = f"cannot be read ({error.strerror})"
        raise VolumeError(explain(path, found, "check its name and permissions")) from error
    image = load_header(path)
    try:
        yield _check(path, image, frame)
    finally:
        # nibabel leaves the voxel file of PAR/REC open.
        if hasattr(image.dataobj, "file_like") and hasattr(image.dataobj.file_like, "close"):
            image.dataobj.file_like.close()


def _check(path: Path, image: Any, frame: int | None) -> Scan:
    shape = tuple(int(n) for n in image.shape)
    space = _space_axes(path, image, shape)
    _check_voxel_size(path, image)
    dtype = _check_dtype(path, image)
    _check_file_size(path, image, shape, dtype)
    index, channel = _choose_frame(path, shape, space, dtype, frame)
    affine = _check_affine(path, image)
    x, y, z = (shape[axis] for axis in space)
    return Scan(path, image, (x, y, z), affine, index, channel)


def _check_voxel_size(path: Path, image: Any) -> None:
    """Refuse sizes that nibabel would repair in silence."""
    header = image.header
    if isinstance(header, AnalyzeHeader):
        file_map = image.file_map
        holder = file_map.get("header", file_map["image"])
        with quiet_nibabel(), ImageOpener(holder.filename) as file:
            raw = type(image.header).from_fileobj(file, check=False)
        sizes = [float(size) for size in raw["pixdim"][1:4]]
    elif isinstance(header, nib.MGHImage.header_class):
        sizes = [float(size) for size in header["delta"]]
    else:
        return
    if not all(1 / MAX_LENGTH <= size <= MAX_LENGTH for size in sizes):
        shown = " x ".join(f"{size:g}" for size in sizes)
        mend = "correct the voxel size (pixdim) in its header"
        raise GeometryError(explain(path, f"voxel size {shown} mm", mend))


def _space_axes(path: Path, image: Any, shape: tuple[int, ...]) -> Shape:
    """Which axes of the stored array are space."""
    shown = " x ".join(map(str, shape))
    if len(shape) < 3:
        mend = "give a volume of three axes"
        raise GeometryError(explain(path, f"is {len(shape)}D ({shown})", mend))
    space = (0, 1, 2)
    if suffix_of(path) in MINC:
        # MINC stores time first; only its file object knows the names.
        names = [str(name) for name in image.dataobj.minc_file._dim_names]
        found = [axis for axis, name in enumerate(names) if name.endswith("space")]
        space = (found[0], found[1], found[2])
    if any(n < 1 for n in shape):
        found_text = f"its header says {shown} voxels"
        raise GeometryError(explain(path, found_text, "export it again"))
    if any(shape[axis] < MIN_VOXELS for axis in space):
        mend = f"give at least {MIN_VOXELS} voxels along every axis"
        raise GeometryError(explain(path, f"only one voxel thin ({shown})", mend))
    return space


def _check_dtype(path: Path, image: Any) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(image.get_data_dtype())
    except Exception as error:
        raise unreadable(path, error) from error
    if dtype.kind == "c":
        mend = "save its magnitude as a real image"
        raise VolumeError(explain(path, f"complex voxels ({dtype})", mend))
    if dtype.fields is None and dtype.kind not in "iufb":
        raise VolumeError(explain(path, f"voxels of type {dtype}", "save it as numbers"))
    return dtype


def _check_file_size(path: Path, image: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse a header that promises more voxels than the file can hold."""
    needed = bytes_promised(image, shape, dtype)
    data_file = voxel_file(path, image)
    try:
        held = data_file.stat().st_size
    except OSError as error:
        raise unreadable(path, FileNotFoundError(str(error))) from error
    if data_file.suffix.lower() == ".mnc" and _is_hdf5(data_file):
        return  # compressed inside, by a ratio that nothing bounds
    if needed > held * expansion_of(data_file):
        raise size_error(path, shape, dtype, needed, held)


def bytes_promised(image: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of the uncompressed file up to its last voxel, by the header."""
    offset = getattr(image.dataobj, "offset", 0)
    return int(offset) + math.prod(shape) * dtype.itemsize


def voxel_file(path: Path, image: Any) -> Path:
    """The file that holds the voxels."""
    name = image.file_map["image"].filename
    return path if name is None else Path(name)


def size_error(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], needed: int, held: int
) -> VolumeError:
    """The header and the file disagree."""
    shown = " x ".join(map(str, shape))
    kind = dtype.newbyteorder("=")
    found = f"header says {shown} voxels of {kind}, {needed} bytes, but the file has {held}"
    return VolumeError(explain(path, found, "copy or export it again"))


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x89HDF"


def _choose_frame(
    path: Path,
    shape: tuple[int, ...],
    space: Shape,
    dtype: np.dtype[Any],
    frame: int | None,
) -> tuple[tuple[int | slice, ...], str | None]:
    """The index of the chosen frame, and the color if colors are the frames."""
    index: list[int | slice] = [slice(None) if axis in space else 0 for axis in range(len(shape))]
    long = [axis for axis, n in enumerate(shape) if axis not in space and n > 1]
    colors = list(dtype.names or ())
    if len(long) + bool(colors) > 1:
        shown = " x ".join(map(str, shape))
        raise VolumeError(explain(path, f"has {shown} voxels", "save one 3D volume of it"))
    count = len(colors) or (shape[long[0]] if long else 1)
    if frame is None:
        if count > 1:
            kind = f"RGB with {count} colors" if colors else f"4D with {count} frames"
            mend = f"choose one with --frame, 0 to {count - 1}"
            raise VolumeError(explain(path, f"is {kind}", mend))
        frame = 0
    if not 0 <= frame < count:
        found = f"{path} has no frame {frame}"
        mend = f"give a number from 0 to {count - 1}" if count > 1 else "leave it out or give 0"
        raise ParameterError(explain("--frame", found, mend))
    if long:
        index[long[0]] = frame
    return tuple(index), colors[frame] if colors else None


def _check_affine(path: Path, image: Any) -> NDArray[np.float64]:
    try:
        affine = np.array(image.affine, dtype=np.float64)
    except Exception as error:
        raise unreadable(path, error) from error
    mend = "correct the affine (sform or qform) in its header"
    if affine.shape != (4, 4) or not np.all(np.isfinite(affine)):
        raise GeometryError(explain(path, "affine with NaN or infinite entries", mend))
    if np.abs(affine).max() > MAX_LENGTH:
        found = f"affine with entries up to {np.abs(affine).max():g}"
        raise GeometryError(explain(path, found, mend))
    affine[:3] *= unit_in_mm(image.header)
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(edges >= 1 / MAX_LENGTH) or abs(np.linalg.det(affine[:3, :3] / edges)) < MIN_SKEW:
        rows = affine[:3, :3].round(4).tolist()
        raise GeometryError(explain(path, f"singular affine {rows}", mend))
    return affine
