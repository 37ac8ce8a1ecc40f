"""Open an image file and check everything that its header can tell.

nibabel reads the headers. No voxel is loaded here, and nothing is allocated by a size that a
header claims. :class:`Scan` holds an opened image.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.openers import ImageOpener
from numpy.typing import NDArray

from napari_mrisr.core.slices import SIDECAR
from napari_mrisr.core.volume import Grid, Origin, Shape
from napari_mrisr.errors import GeometryError, ParameterError, VolumeError, explain
from napari_mrisr.io.formats import (
    MINC,
    PathLike,
    expansion_of,
    suffix_of,
)
from napari_mrisr.io.geometry import (
    axis_codes,
    geometry_cautions,
    grid_in_ras,
    times,
    unit_in_mm,
)
from napari_mrisr.io.loading import (
    COPY_AGAIN,
    EXPORT_AGAIN,
    check_file,
    load_header,
    printable,
    quiet_nibabel,
    unreadable,
    utf8_name,
)
from napari_mrisr.io.nifti import repetition_seconds
from napari_mrisr.io.sidecar import sidecar_cautions, slice_thickness

# nibabel's image classes carry no types.
nib: Any = nibabel

MIN_VOXELS = 2
"""Fewest voxels along an axis. Interpolation and gradients need a neighbor."""

MIN_SKEW = 1e-3
"""Smallest volume of the parallelepiped of the unit voxel edges. Below, the axes lie in one
plane to within the precision of a header."""

MAX_LENGTH = 1e9
"""Largest entry of an affine and, inverted, smallest voxel size, mm. Products of larger ones
would overflow."""


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
        Voxels along the three space axes, as stored.
    affine : (4, 4) ndarray
        Stored voxel index to world, mm.
    index : tuple
        Index into the stored array that selects the chosen frame in 3D.
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
    def grid(self) -> Grid:
        """Grid of the volume, RAS+."""
        return grid_in_ras(self.shape, self.affine)

    @property
    def origin(self) -> Origin:
        """Description of the file, with cautions about its geometry."""
        header = self.image.header
        cautions = [*geometry_cautions(header, self.affine, self.shape)]
        sizes = self.grid.voxel_size
        cautions += sidecar_cautions(self.path, sizes)
        thickness = slice_thickness(self.path, sizes)
        step = repetition_seconds(header)
        return Origin(
            printable(self.path.name),
            axis_codes(self.affine),
            header.copy(),
            suffix_of(self.path),
            tuple(cautions),
            thickness,
            SIDECAR if thickness else "",
            acquisition=() if step is None else (f"repetition time {1000 * step:.6g} ms",),
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored voxels."""
        dtype: np.dtype[Any] = np.dtype(self.image.get_data_dtype())
        return dtype

    @property
    def voxel_file(self) -> Path:
        """File that holds the voxels."""
        name = self.image.file_map["image"].filename
        return self.path if name is None else Path(name)

    @property
    def bytes_promised(self) -> int:
        """Bytes of the uncompressed file up to its last voxel, by the header."""
        offset = int(getattr(self.image.dataobj, "offset", 0))
        return offset + math.prod(map(int, self.image.shape)) * self.dtype.itemsize

    def size_error(self, held: int) -> VolumeError:
        """Return the error for a file that holds fewer bytes than its header promises."""
        shown = times(self.image.shape)
        found = f"header says {shown} voxels of {self.dtype.newbyteorder('=')}, "
        found += f"{self.bytes_promised} bytes, but the file has {held}"
        return VolumeError(explain(self.path, found, COPY_AGAIN))


@contextlib.contextmanager
def open_scan(path: PathLike, frame: int | None, *, complex_voxels: bool = False) -> Iterator[Scan]:
    """Open an image file and check its header.

    Parameters
    ----------
    path : str or path
        The image; for formats of two files, either of them.
    frame : int or None
        Volume of a 4D image (or color of an RGB one), from 0.
    complex_voxels : bool
        Accept complex voxels too.

    Yields
    ------
    Scan
        Ready to load. Closed when the block ends.

    Raises
    ------
    VolumeError
        When there is no such file, it is no image, its size contradicts the header, or a
        frame must be chosen.
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
    with utf8_name(path) as name:
        image = load_header(path, name)
        try:
            yield _check(path, image, frame, complex_voxels)
        finally:
            # nibabel leaves the voxel file of PAR/REC open.
            if hasattr(image.dataobj, "file_like") and hasattr(image.dataobj.file_like, "close"):
                image.dataobj.file_like.close()


def _check(path: Path, image: Any, frame: int | None, complex_voxels: bool) -> Scan:
    shape = tuple(int(n) for n in image.shape)
    space = _space_axes(path, image, shape)
    _check_voxel_size(path, image)
    dtype = _check_dtype(path, image, complex_voxels)
    stored = (shape[space[0]], shape[space[1]], shape[space[2]])
    colors = tuple(dtype.names or ())
    scan = Scan(path, image, stored, np.eye(4), (), None)
    _check_file_size(scan)
    index, color = choose_frame(path, shape, space, frame, colors)
    affine = _check_affine(path, image)
    return Scan(path, image, stored, affine, index, color)


def _check_voxel_size(path: Path, image: Any) -> None:
    """Refuse sizes that nibabel would silently repair."""
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
        shown = times(sizes)
        remedy = "correct the voxel size (pixdim) in its header"
        raise GeometryError(explain(path, f"voxel size {shown} mm", remedy))


def _space_axes(path: Path, image: Any, shape: tuple[int, ...]) -> Shape:
    """Return the axes of the stored array that are space."""
    shown = times(shape)
    if len(shape) < 3:
        remedy = "give a volume of three axes"
        found = f"is {len(shape)}D ({shown})" if shape else "has no axes"
        raise GeometryError(explain(path, found, remedy))
    space = (0, 1, 2)
    if suffix_of(path) in MINC:
        # MINC stores time first; only its file object knows the names.
        labels = [str(name) for name in image.dataobj.minc_file._dim_names]
        axes = [axis for axis, name in enumerate(labels) if name.endswith("space")]
        if len(axes) != 3:
            raise GeometryError(
                explain(path, f"has the axes {', '.join(labels)}", "give a 3D volume")
            )
        space = (axes[0], axes[1], axes[2])
    if any(n < 1 for n in shape):
        raise GeometryError(explain(path, f"its header says {shown} voxels", EXPORT_AGAIN))
    check_thickness(path, shape, space)
    return space


def check_thickness(path: Path, shape: tuple[int, ...], space: Sequence[int]) -> None:
    """Raise :class:`GeometryError` for fewer than :data:`MIN_VOXELS` along a space axis."""
    if any(shape[axis] < MIN_VOXELS for axis in space):
        remedy = f"give at least {MIN_VOXELS} voxels along every axis"
        shown = times(shape)
        raise GeometryError(explain(path, f"only one voxel thin ({shown})", remedy))


def _check_dtype(path: Path, image: Any, complex_voxels: bool) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(image.get_data_dtype())
    except Exception as error:
        raise unreadable(path, error) from error
    if dtype.kind == "c" and complex_voxels:
        return dtype
    if dtype.kind == "c":
        remedy = "use it with upscale, or save its magnitude as a real image"
        raise VolumeError(explain(path, f"complex voxels ({dtype})", remedy))
    if dtype.fields is None and dtype.kind not in "iufb":
        raise VolumeError(explain(path, f"voxels of type {str(dtype)[:80]}", "save it as numbers"))
    return dtype


def _check_file_size(scan: Scan) -> None:
    """Refuse a header that promises more voxels than the file can hold."""
    file = scan.voxel_file
    try:
        held = file.stat().st_size
        with file.open("rb") as opened:
            hdf5 = opened.read(4) == b"\x89HDF"
    except OSError as error:
        raise unreadable(scan.path, FileNotFoundError(str(error))) from error
    if hdf5 and suffix_of(file) in MINC:
        return  # compressed inside, by an unlimited ratio
    if scan.bytes_promised > held * expansion_of(file):
        raise scan.size_error(held)


def choose_frame(
    path: Path,
    shape: tuple[int, ...],
    space: Sequence[int],
    frame: int | None,
    colors: Sequence[str] = (),
) -> tuple[tuple[int | slice, ...], str | None]:
    """Return the index of the chosen frame, and the color if the frames are colors.

    Parameters
    ----------
    path : Path
        For messages.
    shape : tuple of int
        Of the stored array.
    space : sequence of int
        Its space axes.
    frame : int or None
        From 0; None if there is only one.
    colors : sequence of str
        Fields of the stored voxels.

    Raises
    ------
    VolumeError
        When a frame must be chosen, or several axes hold frames.
    ParameterError
        When ``frame`` is out of range.
    """
    index: list[int | slice] = [slice(None) if axis in space else 0 for axis in range(len(shape))]
    long = [axis for axis, n in enumerate(shape) if axis not in space and n > 1]
    if len(long) + bool(colors) > 1:
        shown = times(shape)
        raise VolumeError(explain(path, f"has {shown} voxels", "save one 3D volume of it"))
    count = len(colors) or (shape[long[0]] if long else 1)
    if frame is None:
        if count > 1:
            kind = f"RGB with {count} colors" if colors else f"4D with {count} frames"
            remedy = f"choose one with --frame, 0 to {count - 1}"
            raise VolumeError(explain(path, f"is {kind}", remedy))
        frame = 0
    if not 0 <= frame < count:
        remedy = f"give a number from 0 to {count - 1}" if count > 1 else "leave it out or give 0"
        raise ParameterError(explain("--frame", f"{path} has no frame {frame}", remedy))
    if long:
        index[long[0]] = frame
    return tuple(index), colors[frame] if colors else None


def _check_affine(path: Path, image: Any) -> NDArray[np.float64]:
    try:
        affine = np.array(image.affine, dtype=np.float64)
    except Exception as error:
        raise unreadable(path, error) from error
    if affine.shape != (4, 4):
        affine = np.full((4, 4), np.nan)
    affine[:3] *= unit_in_mm(image.header)
    return checked_affine(path, affine, "correct the affine (sform or qform) in its header")


def checked_affine(path: Path, affine: NDArray[np.float64], remedy: str) -> NDArray[np.float64]:
    """Return an affine, or raise :class:`GeometryError` if it cannot be processed."""
    if not np.all(np.isfinite(affine)):
        raise GeometryError(explain(path, "affine with NaN or infinite entries", remedy))
    if np.abs(affine).max() > MAX_LENGTH:
        found = f"affine with entries up to {np.abs(affine).max():g}"
        raise GeometryError(explain(path, found, remedy))
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(edges >= 1 / MAX_LENGTH) or abs(np.linalg.det(affine[:3, :3] / edges)) < MIN_SKEW:
        rows = affine[:3, :3].round(4).tolist()
        raise GeometryError(explain(path, f"singular affine {rows}", remedy))
    return affine
