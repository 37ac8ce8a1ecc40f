"""State of a comparison: one frozen description, changed by replacing it.

The canvas draws it, the figure prints it, and document.py saves it. It refers to
volumes by key; in napari the key is the layer's name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from napari_mrisr.core.frames import PLANES
from napari_mrisr.errors import ParameterError, explain

Point = tuple[float, float, float]

MAX_COLUMNS = 4
SIDE_BY_SIDE, SWIPE, FLICKER, CHECKERBOARD, MOSAIC = MODES = (
    "side-by-side",
    "swipe",
    "flicker",
    "checkerboard",
    "mosaic",
)
PAIR_MODES = (SWIPE, FLICKER, CHECKERBOARD)
"""Modes that show a pair of columns in one."""
SLABS = ("maximum", "minimum", "mean")
DIFFERENCE_COLORMAP = "RdBu_r"
ROI_SHAPES = ("box", "ellipsoid")


def as_point(values: Iterable[float]) -> Point:
    """Return three numbers as a tuple of floats."""
    x, y, z = map(float, values)
    return x, y, z


def point_text(world: Iterable[float]) -> str:
    """Return a position by the patient's sides: ``R 12.3  A 4.0  S 7.5 mm``."""
    pairs = zip(world, ("RL", "AP", "SI"), strict=True)
    return "  ".join(f"{letters[v < 0]} {abs(v):.1f}" for v, letters in pairs) + " mm"


@dataclass(frozen=True)
class Display:
    """Colormap, limits and gamma of a volume.

    Attributes
    ----------
    colormap : str
        A name known to both vispy (napari) and matplotlib, or one of napari's.
    limits : (low, high)
        Ends of the window, in the volume's intensities: level ± width / 2.
    gamma : float
        1 is linear.
    """

    colormap: str = "gray"
    limits: tuple[float, float] = (0.0, 1.0)
    gamma: float = 1.0

    def moved(self, level: float, width: float) -> Display:
        """Return the display with the level shifted by ``level`` widths, the width scaled."""
        low, high = self.limits
        span = high - low
        center = (low + high) / 2.0 + level * span
        half = span * width / 2.0
        return replace(self, limits=(center - half, center + half))


@dataclass(frozen=True)
class Difference:
    """Column of ``minuend`` minus ``subtrahend`` (keys of volumes).

    If their grids differ, the subtrahend is interpolated linearly at the minuend's
    voxels. Signed differences have a diverging colormap with symmetric limits;
    ``limit`` is None until it is measured.
    """

    minuend: str
    subtrahend: str
    absolute: bool = False
    limit: float | None = None

    def is_like(self, other: Difference) -> bool:
        """Return whether both show the same pair in the same way, in either direction."""
        same_pair = {self.minuend, self.subtrahend} == {other.minuend, other.subtrahend}
        return same_pair and self.absolute == other.absolute


@dataclass(frozen=True)
class RoiBox:
    """Region of interest drawn in a panel: a 3D box or ellipsoid.

    Attributes
    ----------
    name : str
        Name in the table.
    shape : str
        ``box`` or ``ellipsoid`` (inscribed in the box).
    center : (x, y, z)
        World, mm.
    size : (x, y, z)
        Full edge lengths along the frame's axes, mm.
    axes : nine floats
        The frame's rotation (frame to world), row by row.
    """

    name: str
    shape: str
    center: Point
    size: Point
    axes: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @property
    def volume_mm3(self) -> float:
        """Volume of the box, or of the ellipsoid in it."""
        return math.prod(self.size) * (1.0 if self.shape == "box" else math.pi / 6.0)


@dataclass(frozen=True)
class LineMeasurement:
    """Length of a line, or angle at the middle one of three points.

    Attributes
    ----------
    points : tuple of (x, y, z)
        Two for a length, three for an angle; world, mm.
    """

    points: tuple[Point, ...]

    @property
    def value(self) -> float:
        """Length in mm, or angle in degrees."""
        first, corner, *last = self.points
        if not last:
            return math.dist(first, corner)
        a, b = ([p - q for p, q in zip(end, corner, strict=True)] for end in (first, last[0]))
        lengths = math.hypot(*a) * math.hypot(*b)
        cosine = sum(p * q for p, q in zip(a, b, strict=True)) / lengths if lengths else 1.0
        return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))

    @property
    def text(self) -> str:
        """Value with its unit: ``12.3 mm`` or ``45.0°``."""
        return f"{self.value:.1f} mm" if len(self.points) == 2 else f"{self.value:.1f}°"


@dataclass(frozen=True)
class OverlayVolume:
    """Volume that is shown in color over every column.

    Attributes
    ----------
    key : str
        Key of the volume.
    look : Display
        Its colors there.
    opacity : float
        0 to 1.
    lowest : float or None
        Smaller values are transparent; None shows all.
    """

    key: str
    look: Display
    opacity: float = 0.5
    lowest: float | None = None


@dataclass(frozen=True)
class CompareState:
    """Everything that a comparison shows.

    Attributes
    ----------
    columns : tuple of str
        Keys of up to 4 volumes, left to right.
    differences : tuple of Difference
        More columns, to the right.
    truth : str or None
        Reference volume of the numbers.
    measured : str or None
        Measured low-resolution scan, for the consistency.
    looks : mapping of str to Display
        Colors by key.
    one_window : bool
        Window and level are common to all columns.
    crosshair : (x, y, z)
        World, mm.
    center : (x, y, z)
        Center of the panels, frame mm.
    span_mm : float
        Length of a panel's shorter side, mm.
    mode : str
        One of :data:`MODES`; those of :data:`PAIR_MODES` show ``pair`` in one column, and
        ``mosaic`` the slices of its first volume in the first plane.
    pair : (int, int)
        Columns of those modes.
    swipe : float
        Position of the swipe line, 0 (left) to 1 (right) of a panel; the first of
        the pair is to its left.
    flicker_hz : float
        Flicker rate in Hz; 0 is manual.
    flicker_second : bool
        Show the second of the pair.
    checker_mm : float
        Edge of a square of the checkerboard, mm.
    radiological : bool
        Show the patient's right at the left of the screen.
    smooth : bool
        Interpolate between pixels on screen.
    crosshair_shown : bool
        Draw the crosshair.
    planes : tuple of str
        Names of the planes in the rows, in order.
    maximized : (plane, column) or None
        The only panel on screen: name of the plane, index among all columns.
    rois : tuple of RoiBox
        Regions of interest.
    inset : RoiBox or None
        Region that the figure magnifies.
    measurements : tuple of LineMeasurement
        Lengths and angles.
    overlay : OverlayVolume or None
        Volume over the columns.
    slab_mm : float
        Thickness of the slab of slices that each panel shows; 0 for one slice.
    slab : str
        One of :data:`SLABS`: projection through the slab.
    mosaic_step : int
        Voxels from slice to slice of the mosaic; 0 chooses about 24 slices.
    axes : str or None
        Key of the volume whose axes the planes have; None for the first column.
    """

    columns: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    truth: str | None = None
    measured: str | None = None
    looks: Mapping[str, Display] = field(default_factory=dict)
    one_window: bool = True
    crosshair: Point = (0.0, 0.0, 0.0)
    center: Point = (0.0, 0.0, 0.0)
    span_mm: float = 200.0
    mode: str = SIDE_BY_SIDE
    pair: tuple[int, int] = (0, 1)
    swipe: float = 0.5
    flicker_hz: float = 0.0
    flicker_second: bool = False
    checker_mm: float = 20.0
    radiological: bool = True
    smooth: bool = False
    crosshair_shown: bool = True
    planes: tuple[str, ...] = tuple(plane.name for plane in PLANES)
    maximized: tuple[str, int] | None = None
    rois: tuple[RoiBox, ...] = ()
    inset: RoiBox | None = None
    measurements: tuple[LineMeasurement, ...] = ()
    overlay: OverlayVolume | None = None
    slab_mm: float = 0.0
    slab: str = SLABS[0]
    mosaic_step: int = 0
    axes: str | None = None

    def __post_init__(self) -> None:
        if len(self.columns) > MAX_COLUMNS:
            found = f"{len(self.columns)} columns"
            raise ParameterError(explain("comparison", found, f"choose up to {MAX_COLUMNS}"))
        if self.mode not in MODES:
            mend = f"choose from {', '.join(MODES)}"
            raise ParameterError(explain("comparison", f"unknown mode {self.mode!r}", mend))
        if self.slab not in SLABS:
            mend = f"choose from {', '.join(SLABS)}"
            raise ParameterError(explain("comparison", f"unknown projection {self.slab!r}", mend))
        names = {plane.name for plane in PLANES}
        if not self.planes or not set(self.planes) <= names:
            found = f"planes {', '.join(self.planes) or 'none'}"
            raise ParameterError(explain("comparison", found, f"choose from {', '.join(names)}"))
        if not (math.isfinite(self.span_mm) and self.span_mm > 0):
            found = f"a span of {self.span_mm} mm"
            raise ParameterError(explain("comparison", found, "give a positive number"))

    def keys(self) -> tuple[str, ...]:
        """Return the keys of all volumes in the state, each once, columns first."""
        others = [self.truth, self.measured, self.axes]
        others.append(self.overlay.key if self.overlay else None)
        others += [key for d in self.differences for key in (d.minuend, d.subtrahend)]
        return tuple(dict.fromkeys([*self.columns, *(key for key in others if key)]))

    def renamed(self, old: str, new: str) -> CompareState:
        """Return the state after a volume's key changed."""

        def name(key: str | None) -> Any:
            return new if key == old else key

        return replace(
            self,
            columns=tuple(name(key) for key in self.columns),
            differences=tuple(
                replace(d, minuend=name(d.minuend), subtrahend=name(d.subtrahend))
                for d in self.differences
            ),
            truth=name(self.truth),
            measured=name(self.measured),
            looks={name(key): look for key, look in self.looks.items()},
            overlay=self.overlay and replace(self.overlay, key=name(self.overlay.key)),
            axes=name(self.axes),
        )

    def relabeled(self, names: Mapping[str, str]) -> CompareState:
        """Return the state after several keys changed at once, perhaps into one another."""
        state = self
        for key in names:
            state = state.renamed(key, f"\0{key}")
        for key, name in names.items():
            state = state.renamed(f"\0{key}", name)
        return state

    def without(self, key: str) -> CompareState:
        """Return the state without a volume, its columns, differences and roles."""
        columns = tuple(k for k in self.columns if k != key)
        differences = tuple(d for d in self.differences if key not in (d.minuend, d.subtrahend))
        first, second = self.pair
        last = max(0, len(columns) - 1)
        return replace(
            self,
            columns=columns,
            differences=differences,
            truth=None if self.truth == key else self.truth,
            measured=None if self.measured == key else self.measured,
            looks={k: look for k, look in self.looks.items() if k != key},
            pair=(min(first, last), min(second, last)),
            mode=self.mode if len(columns) > 1 or self.mode == MOSAIC else SIDE_BY_SIDE,
            maximized=None,
            overlay=None if self.overlay and self.overlay.key == key else self.overlay,
            axes=None if self.axes == key else self.axes,
        )
