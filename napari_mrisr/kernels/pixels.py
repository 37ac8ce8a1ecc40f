"""Pixels: samples of a volume on an oblique plane, and colors of a slice on the screen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.cpu import FloatArray
from napari_mrisr.kernels.jit import jit

# A position computed from an affine may miss a voxel's border by rounding.
BORDER_TOLERANCE = 5e-7


@jit
def _nearest(data, start, across, upward, out):  # type: ignore[no-untyped-def]
    nx, ny, nz = data.shape
    middle = 0.5 + BORDER_TOLERANCE
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            i = math.floor(start[0] + column * across[0] + row * upward[0] + middle)
            j = math.floor(start[1] + column * across[1] + row * upward[1] + middle)
            k = math.floor(start[2] + column * across[2] + row * upward[2] + middle)
            if 0 <= i < nx and 0 <= j < ny and 0 <= k < nz:
                out[row, column] = data[i, j, k]
            else:
                out[row, column] = np.nan


@jit
def _below(index, size):  # type: ignore[no-untyped-def]
    """Return the voxel below a position and the weight of the one above; borders repeat."""
    index = min(max(index, 0.0), size - 1.0)
    lower = min(int(index), max(size - 2, 0))
    return lower, index - lower


@jit
def _linear(data, start, across, upward, out):  # type: ignore[no-untyped-def]
    nx, ny, nz = data.shape
    low = -0.5 - BORDER_TOLERANCE
    high = -0.5 - BORDER_TOLERANCE
    dx, dy, dz = min(nx - 1, 1), min(ny - 1, 1), min(nz - 1, 1)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = start[0] + column * across[0] + row * upward[0]
            y = start[1] + column * across[1] + row * upward[1]
            z = start[2] + column * across[2] + row * upward[2]
            inside = low <= x < nx + high and low <= y < ny + high and low <= z < nz + high
            if not inside:
                out[row, column] = np.nan
                continue
            i, u = _below(x, nx)
            j, v = _below(y, ny)
            k, w = _below(z, nz)
            near = (1.0 - v) * ((1.0 - w) * data[i, j, k] + w * data[i, j, k + dz]) + v * (
                (1.0 - w) * data[i, j + dy, k] + w * data[i, j + dy, k + dz]
            )
            i += dx
            far = (1.0 - v) * ((1.0 - w) * data[i, j, k] + w * data[i, j, k + dz]) + v * (
                (1.0 - w) * data[i, j + dy, k] + w * data[i, j + dy, k + dz]
            )
            out[row, column] = (1.0 - u) * near + u * far


def sample_pixels(
    data: FloatArray,
    start: NDArray[np.float64],
    across: NDArray[np.float64],
    upward: NDArray[np.float64],
    shape: tuple[int, int],
    order: int,
) -> FloatArray:
    """Sample a volume at pixels in rows and columns.

    Parameters
    ----------
    data : (x, y, z) ndarray of float32
        The volume.
    start, across, upward : (3,) ndarray of float64
        Voxel position of pixel (0, 0), and the steps from column to column and
        from row to row.
    shape : tuple of int
        Rows and columns.
    order : int
        0 for the nearest voxel (its lower border belongs to it), 1 for trilinear.

    Returns
    -------
    ndarray of float32
        NaN beyond half a voxel outside the outer centers.
    """
    out = np.empty(shape, np.float32)
    (_linear if order else _nearest)(data, start, across, upward, out)
    return out


@jit
def _places(positions, size):  # type: ignore[no-untyped-def]
    """Return the nearest element, the one below, and the weight above; -1 outside."""
    nearest = np.empty(len(positions), np.int32)
    below = np.empty(len(positions), np.int32)
    weight = np.empty(len(positions), np.float32)
    for n in range(len(positions)):
        at = positions[n]
        nearest[n] = int(at) if 0.0 <= at < size else -1
        below[n], weight[n] = _below(at - 0.5, size)
    return nearest, below, weight


@jit
def _mixed(below, color, share):  # type: ignore[no-untyped-def]
    """Return ``color`` over ``below``; ``share`` of 256."""
    mixed = np.uint32(0)
    for shift in (0, 8, 16):
        a, b = (below >> shift) & 255, (color >> shift) & 255
        mixed |= np.uint32((a * (256 - share) + b * share + 128) >> 8) << np.uint32(shift)
    return mixed


@jit
def _paint(values, rects, corner, across, upward, window, colors, opacity, smooth, out):  # type: ignore[no-untyped-def]
    high, wide = values.shape
    last = np.float32(len(colors) - 1)
    half, one, zero = np.float32(0.5), np.float32(1.0), np.float32(0.0)
    low, scale, lowest = np.float32(window[0]), np.float32(window[1]), np.float32(window[2])
    scale *= last
    share = int(opacity * 256.0 + 0.5)
    columns, left_of, right_part = _places(across, wide)
    rows, lower, upper_part = _places(upward, high)
    for number in range(len(rects)):
        for y in range(rects[number, 1], rects[number, 3]):
            row = rows[y - corner[1]]
            if row < 0:
                continue
            i, v = lower[y - corner[1]], upper_part[y - corner[1]]
            line, near, far = values[row], values[i], values[min(i + 1, high - 1)]
            pixels = out[y]
            for x in range(rects[number, 0], rects[number, 2]):
                column = columns[x - corner[0]]
                if column < 0:
                    continue
                if smooth:
                    j, u = left_of[x - corner[0]], right_part[x - corner[0]]
                    k = min(j + 1, wide - 1)
                    value = (one - v) * ((one - u) * near[j] + u * near[k]) + v * (
                        (one - u) * far[j] + u * far[k]
                    )
                else:
                    value = line[column]
                # False for NaN, outside the field of view.
                if value >= lowest:
                    shade = min(max((value - low) * scale, zero), last)
                    color = colors[int(shade + half)]
                    pixels[x] = color if share == 256 else _mixed(pixels[x], color, share)


def paint_pixels(
    values: FloatArray,
    rects: NDArray[np.int64],
    corner: tuple[int, int],
    across: NDArray[np.float64],
    upward: NDArray[np.float64],
    window: tuple[float, float, float],
    colors: NDArray[np.uint32],
    out: NDArray[np.uint32],
    *,
    opacity: float = 1.0,
    smooth: bool = False,
) -> None:
    """Paint a slice in colors; pixels outside the slice or without a value stay as they are.

    Parameters
    ----------
    values : (upward, across) ndarray of float32
        The slice.
    rects : (n, 4) ndarray of int
        Left, top, right, bottom: the pixels to paint, within ``out``.
    corner : (left, top)
        Pixel of the first element of ``across`` and ``upward``.
    across, upward : ndarray of float64
        Position in the slice, in elements, of each column and row of pixels; 0 is the
        outer border of the first element.
    window : (low, high, lowest)
        Values of the first and last color; values below ``lowest`` are transparent.
    colors : (n,) ndarray of uint32
        ``0xffRRGGBB``.
    out : (height, width) ndarray of uint32
        The picture, painted in place.
    opacity : float
        0 to 1: part of the new color in the pixel.
    smooth : bool
        Interpolate linearly between values, before the colors; else the nearest value.
    """
    low, high, lowest = window
    scaled = (low, 1.0 / max(high - low, 1e-30), lowest)
    _paint(values, rects, corner, across, upward, scaled, colors, opacity, smooth, out)
