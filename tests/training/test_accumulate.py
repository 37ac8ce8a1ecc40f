"""Samples into sums: the same as batch by batch, for any number of threads; cut to be stopped."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.scans import save_scans
from helpers.training import batches, small_preset
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import Cancelled
from napari_mrisr.training import accumulate
from napari_mrisr.training.accumulate import add_samples
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.sampling import TrainParameters, find_samples, prepare_pair

SCALES = [(2, 2, 2), (1, 1, 2)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Samples of both stages and both scales."""
    (path,) = save_scans(tmp_path_factory.mktemp("scans"))[:1]
    samples = {}
    for scale in SCALES:
        preset, parameters = small_preset("default", scale), TrainParameters(scale)
        before = FilterBank(scale, "standard", preset.start, ())
        pair = prepare_pair(path, parameters)
        for number, plan in enumerate(preset.stages):
            samples[scale, number] = find_samples(pair, plan, before, parameters)
    return samples


def empty(samples, dtype=np.float64):
    return NormalEquations.empty(len(samples.ends) - 1, samples.taps, samples.outputs, dtype)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_are_those_of_the_batches(found, scale, number, dtype):
    samples = found[scale, number]
    ours, theirs = empty(samples, dtype), empty(samples)
    add_samples(ours, samples)
    for batch in batches(samples):
        theirs.add(*batch)
    assert ours.count.sum() == samples.count > 1000
    assert ours.gram.dtype == dtype
    np.testing.assert_array_equal(ours.count, theirs.count)
    for name, tensor in theirs.tensors().items():
        scale_of = np.abs(tensor).max()
        np.testing.assert_allclose(
            ours.tensors()[name] / scale_of, tensor / scale_of, atol=5e-6, err_msg=name
        )


def test_the_sums_do_not_depend_on_threads(found, monkeypatch):
    """Bit for bit, also where buckets are cut into steps."""
    samples = found[(2, 2, 2), 1]
    for operations in (accumulate._OPERATIONS, 2e5):
        monkeypatch.setattr(accumulate, "_OPERATIONS", operations)
        sums = []
        for threads in (1, 2, 3):
            sums.append(empty(samples))
            add_samples(sums[-1], samples, ThreadPool(threads))
        for name, tensor in sums[0].tensors().items():
            for other in sums[1:]:
                np.testing.assert_array_equal(other.tensors()[name], tensor, err_msg=name)


def test_it_stops_between_steps(found, monkeypatch):
    samples, asked = found[(2, 2, 2), 1], []
    monkeypatch.setattr(accumulate, "_OPERATIONS", 2e5)

    def check():
        asked.append(1)
        if len(asked) == 5:
            raise Cancelled

    equations = empty(samples)
    with pytest.raises(Cancelled):
        add_samples(equations, samples, ThreadPool(1, CancelToken(check)))
    assert 0 < equations.count.sum() < samples.count


@settings(deadline=None, max_examples=100)
@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    most=st.integers(1, 40),
    pieces=st.integers(1, 6),
)
def test_steps_take_every_sample_once(counts, most, pieces):
    ends = np.concatenate([[0], np.cumsum(counts)])
    made = accumulate._pieces(ends, most, pieces)
    taken, owner = np.zeros(ends[-1], int), {}
    for number, piece in enumerate(made):
        for first, last, start, stop in piece:
            assert ends[first] <= start < stop <= ends[last]
            assert stop - start <= most
            taken[start:stop] += 1
            for bucket in range(first, last):
                # No two threads add to one bucket.
                assert owner.setdefault(bucket, number) == number
    assert (taken == 1).all()
    sizes = [sum(stop - start for *_, start, stop in piece) for piece in made]
    assert all(a >= b for a, b in itertools.pairwise(sizes))
