"""Sums of products of gathered patches, against products of the reference's patches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mrisr.bank.hashing import element_offsets, phase_offsets
from napari_mrisr.kernels import cpu_gram, reference

SHAPE = (19, 23, 17)
SIZES = [(3, 1), (3, 8), (5, 1), (5, 27), (7, 3)]
"""Width of the patch and number of targets: whole vectors, and rests of every kind."""


def made_up(rng, width, outputs, counts, centered):
    """Samples of some buckets, as :func:`cpu_gram.locate` takes them, and their ends."""
    r, n = width // 2, int(sum(counts))
    source = rng.normal(1, 0.3, SHAPE).astype(np.float32)
    target = rng.normal(0, 1, (11, 13, 29)).astype(np.float32)
    x, y, z = (rng.integers(r, size - r, n) for size in SHAPE)
    base = (x * SHAPE[1] + y) * SHAPE[2] + z
    goal = rng.integers(0, target.size - 100, n)
    element = rng.integers(0, 48, n).astype(np.uint8)
    offsets = element_offsets(width, (SHAPE[1] * SHAPE[2], SHAPE[2], 1))
    places = rng.integers(0, 100, (48, outputs))
    ends = np.concatenate([[0], np.cumsum(counts)])
    return (source, target, base, goal, element, offsets, places, centered), ends


def nothing(buckets, taps, outputs, dtype=np.float64):
    return (
        np.zeros((buckets, taps, taps), dtype),
        np.zeros((buckets, taps, outputs), dtype),
        np.zeros(buckets),
        np.zeros(buckets, np.int64),
    )


def expected(samples, ends, bucket):
    source, target, base, goal, element, offsets, places, centered = samples
    rows = slice(ends[bucket], ends[bucket + 1])
    patches = reference.gather(source, base[rows], element[rows], offsets, centered)
    targets = reference.gather(target, goal[rows], element[rows], places, False)
    a, b = patches.astype(np.float64), targets.astype(np.float64)
    return a.T @ a, a.T @ b, np.sum(b**2)


@pytest.mark.parametrize(("width", "outputs"), SIZES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("centered", [False, True])
def test_sums_are_those_of_the_patches(rng, width, outputs, dtype, centered):
    # None; fewer than a block; several blocks and a rest; more than are summed in float32.
    counts = (0, 5, 3 * cpu_gram.BLOCK + 11, 0, cpu_gram.FLUSH + 70)
    samples, ends = made_up(rng, width, outputs, counts, centered)
    located, taps = cpu_gram.locate(*samples), width**3
    sums, space = (
        nothing(len(counts), taps, outputs, dtype),
        cpu_gram.Workspace.of(taps, outputs),
    )
    gram, cross, energy, count = sums
    for _ in range(2):  # they add
        cpu_gram.add_samples(located, ends, (0, len(counts)), (0, ends[-1]), sums, space)
    np.testing.assert_array_equal(count, 2 * np.array(counts))
    for bucket in range(len(counts)):
        a, b, c = expected(samples, ends, bucket)
        scale = 1e-6 * (1.0 + np.abs(a).max())
        np.testing.assert_allclose(gram[bucket], 2 * a, rtol=1e-5, atol=4 * scale)
        np.testing.assert_allclose(cross[bucket], 2 * b, rtol=1e-5, atol=8 * scale)
        np.testing.assert_allclose(energy[bucket], 2 * c, rtol=1e-9)
        np.testing.assert_array_equal(gram[bucket], gram[bucket].T)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), cut=st.integers(0, 200), first=st.integers(0, 3))
def test_parts_and_ranges_of_buckets_add_up(seed, cut, first):
    """A part of the samples, the rest; some of the buckets, the others."""
    samples, ends = made_up(np.random.default_rng(seed), 3, 2, (60, 0, 90, 50), True)
    located, space = cpu_gram.locate(*samples), cpu_gram.Workspace.of(27, 2)
    whole, parts = nothing(4, 27, 2), nothing(4, 27, 2)
    cpu_gram.add_samples(located, ends, (0, 4), (0, 200), whole, space)
    for buckets in ((0, first), (first, 4)):
        for part in ((0, cut), (cut, 200)):
            cpu_gram.add_samples(located, ends, buckets, part, parts, space)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(whole[3], parts[3])


def test_what_lies_beside_is_not_read(rng):
    """Patches and targets at the arrays' first and last voxels; the rest is no number."""
    source, target = np.full(SHAPE, np.nan, np.float32), np.full((4, 5, 6), np.nan, np.float32)
    source[:3, :3, :3] = source[-3:, -3:, -3:] = rng.normal(size=(3, 3, 3))
    target[0, 0, 0], target[-1, -1, -1] = 2.0, -3.0
    base = np.array([(SHAPE[1] + 1) * SHAPE[2] + 1, source.size - 1])
    base[1] -= base[0]
    offsets = element_offsets(3, (SHAPE[1] * SHAPE[2], SHAPE[2], 1))
    located = cpu_gram.locate(
        source,
        target,
        base,
        np.array([0, target.size - 1]),
        np.array([7, 40], np.uint8),
        offsets,
        np.zeros((48, 1), np.int64),
        False,
    )
    sums = nothing(1, 27, 1)
    space = cpu_gram.Workspace.of(27, 1)
    cpu_gram.add_samples(located, np.array([0, 2]), (0, 1), (0, 2), sums, space)
    assert np.isfinite(sums[0]).all()
    assert np.isfinite(sums[1]).all()
    assert sums[2] == 13.0


def test_places_of_targets_are_those_of_phases(rng):
    """Targets of a cell: the voxels of its block in the turned order."""
    scale, shape = (2, 2, 2), (4, 6, 8)
    target = np.arange(192, dtype=np.float32).reshape(shape)
    places = phase_offsets(scale) @ np.array([48, 8, 1])
    source = rng.normal(size=SHAPE).astype(np.float32)
    offsets = element_offsets(3, (SHAPE[1] * SHAPE[2], SHAPE[2], 1))
    base, goal = np.array([1000]), np.array([2 * 48 + 4 * 8 + 6])
    for element in (0, 13, 47):
        turned = np.array([element], np.uint8)
        located = cpu_gram.locate(source, target, base, goal, turned, offsets, places, True)
        sums, space = nothing(1, 27, 8), cpu_gram.Workspace.of(27, 8)
        cpu_gram.add_samples(located, np.array([0, 1]), (0, 1), (0, 1), sums, space)
        block = target[2:4, 4:6, 6:8].astype(np.float64)
        assert sums[2] == np.sum(block**2)


@settings(deadline=None, max_examples=50)
@given(buckets=st.lists(st.integers(0, 9), max_size=60), count=st.integers(1, 10))
def test_sorting_is_argsort_of_those_that_count(buckets, count):
    found = np.array(buckets, np.int32)
    order, ends = cpu_gram.sort_by_bucket(found, count)
    wanted = np.argsort(found, kind="stable")
    wanted = wanted[found[wanted] < count]
    np.testing.assert_array_equal(order, wanted)
    np.testing.assert_array_equal(ends, np.searchsorted(found[wanted], np.arange(count + 1)))
