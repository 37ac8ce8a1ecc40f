"""Sums do not depend on who adds them up, nor in what order."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from helpers.scans import save_scans
from helpers.training import small_preset

from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import VolumeError
from napari_mrisr.training.hands import Here, StageJob, TrainingVolume, rounded
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.outcome import bank_of
from napari_mrisr.training.sampling import TrainParameters
from napari_mrisr.training.sources import TrainingFile


def some_sums(rng, dtype=np.float64):
    """Sums of very different sizes, as those of buckets and taps are."""
    sums = NormalEquations.empty(70, 4, 2, dtype)
    for array in (sums.gram, sums.cross, sums.energy):
        array[...] = rng.normal(size=array.shape) * 10.0 ** rng.uniform(-9, 5, array.shape)
    return sums


def test_rounded_sums_add_up_the_same_in_any_order(rng):
    volumes = [some_sums(rng) for _ in range(5)]
    for one in volumes:
        rounded(one)
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
    rounded(sums)
    assert np.abs(sums.gram - before.gram).max() <= 2.0**-33
    assert (sums.gram != before.gram).any()
    assert (sums.gram[-1] * 2.0**32 == np.rint(sums.gram[-1] * 2.0**32)).all()


def test_single_precision_is_left_alone(rng):
    sums = some_sums(rng, np.float32)
    before = sums.copy()
    rounded(sums)
    np.testing.assert_array_equal(sums.gram, before.gram)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    sources = [TrainingFile(path) for path in save_scans(tmp_path_factory.mktemp("hands"))]
    return [TrainingVolume(i, source, source.digest()) for i, source in enumerate(sources)]


def job_of(tmp_path):
    parameters, preset = TrainParameters(), small_preset("default", (2, 2, 2))
    before = bank_of([], [], parameters, preset, tmp_path / "b.safetensors")
    return StageJob(preset.stages[0], before, parameters)


def test_every_volume_is_a_part_of_its_half(volumes, tmp_path):
    job = job_of(tmp_path)
    parts = list(Here(ThreadPool()).sums(job, volumes[1:], singly=False))
    assert [part.volumes for part in parts] == [1, 1, 1]
    assert [[half is not None for half in part.halves] for part in parts] == [
        [False, True],
        [True, False],
        [False, True],
    ]
    for part in parts:
        (sums,) = [half for half in part.halves if half is not None]
        assert part.samples == sums.count.sum() > 1000
        assert (sums.gram * 2.0**32 == np.rint(sums.gram * 2.0**32)).all()


def test_a_volume_that_changed_is_refused(volumes, tmp_path):
    other = TrainingVolume(0, volumes[1].source, volumes[0].sha256)
    with pytest.raises(VolumeError, match="has changed"):
        other.pair(TrainParameters(), ThreadPool())
