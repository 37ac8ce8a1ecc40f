"""The continuous features that buckets are cut from, and the color of an orientation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray

Values = NDArray[np.floating]


def feature_values(analysis: FloatArray, symmetry: str) -> dict[str, FloatArray]:
    """The six features of :data:`napari_mrisr.bank.hashing.FEATURES`.

    Parameters
    ----------
    analysis : (..., 8) ndarray of float32
        Of :func:`napari_mrisr.kernels.reference.voxel_features`.
    symmetry : str
        Of the hash spec; decides what the two angles mean.

    Returns
    -------
    dict of str to (...) ndarray of float32
        Angles in degrees, strength in engine units a voxel, asymmetry a voxel.
    """
    roots = np.sqrt(analysis[..., :3].astype(np.float64))
    total = roots.sum(axis=-1)
    spread = roots[..., 0] - roots[..., 1] - roots[..., 2]
    coherence = np.divide(spread, total, out=np.zeros_like(total), where=total > 0.0)
    elevation, azimuth = _angles(analysis[..., 3:6].astype(np.float64), symmetry)
    values = {
        "elevation": elevation,
        "azimuth": azimuth,
        "strength": roots[..., 0],
        "coherence": coherence,
        "asymmetry": analysis[..., 6],
        "curvature": analysis[..., 7],
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def _angles(v: NDArray[np.float64], symmetry: str) -> tuple[Values, Values]:
    """Elevation and azimuth of directions, degrees, as the hash takes them."""
    if symmetry == "cube":
        small, medium, large = np.moveaxis(np.sort(np.abs(v), axis=-1), -1, 0)
        rise, azimuth = large, np.arctan2(small, medium)
    elif symmetry == "flips":
        x, y, z = np.moveaxis(np.abs(v), -1, 0)
        rise, azimuth = z, np.arctan2(y, x)
    else:
        x, y, z = np.moveaxis(v, -1, 0)
        # A line has no sign: seen from the side of positive y, then x, then z.
        below = (y < 0) | ((y == 0) & ((x < 0) | ((x == 0) & (z < 0))))
        sign = np.where(below, -1.0, 1.0)
        rise = sign * z
        upright = x * x + y * y <= 1e-12
        azimuth = np.where(upright, 0.0, np.arctan2(sign * y, sign * x))
    return np.degrees(np.arccos(np.clip(rise, -1.0, 1.0))), np.degrees(azimuth)


def orientation_color(direction: Values, coherence: Values) -> NDArray[np.uint8]:
    """Red, green, blue of directions, as diffusion maps are drawn.

    |v| along left-right is red, along front-back green, along top-bottom blue;
    brightness is coherence from −1/3 (no direction: black) to 1 (full).

    Parameters
    ----------
    direction : (..., 3) ndarray
        Unit vectors v1, RAS.
    coherence : (...) ndarray

    Returns
    -------
    (..., 3) ndarray of uint8
    """
    weight = np.clip((coherence + 1.0 / 3.0) * 0.75, 0.0, 1.0)
    color = np.rint(255.0 * np.abs(direction) * weight[..., None])
    return np.asarray(color, dtype=np.uint8)
