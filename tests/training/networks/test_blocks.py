"""Isotropic training patches; without PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.transform import resize

from napari_mrisr.training.networks import blocks as module
from napari_mrisr.training.networks.blocks import BlockSampler, blocks, degraded
from napari_mrisr.training.networks.patches import training_image


def test_blocks_hold_the_voxels_of_a_low_resolution_voxel(rng):
    data = rng.random((6, 9, 12), dtype=np.float32)
    found = blocks(data, 3)
    assert found.shape == (27, 2, 3, 4)
    np.testing.assert_array_equal(found[:, 1, 2, 0], data[3:6, 6:9, :3].ravel())


def test_a_denoiser_sees_noise_up_to_a_tenth_of_the_window(monkeypatch, rng):
    monkeypatch.setattr(module, "augmented", lambda data, inside, rng: data)
    data = rng.random((30, 34, 38), dtype=np.float32)
    image = training_image(data, np.ones(data.shape, bool))
    sampler = BlockSampler([image], [1.0], rng, batch=30, side=14, denoiser=True)
    batch = sampler.draw()
    assert batch.truth.shape == (30, 1, 14, 14, 14)
    np.testing.assert_array_equal(batch.cubic[:, 0], batch.low)
    deviations = (batch.low - batch.truth[:, 0]).std(axis=(1, 2, 3))
    assert 0.0 < deviations.min() < 0.02 and 0.08 < deviations.max() < 0.105
    assert (batch.basis, batch.told) == (np.ones((1, 1)), [1.0, 0.125, 0.0])


def test_the_degradation_is_that_of_scikit_image(rng):
    data = rng.random((24, 30, 36), dtype=np.float32)
    expected = resize(data, (12, 15, 18), order=3, anti_aliasing=True, clip=False)
    np.testing.assert_allclose(degraded(data, 2), expected, atol=1e-4)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_slope_is_interpolated_exactly_where_voxels_count(factor, monkeypatch, rng):
    monkeypatch.setattr(module, "augmented", lambda data, inside, rng: data)
    monkeypatch.setattr(module, "FACTORS", (factor,) * 3)
    x, y, z = np.indices((72, 68, 76))
    data = (x + 2.0 * y + 3.0 * z).astype(np.float32)
    image = training_image(data, np.ones(data.shape, bool))
    batch = BlockSampler([image], [1.0], rng, batch=2, side=14).draw()
    assert batch.low.shape == (2, 14, 14, 14)
    assert batch.truth.shape == batch.cubic.shape == batch.weight.shape
    assert batch.truth.shape == (2, factor**3, 14, 14, 14)
    assert batch.basis.shape == (factor**3, 64)
    counts = batch.weight > 0
    # float16 holds the slope to 5e-4; the mirrored ends of a line are felt inside.
    assert np.median(np.abs(batch.cubic - batch.truth)[counts]) < 4e-3
    assert not batch.weight[:, :, :3].any()
