"""Forward models: exact transposes, and the degradations themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mrisr.operators.degrade import get_degradation
from napari_mrisr.operators.forward import forward_model

NAMES = [
    "standard",
    "paper-2021",
    "kspace",
    "kspace:hann",
    "slice-profile:boxcar:1",
    "slice-profile:boxcar:0.7",
    "slice-profile:gaussian:1.2",
]


def check_adjoint(high, low, name, seed=0) -> None:
    rng = np.random.default_rng(seed)
    model = forward_model(high, low, get_degradation(name))
    x, y = rng.standard_normal(high, np.float32), rng.standard_normal(low, np.float32)
    down, up = model.apply(x), model.adjoint(y)
    assert (down.shape, up.shape) == (low, high)
    left = np.vdot(down.astype(np.float64), y)
    right = np.vdot(x.astype(np.float64), up)
    assert abs(left - right) < 1e-6 * np.linalg.norm(down) * np.linalg.norm(y)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factors", [(2, 2, 2), (1, 1, 4), (3, 1, 2)])
def test_transposes_are_exact(name, factors):
    low = (7, 8, 5)
    check_adjoint(tuple(n * f for n, f in zip(low, factors, strict=True)), low, name)


@settings(max_examples=25, deadline=None)
@given(
    low=st.tuples(*[st.integers(2, 9)] * 3),
    more=st.tuples(*[st.integers(0, 17)] * 3),
    name=st.sampled_from([n for n in NAMES if n not in ("standard", "paper-2021")]),
)
def test_transposes_are_exact_at_any_factor(low, more, name):
    check_adjoint(tuple(n + m for n, m in zip(low, more, strict=True)), low, name)


@pytest.mark.parametrize("name", NAMES)
def test_whole_factors_are_the_degradations(name):
    image = np.random.default_rng(1).random((12, 10, 15), np.float32)
    degradation = get_degradation(name)
    expected = degradation.apply(image, (2, 1, 3))
    found = forward_model(image.shape, expected.shape, degradation).apply(image)
    if name == "standard":  # which clips
        found = np.clip(found, image.min(), image.max())
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_norm_is_the_largest_singular_value(name):
    """By power iteration, without the matrices."""
    model = forward_model((12, 10, 15), (6, 10, 5), get_degradation(name))
    x = np.random.default_rng(1).random((12, 10, 15), np.float32)
    for _ in range(200):
        x = model.adjoint(model.apply(x))
        x /= np.linalg.norm(x)
    assert np.linalg.norm(model.apply(x)) == pytest.approx(model.norm, rel=1e-3)
    assert np.linalg.norm(model.apply(x)) <= model.norm * (1 + 1e-5)
