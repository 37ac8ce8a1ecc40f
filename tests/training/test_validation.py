"""Validation gain: that of the whole method, on volumes that are not trained on."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.training import prepare_pair

from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import VolumeError
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.training import Watch, sampling, train
from napari_mrisr.training import validation as module
from napari_mrisr.training.events import GainMeasured, TrainingStarted, VolumeAdded, VolumeStarted
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import TrainingFile, VolumeSource
from napari_mrisr.training.validation import prepare_check


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 2, 3)])
@pytest.mark.parametrize("threads", [1, 3])
def test_gain_equals_that_of_the_whole_volume(scans, make_bank, scale, threads):
    parameters = TrainParameters(scale)
    bank = make_bank(scale, size=0.1)
    check = prepare_check(TrainingFile(scans[1]), parameters, 4000, ThreadPool(threads))
    pair = prepare_pair(scans[1], parameters)
    whole = Region.whole(pair.truth.shape)
    inside = pair.mask.copy()
    inside[..., : check.slab.start[2]] = False
    inside[..., check.slab.stop[2] :] = False
    errors = [
        np.mean((method.compute(pair.lr, whole) - pair.truth)[inside].astype(float) ** 2)
        for method in (get_method("tricubic", scale), Hashed(bank))
    ]
    expected = 10 * np.log10(errors[0] / errors[1])
    assert check.gain_db(bank, ThreadPool(threads)) == pytest.approx(expected, abs=1e-4)
    assert check.voxels == inside.sum()
    assert 0.5 * 4000 < check.voxels < 2 * 4000


def test_slab_is_where_the_head_is_widest():
    data = np.zeros((40, 44, 60), np.float32)
    data[5:35, 5:39, 34:44] = 1.0
    data[12:28, 12:32, 10:52] = 1.0
    noise = np.random.default_rng(1).normal(0, 0.02, data.shape).astype(np.float32)
    volume = Volume(data + noise * (data > 0), Grid(data.shape, np.eye(4)))
    check = prepare_check(VolumeSource("block", lambda: volume), TrainParameters(), 3000)
    assert check.slab.start[2] >= 32
    assert check.slab.stop[2] <= 46


def test_a_volume_without_a_head_is_refused(scans, monkeypatch):
    monkeypatch.setattr(sampling, "head_mask", lambda data, _: np.zeros(data.shape, bool))
    with pytest.raises(VolumeError, match=r"sub-1_T1w\.nii\.gz: there is no head .*; choose"):
        prepare_check(TrainingFile(scans[0]), TrainParameters(), 1000)


def test_training_reports_its_events_in_order(scans, tmp_path, monkeypatch):
    seen = []
    validation = [TrainingFile(scans[2]), TrainingFile(scans[3])]
    report = train(
        scans[:2],
        tmp_path / "a.safetensors",
        TrainParameters(),
        watch=Watch(seen.append, validation),
    )
    assert seen[0] == TrainingStarted(2, 2, (2, 2), 100.0)
    kinds = [type(event).__name__ for event in seen[1:]]
    assert kinds == [*["VolumeStarted", "VolumeAdded", "GainMeasured"] * 4, "CalibrationStarted"]
    began = [(e.stage, e.volume) for e in seen if isinstance(e, VolumeStarted)]
    assert began == [(1, 1), (1, 2), (2, 1), (2, 2)]
    added = [e for e in seen if isinstance(e, VolumeAdded)]
    assert [(e.stage, e.volumes) for e in added] == began
    left = [e.share_left for e in added]
    assert left == sorted(left, reverse=True)
    assert 0.0 < left[-1] < 0.8  # the calibration
    for number in (1, 3):
        stage = report.bank.stages[number // 2]
        np.testing.assert_array_equal(added[number].support, stage.support[:-1])
    assert added[1].support.sum() > added[0].support.sum()
    gains = [e for e in seen if isinstance(e, GainMeasured)]
    assert [len(e.gains_db) for e in gains] == [2] * 4
    # The last point is the finished bank, measured from the outside.
    share = module.VOXELS // 2
    expected = [prepare_check(s, TrainParameters(), share).gain_db(report.bank) for s in validation]
    assert gains[-1].gains_db == pytest.approx(expected, abs=1e-6)
    assert gains[-1].mean_db == pytest.approx(np.mean(expected))
    assert gains[-1].mean_db > gains[0].mean_db > 0.3


def test_validation_does_not_change_the_bank(scans, tmp_path, monkeypatch):
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    quiet = train(scans[:2], a, TrainParameters(), threads=1)
    watch = Watch(lambda event: None, [TrainingFile(scans[3])])
    watched = train(scans[:2], b, TrainParameters(), watch=watch, threads=2)
    for ours, theirs in zip(quiet.bank.stages, watched.bank.stages, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
