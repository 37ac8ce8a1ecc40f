"""Structure tensor of a box of voxels.

The paper weighs the gradients of a 9³ window by a Gaussian W and forms G'WG
(section 3.2, equation 2). The Gaussian is separable, so the same tensor is the
six products of central differences, each smoothed along x, y and z. The volume
is mirrored at its edges.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.kernels import cpu, cpu_rows
from napari_mrisr.operators.interpolate import AxisOperator, mirror_index, operator_from_taps

MAX_RADIUS = 32


@dataclass(frozen=True)
class Window:
    """Gaussian window that averages gradients.

    Attributes
    ----------
    sigma : float or tuple of three float
        Standard deviation in voxels, of all axes or of each.
    radius : int or tuple of three int
        Half width: the window has ``2 * radius + 1`` voxels along an axis.
    """

    sigma: float | tuple[float, float, float]
    radius: int | Shape

    def __post_init__(self) -> None:
        if not all(s > 0.0 and 0 <= r <= MAX_RADIUS for s, r in self.axes):
            found = f"sigma {self.sigma}, radius {self.radius}"
            mend = f"use a positive sigma and a radius of 0 to {MAX_RADIUS}"
            raise ParameterError(explain("window", found, mend))

    @property
    def axes(self) -> tuple[tuple[float, int], ...]:
        """Standard deviation and radius of each axis."""
        sigmas = self.sigma if isinstance(self.sigma, tuple) else (self.sigma,) * 3
        radii = self.radius if isinstance(self.radius, tuple) else (self.radius,) * 3
        return tuple(zip(sigmas, radii, strict=True))

    @property
    def reach(self) -> Shape:
        """Voxels needed around a voxel: window, border for slopes, central difference."""
        (_, x), (_, y), (_, z) = self.axes
        return x + 2, y + 2, z + 2

    def taps(self, axis: int = 0) -> FloatArray:
        """Return the weights along an axis; their sum is 1."""
        sigma, radius = self.axes[axis]
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        return np.asarray(weights / weights.sum(), dtype=np.float32)


def tensor_box(
    source: FloatArray,
    corner: Shape,
    shape: Shape,
    region: Region,
    window: Window,
    swapped: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Compute structure tensor and smoothed intensities of a region and a one-voxel border.

    Parameters
    ----------
    source : (sx, sy, sz) ndarray of float32
        A box of the volume that holds the region and ``window.reach`` voxels
        around it, as far as the volume goes.
    corner : tuple of int
        Index of ``source``'s first voxel in the volume.
    shape : tuple of int
        Shape of the whole volume.
    region : Region
        Voxels to compute.
    window : Window
        Averaging window.
    swapped : bool
        Return the same bits as (x, z, y), which is faster if z is short.

    Returns
    -------
    tensor : (6, x + 2, y + 2, z + 2) ndarray of float32
        Components xx, xy, xz, yy, yz, zz.
    smooth : (x + 2, y + 2, z + 2) ndarray of float32
        The intensities under the same window.
    """
    spans = [
        window_rows(n, a - 1, b + 1, window, axis)
        for axis, (n, a, b) in enumerate(zip(shape, region.start, region.stop, strict=True))
    ]
    # One more voxel on each side for the differences; mirrored at the volume's edges.
    reads = [rows.reads for rows in spans]
    padded = mirrored_box(source, corner, shape, [(a - 1, b + 1) for a, b in reads])
    rows = [(span.first - low, span.taps) for span, (low, _) in zip(spans, reads, strict=True)]
    x, y, z = (n + 2 for n in region.shape)
    out = np.empty((7, x, z, y) if swapped else (7, x, y, z), np.float32)
    if swapped:
        padded = np.ascontiguousarray(padded.transpose(0, 2, 1))
    smoothing = cpu_rows.RowsXYZ(rows, swapped)
    for number, component in enumerate(out[:6]):
        # One at a time: the products are the largest arrays here.
        product = cpu.gradient_products(padded, (number,), swapped)[0]
        smoothing.apply(product, component)
    smoothing.apply(padded[1:-1, 1:-1, 1:-1], out[6])
    return out[:6], out[6]


def mirrored_box(
    source: FloatArray, corner: Shape, shape: Shape, spans: list[tuple[int, int]]
) -> FloatArray:
    """Return the voxels of ``spans`` (start, stop per axis), mirrored at the volume's edges.

    Only the shape and one box of ``source`` are read.
    """
    index = [
        mirror_index(np.arange(a, b), n) - c
        for (a, b), n, c in zip(spans, shape, corner, strict=True)
    ]
    # Near an edge, rows read voxels beyond the source with weight zero: any voxel serves.
    index = [np.clip(i, 0, m - 1) for i, m in zip(index, source.shape, strict=True)]
    # Only this box is read, because the source may be a file.
    low = [int(i.min()) for i in index]
    box = source[tuple(slice(a, int(i.max()) + 1) for a, i in zip(low, index, strict=True))]
    return cpu.take(box, [i - a for i, a in zip(index, low, strict=True)])


@functools.lru_cache(maxsize=256)
def _window_operator(n: int, window: Window, axis: int) -> AxisOperator:
    taps = np.tile(window.taps(axis).astype(np.float64), (n, 1))
    return operator_from_taps(np.arange(n) - window.axes[axis][1], taps, n)


def window_rows(n: int, start: int, stop: int, window: Window, axis: int) -> AxisOperator:
    """Return rows start..stop of the smoothing along an axis of ``n`` voxels.

    Rows outside the volume mirror those inside.
    """
    operator = _window_operator(n, window, axis)
    index = mirror_index(np.arange(start, stop), n)
    return AxisOperator(operator.first[index], operator.taps[index])
