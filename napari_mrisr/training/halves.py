"""Two halves of the training volumes, for judging filters on volumes that they do not know.

Sums add, and so they can be taken apart: besides the sums of all volumes, those
of every second volume are kept; the others' are the difference.
"""

from __future__ import annotations

from napari_mrisr.training.normal_equations import NormalEquations

Halves = list[NormalEquations | None]


def in_first_half(index: int) -> bool:
    """Whether a volume, by its number, belongs to the first half."""
    return index % 2 == 0


def first_half(
    half: NormalEquations | None,
    done: int,
    added: tuple[NormalEquations | None, NormalEquations | None],
) -> NormalEquations | None:
    """The first half's sums of a stage with what is added to them.

    Parameters
    ----------
    half : NormalEquations or None
        What they are; None where they were not kept from the first volume on.
    done : int
        Volumes that the stage has taken in before.
    added : tuple of NormalEquations or None
        Sums of volumes of the first half and of the second.

    Returns
    -------
    NormalEquations or None
        ``half`` itself, if it was given. None in single precision, which takes too
        much memory, and in which differences would be too coarse.
    """
    first = added[0]
    if first is None or first.gram.dtype.itemsize < 8:
        return half
    if half is None:
        return first.copy() if done == 0 else None
    half.merge(first)
    return half


def both_halves(
    half: NormalEquations, equations: NormalEquations
) -> tuple[NormalEquations, NormalEquations]:
    """The sums of the first half and of the second."""
    return half, equations.less(half)
