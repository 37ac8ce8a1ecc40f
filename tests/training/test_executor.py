"""Executor of one process: sums per volume, in halves."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scans import save_scans
from helpers.training import small_preset

from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import VolumeError
from napari_mrisr.training.executor import Local, StageJob
from napari_mrisr.training.finish import bank_of
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import TrainingFile, TrainingVolume


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    sources = [TrainingFile(path) for path in save_scans(tmp_path_factory.mktemp("executor"))]
    return [TrainingVolume(i, source, source.digest()) for i, source in enumerate(sources)]


def job_of(tmp_path):
    parameters, preset = TrainParameters(), small_preset("default", (2, 2, 2))
    before = bank_of([], [], parameters, preset, tmp_path / "b.safetensors")
    return StageJob(preset.stages[0], before, parameters)


def test_each_volume_is_in_one_half(volumes, tmp_path):
    job = job_of(tmp_path)
    parts = list(Local(ThreadPool()).sums(job, volumes[1:], singly=False))
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
        next(other.pairs(TrainParameters(), ThreadPool()))
