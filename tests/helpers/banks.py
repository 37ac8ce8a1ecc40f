"""Random filter banks of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_mrisr.bank.anchors import Anchors
from napari_mrisr.bank.descriptors import Descriptor
from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import FilterBank, Stage, StageSpec
from napari_mrisr.operators.gradients import Window

# Arguments of random_bank by a readable name.
KINDS: dict[str, dict[str, Any]] = {
    "cube 2x": {"scale": (2, 2, 2), "grids": ("cell", "voxel")},
    "cube 3x, wide": {"scale": (3, 3, 3), "grids": ("cell", "voxel"), "width": 5},
    "flips 1x1x4": {"scale": (1, 1, 4), "grids": ("cell", "voxel")},
    "plane 1x1x4": {
        "scale": (1, 1, 4),
        "grids": ("cell", "voxel"),
        "width": (5, 5, 3),
        "symmetry": "plane",
        "window": Window((1.2, 1.2, 0.8), (3, 3, 2)),
    },
    "anchors of gradients": {
        "scale": (2, 2, 2),
        "grids": ("cell", "voxel"),
        "anchors": "gradients",
    },
    "anchors of phases": {"scale": (1, 1, 3), "grids": ("cell", "voxel"), "anchors": "phase"},
    "anchors of tensors": {"scale": (3, 3, 3), "grids": ("cell",), "anchors": "tensor"},
    "two voxel stages": {"scale": (2, 1, 3), "grids": ("voxel", "voxel")},
    "cells last": {"scale": (2, 2, 2), "grids": ("voxel", "cell")},
    "paper": {
        "scale": (2, 2, 2),
        "grids": ("voxel",),
        "symmetry": "none",
        "residual": False,
        "start": "quadratic",
    },
}


def random_anchors(kind: str, rng: np.random.Generator, count: int = 5) -> Anchors:
    """Return anchors at random places, of a patch that is wider than the window."""
    descriptor = Descriptor(kind, (1, 1, 1) if kind == "tensor" else (5, 5, 5))
    projection = rng.normal(size=(descriptor.inputs, 4)).astype(np.float32)
    points = rng.normal(size=(count, 4)).astype(np.float32)
    return Anchors(descriptor, projection, points / np.linalg.norm(points, axis=1, keepdims=True))


def random_bank(
    scale: tuple[int, int, int] = (2, 2, 2),
    grids: tuple[str, ...] = ("cell", "voxel"),
    *,
    width: int | tuple[int, int, int] = 3,
    window: Window = Window(1.0, 2),  # noqa: B008 (frozen)
    degradation: str = "standard",
    symmetry: str | None = None,
    size: float = 0.3,
    start: str = "tricubic",
    residual: bool = True,
    anchors: str | None = None,
    seed: int = 0,
) -> FilterBank:
    """Return a bank with random weights of length ``size`` per filter; nothing is symmetric."""
    rng = np.random.default_rng(seed)
    if symmetry is None:
        symmetry = "cube" if len(set(scale)) == 1 else "flips"
    stages = []
    for grid in grids:
        cuts = {"elevation": (20.0,), "azimuth": (22.5,), "coherence": (0.1,), "curvature": (0.0,)}
        phases = scale if grid == "voxel" else (1, 1, 1)
        flat = 0.01 if residual else 0.0
        chosen = None if anchors is None else random_anchors(anchors, rng)
        code = HashSpec(window, {} if chosen else cuts, symmetry, phases, flat, chosen)
        spec = StageSpec(grid, code, width, residual)
        filters, buckets = spec.hash.filter_count, spec.hash.bucket_count
        weights = rng.normal(0, size / spec.taps**0.5, (filters, spec.taps, spec.outputs(scale)))
        if not residual:
            weights[:, spec.taps // 2] += 1.0
        if chosen is not None:  # such files hold half precision
            weights = weights.astype(np.float16)
        support = rng.integers(0, 900, buckets)
        errors = rng.random((2, buckets)).astype(np.float32)
        stages.append(Stage(spec, weights.astype(np.float32), support, errors[0] / 2, errors[1]))
    volumes = [{"name": "a.nii.gz", "license": "CC0", "sha256": "0123456789abcdef" * 4}]
    provenance = {"preset": "default", "volumes": volumes, "created": "2021-02-02"}
    return FilterBank(scale, degradation, start, tuple(stages), provenance, "random")
