"""Patterns whose gradients are known in closed form, a bank that hashes them, random fields."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import FilterBank, Stage, StageSpec
from napari_mrisr.core.volume import Grid, IntensityWindow, Volume
from napari_mrisr.operators.gradients import Window

SHAPE = (23, 25, 27)
CENTER = (11, 12, 13)
WINDOW = Window(1.0, 2)
CUTS = {
    "elevation": (15.0, 30.0),
    "azimuth": (22.5,),
    "strength": (0.02, 0.05),
    "coherence": (-0.2, 0.5),
    "curvature": (-0.1, 0.1),
}
PAPER_CUTS = {"elevation": (45.0, 90.0, 135.0), "azimuth": (45.0, 90.0, 135.0)}
ANGLE_CUTS = {
    "none": {"elevation": (40.0, 90.0, 130.0), "azimuth": (45.0, 90.0, 135.0)},
    "flips": {"elevation": (30.0, 60.0), "azimuth": (20.0, 45.0, 80.0)},
    "cube": {"elevation": (15.0, 30.0), "azimuth": (22.5,)},
    "plane": {"elevation": (30.0, 60.0), "azimuth": (22.5,)},
}
OTHER_CUTS = {
    "strength": (0.05, 0.1),
    "coherence": (-0.05, 0.15),
    "asymmetry": (0.1, 0.3),
    "curvature": (-0.15, 0.15),
}


def steps(shape=SHAPE, center=CENTER):
    """Return x, y, z relative to the center, in voxels."""
    grid = np.meshgrid(
        *[np.arange(n) - c for n, c in zip(shape, center, strict=True)], indexing="ij"
    )
    return [axis.astype(float) for axis in grid]


def as_volume(data) -> Volume:
    """Return a volume whose intensities are engine units."""
    data = np.asarray(data, np.float32)
    return Volume(data, Grid(data.shape, np.diag([1.0, 1.25, 1.5, 1.0])), IntensityWindow(0.0, 2.0))


def plane(normal) -> Volume:
    """Return intensities that rise by ``normal`` per voxel: the same gradient everywhere."""
    return as_volume(0.5 + sum(n * axis for n, axis in zip(normal, steps(), strict=True)))


def edge(wave) -> Volume:
    """Return a sine along ``wave`` (radians per voxel); its differences point to sin(wave)."""
    phase = sum(w * axis for w, axis in zip(wave, steps(), strict=True))
    return as_volume(0.5 + 0.4 * np.sin(phase))


def line() -> Volume:
    """Return a ridge along z: no gradient along it, equal gradients across it."""
    x, y, _ = steps()
    return as_volume(0.9 - 0.004 * (x**2 + y**2))


def corner() -> Volume:
    """Return a summit: gradients to all sides, so no direction stands out."""
    x, y, z = steps()
    return as_volume(0.9 - 0.002 * (x**2 + y**2 + z**2))


def noise(seed=3) -> Volume:
    return as_volume(np.random.default_rng(seed).random(SHAPE))


def window_variance() -> float:
    """Return Σ w k² of the window's taps along an axis."""
    taps = np.exp(-0.5 * (np.arange(-2, 3) / 1.0) ** 2)
    return float((taps * np.arange(-2, 3) ** 2).sum() / taps.sum())


def planted_bank(
    grids=("cell", "voxel"), symmetry="cube", scale=(2, 2, 2), cuts=None, seed=0, residual=True
) -> FilterBank:
    """Return a bank of random filters over the cuts above."""
    rng = np.random.default_rng(seed)
    stages = []
    for grid in grids:
        phases = scale if grid == "voxel" and residual else (1, 1, 1)
        flat = 0.002 if residual else 0.0
        spec = HashSpec(WINDOW, cuts or CUTS, symmetry, phases, flat)
        stage = StageSpec(grid, spec, 3, residual)
        weights = rng.normal(0, 0.02, (spec.filter_count, stage.taps, stage.outputs(scale)))
        support = rng.integers(1, 900, spec.bucket_count)
        support[spec.filter_count :] = 0
        error = rng.random((2, spec.bucket_count)).astype(np.float32) + 0.1
        error[1] += 0.5
        if not residual:
            error[1] = np.nan
        stages.append(Stage(stage, weights.astype(np.float32), support, error[0], error[1]))
    return FilterBank(
        scale, "standard", "tricubic", tuple(stages), {"preset": "default"}, "planted"
    )


def random_fields(rng, shape):
    """Return a structure tensor and intensities as a real volume gives them."""
    volume = ndimage.gaussian_filter(rng.normal(size=[n + 4 for n in shape]), 1.2)
    gradient = np.stack(np.gradient(volume))
    tensor = [
        ndimage.gaussian_filter(gradient[a] * gradient[b], 1.0)
        for a, b in itertools.combinations_with_replacement(range(3), 2)
    ]
    inner = np.s_[..., 2:-2, 2:-2, 2:-2]
    smooth = ndimage.gaussian_filter(volume, 1.0)[inner]
    return np.stack(tensor)[inner].astype(np.float32), smooth.astype(np.float32)
