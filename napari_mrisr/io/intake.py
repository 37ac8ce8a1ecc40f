"""Voxels on their way from a file: scaled, filled, and judged at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.errors import ParameterError, VolumeError, explain

MAX_MAGNITUDE = 1e37
"""Largest intensity. Differences and spline overshoot of larger ones would
leave the range of float32 (3.4e38)."""

MIN_RANGE = 1e-37
"""Smallest difference between the extremes whose inverse fits float32."""


@dataclass
class Intake:
    """Takes a volume's voxels in pieces, such as slices.

    Attributes
    ----------
    path : Path
        For messages.
    slope, inter : float
        Applied in float64, as nibabel does.
    fill : float or None
        In place of NaN and infinite voxels; None refuses them.
    """

    path: Path
    slope: float = 1.0
    inter: float = 0.0
    fill: float | None = None
    count: int = 0
    nans: int = 0
    infinities: int = 0
    low: float = math.inf
    high: float = -math.inf

    def __post_init__(self) -> None:
        if self.fill is not None and not abs(self.fill) <= MAX_MAGNITUDE:
            found = f"{self.fill} cannot fill voxels"
            mend = "give a finite number such as 0"
            raise ParameterError(explain("--fill-nonfinite", found, mend))

    def take(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Intensities of stored voxels; what they are is remembered."""
        values: NDArray[np.float64] = stored.astype(np.float64)
        if (self.slope, self.inter) != (1.0, 0.0):
            values = values * self.slope + self.inter
        finite = np.isfinite(values)
        if not finite.all():
            nans = int(np.isnan(values).sum())
            self.nans += nans
            self.infinities += int((~finite).sum()) - nans
            values[~finite] = 0.0 if self.fill is None else self.fill
        self.count += values.size
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        return values

    def check(self) -> None:
        """Raise :class:`VolumeError` when what came cannot be processed."""
        if self.nans + self.infinities and self.fill is None:
            found = f"{self.nans} NaN and {self.infinities} infinite voxels of {self.count}"
            mend = "replace them with --fill-nonfinite 0"
            raise VolumeError(explain(self.path, found, mend))
        low, high = self.low, self.high
        if max(-low, high) > MAX_MAGNITUDE:
            found = f"intensities from {low:g} to {high:g}"
            mend = f"rescale it to magnitudes of at most {MAX_MAGNITUDE:g}"
            raise VolumeError(explain(self.path, found, mend))
        if low == high:
            found = "all voxels are 0" if low == 0 else f"all voxels are {low:g}"
            raise VolumeError(explain(self.path, found, "give a scan with contrast"))
        if high - low < MIN_RANGE:
            found = f"intensities differ by {high - low:g} only"
            raise VolumeError(explain(self.path, found, "rescale it"))
