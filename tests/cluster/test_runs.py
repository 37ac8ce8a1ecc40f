"""Evaluation, streaming and training on a cluster: the results of one process."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import nibabel as nib
import numpy as np
import pytest
from helpers.scans import head, save_scans
from helpers.training import train_quickly
from safetensors.numpy import load_file

from napari_mrisr.bank.model import load_bank
from napari_mrisr.cluster.runs import OnCluster, batches, evaluate_on, stream_on, volumes_per_task
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.errors import BankError, Cancelled, VolumeError
from napari_mrisr.evaluation.experiment import EvaluateParameters, evaluate
from napari_mrisr.io import read_volume
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.streaming import StreamRequest, plan
from napari_mrisr.training import Watch, train
from napari_mrisr.training.events import GainMeasured
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import TrainingFile, VolumeSource


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Make four scans, a file that is no scan, and a truncated scan."""
    folder = tmp_path_factory.mktemp("cohort")
    scans = save_scans(folder)
    none, short = folder / "none.nii", folder / "short.nii.gz"
    none.write_bytes(b"nothing")
    short.write_bytes(scans[0].read_bytes()[:-4000])
    return [scans[0], none, scans[1], short, *scans[2:]]


@pytest.fixture
def parameters(make_bank, tmp_path):
    bank = tmp_path / "random.safetensors"
    make_bank().save(bank)
    return EvaluateParameters(methods=("nearest", "hashed"), bank=str(bank), threads=1)


def numbers(report):
    return [replace(row, seconds=0.0) for row in report.rows]


def test_evaluation_has_the_rows_and_failures_of_one_process(
    cluster, cohort, parameters, monkeypatch, tmp_path
):
    # Workers work elsewhere: names are to be good there too.
    monkeypatch.chdir(cohort[0].parent)
    given = [path.name for path in cohort]
    expected = evaluate(given, parameters)
    assert len(expected.rows) == 4 * 2 * 2
    found = evaluate_on(cluster, given, parameters)
    assert numbers(found) == numbers(expected)
    assert all(row.seconds > 0 for row in found.rows)
    assert [failure.file for failure in found.failures] == ["none.nii", "short.nii.gz"]
    assert found.protocol == expected.protocol


def test_evaluation_survives_a_killed_worker(cluster, workers, cohort, parameters):
    expected = evaluate(cohort, parameters)
    with workers.one_killed():
        found = evaluate_on(cluster, cohort, parameters)
    assert numbers(found) == numbers(expected)
    assert found.failures == expected.failures


def test_impossible_parameters_stop_the_evaluation(cluster, cohort, parameters):
    with pytest.raises(BankError):
        evaluate_on(cluster, cohort, replace(parameters, scales=((3, 3, 3),)))


def test_cancel_ends_an_evaluation(cluster, cohort, parameters):
    token = CancelToken()

    class AtOnce(Progress):
        def show(self, state):
            if state.done:
                token.cancel()

    with pytest.raises(Cancelled):
        evaluate_on(cluster, cohort, parameters, AtOnce(token))


SHAPE = (30, 34, 27)


@pytest.fixture
def request_(make_bank, tmp_path, monkeypatch):
    bank = tmp_path / "random.safetensors"
    make_bank().save(bank)
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(head(3, SHAPE), np.diag([1.0, 1.1, 1.2, 1.0])), scan)
    # Several blocks of a small volume.
    monkeypatch.setattr(plan, "block_for", lambda *args: (60, 68, 18))
    parameters = UpscaleParameters(bank=str(bank), device="cpu", threads=1)
    return StreamRequest(scan, tmp_path / "out.nii", parameters, 2_000_000_000)


def test_streamed_result_equals_that_of_memory(cluster, request_):
    done = stream_on(cluster, request_)
    assert len(done.blocks) == 3
    expected = upscale(read_volume(request_.path), request_.parameters)
    np.testing.assert_array_equal(read_volume(request_.out).data, expected.data)
    assert not request_.folder.exists()


def test_cancel_of_a_stream_leaves_nothing(cluster, request_):
    token = CancelToken()

    class AtOnce(Progress):
        def show(self, state):
            if "blocks" in state.task and state.done:
                token.cancel()

    with pytest.raises(Cancelled):
        stream_on(cluster, request_, AtOnce(token))
    assert not request_.out.exists()
    assert not request_.folder.exists()


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Make five scans; the fifth is a flipped copy."""
    import nibabel as nib

    folder = tmp_path_factory.mktemp("scans")
    paths = save_scans(folder)
    image = nib.load(paths[0])
    fifth = folder / "sub-5_T1w.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1] * 0.9, image.affine), fifth)
    return [*paths, fifth]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    train_quickly(monkeypatch)


@pytest.fixture
def executor(cluster):
    return partial(OnCluster, cluster)


def assert_same(a, b):
    """Compare sums, halves, filters and calibration exactly."""
    for name in ("", ".equations.safetensors"):
        ours, theirs = load_file(f"{a}{name}"), load_file(f"{b}{name}")
        assert ours.keys() == theirs.keys()
        assert len(ours) >= 4
        for key, tensor in ours.items():
            np.testing.assert_array_equal(tensor, theirs[key], err_msg=key)
    ours, theirs = load_bank(a), load_bank(b)
    assert ours.provenance == theirs.provenance
    assert ours.stages[-1].spec == theirs.stages[-1].spec


def test_training_with_a_killed_worker_gives_the_same_bank(scans, tmp_path, workers, executor):
    here, away = tmp_path / "here.safetensors", tmp_path / "away.safetensors"
    parameters = TrainParameters()
    expected = train(scans, here, parameters, threads=1)
    with workers.one_killed():
        found = train(scans, away, parameters, executor=executor)
    assert found.samples == expected.samples
    assert found.bank.calibration.volumes == 5
    assert_same(here, away)


def test_resumed_training_with_validation_gives_the_same_bank(scans, tmp_path, executor):
    here, away = tmp_path / "here.safetensors", tmp_path / "away.safetensors"
    parameters, gains = TrainParameters(), {here: [], away: []}
    for out, how in ((here, None), (away, executor)):
        train(scans[:2], out, parameters, executor=how)
        watch = Watch(gains[out].append, [TrainingFile(scans[4])])
        train(scans[:4], out, parameters, resume=True, watch=watch, executor=how)
    assert_same(here, away)
    measured = [[e for e in gains[out] if isinstance(e, GainMeasured)] for out in (here, away)]
    assert measured[0] == measured[1]
    assert [event.volumes for event in measured[0]] == [3, 4, 1, 2, 3, 4]


def test_paper_preset_gives_the_same_bank(scans, tmp_path, executor):
    here, away = tmp_path / "here.safetensors", tmp_path / "away.safetensors"
    parameters = TrainParameters(preset="paper")
    train(scans[:3], here, parameters)
    train(scans[:3], away, parameters, executor=executor)
    assert_same(here, away)


def test_cancel_of_a_training_keeps_finished_volumes(scans, tmp_path, executor):
    token, cancelled = CancelToken(), []

    class AfterOneStep(Progress):
        def show(self, state):
            if state.done and not cancelled:
                cancelled.append(time.monotonic())
                token.cancel()

    out = tmp_path / "b.safetensors"
    with pytest.raises(Cancelled):
        train(scans, out, TrainParameters(), progress=AfterOneStep(token), executor=executor)
    assert time.monotonic() - cancelled[0] < 0.2
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{out.name}.equations.safetensors"]


def test_volume_in_memory_is_refused(scans, tmp_path, executor):
    source = VolumeSource("layer", lambda: read_volume(scans[0]))
    with pytest.raises(VolumeError, match="is no file, which a cluster needs"):
        train([source], tmp_path / "b.safetensors", TrainParameters(), executor=executor)


@pytest.mark.parametrize(
    ("volumes", "slots", "size"), [(1, 8, 1), (4, 2, 1), (8, 2, 2), (100, 2, 4), (22, 4, 2)]
)
def test_volumes_per_task_keep_every_slot_busy(volumes, slots, size):
    assert volumes_per_task(volumes, slots) == size


def test_batches_keep_the_order():
    assert batches([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert batches([], 2) == []
