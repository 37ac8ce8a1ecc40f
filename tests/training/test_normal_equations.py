"""Normal equations: sums, their solution, halves, exact addition."""

from __future__ import annotations

import copy
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import Cancelled, ParameterError
from napari_mrisr.training.normal_equations import NormalEquations, add_to_first_half

BUCKETS, TAPS, OUTPUTS = 4, 5, 3


def batches_of(seed, number=6, rows=(1, 40)):
    """Make random samples: (bucket, patches, targets)."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        n = int(rng.integers(*rows))
        patches = rng.normal(size=(n, TAPS)).astype(np.float32)
        targets = patches @ rng.normal(size=(TAPS, OUTPUTS)) + 0.1 * rng.normal(size=(n, OUTPUTS))
        made.append((int(rng.integers(0, BUCKETS - 1)), patches, targets.astype(np.float32)))
    return made  # the last bucket stays empty


def summed(batches, dtype=np.float64):
    equations = NormalEquations.empty(BUCKETS, TAPS, OUTPUTS, dtype)
    for batch in batches:
        equations.add(*batch)
    return equations


def stacked(batches, bucket):
    """Return all samples of a bucket in double precision."""
    mine = [(p, t) for b, p, t in batches if b == bucket]
    if not mine:
        return np.zeros((0, TAPS)), np.zeros((0, OUTPUTS))
    patches, targets = (np.concatenate(part).astype(np.float64) for part in zip(*mine, strict=True))
    return patches, targets


def assert_same(a, b, rtol=1e-6):
    for name, tensor in a.tensors().items():
        np.testing.assert_allclose(tensor, b.tensors()[name], rtol=rtol, atol=1e-6, err_msg=name)


def lstsq(patches, targets):
    return np.linalg.lstsq(patches, targets, rcond=None)[0]


def test_sums_equal_products_of_the_samples():
    batches = batches_of(1)
    equations = summed(batches)
    assert equations.outputs == OUTPUTS
    for bucket in range(BUCKETS):
        patches, targets = stacked(batches, bucket)
        assert equations.count[bucket] == len(patches)
        np.testing.assert_allclose(
            equations.gram[bucket], patches.T @ patches, rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            equations.cross[bucket], patches.T @ targets, rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(equations.energy[bucket], np.sum(targets**2), rtol=1e-6)
    assert equations.count[-1] == 0
    assert not equations.gram[-1].any()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), cut=st.integers(0, 6), order=st.permutations(range(6)))
def test_merge_adds_in_any_order(seed, cut, order):
    batches = batches_of(seed)
    whole = summed(batches)
    first, second = summed(batches[:cut]), summed(batches[cut:])
    forward, backward = copy.deepcopy(first), copy.deepcopy(second)
    forward.merge(second)
    backward.merge(first)
    assert_same(forward, whole)
    assert_same(summed([batches[i] for i in order]), whole)
    for name, tensor in forward.tensors().items():
        np.testing.assert_array_equal(tensor, backward.tensors()[name])


def test_merge_refuses_other_shapes():
    with pytest.raises(ParameterError) as caught:
        NormalEquations.empty(2, 3, 1).merge(NormalEquations.empty(2, 3, 8))
    assert str(caught.value) == (
        "merge: shapes (2, 3, 1) and (2, 3, 8); use equations of the same preset"
    )


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), ridge=st.sampled_from([0.5, 20.0, 500.0]))
def test_solve_is_lstsq_of_the_stacked_ridge_system(seed, ridge):
    """√r (W − W₀) = 0 as further rows of the system."""
    batches = batches_of(seed, number=9)
    filters = summed(batches).solve(ridge)
    everything = np.concatenate([p for _, p, _ in batches]).astype(np.float64)
    wanted = np.concatenate([t for *_, t in batches]).astype(np.float64)
    diagonal = np.mean(np.sum(everything**2, axis=0))
    common = lstsq(
        np.concatenate([everything, np.sqrt(1e-5 * diagonal) * np.eye(TAPS)]),
        np.concatenate([wanted, np.zeros((TAPS, OUTPUTS))]),
    )
    root = np.sqrt(ridge * diagonal / len(everything))
    for bucket in range(BUCKETS):
        patches, targets = stacked(batches, bucket)
        expected = lstsq(
            np.concatenate([patches, root * np.eye(TAPS)]), np.concatenate([targets, root * common])
        )
        np.testing.assert_allclose(filters[bucket], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(filters[-1], common, rtol=1e-4, atol=1e-6)  # without samples


def test_a_large_ridge_gives_every_bucket_the_common_filter():
    filters = summed(batches_of(2, rows=(50, 90))).solve(1e9)
    np.testing.assert_allclose(filters, np.broadcast_to(filters[-1], filters.shape), atol=1e-4)
    assert filters.dtype == np.float32


def test_solution_without_samples_is_zero():
    empty = NormalEquations.empty(BUCKETS, TAPS, OUTPUTS)
    assert not empty.solve(100.0).any()
    assert not empty.squared_error(np.ones((BUCKETS, TAPS, OUTPUTS), np.float32)).any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(5))
def test_conjugate_gradients_are_lstsq_where_that_is_well_conditioned(seed, dtype):
    batches = batches_of(seed, number=12, rows=(60, 120))
    equations = summed(batches, dtype)
    assert equations.gram.dtype == dtype
    filters = equations.solve_conjugate_gradients(identity_tap=2)
    for bucket in range(BUCKETS - 1):
        patches, targets = stacked(batches, bucket)
        if len(patches):
            expected = lstsq(patches, targets)
            np.testing.assert_allclose(filters[bucket], expected, rtol=1e-3, atol=2e-4)


def test_conjugate_gradients_pass_the_voxel_through_without_samples():
    filters = summed(batches_of(3)).solve_conjugate_gradients(identity_tap=2)
    expected = np.zeros((TAPS, OUTPUTS))
    expected[2] = 1.0
    np.testing.assert_array_equal(filters[-1], expected)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999))
def test_squared_error_equals_the_residual(seed):
    batches = batches_of(seed)
    filters = np.random.default_rng(seed).normal(size=(BUCKETS, TAPS, OUTPUTS)).astype(np.float32)
    errors = summed(batches).squared_error(filters)
    for bucket in range(BUCKETS):
        patches, targets = stacked(batches, bucket)
        expected = np.sum((patches @ filters[bucket] - targets) ** 2)
        np.testing.assert_allclose(errors[bucket], expected, rtol=1e-4, atol=1e-5)


def test_squared_error_of_a_perfect_fit_is_not_negative():
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(300, TAPS)).astype(np.float32)
    weights = rng.normal(size=(TAPS, OUTPUTS)).astype(np.float32)
    equations = summed([(1, patches, patches @ weights)])
    errors = equations.squared_error(np.broadcast_to(weights, (BUCKETS, TAPS, OUTPUTS)))
    assert (errors >= 0).all()
    assert errors[1] < 1e-6 * equations.energy[1]


@pytest.mark.parametrize("solver", ["solve", "solve_conjugate_gradients"])
def test_progress_counts_buckets_and_cancels(solver):
    seen = []

    class Watch(Progress):
        def show(self, state):
            seen.append((state.done, state.total))
            if state.done == stop_at:
                self.token.cancel()

    stop_at = None
    getattr(summed(batches_of(4)), solver)(1, progress=Watch())
    assert seen == [(n, BUCKETS) for n in range(BUCKETS + 1)]
    stop_at = 2
    with pytest.raises(Cancelled):
        getattr(summed(batches_of(4)), solver)(1, progress=Watch())


def volume_sums(rng, dtype=np.float64):
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
def test_halves_are_the_sums_of_their_volumes(rng, count):
    volumes = [volume_sums(rng) for _ in range(count)]
    before = [one.copy() for one in volumes]
    half = None
    for index, one in enumerate(volumes):
        half = add_to_first_half(half, index, (one, None) if index % 2 == 0 else (None, one))
    for found, parts in zip(
        (half, total(volumes).minus(half)), (volumes[::2], volumes[1::2]), strict=True
    ):
        for ours, theirs in zip(
            found.tensors().values(), total(parts).tensors().values(), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    # What is given stays as it is.
    for one, unchanged in zip(volumes, before, strict=True):
        np.testing.assert_array_equal(one.gram, unchanged.gram)


def test_halves_must_be_kept_from_the_first_volume(rng):
    assert add_to_first_half(None, 2, (volume_sums(rng), None)) is None


def test_single_precision_has_no_halves(rng):
    assert add_to_first_half(None, 0, (volume_sums(rng, np.float32), None)) is None


def some_sums(rng, dtype=np.float64):
    """Make sums of very different sizes."""
    sums = NormalEquations.empty(70, 4, 2, dtype)
    for array in (sums.gram, sums.cross, sums.energy):
        array[...] = rng.normal(size=array.shape) * 10.0 ** rng.uniform(-9, 5, array.shape)
    return sums


def test_rounded_sums_add_up_the_same_in_any_order(rng):
    volumes = [some_sums(rng) for _ in range(5)]
    for one in volumes:
        one.round()
    found = []
    for order in itertools.islice(itertools.permutations(volumes), 0, 120, 11):
        one, other = NormalEquations.empty(70, 4, 2), NormalEquations.empty(70, 4, 2)
        for number, sums in enumerate(order):
            (one, other)[number % 2].merge(sums)
        one.merge(other)
        found.append(one)
    for sums in found[1:]:
        np.testing.assert_array_equal(sums.gram, found[0].gram)
        np.testing.assert_array_equal(sums.cross, found[0].cross)
        np.testing.assert_array_equal(sums.energy, found[0].energy)
    # And exactly: no bit of any of them is lost.
    exact = sum(Fraction(float(one.gram[3, 1, 2])) for one in volumes)
    assert Fraction(float(found[0].gram[3, 1, 2])) == exact


def test_rounding_is_finer_than_single_precision(rng):
    sums = some_sums(rng)
    before = sums.copy()
    sums.round()
    assert np.abs(sums.gram - before.gram).max() <= 2.0**-33
    assert (sums.gram != before.gram).any()
    assert (sums.gram[-1] * 2.0**32 == np.rint(sums.gram[-1] * 2.0**32)).all()


def test_single_precision_is_not_rounded(rng):
    sums = some_sums(rng, np.float32)
    before = sums.copy()
    sums.round()
    np.testing.assert_array_equal(sums.gram, before.gram)
