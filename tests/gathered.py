"""Patches and targets that samples stand for, by plain indexing: an oracle for gathering them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.training.sampling import Samples


def batches(samples: Samples) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Bucket, patches (n, taps) and targets (n, outputs) of each bucket that has samples."""
    source, target = samples.source.ravel(), samples.target.ravel()
    for bucket, (first, end) in enumerate(itertools.pairwise(samples.ends)):
        if first == end:
            continue
        base, goal = samples.base[first:end, None], samples.goal[first:end, None]
        turn = samples.element[first:end]
        patches = source[base + samples.offsets[turn]]
        if samples.centered:
            patches = patches - source[base]
        yield bucket, patches, target[goal + samples.places[turn]]
