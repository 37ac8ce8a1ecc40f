"""Counts, gains, orders, and two banks side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.errors import BankError, ParameterError
from napari_mrisr.inspection import (
    bucket_map,
    bucket_table,
    compare_banks,
    count_buckets,
    gain_db,
    stage_input,
)
from napari_mrisr.inspection.census import gain_reference, sorted_rows
from napari_mrisr.operators.gradients import Window

BANK = patterns.planted_bank()


def test_counts():
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
    assert table.here.sum() == np.prod(patterns.SHAPE)
    assert table.here[buckets[3, 4, 5]] > 0
    np.testing.assert_array_equal(table.training, source.stage.support)
    filters = table.filter_count
    share = table.share("here")
    assert np.nansum(share) == pytest.approx(1.0)
    assert np.isnan(share[filters:]).all()
    assert share[5] == pytest.approx(table.here[5] / table.here[:filters].sum())
    with pytest.raises(ParameterError, match="column"):
        table.column("hue")


def test_gain():
    stage = replace(
        BANK.stages[0],
        error=np.array([0.05, 0.1, np.nan, 0.0], np.float32),
        start_error=np.array([0.1, 0.1, np.nan, 0.1], np.float32),
    )
    gain = gain_db(stage)
    assert gain[0] == pytest.approx(6.0206, abs=1e-3)
    assert gain[1] == 0.0
    assert np.isnan(gain[2:]).all()


def test_gain_is_over_what_the_bank_knows():
    assert gain_reference(BANK, 0) == "tricubic"
    assert gain_reference(BANK, 1) == "stage 1"
    assert gain_reference(patterns.planted_bank(("voxel",), residual=False), 0) is None
    assert gain_reference(replace(BANK, start="quadratic"), 0) == "quadratic"


def test_order_puts_what_is_not_known_last():
    column = np.array([2.0, np.nan, 5.0, 2.0, -1.0])
    assert sorted_rows(column, True).tolist() == [2, 0, 3, 4, 1]
    assert sorted_rows(column, False).tolist() == [4, 0, 3, 2, 1]


def test_comparison():
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
        (patterns.planted_bank(scale=(3, 3, 3)), "scale 3x3x3, not 2x2x2"),
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
def test_banks_whose_buckets_differ_say_why(other, reason):
    with pytest.raises(BankError) as caught:
        compare_banks(BANK, other, 0)
    assert reason in str(caught.value)
    assert "choose a bank of the same preset" in str(caught.value)


def test_a_bank_without_the_stage():
    with pytest.raises(ParameterError, match="stage 2"):
        compare_banks(BANK, patterns.planted_bank(("cell",)), 1)
