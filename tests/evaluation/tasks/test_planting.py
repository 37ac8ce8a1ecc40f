"""Planted lesions: volume, places and seed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from napari_mrisr.evaluation.tasks.planting import (
    GAP,
    SHAPES,
    Kind,
    Lesion,
    place_lesions,
    planted,
)


def turned(rng) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", [1, 2, 4])
def test_every_shape_has_the_volume_of_its_sphere_wherever_it_lies(rng, shape, radius):
    kind = Kind(shape, radius, 0.1)
    center = np.array([20.0, 21.0, 22.0]) + rng.uniform(-0.5, 0.5, 3)
    lesion = Lesion.at(kind, center, turned(rng))
    assert lesion.part.sum() == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.02)
    axes = [np.arange(part.start, part.stop) for part in lesion.box]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    middle = [(lesion.part * axis).sum() / lesion.part.sum() for axis in (x, y, z)]
    np.testing.assert_allclose(middle, center, atol=0.03)


def test_a_sheet_is_thin_across_its_first_axis(rng):
    lesion = Lesion.at(Kind("sheet", 3, 0.1), np.array([9.0, 9.0, 9.0]), np.eye(3)[[2, 0, 1]])
    across = lesion.part.max(axis=(0, 1))
    assert across.sum() == pytest.approx(2 * 3 / 3, abs=0.1)
    assert lesion.part.max(axis=(1, 2)).sum() == pytest.approx(2 * 3 * 3**0.5, abs=0.5)


@pytest.fixture(scope="module")
def head():
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in (71, 62, 66)], indexing="ij")
    return sum(a**2 for a in axes) < 0.9


def test_lesions_lie_inside_the_head_and_far_from_each_other(head):
    lesions = place_lesions(np.full(head.shape, 0.5, np.float32), head, 3)
    assert len(lesions) > 8
    assert all(head[lesion.box][lesion.part > 0].all() for lesion in lesions)
    for one, other in itertools.combinations(lesions, 2):
        distance = np.linalg.norm(one.center - other.center)
        assert distance >= one.kind.extent + other.kind.extent + GAP
    offsets = np.concatenate([lesion.center % 1 for lesion in lesions])
    assert np.unique(offsets.round(3)).size > 20


def test_the_seed_decides_kinds_and_places(head):
    image = np.full(head.shape, 0.5, np.float32)
    first, same, other = (
        [(x.kind, *x.center) for x in place_lesions(image, head, seed)] for seed in (5, 5, 6)
    )
    assert first == same
    assert first != other


def test_planted_intensities_stay_within_the_window(head, rng):
    image = rng.uniform(0.1, 0.95, head.shape).astype(np.float32)
    lesions = place_lesions(image, head, 1)
    change = planted(image, lesions) - image
    assert {math.copysign(1, x.kind.contrast) for x in lesions} == {1.0, -1.0}
    assert planted(image, lesions).max() <= 1.0
    assert planted(image, lesions).min() >= 0.05
    one = max(lesions, key=lambda x: x.kind.radius)
    np.testing.assert_allclose(change[one.box], one.kind.contrast * one.part, atol=1e-6)


def test_an_empty_head_has_no_lesions(head):
    assert place_lesions(np.zeros(head.shape, np.float32), np.zeros_like(head), 0) == []
