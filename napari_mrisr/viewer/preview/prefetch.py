"""Which planes somebody who goes through a scan sees, or is likely to ask for next. No Qt."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_mrisr.core.volume import Grid
from napari_mrisr.viewer.layers import geometry
from napari_mrisr.viewer.preview.array import PlaneName

# Steps from the plane on screen: in the direction of the last move, and where there was none.
_ONWARD = (1, 2, 3, -1)
_AROUND = (1, -1, 2, -2)


def planes_beside(shown: PlaneName, before: PlaneName, count: int) -> list[PlaneName]:
    """Neighbors of a plane, the likeliest first.

    Parameters
    ----------
    shown, before : (axis, index)
        The plane on screen, and the one looked at before it.
    count : int
        Planes along the axis of ``shown``.
    """
    axis, index = shown
    if before[0] != axis or before[1] == index:
        places = [index + step for step in _AROUND]
    else:
        sign = 1 if before[1] < index else -1
        places = [index + sign * step for step in _ONWARD]
    return [(axis, place) for place in places if 0 <= place < count]


def planes_at(dims: Any, grid: Grid) -> list[PlaneName]:
    """The three planes where a viewer's sliders stand, those on screen first.

    Parameters
    ----------
    dims : napari.components.Dims
        The viewer's; none of a viewer with fewer than three dimensions.
    grid : Grid
        Of what is cut.
    """
    scale, translate = geometry.scale_and_translate(grid)
    shape = grid.shape[::-1]
    point = np.asarray(dims.point[-3:], dtype=float)
    if point.size < 3:
        return []
    place = np.round((point - translate) / scale)
    index = np.clip(place, 0, np.array(shape) - 1).astype(int)
    first = dims.ndim - 3
    hidden = [axis - first for axis in dims.not_displayed if axis >= first]
    order = [*hidden, *(axis for axis in range(3) if axis not in hidden)]
    return [(2 - axis, int(shape[axis] - 1 - index[axis])) for axis in order]
