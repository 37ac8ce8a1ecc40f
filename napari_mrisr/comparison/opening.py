"""How a comparison looks at first: in the head, everything in sight, one window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.comparison.scene import Cutter, difference_limit
from napari_mrisr.comparison.state import CompareState, Difference, Display, Point
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Volume

_STEP = 3  # of the voxels, every third along an axis says enough
_HIGH_PERCENTILE = 99.5
_ALIKE = 1.4  # windows that differ by less are those of one contrast
_ASIDE = 0.07  # of the head's width, from the midline, where there is little to see
_MARGIN_MM = 8.0


@dataclass(frozen=True)
class _Seen:
    """What a volume shows: where its head is, frame mm, and its window."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    middle: NDArray[np.float64]
    limits: tuple[float, float]


def opening_state(
    volumes: Mapping[str, Volume],
    columns: Sequence[str],
    truth: str | None = None,
    measured: str | None = None,
    differences: Sequence[Difference] = (),
) -> CompareState:
    """A comparison to begin with.

    Parameters
    ----------
    volumes : mapping of str to Volume
        In the scan's intensities.
    columns : sequence of str
        Keys, left to right.
    truth, measured, differences
        As in :class:`~napari_mrisr.comparison.state.CompareState`; a limit that is
        None is measured.

    Returns
    -------
    CompareState
        The crosshair is in the middle of the first column's head, a little aside.
        Volumes of one contrast have one window.
    """
    first = volumes[columns[0]]
    frame = Frame.of(first.grid)
    seen = {key: _look_at(volumes[key], frame) for key in dict.fromkeys(columns)}
    leading = seen[columns[0]]
    middle = leading.middle.copy()
    middle[0] += _ASIDE * (leading.high[0] - leading.low[0])
    at = _point(middle)
    cutter = Cutter(volumes, frame)
    measured_limits = tuple(
        d if d.limit else replace(d, limit=difference_limit(cutter, d, at)) for d in differences
    )
    return CompareState(
        columns=tuple(columns),
        differences=measured_limits,
        truth=truth,
        measured=measured,
        looks={
            key: Display("gray", _window(one.limits, leading.limits)) for key, one in seen.items()
        },
        crosshair=_point(frame.to_world(middle)),
        center=_point((leading.low + leading.high) / 2),
        span_mm=float((leading.high - leading.low).max()) + 2 * _MARGIN_MM,
    )


def _look_at(volume: Volume, frame: Frame) -> _Seen:
    data = volume.data[::_STEP, ::_STEP, ::_STEP]
    inside = data > data.mean()
    if not inside.any():
        inside = np.ones_like(data, dtype=bool)
    index = np.argwhere(inside) * _STEP
    affine = frame.affine(volume.grid)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    # Single bright voxels of the background do not count.
    low, high = np.percentile(places, (0.5, 99.5), axis=0)
    limits = (min(0.0, float(data.min())), float(np.percentile(data[inside], _HIGH_PERCENTILE)))
    return _Seen(low, high, places.mean(axis=0), limits)


def _window(own: tuple[float, float], leading: tuple[float, float]) -> tuple[float, float]:
    """The leading volume's, where both are of one contrast and unit."""
    ratio = (own[1] - own[0]) / ((leading[1] - leading[0]) or 1.0)
    return leading if 1 / _ALIKE < ratio < _ALIKE else own


def _point(values: NDArray[np.float64]) -> Point:
    x, y, z = (float(v) for v in values)
    return x, y, z
