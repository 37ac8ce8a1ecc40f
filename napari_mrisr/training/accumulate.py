"""A volume's samples into the sums: threads share out the buckets.

Each bucket's samples are added by one thread, in order, in blocks that depend on
nothing but their number: the sums are the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.kernels import cpu_gram
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.sampling import ALONE, Samples

# Between two questions whether to go on: about 30 ms of a processor.
_OPERATIONS = 2e9
# Pieces a thread, so that all threads end at about the same time.
_PIECES = 8

Step = tuple[int, int, int, int]
"""First bucket and the one after the last; first sample and the one after the last."""


def add_samples(equations: NormalEquations, samples: Samples, pool: ThreadPool = ALONE) -> None:
    """Add samples to the sums of their buckets.

    Parameters
    ----------
    equations : NormalEquations
        As many buckets, taps and outputs as the samples have.
    samples : Samples
    pool : ThreadPool
        Its threads share out the buckets. When its check raises, the sums hold
        a part of the samples and are good for nothing.
    """
    located = cpu_gram.locate(
        samples.source,
        samples.target,
        samples.base,
        samples.goal,
        samples.element,
        samples.offsets,
        samples.places,
        samples.centered,
    )
    sums = (equations.gram, equations.cross, equations.energy, equations.count)

    def add(piece: Sequence[Step]) -> None:
        space = cpu_gram.Workspace.of(samples.taps, samples.outputs)
        for first, last, start, stop in piece:
            pool.check()
            cpu_gram.add_samples(located, samples.ends, (first, last), (start, stop), sums, space)

    most = int(_OPERATIONS / (samples.taps * (samples.taps + 2 * samples.outputs)))
    pool.each(add, _pieces(samples.ends, max(most, 1), _PIECES * pool.threads))


def _pieces(ends: NDArray[np.int64], most: int, pieces: int) -> list[list[Step]]:
    """The samples cut into steps of at most ``most``, and these into pieces, the largest first.

    A bucket's steps are all in one piece.
    """
    share = -(-int(ends[-1]) // pieces)
    made: list[tuple[int, list[Step]]] = []
    size, steps = 0, list[Step]()
    for first, last in _groups(ends, most):
        start, stop = int(ends[first]), int(ends[last])
        steps += [(first, last, at, min(at + most, stop)) for at in range(start, stop, most)]
        size += stop - start
        if size >= share:
            made.append((size, steps))
            size, steps = 0, []
    made.append((size, steps))
    made.sort(key=lambda piece: -piece[0])
    return [steps for _, steps in made]


def _groups(ends: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Neighboring buckets that have at most so many samples together, or one that has more."""
    first, buckets = 0, len(ends) - 1
    while first < buckets:
        last = max(first + 1, int(np.searchsorted(ends, ends[first] + most, side="right")) - 1)
        yield first, last
        first = last
