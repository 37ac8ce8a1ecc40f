"""The expected error: planted errors come back, and what is saved too."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_mrisr.bank.calibration import (
    DETAIL_CUTS,
    STRENGTH_CUTS,
    Calibration,
    CalibrationSeries,
    CalibrationSums,
    detail_of,
)
from napari_mrisr.bank.model import load_bank
from napari_mrisr.errors import BankError

BUCKETS = 7


def samples(rng, count=60_000, level=1.0):
    """Voxels whose error is known: 0.1 of strength plus half of detail, and by bucket."""
    bucket = rng.integers(0, BUCKETS, count).astype(np.int32)
    strength = np.exp(rng.uniform(np.log(0.01), np.log(0.3), count)).astype(np.float32)
    detail = np.exp(rng.uniform(np.log(0.01), np.log(0.05), count)).astype(np.float32)
    sigma = level * (0.1 * strength + 0.5 * detail) * np.where(bucket == 3, 1.5, 1.0)
    return bucket, strength, detail, (sigma * rng.standard_normal(count)).astype(np.float32), sigma


def solved(rng, levels=(1.0, 1.0), noises=(0.02, 0.02), count=60_000):
    sums = CalibrationSums(BUCKETS)
    for level, noise in zip(levels, noises, strict=True):
        sums.begin_volume(noise)
        sums.add(*samples(rng, count, level)[:4])
    return sums.solve()


# Detail


def test_detail_of_white_noise_is_its_standard_deviation(rng):
    lr = (0.5 + 0.03 * rng.standard_normal((50, 46, 54))).astype(np.float32)
    assert np.sqrt(np.mean(detail_of(lr) ** 2)) == pytest.approx(0.03, rel=0.03)


def test_detail_by_hand(rng):
    """One voxel: the 27 weighted values, squared, and a Gaussian over 7³ of them."""
    lr = rng.random((13, 11, 12)).astype(np.float32)
    taps = np.array([-1.0, 2.0, -1.0]) / np.sqrt(6.0)
    cube = np.einsum("i,j,k->ijk", taps, taps, taps)
    fine = np.zeros((7, 7, 7))
    for i, j, k in np.ndindex(7, 7, 7):
        x, y, z = 6 + i - 3, 5 + j - 3, 6 + k - 3
        fine[i, j, k] = (lr[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2] * cube).sum() ** 2
    weights = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    weights /= weights.sum()
    expected = np.sqrt(np.einsum("ijk,i,j,k->", fine, weights, weights, weights))
    assert detail_of(lr)[6, 5, 6] == pytest.approx(expected, rel=1e-5)


def test_flat_and_sloping_volumes_have_no_detail():
    x, y, z = np.meshgrid(np.arange(9), np.arange(10), np.arange(11), indexing="ij")
    inner = detail_of((0.02 * x + 0.03 * y - 0.01 * z + 0.001 * x * y).astype(np.float32))
    assert inner.max() < 1e-6


# The table


def test_planted_errors_are_expected(rng):
    found = solved(rng)
    bucket, strength, detail, _, sigma = samples(rng)
    expected = found.expected_error(bucket, strength, detail, 0.02)
    for part in np.array_split(np.argsort(expected), 10):
        ratio = np.sqrt(np.mean(sigma[part] ** 2) / np.mean(expected[part] ** 2))
        assert 1 / 1.1 < ratio < 1.1
    assert found.volumes == 2
    assert found.samples.sum() == 120_000


def test_a_bucket_that_errs_more_is_expected_to(rng):
    found = solved(rng)
    others = np.delete(found.factor, 3)
    assert found.factor[3] / others.mean() == pytest.approx(1.5**2, rel=0.1)


def test_few_samples_lean_on_their_neighbors(rng):
    sums = CalibrationSums(BUCKETS)
    for _ in range(2):
        sums.begin_volume(0.02)
        sums.add(*samples(rng)[:4])
        # One voxel all by itself, with an error out of all proportion.
        place = (np.array([0], np.int32), np.float32([0.45]), np.float32([0.15]))
        sums.add(*place, np.float32([50.0]))
    found = sums.solve()
    assert found.expected_error(*place, 0.02)[0] < 2.0


def test_the_middle_between_volumes_not_their_mean(rng):
    """Seven quiet volumes and three of double error: half way, as squares go (mean: 1.9)."""
    found = solved(rng, [1.0] * 7 + [2.0] * 3, [0.02] * 10, 90_000)
    bucket, strength, detail, _, sigma = samples(rng)
    expected = found.expected_error(bucket, strength, detail, 0.02)
    ratio = np.sqrt(np.mean(expected**2) / np.mean(sigma**2))
    assert ratio == pytest.approx(np.sqrt((1.0 + 4.0) / 2.0), rel=0.06)


def test_noisy_volumes_are_expected_to_err_more(rng):
    """Error in proportion to noise: squared error with its square, less what holds it back."""
    found = solved(rng, (1.0, 1.0, 1.6, 1.6), (0.010, 0.010, 0.016, 0.016))
    assert 1.3 < found.exponent < 2.0
    assert found.noise == pytest.approx(np.sqrt(0.010 * 0.016))
    assert found.noise_factor(0.016) > 1.0 > found.noise_factor(0.010)
    assert found.noise_factor(np.nan) == 1.0
    assert found.noise_factor(100.0) == pytest.approx(2.0**found.exponent)  # believed no farther
    assert found.spread < 1.1


def test_volumes_of_one_noise_level_say_nothing_of_others(rng):
    found = solved(rng, (1.0, 1.3), (0.02, 0.0201))
    assert found.exponent < 0.1


def test_one_volume_is_not_enough(rng):
    assert solved(rng, (1.0,), (0.02,)) is None
    assert CalibrationSums(BUCKETS).solve() is None
    sums = CalibrationSums(BUCKETS)
    for noise in (0.02, np.nan):
        sums.begin_volume(noise)
        sums.add(*samples(rng, 100)[:4])
    assert sums.solve() is None


def test_cells_are_counted_from_below_the_first_cut(rng):
    found = solved(rng, count=1000)
    strength = np.float32([0.0, STRENGTH_CUTS[0], 9.0])
    detail = np.float32([0.0, DETAIL_CUTS[0], 9.0])
    columns = DETAIL_CUTS.size + 1
    last = STRENGTH_CUTS.size * columns + DETAIL_CUTS.size
    np.testing.assert_array_equal(found.cells(strength, detail), [0, columns + 1, last])


# In a bank


@pytest.fixture
def saved(make_bank, rng, tmp_path):
    bank = make_bank()
    global_buckets = bank.stages[-1].spec.hash.bucket_count
    sums = CalibrationSums(global_buckets)
    for noise in (0.01, 0.02):
        sums.begin_volume(noise)
        bucket, *rest = samples(rng, 5000)[:4]
        sums.add(bucket % global_buckets, *rest)
    path = tmp_path / "calibrated.safetensors"
    replace(bank, calibration=sums.solve()).save(path)
    return path


def test_a_calibration_comes_back(saved):
    found = load_bank(saved).calibration
    assert isinstance(found, Calibration)
    load_bank(saved).save(saved.with_name("again.safetensors"))
    again = load_bank(saved.with_name("again.safetensors")).calibration
    for name, array in found.tensors().items():
        np.testing.assert_array_equal(array, again.tensors()[name])
    assert found.to_json() == again.to_json()
    assert sum(array.nbytes for array in found.tensors().values()) < 20_000


def test_an_old_bank_has_none(make_bank, tmp_path):
    make_bank().save(tmp_path / "old.safetensors")
    assert load_bank(tmp_path / "old.safetensors").calibration is None


@pytest.mark.parametrize(
    "change",
    [
        {"factor": np.ones(3, np.float32)},
        {"squared_error": -np.ones((21, 21), np.float32)},
        {"samples": np.ones((3, 3), np.int64)},
    ],
)
def test_a_damaged_calibration_is_refused(saved, change):
    from bank.test_model import rewrite

    rewrite(
        saved, change_tensors=lambda t: t.update({f"calibration.{k}": v for k, v in change.items()})
    )
    with pytest.raises(BankError, match=r"calibrated\.safetensors: .*train it again"):
        load_bank(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [("exponent", 1e308), ("exponent", -1e308), ("noise", 0.0), ("noise", 1e308)],
)
def test_a_noise_level_or_exponent_beyond_reason_is_refused(saved, name, value):
    from bank.test_model import rewrite

    rewrite(saved, lambda document: document["calibration"].update({name: value}))
    match = r"calibrated\.safetensors: .*calibration with noise .* and exponent .*train it again"
    with pytest.raises(BankError, match=match):
        load_bank(saved)


@pytest.mark.parametrize(
    ("name", "value"), [("noise", 10**400), ("volumes", float("inf")), ("spread", 10**400)]
)
def test_a_number_too_large_for_a_float_is_refused(saved, name, value):
    from bank.test_model import rewrite

    rewrite(saved, lambda document: document["calibration"].update({name: value}))
    with pytest.raises(BankError, match=r"calibrated\.safetensors: .*train it again"):
        load_bank(saved)


def test_a_calibration_without_its_tensors_is_refused(saved):
    from bank.test_model import rewrite

    rewrite(saved, change_tensors=lambda t: t.pop("calibration.factor"))
    with pytest.raises(BankError, match="train it again"):
        load_bank(saved)


def test_a_series_is_read_as_it_was_written_and_interpolated_by_logarithms():
    shape = (STRENGTH_CUTS.size + 1, DETAIL_CUTS.size + 1)
    low, high = (
        Calibration(
            STRENGTH_CUTS,
            DETAIL_CUTS,
            np.full(shape, square, np.float32),
            np.full(shape, count, np.int64),
            np.ones(1, np.float32),
            noise,
            exponent,
            volumes=3,
            spread=1.1,
        )
        for square, count, noise, exponent in ((1e-4, 100, 0.01, 0.0), (4e-4, 900, 0.04, 1.0))
    )
    series = CalibrationSeries((2.0, 8.0), (low, high))
    found = CalibrationSeries.from_json(json.loads(json.dumps(series.to_json())))
    assert found.factors == (2.0, 8.0)
    middle = found.at(4.0)
    np.testing.assert_allclose(middle.squared_error, 2e-4, rtol=1e-5)
    assert middle.noise == pytest.approx(0.02)
    assert middle.exponent == pytest.approx(0.5)
    assert found.at(1.5).squared_error[0, 0] == pytest.approx(1e-4)
    assert found.at(20.0).samples[0, 0] == 900
    assert CalibrationSeries.from_json({}) is None


@pytest.mark.parametrize(
    "change", [{"noise": -1}, {"squared_error": [[1e-4]]}, {"factor": [np.nan]}, {"samples": "x"}]
)
def test_a_damaged_series_is_refused(change):
    shape = (STRENGTH_CUTS.size + 1, DETAIL_CUTS.size + 1)
    good = Calibration(
        STRENGTH_CUTS, DETAIL_CUTS, np.ones(shape, np.float32), np.ones(shape, np.int64),
        np.ones(1, np.float32), 0.01, 0.0, 2, 1.0,
    )  # fmt: skip
    entry = CalibrationSeries((2.0,), (good,)).to_json()["2"]
    with pytest.raises((ValueError, TypeError)):
        CalibrationSeries.from_json({"2": {**entry, **change}})
