"""The steps of a run, timed inside the engine, and what each must do."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.methods.hashed import Hashed, hash_cells


@pytest.fixture(scope="module")
def stages(benchmark):
    return benchmark("stages")


@pytest.fixture(scope="module")
def volume():
    shape = (13, 11, 9)
    data = np.random.default_rng(3).uniform(50, 90, shape).astype(np.float32)
    data[:5] = 0.0  # flat cells, which have no filter
    return Volume(data, Grid(shape, np.eye(4)))


@pytest.fixture(scope="module")
def bank():
    return load_bank("default-2x")


@pytest.fixture(scope="module")
def profiled(stages, bank, volume):
    return stages.profile(bank, volume)


def test_every_step_is_timed_and_nothing_twice(stages, bank, profiled):
    watch, total = profiled
    steps = {(n, step) for n in (1, 2, 3) for step in (stages.TENSOR, stages.HASH, stages.FILTER)}
    rests = {(n, stages.REST) for n in range(4)}
    assert set(watch.seconds) - {(3, stages.UPSAMPLE)} == steps | rests | {(0, stages.UPSAMPLE)}
    assert all(seconds > 0 for seconds in watch.seconds.values())
    assert 0.3 * total < sum(watch.seconds.values()) < total


def test_voxels_with_a_filter_are_counted(stages, bank, volume, profiled):
    watch, _ = profiled
    stage, lr = bank.stages[0], volume.normalized()
    bucket, _ = hash_cells(stage, lr.data, Region.whole(lr.data.shape))
    expected = int((bucket < stage.weights.shape[0]).sum())
    assert 0 < expected < bucket.size
    assert expected <= watch.hashed[1] <= bucket.size
    assert watch.filtered[1] == expected


def test_the_engine_is_left_as_it_was(stages, bank, volume):
    before = [getattr(module, name) for module, name, _ in stages.ENGINE], Hashed.compute_pass
    stages.profile(bank, volume)
    after = [getattr(module, name) for module, name, _ in stages.ENGINE], Hashed.compute_pass
    assert after == before


def test_counts(stages, bank):
    # Prefilter 42 and spline 8 operations a voxel it gives, along x, y, z: by hand.
    work = stages.upsampling((2, 3, 5), (2, 2, 2))
    assert work.flop == 30 * 42 + 60 * 8 + 60 * 42 + 120 * 8 + 120 * 42 + 240 * 8
    assert work.memory_bytes == 4 * (30 + 240)
    cells = stages.stage_work(bank.stages[0], 10, 4, 8)
    assert cells[stages.FILTER].flop == 4 * 125 * (1 + 16)
    assert cells[stages.FILTER].l2_bytes == 4 * 125 * 8 * 4
    assert cells[stages.TENSOR].flop == 10 * (24 + 7 * 3 * 2 * 5)
    assert cells[stages.HASH].flop == 2600


def test_the_limit_is_the_longest_time(stages, benchmark):
    limits = benchmark("roofline").Limits(1, 50.0, 90.0, 10.0, 40.0)
    assert stages.Work(flop=1e9, memory_bytes=1e9).limit(limits) == (0.1, "memory")
    assert stages.Work(flop=1e10, l2_bytes=4e9).limit(limits) == (0.2, "arithmetic")
    assert stages.Work(flop=1e9, l2_bytes=8e9).limit(limits) == (0.2, "L2 cache")
