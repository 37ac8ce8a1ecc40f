"""Small phantom heads, as arrays and as files."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

SHAPES = [(40, 44, 36), (38, 42, 46), (44, 36, 40), (42, 38, 34)]


def head(seed, shape):
    """Return random smooth tissue with sharp edges in an ellipsoid, zero around it."""
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
    """Save four phantom heads as NIfTI files, each with a different size on every axis."""
    paths = []
    for seed, shape in enumerate(SHAPES):
        path = folder / f"sub-{seed + 1}_T1w.nii.gz"
        nib.save(nib.Nifti1Image(head(seed, shape), np.diag([1.0, 1.0, 1.2, 1.0])), path)
        paths.append(path)
    return paths
