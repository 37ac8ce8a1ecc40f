from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_mrisr.explain.steps import (
    KEYS,
    STAGE_KEYS,
    all_steps,
    cut_features,
    step_of,
    steps_of,
    sum_rows,
    verdict,
)
from napari_mrisr.explain.texts import feature_text, plain, range_text, signed


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
def test_every_step_is_one_sentence_with_equation_and_source(which, request):
    for step in all_steps(request.getfixturevalue(which)):
        assert step.title
        assert step.sentence.endswith(".")
        assert ". " not in step.sentence
        assert step.equation.startswith("$")
        assert step.source
        assert all(name and value for name, value in step.numbers)


def test_numbers_are_the_engines(cascade):
    for number, stage in enumerate(cascade.stages):
        bucket = numbers(cascade, "bucket", number)
        assert bucket["bucket"] == f"{stage.bucket} of {stage.spec.hash.bucket_count}"
        assert bucket["places seen in training"] == f"{stage.support:,}"
        for name in cut_features(stage):
            low, high = stage.ranges[name]
            text = f"{feature_text(name, stage.features[name])}, in {range_text(name, low, high)}"
            assert bucket[name] == text
        assert bucket["patch turned so that its axes are"] == ", ".join(stage.directions)
        filters = numbers(cascade, "filter", number)
        assert filters["sum of all products"] == signed(stage.sum)
        assert (filters["before"], filters["after"]) == (plain(stage.before), plain(stage.after))
        middle = stage.gradients.vectors[:, 2, 2, 2]
        arrow = "(" + ", ".join(plain(float(n)) for n in middle) + ") a voxel"
        assert numbers(cascade, "gradients", number)["arrow in the middle"] == arrow


def test_sum_adds_up_as_written(cascade):
    rows = dict(sum_rows(cascade))
    assert list(rows) == ["first guess (tricubic)", "stage 1", "stage 2", "result"]
    values = [float(text.replace("−", "-")) for text in rows.values()]
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.002)


def test_how_wrong_it_was(cascade, paper):
    step = step_of(cascade, "output", 0)
    ours, theirs = cascade.output - cascade.truth, cascade.tricubic - cascade.truth
    assert verdict(ours, theirs) in step.sentence
    assert dict(step.numbers)["error of the result"] == signed(ours)
    assert dict(step.numbers)["error of tricubic"] == signed(theirs)
    without = step_of(paper, "output", 0)
    assert "truth" not in without.sentence
    assert "truth" not in dict(without.numbers)


def test_a_filter_that_replaces_says_so(paper):
    step = step_of(paper, "filter", 0)
    assert "differences" not in step.sentence
    assert dict(step.numbers)["sum of all products"] == plain(paper.stages[0].sum)
    # Without errors of the start in the bank, none are told.
    assert "usual error of the bucket" not in dict(step.numbers)


def test_flat_places(flat):
    step = step_of(flat, "bucket", 0)
    assert step.title == "Too flat to sharpen"
    assert "(flat)" in dict(step.numbers)["bucket"]
    assert "no filter" in step_of(flat, "filter", 0).sentence
    assert dict(step_of(flat, "ellipsoid", 0).numbers)["shape"] == "nothing changes here"


@pytest.mark.parametrize(
    ("roots", "word"), [((3, 1, 0.5), "needle"), ((3, 2.9, 0.5), "disc"), ((3, 2.9, 2.8), "ball")]
)
def test_shape_in_a_word(cascade, roots, word):
    stage = dataclasses.replace(cascade.stages[0], values=np.array(roots, float) ** 2, flat=False)
    found = dataclasses.replace(cascade, stages=(stage,))
    assert word in numbers(found, "ellipsoid")["shape"]
