"""Training patches for isotropic factors, and of noise for a denoiser.

Each low-resolution voxel becomes a block of factor³ voxels; arrays hold a block's voxels
along one axis, as the network gives them after its basis. A denoiser is a network of factor 1
whose low-resolution patch has white noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.networks.tiles import conditions
from napari_mrisr.operators.degrade import standard_operator
from napari_mrisr.operators.interpolate import tricubic
from napari_mrisr.operators.slices import block_basis
from napari_mrisr.training.networks.patches import TrainingImage, augmented

FACTORS = (2, 3, 4)
_SHARE = (0.5, 0.25, 0.25)
# Low-resolution voxels at a patch's edge, where the degradation lacks its surroundings.
_EDGE = 3
NOISE = 0.1
"""Largest standard deviation of a denoiser's noise, in intensity windows."""


@dataclass(frozen=True, eq=False)
class BlockBatch:
    """Patches of one factor.

    Attributes
    ----------
    low : (batch, x, y, z) ndarray of float32
    cubic, truth, weight : (batch, factor³, x, y, z) ndarray of float32
        Weights are 1 for voxels that count.
    basis : (factor³, order) ndarray of float32
    told : list of float
    """

    low: FloatArray
    cubic: FloatArray
    truth: FloatArray
    weight: FloatArray
    basis: FloatArray
    told: list[float]


class BlockSampler:
    """Draws batches from images.

    Parameters
    ----------
    images : sequence of TrainingImage
    weights : sequence of float
        How often each image is drawn, relative to others.
    rng : numpy Generator
    batch, side : int
        Patches per batch, and low-resolution voxels of a patch along each axis.
    denoiser : bool
        Factor 1 and noise up to :data:`NOISE`, in place of :data:`FACTORS`.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        weights: Sequence[float],
        rng: np.random.Generator,
        *,
        batch: int = 2,
        side: int = 32,
        denoiser: bool = False,
    ) -> None:
        self.images, self.rng, self.denoiser = images, rng, denoiser
        self.share = np.asarray(weights, float) / sum(weights)
        self.batch, self.side = batch, side

    def draw(self) -> BlockBatch:
        """Return a batch of one random factor."""
        factor = 1 if self.denoiser else int(self.rng.choice(FACTORS, p=_SHARE))
        patches = [self._patch(factor) for _ in range(self.batch)]
        low, cubic, truth, weight = (np.stack(parts) for parts in zip(*patches, strict=True))
        basis = (np.ones((1, 1)) if self.denoiser else block_basis(factor)).astype(np.float32)
        return BlockBatch(low, cubic, truth, weight, basis, conditions(factor, 1.0))

    def _patch(self, factor: int) -> list[FloatArray]:
        """Return low, cubic, truth and weight of one patch, as in a batch."""
        rng, size = self.rng, self.side * factor
        number = int(rng.choice(len(self.images), p=self.share))
        image = self.images[number]
        center = np.unravel_index(int(rng.choice(image.centers)), image.data.shape)
        box, pads = [], []
        for middle, n in zip(center, image.data.shape, strict=True):
            start = min(max(int(middle) - size // 2, 0), max(0, n - size))
            box.append(slice(start, start + size))
            pads.append((0, max(0, size - n)))
        data = np.pad(image.data[tuple(box)].astype(np.float32), pads)
        inside = np.pad(image.inside[tuple(box)], pads)
        order = rng.permutation(3)
        data, inside = data.transpose(order), inside.transpose(order)
        for axis in range(3):
            if rng.random() < 0.5:
                data, inside = np.flip(data, axis), np.flip(inside, axis)
        data = augmented(np.ascontiguousarray(data), inside, rng)
        low = noisy(data, rng) if self.denoiser else degraded(data, factor)
        weight = inside.astype(np.float32)
        rim = _EDGE * factor
        for axis in range(3):
            moved = np.moveaxis(weight, axis, 0)
            moved[:rim] = moved[-rim:] = 0
        cubic = low if self.denoiser else tricubic(low, (factor,) * 3)
        return [low, *(blocks(part, factor) for part in (cubic, data, weight))]


def noisy(data: FloatArray, rng: np.random.Generator, noise: float | None = None) -> FloatArray:
    """Return an image with white noise, of a random standard deviation by default."""
    deviation = rng.uniform(0.0, NOISE) if noise is None else noise
    return data + rng.normal(0.0, deviation, data.shape).astype(np.float32)


def degraded(data: FloatArray, factor: int) -> FloatArray:
    """Return the degradation ``standard`` along all axes."""
    for axis in range(3):
        data = standard_operator(data.shape[axis], factor).apply(data, axis)
    return data


def blocks(data: NDArray[np.generic], factor: int) -> FloatArray:
    """Return an array with the voxels of each block along a new first axis."""
    x, y, z = (n // factor for n in data.shape)
    split = data.reshape(x, factor, y, factor, z, factor).transpose(1, 3, 5, 0, 2, 4)
    return np.ascontiguousarray(split.reshape(factor**3, x, y, z), dtype=np.float32)
