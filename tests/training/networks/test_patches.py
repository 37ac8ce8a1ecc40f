"""Training patches of networks, drawn from volumes with known contents."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.networks.tiles import conditions
from napari_mrisr.training.networks import patches
from napari_mrisr.training.networks.patches import (
    PatchSampler,
    planted_shapes,
    tone_curve,
    training_image,
)


@pytest.fixture
def sampler(monkeypatch, rng):
    """Patches of a slope, without augmentation."""
    monkeypatch.setattr(patches, "augmented", lambda column, inside, rng: column)
    x, y, z = np.indices((112, 104, 96))
    data = (x + 2.0 * y + 3.0 * z).astype(np.float32)
    inside = np.zeros(data.shape, bool)
    inside[6:-6, 6:-6, 6:-6] = True
    image = training_image(data, inside)
    return PatchSampler([image], [1.0], rng, batch=2, slices=5, across=14)


def test_a_slope_is_interpolated_exactly(sampler):
    for _ in range(10):
        batch = sampler.draw()
        counts = batch.weight > 0
        if counts.any():
            # float16 holds the slope to 5e-4; the mirrored ends of a line are felt inside.
            assert np.median(np.abs(batch.cubic - batch.truth)[counts]) < 4e-3


def test_shapes_fit_together(sampler):
    batch = sampler.draw()
    voxels = batch.truth.shape[1]
    assert batch.low.shape == (2, 5, 14, 14)
    assert batch.cubic.shape == batch.weight.shape == (2, voxels, 14, 14)
    assert batch.nearest.shape == (2, voxels)
    assert batch.basis.shape == (2, voxels, patches.ORDER)
    assert len(batch.told) == len(conditions(4.0, 1.0))
    assert batch.nearest.min() >= 0
    assert batch.nearest.max() < 5


def test_the_rim_of_a_patch_is_not_learned_from(sampler):
    batch = sampler.draw()
    assert not batch.weight[:, :, :2].any()
    assert not batch.weight[:, :, :, -2:].any()


def test_only_allowed_axes_are_thick(rng):
    """Along x the volume is constant, so a column along x is too."""
    data = np.broadcast_to(rng.random((1, 40, 44)), (50, 40, 44)).astype(np.float32)
    image = training_image(data, np.ones(data.shape, bool), axes=(0,))
    sampler = PatchSampler([image], [1.0], rng, batch=1, slices=4, across=10)
    for _ in range(5):
        column, _ = sampler._column()
        assert np.ptp(column, axis=0).max() == 0


def test_another_contrast_keeps_the_background_black(rng):
    column = rng.random((5, 6, 7), dtype=np.float32)
    column[2] = 0
    for _ in range(20):
        curved = tone_curve(column, rng)
        assert not curved[2].any()
        assert curved.min() >= 0
        assert np.isfinite(curved).all()


def test_shapes_are_planted_inside_the_head_only(rng):
    column = np.full((30, 20, 20), 0.5, np.float32)
    inside = np.zeros(column.shape, bool)
    inside[10:20] = True
    changed = np.zeros(column.shape, bool)
    for _ in range(20):
        changed |= planted_shapes(column, inside, rng) != column
    assert changed[inside].mean() > 0.1
    assert not changed[~inside].any()
