"""Complex scans: magnitude and phase, and the two parts that methods compute.

A phase jumps by 2π where it wraps, so it cannot be interpolated or filtered. The real and the
imaginary part are smooth there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.percentiles import go_on
from napari_mrisr.core.volume import FloatArray, Grid, IntensityWindow, Volume
from napari_mrisr.errors import GeometryError, VolumeError, explain


@dataclass(frozen=True, eq=False)
class Part(Volume):
    """Real or imaginary part of a complex scan, in engine units of the magnitude's window.

    Zero stays zero, so that the parts of a scan whose phase is turned are turned too. No value is
    clipped.

    Attributes
    ----------
    guide : Volume
        The magnitude, normalized and on the same grid. Adaptive methods choose filters from it.
    other : ndarray of float32 or None
        Voxels of the other part, for networks that take both.
    imaginary : bool
        True for the imaginary part.
    """

    guide: Volume = field(kw_only=True)
    other: FloatArray | None = field(default=None, kw_only=True, repr=False)
    imaginary: bool = field(default=False, kw_only=True)

    @property
    def both(self) -> tuple[FloatArray, FloatArray]:
        """Voxels of the real and the imaginary part."""
        assert self.other is not None, "made by ComplexVolume.parts"
        return (self.other, self.data) if self.imaginary else (self.data, self.other)

    @property
    def extrema(self) -> tuple[np.float32, np.float32]:
        """No limits."""
        return np.float32(-np.inf), np.float32(np.inf)

    def normalized(
        self, window: IntensityWindow | None = None, check: Callable[[], None] = go_on
    ) -> Volume:
        """Return the part itself."""
        return self


@dataclass(frozen=True, eq=False)
class ComplexVolume:
    """A complex scan.

    Attributes
    ----------
    magnitude : Volume
        In the scan's intensities, at least 0.
    phase : Volume
        In radians, on the magnitude's grid.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> grid = sr.Grid((4, 5, 6), np.eye(4))
    >>> scan = sr.ComplexVolume.of(np.full((4, 5, 6), 3 - 3j), grid)
    >>> float(scan.phase.data[0, 0, 0])
    -0.7853981852531433
    """

    magnitude: Volume
    phase: Volume

    def __post_init__(self) -> None:
        one, other = self.magnitude.grid, self.phase.grid
        # Of a voxel: headers round.
        near = 0.01 * min(one.voxel_size)
        if one.shape != other.shape or np.abs(one.corners() - other.corners()).max() > near:
            found = f"{_shown(other)} at another place than the magnitude, {_shown(one)}"
            raise GeometryError(explain("phase", found, "give both on one grid"))
        low = float(self.magnitude.data.min())
        if low < 0:
            found = f"intensities down to {low:g}, which no magnitude has"
            raise VolumeError(explain("magnitude", found, "give magnitude and phase"))

    @classmethod
    def of(
        cls,
        data: NDArray[np.complexfloating],
        grid: Grid,
        like: Volume | None = None,
        history: Mapping[str, str] | None = None,
    ) -> ComplexVolume:
        """Make a scan of complex voxels, with the origin of ``like``."""
        origin = None if like is None else like.origin
        magnitude = Volume(np.abs(data), grid, origin=origin, history=dict(history or {}))
        return cls(magnitude, replace(magnitude, data=np.angle(data)))

    @property
    def grid(self) -> Grid:
        """Grid of the voxels."""
        return self.magnitude.grid

    @property
    def data(self) -> NDArray[np.complex64]:
        """Complex voxels, indexed (x, y, z)."""
        wave: NDArray[np.complex64] = np.exp(np.complex64(1j) * self.phase.data)
        wave *= self.magnitude.data
        return wave

    def parts(self, check: Callable[[], None] = go_on) -> tuple[Part, Part]:
        """Return the real and the imaginary part, normalized as the magnitude is."""
        guide = self.magnitude.normalized(check=check)
        real = guide.data * np.cos(self.phase.data)
        imaginary = guide.data * np.sin(self.phase.data)
        about = guide.grid, guide.window, guide.origin, guide.history
        return (
            Part(real, *about, guide=guide, other=imaginary),
            Part(imaginary, *about, guide=guide, other=real, imaginary=True),
        )


def _shown(grid: Grid) -> str:
    return " × ".join(map(str, grid.shape))
