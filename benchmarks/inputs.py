"""Inputs of the benchmarks: the phantom as a cube of any size.

- ``crop``: its middle at its own resolution; nearly all tissue, the hardest case.
- ``head``: the whole head, resampled to fill the cube; noisy air around it.
- ``brain``: the head with zeros outside the skull's cavity.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from napari_mrisr.core.volume import FloatArray, Grid, Volume
from napari_mrisr.io.samples import phantom

KINDS = ("crop", "head", "brain")

_GENERATOR = Path(__file__).resolve().parent.parent / "sample_data"


def cube(kind: str, size: int) -> Volume:
    """Make a low-resolution volume of ``size`` cubed voxels; ``kind`` is one of :data:`KINDS`."""
    scan = phantom()
    data = scan.data
    if kind == "brain":
        data = np.where(_brain(scan.grid), data, np.float32(0.0))
    if kind == "crop":
        data = _centered(data, (size, size, size))
    else:
        edge = max(n * mm for n, mm in zip(data.shape, scan.grid.voxel_size, strict=True))
        x, y, z = (round(edge / mm) for mm in scan.grid.voxel_size)
        full = _centered(data, (x, y, z))
        data = resize(full, (size, size, size), order=1, anti_aliasing=True)
        if kind == "brain":  # the blur leaves small values far outside
            data = np.where(data > 1e-3 * data.max(), data, 0.0)
    return Volume(np.ascontiguousarray(data, np.float32), Grid((size, size, size), np.eye(4)))


def _brain(grid: Grid) -> NDArray[np.bool_]:
    """Return the voxels within the skull's cavity, from the phantom's generator."""
    sys.path.insert(0, str(_GENERATOR))
    try:
        from phantom_fields import Canvas
        from phantom_head import skull_cavity
    finally:
        sys.path.remove(str(_GENERATOR))
    x, y, z = (
        (grid.affine[i, 3] + grid.affine[i, i] * np.arange(n)).astype(np.float32)
        for i, n in enumerate(grid.shape)
    )
    canvas = Canvas((x, y, z), float(np.mean(grid.voxel_size)))
    return np.asarray(skull_cavity(*canvas.at()) < 0.0)


def _centered(data: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    """Crop or zero-pad to a shape, about the middle."""
    short = [max(0, n - m) for n, m in zip(shape, data.shape, strict=True)]
    data = np.pad(data, [(n // 2, n - n // 2) for n in short])
    first = [(m - n) // 2 for n, m in zip(shape, data.shape, strict=True)]
    return data[tuple(slice(a, a + n) for a, n in zip(first, shape, strict=True))]
