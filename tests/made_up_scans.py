"""Small made-up heads, and presets quick enough for tests."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import StageSpec
from napari_mrisr.operators.gradients import Window
from napari_mrisr.training.presets import Preset, StagePlan

SHAPES = [(40, 44, 36), (38, 42, 46), (44, 36, 40), (42, 38, 34)]
ANGLES = {"elevation": (25.0,), "azimuth": (22.5,), "coherence": (0.0, 0.2)}


def head(seed, shape):
    """Random smooth tissue with sharp edges in an ellipsoid; zero around it."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    data = 0.55 + 0.1 * ndimage.gaussian_filter(rng.normal(size=shape), 3.0) / 0.03
    for _ in range(14):
        center, size = rng.uniform(-0.7, 0.7, 3), rng.uniform(0.15, 0.45, 3)
        blob = sum(((a - c) / s) ** 2 for a, c, s in zip(axes, center, size, strict=True)) < 1
        data[blob] += rng.choice([-0.3, 0.3])
    data = np.clip(ndimage.gaussian_filter(data, 0.6), 0.05, None)
    inside = sum((a / s) ** 2 for a, s in zip(axes, (0.95, 0.9, 0.97), strict=True)) < 1
    return (900.0 * data * inside).astype(np.float32)


def save_scans(folder):
    """Four of them as files, a different size on every axis."""
    paths = []
    for seed, shape in enumerate(SHAPES):
        path = folder / f"sub-{seed + 1}_T1w.nii.gz"
        nib.save(nib.Nifti1Image(head(seed, shape), np.diag([1.0, 1.0, 1.2, 1.0])), path)
        paths.append(path)
    return paths


def small_preset(name, scale, degradation="standard"):
    """Quick: a cell and a voxel stage, or a paper-like one, with few buckets."""
    symmetry = "cube" if len(set(scale)) == 1 else "flips"
    if name == "paper":
        spec = HashSpec(Window(1.0, 2), {"elevation": (90.0,)})
        plan = StagePlan(
            StageSpec("voxel", spec, 3, residual=False),
            terciles=("strength", "coherence"),
            ridge=None,
            single=True,
        )
        return Preset(name, "tricubic", (plan,))
    spec = HashSpec(Window(1.0, 2), ANGLES, symmetry, flat=0.002)
    cell = StagePlan(StageSpec("cell", spec, 3), ridge=100.0)
    voxel = StagePlan(StageSpec("voxel", spec, 3), ridge=100.0, samples=20_000)
    return Preset(name, "tricubic", (cell, voxel))
