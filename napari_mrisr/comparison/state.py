"""What the reading room shows: one frozen description, changed by replacing it.

The controller keeps the state, the canvas draws it, the figure prints it, a
JSON file keeps it (document.py). Volumes appear by key (in napari: the layer's
name); what a key stands for is the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from napari_mrisr.core.frames import PLANES
from napari_mrisr.errors import ParameterError, explain

Point = tuple[float, float, float]

MAX_COLUMNS = 4
SIDE_BY_SIDE, SWIPE, FLICKER, CHECKERBOARD = MODES = (
    "side-by-side",
    "swipe",
    "flicker",
    "checkerboard",
)
DIFFERENCE_COLORMAP = "RdBu_r"
ROI_SHAPES = ("box", "ellipsoid")


@dataclass(frozen=True)
class Display:
    """How values become gray levels or colors.

    Attributes
    ----------
    colormap : str
        A name that both vispy (napari) and matplotlib know, or napari's own.
    limits : (low, high)
        Window's ends, in the volume's intensities: level ± width / 2.
    gamma : float
        1 is linear.
    """

    colormap: str = "gray"
    limits: tuple[float, float] = (0.0, 1.0)
    gamma: float = 1.0

    def moved(self, level: float, width: float) -> Display:
        """Level shifted by ``level`` and width scaled by ``width`` window widths."""
        low, high = self.limits
        span = high - low
        center = (low + high) / 2.0 + level * span
        half = span * width / 2.0
        return replace(self, limits=(center - half, center + half))


@dataclass(frozen=True)
class Difference:
    """A column that shows ``minuend`` minus ``subtrahend`` (keys of volumes).

    The subtrahend is interpolated linearly at the minuend's voxels where their
    grids differ. Signed differences have a diverging colormap, zero in its
    middle, with symmetric limits; ``limit`` is None until one is measured.
    """

    minuend: str
    subtrahend: str
    absolute: bool = False
    limit: float | None = None


@dataclass(frozen=True)
class RoiBox:
    """A region of interest drawn in a panel: a 3D box or ellipsoid.

    Attributes
    ----------
    name : str
        Shown in the table.
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


@dataclass(frozen=True)
class CompareState:
    """All that is shown.

    Attributes
    ----------
    columns : tuple of str
        Keys of 1 to 4 volumes, left to right.
    differences : tuple of Difference
        Further columns, to the right.
    truth : str or None
        The volume that numbers compare with.
    measured : str or None
        The low-resolution volume that was measured, for consistency.
    looks : mapping of str to Look
        By key.
    one_window : bool
        Window/level moves all columns together.
    crosshair : (x, y, z)
        World, mm.
    center : (x, y, z)
        Middle of the panels, frame mm.
    span_mm : float
        Millimeters that the shorter side of a panel shows.
    mode : str
        One of :data:`MODES`; the last three show ``pair`` in one column.
    pair : (int, int)
        Columns that those modes compare.
    swipe : float
        The curtain's place, 0 (left) to 1 (right) of a panel; the first of the
        pair is to its left.
    flicker_hz : float
        Changes a second; 0 for by hand.
    flicker_second : bool
        Whether the second of the pair is up.
    checker_mm : float
        Edge of a checkerboard's field.
    radiological : bool
        Patient's right at the screen's left.
    smooth : bool
        Interpolate between pixels on screen.
    crosshair_shown : bool
        Draw its lines.
    planes : tuple of str
        Rows, in order.
    maximized : (plane, column) or None
        The only panel shown: plane's name, and index among all columns.
    rois : tuple of RoiBox
        Drawn regions of interest.
    inset : RoiBox or None
        What the figure magnifies.
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

    def __post_init__(self) -> None:
        if len(self.columns) > MAX_COLUMNS:
            found = f"{len(self.columns)} columns"
            raise ParameterError(explain("comparison", found, f"choose up to {MAX_COLUMNS}"))
        if self.mode not in MODES:
            mend = f"choose from {', '.join(MODES)}"
            raise ParameterError(explain("comparison", f"unknown mode {self.mode!r}", mend))
        names = {plane.name for plane in PLANES}
        if not self.planes or not set(self.planes) <= names:
            found = f"planes {', '.join(self.planes) or 'none'}"
            raise ParameterError(explain("comparison", found, f"choose from {', '.join(names)}"))
        if not (math.isfinite(self.span_mm) and self.span_mm > 0):
            found = f"a span of {self.span_mm} mm"
            raise ParameterError(explain("comparison", found, "give a positive number"))

    def keys(self) -> tuple[str, ...]:
        """Keys of all volumes that the state names, each once, columns first."""
        others = [self.truth, self.measured]
        others += [key for d in self.differences for key in (d.minuend, d.subtrahend)]
        return tuple(dict.fromkeys([*self.columns, *(key for key in others if key)]))

    def renamed(self, old: str, new: str) -> CompareState:
        """The state after a volume's key changed."""

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
        )

    def relabeled(self, names: Mapping[str, str]) -> CompareState:
        """The state after several keys changed at once, some perhaps into one another's."""
        state = self
        for key in names:
            state = state.renamed(key, f"\0{key}")
        for key, name in names.items():
            state = state.renamed(f"\0{key}", name)
        return state

    def without(self, key: str) -> CompareState:
        """The state after a volume went: its columns, differences and roles go too."""
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
            mode=self.mode if len(columns) > 1 else SIDE_BY_SIDE,
            maximized=None,
        )
