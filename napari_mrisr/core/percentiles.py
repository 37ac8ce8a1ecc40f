"""Exact percentiles of large arrays, in pieces: of arrays in memory and of files read in blocks.

The bits of float32 numbers, read as integers with the sign folded, sort as the numbers do.
Two counts in 65 536 bins therefore find any order statistic: the first counts the upper
sixteen bits, the second the lower sixteen bits within the bins of the wanted ranks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Pieces = Callable[[], Iterable[FloatArray]]
"""Returns all pieces of an array; called twice."""

_BINS = 1 << 16
_PIECE = 1 << 19


def go_on() -> None:
    """Do nothing: the check of work that is never cancelled."""


def percentile(values: FloatArray, percent: float, check: Callable[[], None] = go_on) -> float:
    """Return :func:`numpy.percentile` of an array; NaN if a value is NaN.

    Parameters
    ----------
    values : ndarray of float32
        Any shape.
    percent : float
        0 to 100.
    check : callable
        Called before every half a million values; raises to stop.
    """
    if np.isnan(values.min()):
        return math.nan
    return percentile_of_pieces(_pieces(values, check), values.size, percent)


def median(values: FloatArray, check: Callable[[], None] = go_on) -> np.float32:
    """Return :func:`numpy.median` of an array without NaN; see :func:`percentile`."""
    ranks = ((values.size - 1) // 2, values.size // 2)
    return np.float32(_ranked(_pieces(values, check), ranks).mean())


def percentile_of_pieces(pieces: Pieces, count: int, percent: float) -> float:
    """Return :func:`numpy.percentile` of all pieces together.

    Parameters
    ----------
    pieces : callable
        Returns all pieces, float32 without NaN; called twice.
    count : int
        Number of values.
    percent : float
        0 to 100.
    """
    position = (count - 1) * (percent / 100)
    rank = math.floor(position)
    low, high = _ranked(pieces, (rank, min(rank + 1, count - 1)))
    # As NumPy: from the nearer end.
    step, part = high - low, np.float32(position - rank)
    if position - rank < 0.5:
        return float(low + step * part)
    return float(high - step * np.float32(1 - (position - rank)))


def _pieces(values: FloatArray, check: Callable[[], None]) -> Pieces:
    flat = np.asarray(values, np.float32).reshape(-1)

    def pieces() -> Iterable[FloatArray]:
        for start in range(0, flat.size, _PIECE):
            check()
            yield flat[start : start + _PIECE]

    return pieces


def _ranked(pieces: Pieces, ranks: Sequence[int]) -> FloatArray:
    """Return the values at some places of the sorted array."""
    coarse = np.zeros(_BINS, np.int64)
    for piece in pieces():
        coarse += np.bincount((_sortable(piece) >> 16).astype(np.int64), minlength=_BINS)
    ends = np.cumsum(coarse)
    chosen = [int(np.searchsorted(ends, rank, side="right")) for rank in ranks]
    fine = {number: np.zeros(_BINS, np.int64) for number in chosen}
    for piece in pieces():
        keys = _sortable(piece)
        for number, counts in fine.items():
            inside = keys[keys >> 16 == number] & 0xFFFF
            counts += np.bincount(inside.astype(np.int64), minlength=_BINS)
    found = []
    for rank, number in zip(ranks, chosen, strict=True):
        within = rank - int(ends[number] - coarse[number])
        low = int(np.searchsorted(np.cumsum(fine[number]), within, side="right"))
        found.append(_number(number << 16 | low))
    return np.array(found, np.float32)


def _sortable(values: FloatArray) -> NDArray[np.uint32]:
    """Return integers that sort as the numbers do, flat."""
    bits = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
    # Negative numbers: all bits inverted; others: the sign bit set.
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _number(key: int) -> np.float32:
    """Return the number of a key of :func:`_sortable`."""
    bits = key ^ (0x80000000 if key >> 31 else 0xFFFFFFFF)
    return np.float32(np.array([bits], np.uint32).view(np.float32)[0])
