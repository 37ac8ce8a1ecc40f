"""Training on a cluster: the bank of a training without one, bit for bit."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
from helpers.scans import save_scans
from helpers.training import small_preset
from safetensors.numpy import load_file

from napari_mrisr import training
from napari_mrisr.bank.model import load_bank
from napari_mrisr.cluster.summing import Away, batches, piece_size
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.errors import Cancelled, VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.training import Watch, train
from napari_mrisr.training.events import GainMeasured
from napari_mrisr.training.sampling import TrainParameters
from napari_mrisr.training.sources import TrainingFile, VolumeSource


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Five: four of their own, and one of them turned over."""
    import nibabel as nib

    folder = tmp_path_factory.mktemp("scans")
    paths = save_scans(folder)
    image = nib.load(paths[0])
    fifth = folder / "sub-5_T1w.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1] * 0.9, image.affine), fifth)
    return [*paths, fifth]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(training, "get_preset", small_preset)
    monkeypatch.setattr(training, "measure_sgemm", lambda: 100.0)


@pytest.fixture
def hands(cluster):
    return partial(Away, cluster)


def assert_same(a, b):
    """Sums, halves, filters, calibration: all bits."""
    for name in ("", ".equations.safetensors"):
        ours, theirs = load_file(f"{a}{name}"), load_file(f"{b}{name}")
        assert ours.keys() == theirs.keys()
        assert len(ours) >= 4
        for key, tensor in ours.items():
            np.testing.assert_array_equal(tensor, theirs[key], err_msg=key)
    ours, theirs = load_bank(a), load_bank(b)
    assert ours.provenance == theirs.provenance
    assert ours.stages[-1].spec == theirs.stages[-1].spec


def test_a_worker_is_killed_and_the_bank_is_the_same(scans, tmp_path, workers, hands):
    here, away = tmp_path / "here.safetensors", tmp_path / "away.safetensors"
    parameters = TrainParameters()
    expected = train(scans, here, parameters, threads=1)
    with workers.one_killed():
        found = train(scans, away, parameters, hands=hands)
    assert found.samples == expected.samples
    assert found.bank.calibration.volumes == 5
    assert_same(here, away)


def test_volumes_are_added_to_a_bank_and_gains_measured(scans, tmp_path, hands):
    here, away = tmp_path / "here.safetensors", tmp_path / "away.safetensors"
    parameters, gains = TrainParameters(), {here: [], away: []}
    for out, how in ((here, None), (away, hands)):
        train(scans[:2], out, parameters, hands=how)
        watch = Watch(gains[out].append, [TrainingFile(scans[4])])
        train(scans[:4], out, parameters, resume=True, watch=watch, hands=how)
    assert_same(here, away)
    measured = [[e for e in gains[out] if isinstance(e, GainMeasured)] for out in (here, away)]
    assert measured[0] == measured[1]
    assert [event.volumes for event in measured[0]] == [3, 4, 1, 2, 3, 4]


def test_terciles_and_single_precision(scans, tmp_path, hands):
    here, away = tmp_path / "here.safetensors", tmp_path / "away.safetensors"
    parameters = TrainParameters(preset="paper")
    train(scans[:3], here, parameters)
    train(scans[:3], away, parameters, hands=hands)
    assert_same(here, away)


def test_cancel_keeps_what_was_done(scans, tmp_path, hands):
    token, asked = CancelToken(), []

    class AfterOneRound(Progress):
        def show(self, state):
            if state.done and not asked:
                asked.append(time.monotonic())
                token.cancel()

    out = tmp_path / "b.safetensors"
    with pytest.raises(Cancelled):
        train(scans, out, TrainParameters(), progress=AfterOneRound(token), hands=hands)
    assert time.monotonic() - asked[0] < 0.2
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{out.name}.equations.safetensors"]


def test_a_volume_that_is_no_file_is_refused(scans, tmp_path, hands):
    source = VolumeSource("layer", lambda: read_volume(scans[0]))
    with pytest.raises(VolumeError, match="is no file, which a cluster needs"):
        train([source], tmp_path / "b.safetensors", TrainParameters(), hands=hands)


@pytest.mark.parametrize(
    ("volumes", "slots", "size"), [(1, 8, 1), (4, 2, 1), (8, 2, 2), (100, 2, 4), (22, 4, 2)]
)
def test_size_of_a_piece(volumes, slots, size):
    assert piece_size(volumes, slots) == size


def test_batches():
    assert batches([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert batches([], 2) == []
