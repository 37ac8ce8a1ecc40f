"""The channelized Hotelling observer against signals of known detectability."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_mrisr.evaluation.tasks.observer import Area, channels, responses, roc_area, scores


def normal(value: float) -> float:
    return 0.5 * (1.0 + math.erf(value / math.sqrt(2.0)))


@pytest.mark.parametrize("detectability", [0.0, 0.8, 1.6])
def test_area_in_white_noise_is_that_of_theory(rng, detectability):
    # A signal in the channels' space: the observer's d' is that of the ideal observer, its length.
    masks = channels(1).reshape(len(channels(1)), -1)
    signal = masks[:3].sum(axis=0)
    signal *= detectability / np.linalg.norm(signal)
    areas = []
    for _ in range(12):
        present, absent = rng.standard_normal((2, 150, masks.shape[1]))
        areas.append(roc_area(*scores((present + signal) @ masks.T, absent @ masks.T)).area)
    # Weights learned at 149 places lose a little.
    assert np.mean(areas) == pytest.approx(normal(detectability / math.sqrt(2.0)), abs=0.025)


def test_interval_has_its_nominal_width(rng):
    n, estimates = 80, []
    for _ in range(400):
        shared = rng.standard_normal(n)
        present, absent = shared + 0.6 * rng.standard_normal((2, n))
        estimates.append(roc_area(present + 0.7, absent))
    truth = normal(0.7 / math.sqrt(2 * 1.36))
    inside = np.mean([one.low <= truth <= one.high for one in estimates])
    assert 0.91 < inside < 0.98


def test_area_counts_ranks_and_half_of_ties():
    found = roc_area(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 5.0]))
    assert found.area == pytest.approx((1 + 1.5 + 2) / 9)
    assert roc_area(np.arange(5) + 10.0, np.arange(5.0)) == Area(1.0, 1.0, 1.0)


def test_two_places_are_too_few():
    assert math.isnan(roc_area(*scores(np.ones((2, 5)), np.zeros((2, 5)))).area)


def test_channels_are_orthonormal():
    masks = channels(3).reshape(len(channels(3)), -1)
    np.testing.assert_allclose(masks @ masks.T, np.eye(len(masks)), atol=0.03)


def test_responses_are_those_of_the_patch_around_the_place(rng):
    image = rng.random((40, 44, 42)).astype(np.float32)
    half = channels(1).shape[1] // 2
    patch = image[20 - half : 21 + half, 21 - half : 22 + half, 19 - half : 20 + half]
    expected = [(mask * patch).sum() for mask in channels(1)]
    np.testing.assert_allclose(
        responses(image, np.array([20.3, 20.8, 19.4]), 1), expected, rtol=1e-5
    )
    flat = responses(np.ones((4, 5, 6), np.float32), np.array([0.0, 4.0, 3.0]), 1)
    np.testing.assert_allclose(flat, channels(1).sum(axis=(1, 2, 3)), rtol=1e-6)
