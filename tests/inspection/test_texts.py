"""Numbers, buckets and voxels as text."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.inspection import bucket_map, bucket_table, inspect_voxel, stage_input
from napari_mrisr.inspection.texts import (
    bucket_text,
    number_text,
    range_text,
    result_fact,
    stage_text,
    training_facts,
    value_text,
    voxel_facts,
)

BANK = patterns.planted_bank()


def by_name(facts):
    return {f.name: (f.value, f.range) for f in facts}


def test_numbers_have_a_true_minus_and_no_negative_zero():
    assert number_text(-0.0004) == "0.000"
    assert number_text(-1.5, 1) == "−1.5"
    assert number_text(float("nan")) == "–"
    assert value_text("elevation", 12.345) == "12.3°"


@pytest.mark.parametrize(
    ("name", "low", "high", "text"),
    [
        ("elevation", 15.0, 30.0, "15 to 30°"),
        ("azimuth", 112.5, 135.0, "112.5 to 135°"),
        ("elevation", 30.0, 54.7356, "30 to 54.7°"),
        ("curvature", -np.inf, -0.1, "below −0.1"),
        ("curvature", 0.1, np.inf, "0.1 or more"),
        ("coherence", -1 / 3, -0.05, "−0.333 to −0.05"),
        ("phase", 3.0, 3.0, "3"),
    ],
)
def test_ranges_have_units(name, low, high, text):
    assert range_text(name, low, high) == text


def test_voxel_facts_of_a_plane():
    source = stage_input(patterns.plane((0.03, 0.02, 0.06)), BANK, 0)
    facts = by_name(voxel_facts(source, inspect_voxel(source, patterns.CENTER)))
    assert facts["elevation"] == ("31.0°", "30 to 54.7°")
    assert facts["azimuth"] == ("33.7°", "22.5 to 45°")
    assert facts["strength"] == ("0.0700", "0.05 or more")
    assert facts["asymmetry"] == ("0.000", "–")
    assert facts["v1 (R, A, S)"][0] == "0.43, 0.29, 0.86"
    assert facts["√λ1, √λ2, √λ3"][0].startswith("0.070, 0.00")


def test_training_and_result_facts():
    source = stage_input(patterns.noise(), BANK, 0)
    table = bucket_table(bucket_map(source), source.stage)
    seen = inspect_voxel(source, patterns.CENTER)
    facts = by_name(training_facts(BANK, 0, table, seen.bucket))
    assert facts["training samples"][0] == f"{source.stage.support[seen.bucket]:,}"
    assert facts["residual error"][0] == f"{source.stage.error[seen.bucket]:.4f}"
    ratio = source.stage.start_error[seen.bucket] / source.stage.error[seen.bucket]
    assert facts["gain"] == (f"{20 * np.log10(ratio):.2f} dB", "over tricubic")
    assert facts["voxels in head"][0] == f"{table.voxels[seen.bucket]:,}"
    fact = result_fact(source, seen)
    assert fact.range == "to 8 sub-voxels"
    assert fact.value.split(" to ")[1] == number_text(float(seen.results.max()), 4)
    flat = by_name(training_facts(BANK, 0, table, table.filter_count))
    assert flat["training samples"] == ("none", "no filter")


def test_unknown_gain_is_named():
    bank = patterns.planted_bank(("voxel",), residual=False)
    source = stage_input(patterns.noise(), bank, 0)
    table = bucket_table(bucket_map(source), source.stage)
    assert by_name(training_facts(bank, 0, table, 3))["gain"] == ("–", "not stored in the bank")
    before, after = (
        inspect_voxel(source, patterns.CENTER).intensity,
        inspect_voxel(source, patterns.CENTER).results.item(),
    )
    fact = result_fact(source, inspect_voxel(source, patterns.CENTER))
    assert (fact.value, fact.range) == (number_text(after, 4), f"was {number_text(before, 4)}")


def test_bucket_and_stage_texts():
    spec = BANK.stages[0].spec.hash
    assert bucket_text(spec, 0) == (
        "elevation 0 to 15°, azimuth 0 to 22.5°, strength 0 to 0.02, "
        "coherence −0.333 to −0.2, curvature below −0.1"
    )
    assert "no filter" in bucket_text(spec, spec.filter_count)
    assert stage_text(BANK, 0) == "1 of 2: measured voxels, filters 3³"
    assert stage_text(BANK, 1) == "2 of 2: upsampled voxels, filters 3³"
