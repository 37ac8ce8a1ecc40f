"""Open an image file and check everything that its header can tell.

nibabel reads the headers. No voxel is loaded here, and nothing is allocated by a size that a
header claims. :class:`Scan` holds an opened image.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import math
import os
import struct
import tempfile
import textwrap
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel import imageglobals
from nibabel.analyze import AnalyzeHeader
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError, SpatialImage
from numpy.typing import NDArray

from napari_mrisr.core.volume import Grid, Origin, Shape
from napari_mrisr.errors import GeometryError, ParameterError, VolumeError, explain
from napari_mrisr.io.formats import (
    MGH,
    MINC,
    READABLE,
    PathLike,
    expansion_of,
    stem_of,
    suffix_of,
)
from napari_mrisr.io.geometry import (
    axis_codes,
    geometry_cautions,
    grid_in_ras,
    times,
    unit_in_mm,
)

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

_EXPORT_AGAIN = "export it again"
_COPY_AGAIN = "copy or export it again"


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
        cautions = tuple(geometry_cautions(header, self.affine, self.shape))
        codes, suffix = axis_codes(self.affine), suffix_of(self.path)
        return Origin(printable(self.path.name), codes, header.copy(), suffix, cautions)

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
        return VolumeError(explain(self.path, found, _COPY_AGAIN))


@contextlib.contextmanager
def open_scan(path: PathLike, frame: int | None) -> Iterator[Scan]:
    """Open an image file and check its header.

    Parameters
    ----------
    path : str or path
        The image; for formats of two files, either of them.
    frame : int or None
        Volume of a 4D image (or color of an RGB one), from 0.

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
        _check_file(path)
    except OSError as error:
        found = f"cannot be read ({error.strerror})"
        raise VolumeError(explain(path, found, "check its name and permissions")) from error
    with _utf8_name(path) as name:
        image = _load_header(path, name)
        try:
            yield _check(path, image, frame)
        finally:
            # nibabel leaves the voxel file of PAR/REC open.
            if hasattr(image.dataobj, "file_like") and hasattr(image.dataobj.file_like, "close"):
                image.dataobj.file_like.close()


def printable(name: str) -> str:
    """Return a file name that any terminal and file can hold."""
    return name.encode("utf-8", "replace").decode("utf-8")


@contextlib.contextmanager
def _utf8_name(path: Path) -> Iterator[Path]:
    """Yield the path, or a link to it if it is not UTF-8: indexed_gzip crashes on such names."""
    text = str(path)
    if text == printable(text):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mrisr-") as folder:
        stem = stem_of(path)
        for other in path.absolute().parent.iterdir():
            if other.name.startswith(stem) and other.name[len(stem) :].lower() in READABLE:
                Path(folder, f"scan{other.name[len(stem) :]}").symlink_to(other)
        yield Path(folder, f"scan{path.name[len(stem) :]}")


def _check_file(path: Path) -> None:
    """Refuse, by name and first bytes, what cannot be an image."""
    if path.is_dir():
        raise VolumeError(explain(path, "is a folder", "give an image file in it"))
    if not path.exists():
        raise VolumeError(explain(path, "no such file", "check the name"))
    suffix = suffix_of(path)
    if suffix not in READABLE:
        fix = f"give one of {', '.join(READABLE)} (convert DICOM with dcm2niix first)"
        raise VolumeError(explain(path, f"{suffix or 'no suffix'!r} is no image format", fix))
    if not path.is_file():
        raise VolumeError(explain(path, "is no regular file", "give an image file"))
    with path.open("rb") as file:
        start = file.read(3)
    if not start:
        raise VolumeError(explain(path, "is empty", _COPY_AGAIN))
    if expansion_of(path) > 1 and start[:2] != b"\x1f\x8b" and start != b"BZh":
        fix = "drop the compression suffix from its name or export it again"
        raise VolumeError(explain(path, "is not a compressed file", fix))
    if expansion_of(path) == 1 and start[:2] == b"\x1f\x8b":
        raise VolumeError(explain(path, "is gzip-compressed", f"rename it to {path.name}.gz"))


@contextlib.contextmanager
def quiet_nibabel() -> Iterator[None]:
    """Silence nibabel's log and warnings: its repairs are refused here, or harmless."""

    def drop(record: object) -> bool:
        return False

    imageglobals.logger.addFilter(drop)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="nibabel")
            yield
    finally:
        imageglobals.logger.removeFilter(drop)


def _load_header(path: Path, name: Path) -> Any:
    """Return nibabel's image without loading voxels; ``name`` is the path to open."""
    try:
        with quiet_nibabel():
            image = _load_mgh(name) if suffix_of(path) in MGH else nib.load(name)
            if isinstance(image, nib.Nifti1Image) and not int(image.dataobj.offset):
                image = _with_offset(image, name)
    except Exception as error:
        raise _unreadable(path, error) from error
    if not isinstance(image, SpatialImage):
        found = f"holds {type(image).__name__}, not a volume"
        raise VolumeError(explain(path, found, "give a 3D image"))
    return image


def _load_mgh(path: Path) -> Any:
    """Load as ``nib.load`` does, which leaves the file open."""
    mgh: Any = nib.MGHImage
    with ImageOpener(str(path)) as file:
        header = mgh.header_class.from_fileobj(file)
    proxy = mgh.ImageArrayProxy(str(path), header.copy())
    return mgh(proxy, header.get_affine(), header, file_map=mgh.filespec_to_file_map(str(path)))


def _with_offset(image: Any, path: Path) -> Any:
    """Return a single-file NIfTI image whose header gives no offset with a probable one.

    The voxels begin after the header and four bytes that announce extensions, unless the
    file is four bytes too short for that.
    """
    header_bytes = int(image.header["sizeof_hdr"])
    proxy = image.dataobj
    size = math.prod(map(int, image.shape)) * proxy.dtype.itemsize
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        if path.suffix.lower() == ".gz":
            file.seek(max(0, length - 4))
            length = struct.unpack("<I", file.read(4).ljust(4, b"\0"))[0]  # modulo 2^32
    tight = (header_bytes + size) % 2**32 == length % 2**32
    offset = header_bytes + (0 if tight else 4)
    spec = (image.shape, proxy.dtype, offset, proxy.slope, proxy.inter)
    return type(image)(
        ArrayProxy(str(path), spec), image.affine, image.header.copy(), file_map=image.file_map
    )


def _unreadable(path: Path, error: Exception) -> VolumeError:
    """Return the one-line error for an exception of nibabel."""
    if isinstance(error, ModuleNotFoundError):
        found = f"reading it needs the package {error.name}"
        return VolumeError(explain(path, found, f"pip install {error.name}"))
    if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error) or not _unpacks(path):
        return VolumeError(explain(path, "ends early or is damaged", _COPY_AGAIN))
    if isinstance(error, FileNotFoundError):
        fix = "put the header and the voxel file into one folder"
        return VolumeError(explain(path, "the file that belongs to it is missing", fix))
    if isinstance(error, ImageFileError):
        hidden = _hidden_error(path)
        if hidden is not None:
            return _unreadable(path, hidden)
        return VolumeError(explain(path, "is not an image, whatever its suffix", _EXPORT_AGAIN))
    if isinstance(error, ValueError) and "w2 should be positive" in str(error):
        fix = "correct the qform in its header"
        return GeometryError(explain(path, "quaternion of its qform longer than 1", fix))
    if isinstance(error, HeaderDataError) and "vox offset" in str(error):
        found = "its voxels would begin inside the header"
        return VolumeError(explain(path, found, "correct vox_offset in its header"))
    return VolumeError(explain(path, f"is no readable image{_reason(error)}", _EXPORT_AGAIN))


def _reason(error: Exception) -> str:
    """Return the first sentence of nibabel's message in parentheses, if a user can read it."""
    text = str(error).split(". ")[0].rstrip(".")
    readable = isinstance(error, HeaderDataError) and text.isascii() and text.isprintable()
    if not readable or "\\" in text or len(text.split()) < 2:
        return ""
    return f" ({textwrap.shorten(text, 80, placeholder=' …')})"


def _unpacks(path: Path) -> bool:
    """Return False for a compressed file that is damaged.

    nibabel reads by the package indexed_gzip if that is installed, which raises other
    exceptions for a damaged file than the standard library.
    """
    if expansion_of(path) > 1:
        try:
            with unpacking(path) as stream:
                for _ in stream:
                    pass
        except (OSError, EOFError, zlib.error):
            return False
    return True


class _Unpacked(Iterator[bytes]):
    """Pieces of a compressed file's content.

    Attributes
    ----------
    trailing : bool
        True once other data than gzip were found behind a complete gzip stream.
    """

    def __init__(self, file: Any) -> None:
        self._file, self._nonempty, self.trailing = file, False, False

    def __next__(self) -> bytes:
        try:
            # At most one member per call, so that no data are lost before an exception.
            piece: bytes = self._file.read1(1 << 20)
        except gzip.BadGzipFile as error:
            if not self._nonempty or not str(error).startswith("Not a gzipped file"):
                raise
            self.trailing, piece = True, b""
        if not piece:
            raise StopIteration
        self._nonempty = True
        return piece


@contextlib.contextmanager
def unpacking(path: Path) -> Iterator[_Unpacked]:
    """Open a compressed file to iterate over its content."""
    with bz2.open(path) if path.suffix.lower() == ".bz2" else gzip.open(path) as file:
        yield _Unpacked(file)


def _hidden_error(path: Path) -> Exception | None:
    """Return the exception that nibabel dropped when it read the file's first bytes."""
    try:
        if expansion_of(path) > 1:
            with unpacking(path) as stream:
                next(stream, b"")
    except (OSError, EOFError, zlib.error) as error:
        return error
    suffix = suffix_of(path)
    if suffix.startswith(".img"):
        header = path.with_name(path.name[: -len(suffix)] + suffix.replace("img", "hdr"))
        return None if header.exists() else FileNotFoundError(str(header))
    return None


def _check(path: Path, image: Any, frame: int | None) -> Scan:
    shape = tuple(int(n) for n in image.shape)
    space = _space_axes(path, image, shape)
    _check_voxel_size(path, image)
    dtype = _check_dtype(path, image)
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
        fix = "correct the voxel size (pixdim) in its header"
        raise GeometryError(explain(path, f"voxel size {shown} mm", fix))


def _space_axes(path: Path, image: Any, shape: tuple[int, ...]) -> Shape:
    """Return the axes of the stored array that are space."""
    shown = times(shape)
    if len(shape) < 3:
        fix = "give a volume of three axes"
        found = f"is {len(shape)}D ({shown})" if shape else "has no axes"
        raise GeometryError(explain(path, found, fix))
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
        raise GeometryError(explain(path, f"its header says {shown} voxels", _EXPORT_AGAIN))
    check_thickness(path, shape, space)
    return space


def check_thickness(path: Path, shape: tuple[int, ...], space: Sequence[int]) -> None:
    """Raise :class:`GeometryError` for fewer than :data:`MIN_VOXELS` along a space axis."""
    if any(shape[axis] < MIN_VOXELS for axis in space):
        fix = f"give at least {MIN_VOXELS} voxels along every axis"
        shown = times(shape)
        raise GeometryError(explain(path, f"only one voxel thin ({shown})", fix))


def _check_dtype(path: Path, image: Any) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(image.get_data_dtype())
    except Exception as error:
        raise _unreadable(path, error) from error
    if dtype.kind == "c":
        fix = "save its magnitude as a real image"
        raise VolumeError(explain(path, f"complex voxels ({dtype})", fix))
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
        raise _unreadable(scan.path, FileNotFoundError(str(error))) from error
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
            fix = f"choose one with --frame, 0 to {count - 1}"
            raise VolumeError(explain(path, f"is {kind}", fix))
        frame = 0
    if not 0 <= frame < count:
        fix = f"give a number from 0 to {count - 1}" if count > 1 else "leave it out or give 0"
        raise ParameterError(explain("--frame", f"{path} has no frame {frame}", fix))
    if long:
        index[long[0]] = frame
    return tuple(index), colors[frame] if colors else None


def _check_affine(path: Path, image: Any) -> NDArray[np.float64]:
    try:
        affine = np.array(image.affine, dtype=np.float64)
    except Exception as error:
        raise _unreadable(path, error) from error
    if affine.shape != (4, 4):
        affine = np.full((4, 4), np.nan)
    affine[:3] *= unit_in_mm(image.header)
    return checked_affine(path, affine, "correct the affine (sform or qform) in its header")


def checked_affine(path: Path, affine: NDArray[np.float64], fix: str) -> NDArray[np.float64]:
    """Return an affine, or raise :class:`GeometryError` if it cannot be processed."""
    if not np.all(np.isfinite(affine)):
        raise GeometryError(explain(path, "affine with NaN or infinite entries", fix))
    if np.abs(affine).max() > MAX_LENGTH:
        found = f"affine with entries up to {np.abs(affine).max():g}"
        raise GeometryError(explain(path, found, fix))
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(edges >= 1 / MAX_LENGTH) or abs(np.linalg.det(affine[:3, :3] / edges)) < MIN_SKEW:
        rows = affine[:3, :3].round(4).tolist()
        raise GeometryError(explain(path, f"singular affine {rows}", fix))
    return affine
