"""Sums over a region of interest: moments and SSIM against one truth, gradients.

SSIM is Wang's (2004, doi 10.1109/TIP.2003.819861) as in ``skimage.metrics.
structural_similarity(gaussian_weights=True, sigma=1.5,
use_sample_covariance=False)``, at voxels whose window lies wholly inside the
box. The images share the filters of the truth. Sums are in float64, because a variance is
the small difference of two large means.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.cpu import FloatArray
from napari_mrisr.kernels.jit import jit

WINDOW = 11
_RADIUS = WINDOW // 2
_SIGMA = 1.5
_offsets = np.arange(-_RADIUS, _RADIUS + 1)
_weights = np.exp(-0.5 * (_offsets / _SIGMA) ** 2)
GAUSSIAN: NDArray[np.float64] = _weights / _weights.sum()

COUNT, SUM, SQUARES, ERRORS, SQUARED_ERRORS, ABSOLUTE_ERRORS, LOWEST, HIGHEST = range(8)
_SUMS = 8


def empty_moments(images: int) -> NDArray[np.float64]:
    """Return empty sums, (images, 8); the constants above name the columns."""
    sums = np.zeros((images, _SUMS))
    sums[:, LOWEST], sums[:, HIGHEST] = math.inf, -math.inf
    return sums


@jit
def add_moments(images, mask, shift, sums):  # type: ignore[no-untyped-def]
    """Add the masked voxels of a slab to the sums.

    Parameters
    ----------
    images : (m, nx, ny, nz) ndarray of float32
        The first is the truth. A voxel counts for an image if it and the truth are
        finite.
    mask : (nx, ny, nz) ndarray of bool
        Voxels to count.
    shift : (m,) ndarray of float64
        Subtracted before squaring, so that a variance keeps its digits.
    sums : (m, 8) ndarray of float64
        See :func:`empty_moments`; errors are image minus truth.
    """
    for c in range(images.shape[0]):
        away = shift[c]
        count, total, squares, errors, squared, absolute = 0, 0.0, 0.0, 0.0, 0.0, 0.0
        low, high = sums[c, LOWEST], sums[c, HIGHEST]
        for i in range(images.shape[1]):
            for j in range(images.shape[2]):
                inside = mask[i, j]
                row = images[c, i, j]
                truth = images[0, i, j]
                for k in range(row.size):
                    value = np.float64(row[k])
                    error = value - np.float64(truth[k])
                    # Not finite if either is not; equal infinities give NaN.
                    if inside[k] and math.isfinite(error):
                        count += 1
                        total += value - away
                        squares += (value - away) * (value - away)
                        errors += error
                        squared += error * error
                        absolute += abs(error)
                        low = min(low, value)
                        high = max(high, value)
        sums[c, COUNT] += count
        sums[c, SUM] += total
        sums[c, SQUARES] += squares
        sums[c, ERRORS] += errors
        sums[c, SQUARED_ERRORS] += squared
        sums[c, ABSOLUTE_ERRORS] += absolute
        sums[c, LOWEST] = low
        sums[c, HIGHEST] = high


@jit
def add_gradients(image, mask, step, sums):  # type: ignore[no-untyped-def]
    """Add gradient magnitudes of a slab's masked voxels with all six neighbors.

    Parameters
    ----------
    image : (nx, ny, nz) ndarray of float32
        Central differences are taken.
    mask : (nx, ny, nz) ndarray of bool
        Voxels to count.
    step : (3,) ndarray of float64
        Voxel size, mm.
    sums : (3,) ndarray of float64
        Count, sum of magnitudes (per mm), sum of intensities. A voxel counts if all of
        these are finite.
    """
    fx, fy, fz = 0.5 / step[0], 0.5 / step[1], 0.5 / step[2]
    count, magnitudes, values = 0, 0.0, 0.0
    for i in range(1, image.shape[0] - 1):
        for j in range(1, image.shape[1] - 1):
            for k in range(1, image.shape[2] - 1):
                if mask[i, j, k]:
                    dx = (np.float64(image[i + 1, j, k]) - np.float64(image[i - 1, j, k])) * fx
                    dy = (np.float64(image[i, j + 1, k]) - np.float64(image[i, j - 1, k])) * fy
                    dz = (np.float64(image[i, j, k + 1]) - np.float64(image[i, j, k - 1])) * fz
                    magnitude = math.sqrt(dx * dx + dy * dy + dz * dz)
                    value = np.float64(image[i, j, k])
                    if math.isfinite(magnitude + value):
                        count += 1
                        magnitudes += magnitude
                        values += value
    sums[0] += count
    sums[1] += magnitudes
    sums[2] += values


@numba.njit(nogil=True, fastmath={"contract", "nsz"}, inline="always")
def _smooth(source, start, step, w, out):  # type: ignore[no-untyped-def]
    """Compute out[k] = Σ_t w[t] source[start + k + t step]; w is symmetric."""
    n = out.size
    a0 = source[start : start + n]
    a1 = source[start + step : start + step + n]
    a2 = source[start + 2 * step : start + 2 * step + n]
    a3 = source[start + 3 * step : start + 3 * step + n]
    a4 = source[start + 4 * step : start + 4 * step + n]
    a5 = source[start + 5 * step : start + 5 * step + n]
    a6 = source[start + 6 * step : start + 6 * step + n]
    a7 = source[start + 7 * step : start + 7 * step + n]
    a8 = source[start + 8 * step : start + 8 * step + n]
    a9 = source[start + 9 * step : start + 9 * step + n]
    a10 = source[start + 10 * step : start + 10 * step + n]
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    for k in range(n):
        out[k] = (
            w0 * (a0[k] + a10[k])
            + w1 * (a1[k] + a9[k])
            + w2 * (a2[k] + a8[k])
            + w3 * (a3[k] + a7[k])
            + w4 * (a4[k] + a6[k])
            + w5 * a5[k]
        )


@jit
def _smooth_plane(first, second, w, product, rows, out):  # type: ignore[no-untyped-def]
    """Filter first · second along z, then y; ``out`` is 10 voxels smaller along both."""
    ny, nz = first.shape
    inner = out.shape[1]
    for j in range(ny):
        a, b = first[j], second[j]
        for k in range(nz):
            product[k] = a[k] * b[k]
        _smooth(product, 0, 1, w, rows[j * inner : (j + 1) * inner])
    for j in range(out.shape[0]):
        _smooth(rows, j * inner, inner, w, out[j])


@jit
def _ssim_plane(ring, oldest, mask, w, c1, c2, lines, sums, counts):  # type: ignore[no-untyped-def]
    """Filter the ring of planes along x and sum the similarity inside the mask."""
    maps = ring.shape[1]
    ny, nz = ring.shape[2], ring.shape[3]
    for j in range(ny):
        some = False
        for k in range(nz):
            some |= mask[j, k]
        if not some:
            continue
        for m in range(maps):
            line = lines[m]
            line[:] = 0.0
            for t in range(11):
                source = ring[(oldest + t) % 11, m, j]
                weight = w[t]
                for k in range(nz):
                    line[k] += weight * source[k]
        for c in range(sums.size):
            ux, uxx = lines[0], lines[1]
            uy, uyy, uxy = lines[2 + 3 * c], lines[3 + 3 * c], lines[4 + 3 * c]
            for k in range(nz):
                if mask[j, k]:
                    across = uxy[k] - ux[k] * uy[k]
                    spread = (uxx[k] - ux[k] * ux[k]) + (uyy[k] - uy[k] * uy[k])
                    top = (2.0 * ux[k] * uy[k] + c1) * (2.0 * across + c2)
                    value = top / ((ux[k] * ux[k] + uy[k] * uy[k] + c1) * (spread + c2))
                    if math.isfinite(value):
                        sums[c] += value
                        counts[c] += 1


@jit
def _add_slab(images, first, mask, w, ring, work, c1, c2, sums, counts):  # type: ignore[no-untyped-def]
    planes, product, rows, lines = work
    ones = planes[-1]
    for i in range(images.shape[1]):
        plane = first + i
        slot = ring[plane % 11]
        for c in range(images.shape[0]):
            planes[c] = images[c, i]
        truth = planes[0]
        _smooth_plane(truth, ones, w, product, rows, slot[0])
        _smooth_plane(truth, truth, w, product, rows, slot[1])
        for c in range(1, images.shape[0]):
            image = planes[c]
            _smooth_plane(image, ones, w, product, rows, slot[3 * c - 1])
            _smooth_plane(image, image, w, product, rows, slot[3 * c])
            _smooth_plane(truth, image, w, product, rows, slot[3 * c + 1])
        if plane >= 10:
            middle = mask[plane - 5][5:-5, 5:-5]
            _ssim_plane(ring, (plane + 1) % 11, middle, w, c1, c2, lines, sums, counts)


class SimilaritySum:
    """Sum of the SSIM map of several images, plane by plane.

    Parameters
    ----------
    mask : (nx, ny, nz) ndarray of bool
        Voxels whose similarity is summed; those less than 5 voxels from the
        box's border are excluded. At least 11 voxels per axis.
    images : int
        Number of images without the truth.
    data_range : float
        Range of the intensities.
    """

    def __init__(self, mask: NDArray[np.bool_], images: int, data_range: float) -> None:
        if min(mask.shape) < WINDOW:
            raise ValueError(f"a box of {mask.shape} voxels is smaller than the window")
        _, ny, nz = mask.shape
        maps = 2 + 3 * images
        self.sums = np.zeros(images)
        self.counts = np.zeros(images, np.int64)
        self._mask = mask
        self._constants = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        self._ring = np.empty((WINDOW, maps, ny - 10, nz - 10))
        # The last plane stays 1: the mean is the product with it.
        planes = np.ones((images + 2, ny, nz))
        self._work = planes, np.empty(nz), np.empty(ny * (nz - 10)), np.empty((maps, nz - 10))
        self._next = 0

    def add(self, images: FloatArray) -> None:
        """Add the next planes: (1 + images, planes, ny, nz), the truth first.

        A window with a value that is not finite is excluded.
        """
        _add_slab(
            np.ascontiguousarray(images),  # of one layout, compiled once
            self._next,
            self._mask,
            GAUSSIAN,
            self._ring,
            self._work,
            *self._constants,
            self.sums,
            self.counts,
        )
        self._next += images.shape[1]
