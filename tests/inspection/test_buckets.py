"""Counts, gains and order of buckets; comparison of two banks; gain against a reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import BankError, GeometryError, ParameterError
from napari_mrisr.inspection import (
    bucket_map,
    bucket_table,
    compare_banks,
    count_buckets,
    gain_db,
    measure_gain,
    stage_input,
)
from napari_mrisr.inspection.buckets import gain_baseline, sort_rows
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.operators.gradients import Window

BANK = patterns.planted_bank()


def test_counts_equal_numpy():
    buckets = np.random.default_rng(0).integers(0, 9, (4, 5, 6)).astype(np.uint8)
    inside = np.random.default_rng(1).random((4, 5, 6)) > 0.4
    expected = [int((buckets == b).sum()) for b in range(11)]
    assert count_buckets(buckets, 11).tolist() == expected
    expected = [int((buckets[inside] == b).sum()) for b in range(11)]
    assert count_buckets(buckets, 11, inside).tolist() == expected


def test_table_of_a_volume():
    source = stage_input(patterns.noise(), BANK, 0)
    buckets = bucket_map(source)
    table = bucket_table(buckets, source.stage)
    assert table.voxels.sum() == np.prod(patterns.SHAPE)
    assert table.voxels[buckets[3, 4, 5]] > 0
    np.testing.assert_array_equal(table.training, source.stage.support)
    filters = table.filter_count
    share = table.share("voxels")
    assert np.nansum(share) == pytest.approx(1.0)
    assert np.isnan(share[filters:]).all()
    assert share[5] == pytest.approx(table.voxels[5] / table.voxels[:filters].sum())
    with pytest.raises(ParameterError, match="column"):
        table.column("hue")


def test_gain_in_db():
    stage = replace(
        BANK.stages[0],
        error=np.array([0.05, 0.1, np.nan, 0.0], np.float32),
        start_error=np.array([0.1, 0.1, np.nan, 0.1], np.float32),
    )
    gain = gain_db(stage)
    assert gain[0] == pytest.approx(6.0206, abs=1e-3)
    assert gain[1] == 0.0
    assert np.isnan(gain[2:]).all()


def test_gain_baseline_is_what_the_bank_stores():
    assert gain_baseline(BANK, 0) == "tricubic"
    assert gain_baseline(BANK, 1) == "stage 1"
    assert gain_baseline(patterns.planted_bank(("voxel",), residual=False), 0) is None
    assert gain_baseline(replace(BANK, start="quadratic"), 0) == "quadratic"


def test_sorting_puts_unknown_values_last():
    column = np.array([2.0, np.nan, 5.0, 2.0, -1.0])
    assert sort_rows(column, True).tolist() == [2, 0, 3, 4, 1]
    assert sort_rows(column, False).tolist() == [4, 0, 3, 2, 1]


def test_comparison_equals_numpy():
    other = patterns.planted_bank(seed=5)
    found = compare_banks(BANK, other, 1)
    a, b = BANK.stages[1], other.stages[1]
    one, two = a.weights[17, :, 0].astype(float), b.weights[17, :, 0].astype(float)
    assert found.difference[17] == pytest.approx(
        np.sqrt(((two - one) ** 2).sum() / (one**2).sum())
    )  # fmt: skip
    assert found.support_ratio[17] == pytest.approx(b.support[17] / a.support[17])
    assert found.error_ratio[17] == pytest.approx(b.error[17] / a.error[17], rel=1e-6)
    assert found.difference.shape == (a.spec.hash.bucket_count,)
    assert np.isnan(found.difference[-1])
    assert np.nanmax(compare_banks(BANK, BANK, 0).difference) == 0.0


def changed(**options):
    stage = BANK.stages[0]
    return replace(BANK, stages=(replace(stage, spec=replace(stage.spec, **options)),))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (patterns.planted_bank(scale=(3, 3, 3)), "scale 3 × 3 × 3, not 2 × 2 × 2"),
        (patterns.planted_bank(("voxel",)), "works on voxels, not cells"),
        (changed(width=5), "patches of 5³, not 3³"),
        (
            changed(hash=BANK.stages[0].spec.hash.with_cuts(curvature=(0.0,))),
            "curvature is cut at (0.0,)",
        ),
        (changed(hash=replace(BANK.stages[0].spec.hash, window=Window(2.0, 2))), "window"),
        (changed(hash=replace(BANK.stages[0].spec.hash, flat=0.1)), "flat 0.1, not 0.002"),
    ],
)
def test_banks_with_different_buckets_are_refused_with_the_reason(other, reason):
    with pytest.raises(BankError) as caught:
        compare_banks(BANK, other, 0)
    assert reason in str(caught.value)
    assert "choose a bank of the same preset" in str(caught.value)


def test_a_bank_without_the_stage_is_refused():
    with pytest.raises(ParameterError, match="stage 2"):
        compare_banks(BANK, patterns.planted_bank(("cell",)), 1)


SHAPE = (20, 22, 24)


@pytest.fixture
def lr():
    x, y, z = patterns.steps(SHAPE, (10, 11, 12))
    rng = np.random.default_rng(0)
    ball = (x**2 + y**2 + z**2 < 64) * (0.6 + 0.3 * rng.random(SHAPE))
    return patterns.as_volume(ball)


def truth_of(lr):
    grid = lr.grid.upsampled((2, 2, 2))
    whole = Region.whole(grid.shape)
    near = get_method("tricubic", (2, 2, 2)).compute(lr, whole)
    noise = np.random.default_rng(1).normal(0, 0.02, grid.shape)
    return Volume(lr.window.from_unit((near + noise).astype(np.float32)), grid)


@pytest.mark.parametrize("number", [0, 1])
def test_errors_per_bucket_equal_numpy(lr, number):
    bank, truth = patterns.planted_bank(), truth_of(lr)
    source = stage_input(lr, bank, number)
    buckets = bucket_map(source)
    found = measure_gain(source, buckets, truth, threads=2)
    fine, head = buckets, source.head()
    if number == 0:
        fine, head = (a.repeat(2, 0).repeat(2, 1).repeat(2, 2) for a in (buckets, head))
    whole = Region.whole(truth.grid.shape)
    wanted = lr.window.to_unit(truth.data)
    for method, errors in (
        (get_method("tricubic", (2, 2, 2)), found.tricubic),
        (Hashed(bank), found.hashed),
    ):
        rest = method.compute(lr, whole).astype(float) - wanted
        for bucket in np.unique(fine[head])[::5]:
            chosen = head & (fine == bucket)
            assert found.voxels[bucket] == chosen.sum()
            assert errors[bucket] == pytest.approx(np.sqrt((rest[chosen] ** 2).mean()), rel=1e-3)
    assert found.voxels.sum() == head.sum() > 5000
    ratio = found.tricubic / np.where(found.hashed > 0, found.hashed, np.nan)
    np.testing.assert_allclose(found.gain, 20 * np.log10(ratio))
    assert np.isnan(found.gain[found.voxels == 0]).all()
    # The reference is tricubic plus a little noise, so random filters can only be worse.
    assert np.nanmean(found.gain) < -1


def test_a_reference_on_another_grid_is_refused(lr):
    source = stage_input(lr, patterns.planted_bank(), 0)
    buckets = bucket_map(source)
    with pytest.raises(GeometryError, match="differs from the upsampled grid"):
        measure_gain(source, buckets, lr)
    moved = truth_of(lr)
    affine = moved.grid.affine.copy()
    affine[0, 3] += 1.0
    with pytest.raises(GeometryError, match="choose the volume"):
        measure_gain(source, buckets, Volume(moved.data, Grid(moved.grid.shape, affine)))
