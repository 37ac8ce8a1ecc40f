"""Which planes somebody who goes through a scan is likely to ask for next. No Qt, no napari."""

from __future__ import annotations

from napari_mrisr.viewer.live_array import PlaneName

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
