"""Explanation of a stage with anchors: the engine's anchor, in words and strips."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.banks import random_bank
from scipy import ndimage

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.explain import explain_voxel
from napari_mrisr.explain.anchored import description_strips, nearest_strips
from napari_mrisr.explain.draw import picture_of
from napari_mrisr.explain.sheet import ON_DARK
from napari_mrisr.explain.steps import all_steps, step_of


@pytest.fixture(scope="module", params=["gradients", "tensor"])
def explained(request):
    shape = (9, 11, 13)
    rng = np.random.default_rng(4)
    data = 200.0 * ndimage.gaussian_filter(rng.random(shape), 0.9, mode="mirror")
    lr = Volume(data.astype(np.float32), Grid(shape, np.eye(4)))
    return explain_voxel(lr, random_bank(anchors=request.param), (8, 11, 13))


def test_the_first_anchor_is_that_of_the_bucket(explained):
    for stage in explained.stages:
        number, closeness = stage.anchor.nearest[0]
        assert stage.ranges["anchor"] == (number, number)
        others = [value for _, value in stage.anchor.nearest]
        found = others if stage.anchor.anchors.euclidean else others[::-1]
        assert found == sorted(found)
        assert closeness == others[0]


def test_the_words_name_the_nearest_anchor(explained):
    number = explained.stages[0].anchor.nearest[0][0]
    step = step_of(explained, "bucket", 0)
    assert step.title == "Nearest anchor"
    assert f"of the 5 is anchor {number};" in step.sentence
    euclidean = explained.stages[0].anchor.anchors.euclidean
    first = step.numbers[0][0]
    assert first == f"{'distance to' if euclidean else 'cosine with'} anchor {number}"
    assert step_of(explained, "features", 0).title == "Description"
    for step in all_steps(explained):
        assert step.sentence.endswith(".")
        assert len(step.sentence) < 230
        assert step.equation.startswith("$")


def test_strips_lie_within_their_limits(explained):
    anchor = explained.stages[1].anchor
    for _, _, value, (low, high) in (*description_strips(anchor), *nearest_strips(anchor)):
        assert low <= value <= high + 1e-9


@pytest.mark.parametrize("key", ["features", "bucket"])
def test_the_steps_are_drawn(explained, key):
    image = picture_of(explained, step_of(explained, key, 0), ON_DARK, (420, 300), 100.0)
    assert image.pixels[..., 3].any()
