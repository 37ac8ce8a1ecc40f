"""Slices of any thickness and distance as one-axis operators.

A thick-slice scan samples a high-resolution line by slices: each slice is the mean under a
profile (boxcar or Gaussian), and slices lie ``n / count`` voxels apart, where ``count`` slices
cover the field of view of ``n`` voxels exactly. The distance need not be a whole number.
The way back is cubic B-spline interpolation at any number of positions over the same field
of view, plus a correction in a Legendre basis per slice.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.operators.interpolate import (
    AxisOperator,
    operator_from_taps,
    positions,
    prefilter_operator,
    resample_operator,
)

# Largest sum of absolute weights in a row of U: how far noise may be amplified.
_MOST_AMPLIFIED = 20.0


@functools.lru_cache(maxsize=64)
def slice_operator(n: int, count: int, profile: str, fwhm: float) -> AxisOperator:
    """Return the operator from ``n`` voxels to ``count`` slices over the same field of view.

    Parameters
    ----------
    n, count : int
        Voxels of the line, and slices. Slices lie ``n / count`` voxels apart.
    profile : str
        ``boxcar`` or ``gaussian``.
    fwhm : float
        Full width at half maximum as a multiple of the slice distance (1: slices touch,
        below 1: gaps).
    """
    from scipy.special import ndtr

    distance = n / count
    width = fwhm * distance
    center = (np.arange(count) + 0.5) * distance - 0.5
    reach = int(np.ceil(width / 2 if profile == "boxcar" else 1.5 * width)) + 1
    first = np.floor(center).astype(np.int64) - reach
    position = first[:, None] + np.arange(2 * reach + 2) - center[:, None]
    if profile == "boxcar":
        overlap = np.minimum(position + 0.5, width / 2) - np.maximum(position - 0.5, -width / 2)
        taps = np.clip(overlap, 0.0, None)
    else:
        sharpness = np.sqrt(8.0 * np.log(2.0)) / width
        taps = ndtr((position + 0.5) * sharpness) - ndtr((position - 0.5) * sharpness)
    return operator_from_taps(first, taps / taps.sum(axis=1, keepdims=True), n)


def legendre_basis(n: int, n_out: int, order: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest slice of each output voxel and Legendre polynomials of its offset.

    Returns
    -------
    slices : (n_out,) ndarray of int64
        Nearest input voxel.
    weights : (n_out, order) ndarray of float64
        P_0 to P_(order-1) of the offset; −1 and 1 are the voxel's edges.
    """
    position = positions(n, n_out)
    nearest = np.clip(np.floor(position + 0.5), 0, n - 1).astype(np.int64)
    weights = np.polynomial.legendre.legvander(2.0 * (position - nearest), order - 1)
    return nearest, np.asarray(weights, np.float64)


def correction_operator(n: int, n_out: int, order: int) -> AxisOperator:
    """Return the operator from ``n × order`` Legendre coefficients to ``n_out`` corrections.

    The coefficients of slice i are entries ``order · i`` to ``order · i + order − 1``.
    """
    nearest, weights = legendre_basis(n, n_out, order)
    return AxisOperator(nearest * order, weights.astype(np.float32))


def block_basis(factor: int, order: int = 4) -> NDArray[np.float64]:
    """Return products of Legendre polynomials at the voxels of a block of ``factor``³.

    Returns
    -------
    (factor³, order³) ndarray of float64
        x varies slowest in both.
    """
    offset = (2.0 * np.arange(factor) + 1.0) / factor - 1.0
    line = np.polynomial.legendre.legvander(offset, order - 1)
    return np.asarray(np.kron(np.kron(line, line), line), np.float64)


@functools.lru_cache(maxsize=16)
def consistency_operators(
    n: int, n_out: int, profile: str, fwhm: float
) -> tuple[AxisOperator, AxisOperator]:
    """Return D and U with D U = 1: x + U (y − D x), degraded again, equals the slices y.

    D takes ``n_out`` voxels to ``n`` slices. U = C (D C)⁻¹ spreads the residuals by cubic
    B-spline interpolation C, so that no slice edges appear.

    Raises
    ------
    ParameterError
        If the slices are so wide that D C cannot be inverted stably.
    """
    degrade = slice_operator(n_out, n, profile, fwhm)
    spread = spread_operator(degrade, n, n_out)
    if np.abs(spread.taps).sum(axis=1).max() > _MOST_AMPLIFIED:
        found = f"{fwhm:g} times as wide as their distance"
        raise ParameterError(explain("slices", found, "use data consistency for narrower slices"))
    return degrade, spread


def spread_operator(degrade: AxisOperator, n: int, n_out: int) -> AxisOperator:
    """Return U = C (D C)⁻¹ for the operator D from ``n_out`` to ``n`` voxels; C is cubic."""
    cubic = _cubic(n, n_out)
    return _full(cubic @ np.linalg.inv(degrade.dense(n_out) @ cubic))


@dataclass(frozen=True, eq=False)
class SliceProjection:
    """All lines that fit the slices y exactly, as cubic interpolation C and a correction B c.

    D (C (y + e) + B c) = y for e = S y − y − H c, where S = (D C)⁻¹ and H = S D B.

    Attributes
    ----------
    sharpen : AxisOperator
        S, from slices to slices.
    hide : AxisOperator
        H, from Legendre coefficients to slices.
    """

    sharpen: AxisOperator
    hide: AxisOperator


@functools.lru_cache(maxsize=64)
def slice_projection(n: int, n_out: int, order: int, fwhm: float) -> SliceProjection:
    """Return the projection for boxcar slices; see :func:`consistency_operators`."""
    degrade, _ = consistency_operators(n, n_out, "boxcar", fwhm)
    down = degrade.dense(n_out)
    sharpen = np.linalg.inv(down @ _cubic(n, n_out))
    basis = correction_operator(n, n_out, order).dense(n * order)
    return SliceProjection(_full(sharpen), _full(sharpen @ down @ basis))


def _cubic(n: int, n_out: int) -> NDArray[np.float64]:
    matrix = resample_operator(n, n_out).dense(n) @ prefilter_operator(n).dense(n)
    return np.asarray(matrix, np.float64)


def _full(matrix: NDArray[np.floating]) -> AxisOperator:
    return AxisOperator(np.zeros(len(matrix), np.int64), np.ascontiguousarray(matrix, np.float32))
