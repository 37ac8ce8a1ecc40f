"""Halves: sums kept apart are those of every second volume."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.normal_equations import NormalEquations
from napari_mrisr.training.halves import both_halves, in_first_half, kept_apart


def volume(rng):
    return [
        (int(b), rng.random((9, 4)).astype(np.float32), rng.random((9, 2)).astype(np.float32))
        for b in rng.integers(0, 3, 5)
    ]


def added(volumes):
    sums = NormalEquations.empty(3, 4, 2)
    for batches in volumes:
        for batch in batches:
            sums.add(*batch)
    return sums


@pytest.mark.parametrize("count", [1, 2, 5])
def test_both_halves_are_the_sums_of_their_volumes(rng, count):
    volumes = [volume(rng) for _ in range(count)]
    equations, halves = NormalEquations.empty(3, 4, 2), [None]
    for index, batches in enumerate(volumes):
        with kept_apart(halves, 0, index, equations):
            for batch in batches:
                equations.add(*batch)
    first, second = both_halves(halves[0], equations)
    for found, parts in ((first, volumes[::2]), (second, volumes[1::2])):
        for ours, theirs in zip(
            found.tensors().values(), added(parts).tensors().values(), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(equations.gram, added(volumes).gram)


def test_a_training_that_did_not_keep_them_has_none(rng):
    equations, halves = added([volume(rng)]), [None]
    with kept_apart(halves, 0, 2, equations):
        equations.add(*volume(rng)[0])
    assert halves == [None]


def test_single_precision_is_left_alone(rng):
    equations, halves = NormalEquations.empty(3, 4, 2, np.float32), [None]
    with kept_apart(halves, 0, 0, equations):
        equations.add(*volume(rng)[0])
    assert halves == [None]
    assert equations.count.sum() == 9


def test_every_second_volume():
    assert [in_first_half(i) for i in range(4)] == [True, False, True, False]
