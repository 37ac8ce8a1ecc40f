"""Calibration in training: errors of volumes that the filters do not know, checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.scans import save_scans
from helpers.training import small_preset
from scipy import ndimage

from napari_mrisr import training
from napari_mrisr.bank.calibration import detail_of
from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import load_bank
from napari_mrisr.bank.predictors import before_last, predict_from
from napari_mrisr.core.volume import Region
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.training import calibrating, train
from napari_mrisr.training.sampling import TrainParameters, prepare_pair


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Four scans, and a bank of them."""
    folder = tmp_path_factory.mktemp("calibrating")
    scans = save_scans(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "get_preset", small_preset)
        patch.setattr(training, "measure_sgemm", lambda: 100.0)
        seen, sums = [], []
        original = calibrating.CalibrationSums.add

        def add(self, bucket, strength, detail, error):
            if self not in sums:
                sums.append(self)
            seen.append((sums.index(self), error))
            original(self, bucket, strength, detail, error)

        patch.setattr(calibrating.CalibrationSums, "add", add)
        train(scans, folder / "four.safetensors", TrainParameters())
        errors = {
            i: np.sort(np.concatenate([e for n, e in seen if n == i])) for i in range(len(scans))
        }
        train(scans[1::2], folder / "odd.safetensors", TrainParameters())
        train(scans[:1], folder / "one.safetensors", TrainParameters())
    return folder, scans, errors


def test_the_bank_is_calibrated_and_knows_its_volumes(trained):
    bank = load_bank(trained[0] / "four.safetensors")
    assert bank.calibration.volumes == 4
    ranges = bank.provenance["traits"]
    assert ranges["voxel_size"] == pytest.approx([2.0, 2.4])
    assert ranges["noise"][0] > 0


def test_first_stage_filters_of_a_half_do_not_know_the_other(trained):
    """A volume of the first half is judged by filters of volumes 2 and 4 alone.

    Their first stage is that of a training on 2 and 4. The second differs a little: its
    samples come from the first stage of all four.
    """
    folder, scans, errors = trained
    pair = prepare_pair(scans[0], TrainParameters())
    whole = Region.whole(pair.truth.shape)
    strangers = Hashed(load_bank(folder / "odd.safetensors")).compute(pair.lr, whole)
    friends = Hashed(load_bank(folder / "four.safetensors")).compute(pair.lr, whole)
    found = np.sqrt(np.mean(errors[0] ** 2))
    by_strangers = np.sqrt(np.mean((strangers - pair.truth)[pair.mask] ** 2))
    by_friends = np.sqrt(np.mean((friends - pair.truth)[pair.mask] ** 2))
    assert errors[0].size == pair.mask.sum()
    assert found == pytest.approx(by_strangers, rel=0.02)
    assert found > by_friends


def test_the_table_expects_what_was_found(trained):
    """Over the volumes, expected and found errors have about one size."""
    folder, scans, errors = trained
    bank = load_bank(folder / "four.safetensors")
    for number, path in enumerate(scans):
        pair = prepare_pair(path, TrainParameters())
        shape = pair.truth.shape
        image = Hashed(bank).run(pair.lr, Region.whole(shape), len(bank.stages) - 1)
        at = predict_from(
            bank, image, (0, 0, 0), shape, detail_of(pair.lr.data), Region.whole(shape)
        )
        expected = bank.calibration.expected_error(at.bucket, at.strength, at.detail, np.nan)
        ratio = np.mean(expected[pair.mask] ** 2) / np.mean(errors[number] ** 2)
        assert 0.5 < ratio < 2.0


def test_one_volume_gives_a_bank_without(trained):
    bank = load_bank(trained[0] / "one.safetensors")
    assert bank.calibration is None
    assert bank.provenance["traits"]["voxel_size"] == pytest.approx([2.0, 2.4])


def test_the_paper_preset_goes_without(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "get_preset", small_preset)
    monkeypatch.setattr(training, "measure_sgemm", lambda: 100.0)
    out = tmp_path / "paper.safetensors"
    train(trained[1][:2], out, TrainParameters(preset="paper"))
    assert load_bank(out).calibration is None


def test_resuming_keeps_the_halves(trained, monkeypatch, tmp_path):
    """Two volumes first and two later, calibrated as all four at once."""
    monkeypatch.setattr(training, "get_preset", small_preset)
    monkeypatch.setattr(training, "measure_sgemm", lambda: 100.0)
    folder, scans, _ = trained
    out = tmp_path / "later.safetensors"
    train(scans[:2], out, TrainParameters())
    train(scans, out, TrainParameters(), resume=True)
    ours, theirs = load_bank(out).calibration, load_bank(folder / "four.safetensors").calibration
    np.testing.assert_array_equal(ours.samples.sum(), theirs.samples.sum())
    np.testing.assert_allclose(ours.squared_error, theirs.squared_error, rtol=1e-2)


# Predictors


def test_predictors_are_the_engine_s(make_bank, rng):
    """Bucket as the hash gives it; strength by the scipy; detail of the cell."""
    bank = make_bank((2, 2, 2), ("cell", "voxel"))
    shape = (18, 16, 20)
    image = rng.random(shape).astype(np.float32)
    detail = rng.random((9, 8, 10)).astype(np.float32)
    whole = Region.whole(shape)
    found = predict_from(bank, image, (0, 0, 0), shape, detail, whole)
    spec: HashSpec = bank.stages[-1].spec.hash
    expected, _ = spec.hash_box(image, (0, 0, 0), shape, whole)
    np.testing.assert_array_equal(found.bucket, expected)
    energy = sum(np.gradient(image.astype(np.float64), axis=axis) ** 2 for axis in range(3))
    for axis in range(3):
        energy = ndimage.correlate1d(energy, spec.window.taps().astype(float), axis=axis)
    r = spec.window.reach
    inner = (slice(r, -r),) * 3
    assert found.strength[inner].size > 0
    np.testing.assert_allclose(found.strength[inner], np.sqrt(energy)[inner], rtol=1e-4)
    np.testing.assert_array_equal(found.detail, detail.repeat(2, 0).repeat(2, 1).repeat(2, 2))


def test_a_box_has_the_whole_s_predictors(make_bank, rng):
    bank = make_bank((2, 2, 2), ("cell", "voxel"))
    shape, box = (16, 14, 18), Region((3, 2, 5), (9, 11, 12))
    image, detail = rng.random(shape).astype(np.float32), rng.random((8, 7, 9)).astype(np.float32)
    whole = predict_from(bank, image, (0, 0, 0), shape, detail, Region.whole(shape))
    part = predict_from(bank, image, (0, 0, 0), shape, detail, box)
    for name in ("bucket", "strength", "detail"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[box.slices])


def test_before_last(make_bank):
    bank = make_bank((2, 2, 2), ("cell", "voxel"))
    assert before_last(bank).stages == bank.stages[:1]
    assert replace(bank, stages=bank.stages[:1]).scale == before_last(bank).scale
