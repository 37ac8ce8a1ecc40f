"""Halves: sums kept apart are those of every second volume."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.training.halves import both_halves, first_half, in_first_half
from napari_mrisr.training.normal_equations import NormalEquations


def volume(rng, dtype=np.float64):
    sums = NormalEquations.empty(3, 4, 2, dtype)
    for bucket in rng.integers(0, 3, 5):
        patches, targets = rng.random((9, 4)), rng.random((9, 2))
        sums.add(int(bucket), patches.astype(np.float32), targets.astype(np.float32))
    return sums


def total(volumes):
    sums = NormalEquations.empty(3, 4, 2)
    for one in volumes:
        sums.merge(one)
    return sums


@pytest.mark.parametrize("count", [1, 2, 5])
def test_both_halves_are_the_sums_of_their_volumes(rng, count):
    volumes = [volume(rng) for _ in range(count)]
    before = [one.copy() for one in volumes]
    half = None
    for index, one in enumerate(volumes):
        half = first_half(half, index, (one, None) if in_first_half(index) else (None, one))
    for found, parts in zip(
        both_halves(half, total(volumes)), (volumes[::2], volumes[1::2]), strict=True
    ):
        for ours, theirs in zip(
            found.tensors().values(), total(parts).tensors().values(), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    # What is given stays as it is.
    for one, copy in zip(volumes, before, strict=True):
        np.testing.assert_array_equal(one.gram, copy.gram)


def test_a_training_that_did_not_keep_them_has_none(rng):
    assert first_half(None, 2, (volume(rng), None)) is None


def test_single_precision_is_left_alone(rng):
    assert first_half(None, 0, (volume(rng, np.float32), None)) is None


def test_every_second_volume():
    assert [in_first_half(i) for i in range(4)] == [True, False, True, False]
