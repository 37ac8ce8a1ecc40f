"""Order statistics of large arrays: exact, in pieces that ask whether to go on.

A few values in equal steps bracket the ranks that are wanted; one walk over all keeps
the values within the bracket and counts those below, and only what was kept is sorted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_PIECE = 1 << 19
# A prime, so that no voxel of a row is met in every row.
_STEP = 61
# How far the ranks of a few may be off, in standard deviations of that.
_SURE = 8.0


def go_on() -> None:
    """Never stop."""


def ranked(values: Floats, ranks: Sequence[int], check: Callable[[], None] = go_on) -> Floats:
    """What would stand at some places of the sorted values.

    Parameters
    ----------
    values : ndarray of float
        Any shape, without NaN.
    ranks : sequence of int
        Places, from 0, ascending.
    check : callable
        Asked after every half a million values; raises to stop.

    Returns
    -------
    (len(ranks),) ndarray of float
    """
    flat = values.reshape(-1)
    low, high = _bracket(flat, ranks[0], ranks[-1])
    below, kept = 0, []
    for start in range(0, flat.size, _PIECE):
        check()
        piece = flat[start : start + _PIECE]
        under = piece < low
        below += int(np.count_nonzero(under))
        kept.append(piece[~under & (piece <= high)])
    inside = np.concatenate(kept)
    check()
    if not below <= ranks[0] <= ranks[-1] < below + inside.size:
        inside, below = flat, 0  # the few were not like the many
    places = [rank - below for rank in ranks]
    return np.asarray(np.partition(inside, places)[places])


def _bracket(flat: Floats, first: int, last: int) -> tuple[np.floating, np.floating]:
    """Values that most likely lie below and above those of two ranks."""
    few = np.sort(flat[::_STEP])
    part = [rank / flat.size for rank in (first, last)]
    off = [_SURE * math.sqrt(few.size * p * (1.0 - p)) + 2.0 for p in part]
    low, high = math.floor(part[0] * few.size - off[0]), math.ceil(part[1] * few.size + off[1])
    return (
        few[low] if low >= 0 else flat.dtype.type(-np.inf),
        few[high] if high < few.size else flat.dtype.type(np.inf),
    )


def percentile(values: Floats, percent: float, check: Callable[[], None] = go_on) -> float:
    """:func:`numpy.percentile`, in pieces; parameters as of :func:`ranked`.

    NaN for an array that holds any.
    """
    if np.isnan(values.min()):
        return math.nan
    position = (values.size - 1) * (percent / 100)
    rank = math.floor(position)
    low, high = ranked(values, (rank, min(rank + 1, values.size - 1)), check)
    return between(low, high, position - rank)


def median(values: Floats, check: Callable[[], None] = go_on) -> np.floating:
    """:func:`numpy.median`, in pieces; parameters as of :func:`ranked`."""
    middle = ranked(values, ((values.size - 1) // 2, values.size // 2), check)
    return middle.dtype.type(middle.mean())


def between(a: np.floating, b: np.floating, t: float) -> float:
    """From ``a`` a part ``t`` of the way to ``b``, as numpy does: from the nearer end."""
    step, part = b - a, a.dtype.type
    return float(a + step * part(t)) if t < 0.5 else float(b - step * part(1 - t))
