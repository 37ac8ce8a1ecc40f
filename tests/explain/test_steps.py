from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_mrisr.explain.steps import (
    KEYS,
    STAGE_KEYS,
    all_steps,
    cut_features,
    error_text,
    factor_text,
    feature_text,
    plain,
    signed,
    small,
    stage_label,
    step_of,
    steps_of,
    sum_rows,
    voxel_text,
)
from napari_mrisr.inspection.texts import range_text


def numbers(found, key, stage=0):
    return dict(step_of(found, key, stage).numbers)


def test_nine_steps_in_order(cascade):
    steps = steps_of(cascade, 1)
    assert [step.key for step in steps] == list(KEYS)
    assert [step.stage for step in steps] == [None, None, *[1] * 6, None]


def test_all_steps_of_all_stages(cascade, paper):
    keys = [(step.key, step.stage) for step in all_steps(cascade)]
    stages = [(key, stage) for stage in (0, 1) for key in STAGE_KEYS]
    assert keys == [("scan", None), ("start", None), *stages, ("output", None)]
    assert len(all_steps(paper)) == 9


@pytest.mark.parametrize("which", ["cascade", "paper", "flat"])
def test_every_step_has_sentences_an_equation_and_a_source(which, request):
    for step in all_steps(request.getfixturevalue(which)):
        assert step.title
        assert step.sentence.endswith(".")
        assert len(step.sentence) < 230
        assert step.equation.startswith("$")
        assert step.source
        assert all(name and value for name, value in step.numbers)


def test_numbers_equal_the_engine(cascade):
    for number, stage in enumerate(cascade.stages):
        bucket = numbers(cascade, "bucket", number)
        assert bucket["bucket"] == f"{stage.bucket} of {stage.spec.hash.bucket_count}"
        assert bucket["training samples"] == f"{stage.support:,}"
        for name in cut_features(stage):
            low, high = stage.ranges[name]
            text = f"{feature_text(name, stage.features[name])}, in {range_text(name, low, high)}"
            assert bucket[name] == text
        assert bucket["axes of the canonical patch"] == ", ".join(stage.directions)
        filters = numbers(cascade, "filter", number)
        assert filters["sum of the products"] == signed(stage.sum)
        assert (filters["before"], filters["after"]) == (plain(stage.before), plain(stage.after))
        middle = stage.gradients.vectors[:, 2, 2, 2]
        arrow = "(" + ", ".join(plain(float(n)) for n in middle) + ") per voxel"
        assert numbers(cascade, "gradients", number)["gradient at the center"] == arrow


def test_written_terms_add_up(cascade):
    rows = dict(sum_rows(cascade))
    assert list(rows) == [
        "first guess (tricubic)",
        "stage 1",
        "stage 2",
        "data consistency",
        "result",
    ]
    values = [float(text.replace("−", "-")) for text in rows.values()]
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.002)


def test_errors_are_stated_only_with_a_reference(cascade, paper):
    step = step_of(cascade, "output", 0)
    ours, theirs = cascade.output - cascade.truth, cascade.tricubic - cascade.truth
    assert error_text(ours, theirs) in step.sentence
    assert dict(step.numbers)["error of the result"] == signed(ours)
    assert dict(step.numbers)["error of tricubic"] == signed(theirs)
    without = step_of(paper, "output", 0)
    assert "reference" not in without.sentence
    assert "reference" not in dict(without.numbers)


def test_a_filter_without_residual(paper):
    step = step_of(paper, "filter", 0)
    assert "difference" not in step.sentence
    assert dict(step.numbers)["sum of the products"] == plain(paper.stages[0].sum)
    # The bank stores no error before the stage.
    assert "training error before → after" not in dict(step.numbers)


def test_flat_voxels(flat):
    step = step_of(flat, "bucket", 0)
    assert step.title == "Flat: no filter"
    assert "(flat)" in dict(step.numbers)["bucket"]
    assert "no filter" in step_of(flat, "filter", 0).sentence
    assert dict(step_of(flat, "ellipsoid", 0).numbers)["shape"] == "none: brightness is constant"


@pytest.mark.parametrize(
    ("roots", "word"), [((3, 1, 0.5), "needle"), ((3, 2.9, 0.5), "disc"), ((3, 2.9, 2.8), "ball")]
)
def test_shape_of_the_ellipsoid(cascade, roots, word):
    stage = dataclasses.replace(cascade.stages[0], values=np.array(roots, float) ** 2, flat=False)
    found = dataclasses.replace(cascade, stages=(stage,))
    assert word in numbers(found, "ellipsoid")["shape"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.5314, "0.531"), (-0.0126, "−0.013"), (-0.0004, "0.000"), (1.0, "1.000")]
)
def test_plain(value, text):
    assert plain(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.012, "+0.012"), (-0.5, "−0.500"), (-2e-4, "0.000")])
def test_signed(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.0123"), (-3.3e-3, "−3.30 × 10⁻³"), (12345.0, "1.23 × 10⁴")],
)
def test_small(value, text):
    assert small(value) == text


def test_features_with_their_units():
    assert feature_text("azimuth", 24.14) == "24.1°"
    assert feature_text("strength", 0.0561) == "0.0561 per voxel"
    assert feature_text("coherence", -0.1) == "−0.100"


def test_labels(cascade):
    assert voxel_text((3, 1, 2)) == "x 3, y 1, z 2"
    assert factor_text(cascade) == "2 × 2 × 2"
    change = signed(cascade.stages[1].change)
    assert stage_label(cascade, 1) == f"2: {change}"
