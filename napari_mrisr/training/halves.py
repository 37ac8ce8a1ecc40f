"""Two halves of the training volumes, for judging filters on volumes that they do not know.

Sums add, and so they can be taken apart: besides the sums of all volumes, those
of every second volume are kept; the others' are the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_mrisr.normal_equations import NormalEquations

Halves = list[NormalEquations | None]


def in_first_half(index: int) -> bool:
    """Whether a volume, by its number, belongs to the first half."""
    return index % 2 == 0


@contextmanager
def kept_apart(
    halves: Halves, number: int, index: int, equations: NormalEquations
) -> Iterator[None]:
    """Keep what a volume adds to a stage's sums for the first half too, if it belongs there.

    Where the first half was not kept from the first volume on, it stays None.

    Parameters
    ----------
    halves : list of NormalEquations or None
        The first half's sums of each stage.
    number, index : int
        Stage and volume, from 0.
    equations : NormalEquations
        The stage's sums of all volumes, to which the body adds the volume.
    """
    if equations.gram.dtype.itemsize < 8:
        # Large and in single precision: too much memory, and differences would be too coarse.
        yield
        return
    if index == 0:
        # It is the first half: the sums of all volumes so far.
        yield
        halves[number] = equations.copy()
        return
    half = halves[number]
    if half is None or not in_first_half(index):
        yield
        return
    before = equations.copy()
    yield
    half.merge(equations.less(before))


def both_halves(
    half: NormalEquations, equations: NormalEquations
) -> tuple[NormalEquations, NormalEquations]:
    """The sums of the first half and of the second."""
    return half, equations.less(half)
