"""Volume, grid, region: voxels and their positions.

Inside the engine every array is indexed (x, y, z) and the axes point to the
patient's right, anterior and superior (RAS+, millimeters), as in nibabel.
:class:`Origin` keeps the orientation of the file, so that a result can be written in it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.notice import Caution
from napari_mrisr.core.percentiles import go_on, percentile
from napari_mrisr.core.scale import RealScale, Scale, scale_label, upsampled_size
from napari_mrisr.errors import GeometryError, explain

Shape = tuple[int, int, int]
FloatArray = NDArray[np.float32]
Number = TypeVar("Number", int, float)

CLIP_PERCENTILE = 99.9


@dataclass(frozen=True, eq=False)
class Grid:
    """Positions of the voxels of a volume.

    Attributes
    ----------
    shape : tuple of int
        Voxels along x, y, z.
    affine : (4, 4) ndarray of float64
        Voxel index to world, in mm, RAS+.
    units : str
        Unit of the world axes.
    """

    shape: Shape
    affine: NDArray[np.float64]
    units: str = "mm"

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise GeometryError(explain("affine", f"shape {affine.shape}", "give a 4 x 4 matrix"))
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel, mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    def corners(self) -> NDArray[np.float64]:
        """Return the world positions of the eight corners of the field of view, (8, 3), mm.

        The field of view reaches half a voxel beyond the outer voxel centers.
        """
        ends = [(-0.5, n - 0.5) for n in self.shape]
        index = np.array([(x, y, z, 1.0) for x in ends[0] for y in ends[1] for z in ends[2]])
        return (index @ self.affine.T)[:, :3]

    def upsampled(self, scale: RealScale) -> Grid:
        """Return the grid with ``scale`` times the voxels over the same field of view.

        An axis of n voxels gets ``round(n * factor)``. The first voxel's center moves by half
        an old minus half a new voxel.
        """
        shape = [upsampled_size(n, s) for n, s in zip(self.shape, scale, strict=True)]
        return self._rescaled([n / m for n, m in zip(self.shape, shape, strict=True)], shape)

    def degraded(self, scale: Scale) -> Grid:
        """Return the grid with ``scale`` times fewer voxels over the same field of view.

        Raises
        ------
        GeometryError
            If an axis is no multiple of its factor.
        """
        if any(n % s for n, s in zip(self.shape, scale, strict=True)):
            found = f"shape {self.shape} is no multiple of {scale}"
            raise GeometryError(explain("degrade", found, "crop the volume first"))
        return self._rescaled(
            [float(s) for s in scale], [n // s for n, s in zip(self.shape, scale, strict=True)]
        )

    def cropped(self, start: Shape, shape: Shape) -> Grid:
        """Return the box of ``shape`` voxels that starts at voxel ``start``."""
        affine = self.affine.copy()
        affine[:3, 3] = (self.affine @ [*start, 1.0])[:3]
        return replace(self, shape=shape, affine=affine)

    def _rescaled(self, step: list[float], shape: list[int]) -> Grid:
        # New index i lies at old index (i + 0.5) * step - 0.5.
        transform = np.diag([*step, 1.0])
        transform[:3, 3] = [(s - 1.0) / 2.0 for s in step]
        return replace(self, shape=(shape[0], shape[1], shape[2]), affine=self.affine @ transform)


@dataclass(frozen=True)
class IntensityWindow:
    """Intensities of the scan that are 0 and 1 in engine units.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> sr.IntensityWindow(0.0, 500.0).to_unit(np.array([250.0], np.float32))
    array([0.5], dtype=float32)
    """

    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, data: FloatArray, check: Callable[[], None] = go_on) -> IntensityWindow:
        """Return the window from zero (or a negative minimum) to the 99.9th percentile.

        The percentile is that of the 2021 paper (section 3.1). If it is not above the low
        end, because few voxels are not zero, the maximum replaces it. ``check`` is called
        regularly; it raises to stop.
        """
        top = percentile(data, CLIP_PERCENTILE, check)
        return cls.between(float(data.min()), float(data.max()), top)

    @classmethod
    def between(cls, lowest: float, highest: float, percentile: float) -> IntensityWindow:
        """Return the window of data with these extremes and 99.9th percentile; see :meth:`of`."""
        low = min(0.0, lowest)
        for high in (percentile, highest):
            if high > low:
                return cls(low, high)
        return cls(low, low + 1.0)  # a constant volume; any width will do

    def to_unit(self, data: FloatArray) -> FloatArray:
        """Convert the scan's intensities to engine units; values above ``high`` exceed 1."""
        unit = data - np.float32(self.low)
        unit *= np.float32(1.0 / (self.high - self.low))  # in place: allocating takes longer
        return unit.astype(np.float32, copy=False)

    def from_unit(self, data: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """Invert :meth:`to_unit`, into ``out`` if given."""
        scan = np.multiply(data, np.float32(self.high - self.low), out=out)
        scan += np.float32(self.low)
        return scan.astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class Origin:
    """Orientation, header and name of the file of a volume.

    Attributes
    ----------
    name : str
        File name without its folder.
    axis_codes : tuple of str
        Direction of the stored axes, such as ``("L", "A", "S")``.
    header : object or None
        The nibabel header as read, for codes and units; its text fields are
        never shown, logged or exported. Of DICOM the images of the volume, which a derived
        series refers to; a tuple of them for frames.
    suffix : str
        File extension, such as ``.nii.gz``.
    cautions : tuple of Caution
        Unusual properties of the file, such as a sheared affine.
    slice_thickness : float or None
        In mm; None if unknown. See :mod:`napari_mrisr.core.slices`.
    slice_source : str
        Source of the thickness.
    window : IntensityWindow or None
        Contrast that the file suggests.
    acquisition : tuple of str
        Facts about the acquisition for display, such as ``echo time 30 ms``.
    """

    name: str
    axis_codes: tuple[str, str, str] = ("R", "A", "S")
    header: object | None = None
    suffix: str = ".nii.gz"
    cautions: tuple[Caution, ...] = ()
    slice_thickness: float | None = None
    slice_source: str = ""
    window: IntensityWindow | None = None
    acquisition: tuple[str, ...] = ()

    @property
    def ras_axis(self) -> tuple[int, int, int]:
        """RAS axis (0 = x) of each stored axis."""
        lookup = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
        a, b, c = (lookup[code] for code in self.axis_codes)
        return a, b, c

    def to_ras(self, scale: tuple[Number, Number, Number]) -> tuple[Number, Number, Number]:
        """Reorder per-axis factors from stored order to RAS order."""
        ras = [scale[0]] * 3
        for factor, axis in zip(scale, self.ras_axis, strict=True):
            ras[axis] = factor
        return ras[0], ras[1], ras[2]

    def from_ras(self, scale: tuple[Number, Number, Number]) -> tuple[Number, Number, Number]:
        """Reorder per-axis factors from RAS order to stored order."""
        a, b, c = self.ras_axis
        return scale[a], scale[b], scale[c]


def scale_text(scale: RealScale, origin: Origin | None) -> str:
    """Format a scale for a message as the user gives it, by the axes of the file."""
    return scale_label(scale if origin is None else origin.from_ras(scale))


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels with their grid.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> data = np.zeros((4, 5, 6), np.float32)
    >>> volume = sr.Volume(data, sr.Grid((4, 5, 6), np.diag([1.0, 1.0, 3.0, 1.0])))
    >>> volume.grid.voxel_size
    (1.0, 1.0, 3.0)

    Attributes
    ----------
    data : ndarray of float32
        Indexed (x, y, z), axes RAS+, C order.
    grid : Grid
        Positions of the voxels.
    window : IntensityWindow
        Maps ``data`` to the scan's intensities; the identity (0, 1) for a volume as read.
    origin : Origin or None
        The file; None for a volume made in memory.
    history : mapping of str to str
        Method, bank, scale and so on, written into saved headers.
    """

    data: FloatArray
    grid: Grid
    window: IntensityWindow = IntensityWindow()
    origin: Origin | None = None
    history: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        data = np.ascontiguousarray(self.data, dtype=np.float32)
        if data.shape != self.grid.shape:
            found = f"data of shape {data.shape} on a grid of {self.grid.shape}"
            raise GeometryError(explain("volume", found, "make the two agree"))
        object.__setattr__(self, "data", data)

    @functools.cached_property
    def extrema(self) -> tuple[np.float32, np.float32]:
        """Lowest and highest value of the data."""
        return self.data.min(), self.data.max()

    def normalized(
        self, window: IntensityWindow | None = None, check: Callable[[], None] = go_on
    ) -> Volume:
        """Return the volume in engine units: 0 to 1 over the window.

        Parameters
        ----------
        window : IntensityWindow, optional
            By default :meth:`IntensityWindow.of` of the data.
        check : callable
            Called regularly; raises to stop.
        """
        if self.window != IntensityWindow():
            return self
        window = window or IntensityWindow.of(self.data, check)
        return replace(self, data=window.to_unit(self.data), window=window)

    def to_nibabel(self) -> Any:
        """Return a nibabel image in the orientation of the file; RAS for a volume from memory.

        Returns
        -------
        nibabel.Nifti1Image or other nibabel image
            Float32, in the scan's intensities, with the affine in mm.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_mrisr as sr
        >>> grid = sr.Grid((4, 5, 6), np.diag([1.0, 1.0, 3.0, 1.0]))
        >>> image = sr.Volume(np.zeros((4, 5, 6), np.float32), grid).to_nibabel()
        >>> [float(size) for size in image.header.get_zooms()]
        [1.0, 1.0, 3.0]
        """
        from napari_mrisr.io.convert import to_nibabel  # the only import of a higher package

        return to_nibabel(self)

    def restored(self) -> Volume:
        """Return the volume in the scan's intensities; inverse of :meth:`normalized`."""
        if self.window == IntensityWindow():
            return self
        return replace(self, data=self.window.from_unit(self.data), window=IntensityWindow())

    def cropped(self, start: Shape, shape: Shape) -> Volume:
        """Return the box of ``shape`` voxels that starts at voxel ``start``."""
        box = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
        return replace(self, data=self.data[box], grid=self.grid.cropped(start, shape))

    def cropped_to_multiple(self, scale: Scale) -> Volume:
        """Drop voxels at the far end of each axis so that ``scale`` divides it."""
        x, y, z = ((n // s) * s for n, s in zip(self.grid.shape, scale, strict=True))
        return self if (x, y, z) == self.grid.shape else self.cropped((0, 0, 0), (x, y, z))


@dataclass(frozen=True)
class Region:
    """A box of voxels: ``start`` inclusive, ``stop`` exclusive."""

    start: Shape
    stop: Shape

    @property
    def shape(self) -> Shape:
        """Voxels along each axis."""
        x, y, z = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return x, y, z

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into an array."""
        x, y, z = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return x, y, z

    def intersection(self, other: Region) -> Region:
        """Return the voxels of both boxes."""
        x, y, z = (max(a, b) for a, b in zip(self.start, other.start, strict=True))
        ends = zip((x, y, z), self.stop, other.stop, strict=True)
        x_end, y_end, z_end = (max(a, min(b, c)) for a, b, c in ends)
        return Region((x, y, z), (x_end, y_end, z_end))

    def within(self, other: Region) -> Region:
        """Return the box with indices that count from the start of another."""
        x, y, z = (a - b for a, b in zip(self.start, other.start, strict=True))
        x_end, y_end, z_end = (a - b for a, b in zip(self.stop, other.start, strict=True))
        return Region((x, y, z), (x_end, y_end, z_end))

    def blocks(self, edges: Shape, slow: int = 0) -> list[Region]:
        """Cut the box into blocks; the index along the axis ``slow`` changes least often."""
        order = sorted(range(3), key=lambda axis: axis != slow)
        corners = itertools.product(
            *(range(self.start[axis], self.stop[axis], edges[axis]) for axis in order)
        )
        found = []
        for corner in corners:
            x, y, z = (corner[order.index(axis)] for axis in range(3))
            a, b, c = (
                min(n, at + edge) for n, at, edge in zip(self.stop, (x, y, z), edges, strict=True)
            )
            found.append(Region((x, y, z), (a, b, c)))
        return found

    @classmethod
    def whole(cls, shape: Shape) -> Region:
        """Return the region of a whole volume of that shape."""
        return cls((0, 0, 0), shape)


@dataclass(frozen=True, eq=False)
class BoxArray:
    """A box of a larger array, with the indices of that array.

    Methods read boxes of a volume by slices and nothing else, so that a box can stand in
    for a whole array. It cannot be converted to an ndarray by mistake.

    Attributes
    ----------
    box : ndarray of float32
        The voxels in memory.
    corner : tuple of int
        Index of the first of them in the whole array.
    shape : tuple of int
        Shape of the whole array.
    missing : callable or None
        Reads a region that is not in memory.
    """

    box: FloatArray
    corner: Shape
    shape: Shape
    missing: Callable[[Region], FloatArray] | None = None
    ndim: int = 3
    dtype: np.dtype[np.float32] = field(default_factory=lambda: np.dtype(np.float32))

    @classmethod
    def empty(cls, region: Region, shape: Shape) -> BoxArray:
        """Return a box for a region of an array of that shape."""
        return cls(np.empty(region.shape, np.float32), region.start, shape)

    def span(self, axis: int) -> tuple[int, int]:
        """Return the first index along an axis and the one after the last."""
        start = self.corner[axis]
        return start, start + self.box.shape[axis]

    def __setitem__(self, index: tuple[slice, slice, slice], values: FloatArray) -> None:
        inner = [slice(s.start - c, s.stop - c) for s, c in zip(index, self.corner, strict=True)]
        held = [s.start >= 0 and s.stop <= n for s, n in zip(inner, self.box.shape, strict=True)]
        if not all(held):
            raise IndexError(f"{index} is not in the box at {self.corner} of {self.box.shape}")
        self.box[tuple(inner)] = values

    def __getitem__(self, index: tuple[slice, slice, slice]) -> FloatArray:
        spans = [part.indices(n) for part, n in zip(index, self.shape, strict=True)]
        assert all(step == 1 for _, _, step in spans), "boxes only"
        (a, d, _), (b, e, _), (c, f, _) = spans
        inner = [
            slice(low - at, high - at)
            for (low, high, _), at in zip(spans, self.corner, strict=True)
        ]
        held = all(s.start >= 0 and s.stop <= n for s, n in zip(inner, self.box.shape, strict=True))
        if held:
            return self.box[tuple(inner)]
        if self.missing is None:
            raise IndexError(f"{spans} is not in the box at {self.corner} of {self.box.shape}")
        return self.missing(Region((a, b, c), (d, e, f)))

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("only a box of this array is in memory")
