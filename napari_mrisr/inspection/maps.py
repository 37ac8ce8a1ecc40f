"""Maps of a stage: buckets, bins, features and orientations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.hashing import FEATURES, HashSpec
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, Region
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.inspection.source import StageInput, over_blocks
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.operators.gradients import tensor_box

BIN_NAMES = (*FEATURES, "phase")

_WHOLE_VOXELS = (1, 1, 1)


def bucket_map(
    source: StageInput, *, threads: int | None = None, progress: Progress | None = None
) -> NDArray[np.unsignedinteger]:
    """Compute the bucket of every voxel of the stage's grid.

    Parameters
    ----------
    source : StageInput
    threads, progress
        As :func:`napari_mrisr.inspection.source.stage_input`.

    Returns
    -------
    (x, y, z) ndarray of unsigned integers
        Bucket numbers, in the smallest type that also holds one more than the
        number of buckets.
    """
    spec = source.stage.spec.hash
    out = np.empty(source.shape, np.min_scalar_type(spec.bucket_count + 1))

    def compute(region: Region) -> None:
        box, corner = source.crop_for(region)
        out[region.slices] = spec.hash_box(box, corner, source.shape, region)[0]

    over_blocks(source.grid, _WHOLE_VOXELS, compute, "buckets", threads, progress)
    return out


def bin_map(buckets: NDArray[Any], spec: HashSpec, name: str) -> NDArray[np.uint8]:
    """Return the bin of one feature for each bucket of a map.

    Parameters
    ----------
    buckets : ndarray of int
        Bucket numbers, of any shape.
    spec : HashSpec
    name : str
        Feature, or ``phase``.

    Returns
    -------
    ndarray of uint8
        0 for the lowest bin; the number of bins for flat voxels, which have no bin.

    Raises
    ------
    ParameterError
        If the buckets do not depend on the feature.
    """
    if name not in cut_names(spec):
        remedy = f"choose from {', '.join(cut_names(spec))}"
        raise ParameterError(explain("feature", f"{name!r} has no bins", remedy))
    place = BIN_NAMES.index(name)
    after = int(np.prod(spec.radices[place + 1 :]))
    bucket = np.arange(spec.bucket_count)
    table = (bucket // after % spec.radices[place]).astype(np.uint8)
    table[spec.filter_count :] = spec.radices[place]
    return np.asarray(table[buckets])


def cut_names(spec: HashSpec) -> list[str]:
    """Return the features that buckets depend on, including ``phase``."""
    return [name for name, radix in zip(BIN_NAMES, spec.radices, strict=True) if radix > 1]


def feature_map(
    source: StageInput,
    name: str,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> FloatArray:
    """Compute a continuous feature of every voxel, including flat voxels.

    Parameters
    ----------
    source : StageInput
    name : str
        One of :data:`napari_mrisr.bank.hashing.FEATURES`.
    threads, progress
        As :func:`napari_mrisr.inspection.source.stage_input`.

    Returns
    -------
    (x, y, z) ndarray of float32
        Degrees for angles, engine units per voxel for strength.
    """
    if name not in FEATURES:
        raise ParameterError(explain("feature", repr(name), f"choose from {', '.join(FEATURES)}"))
    out = np.empty(source.shape, np.float32)
    symmetry = source.stage.spec.hash.symmetry

    def fill(region: Region, analysis: FloatArray) -> None:
        out[region.slices] = feature_values(analysis, symmetry)[name]

    _analyze(source, fill, name, threads, progress)
    return out


def orientation_map(
    source: StageInput, *, threads: int | None = None, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Compute the color of every voxel's direction; see :func:`orientation_color`.

    Returns
    -------
    (x, y, z, 3) ndarray of uint8
        Red R–L, green A–P, blue S–I; flat voxels are black.
    """
    out = np.empty((*source.shape, 3), np.uint8)
    spec = source.stage.spec.hash

    def fill(region: Region, analysis: FloatArray) -> None:
        coherence = feature_values(analysis, spec.symmetry)["coherence"]
        color = orientation_color(analysis[..., 3:6], coherence)
        color[analysis[..., :3].sum(axis=-1) < spec.flat**2] = 0
        out[region.slices] = color

    _analyze(source, fill, "orientation", threads, progress)
    return out


def analyze(source: StageInput, region: Region) -> FloatArray:
    """Compute eigenvalues, direction, asymmetry and curvature of a region's voxels.

    Returns
    -------
    (x, y, z, 8) ndarray of float32
        As :func:`napari_mrisr.kernels.reference.voxel_features`.
    """
    box, corner = source.crop_for(region)
    window = source.stage.spec.hash.window
    tensor, smooth = tensor_box(box, corner, source.shape, region, window)
    return cpu_hash.voxel_features(tensor, smooth)


def _analyze(
    source: StageInput,
    fill: Callable[[Region, FloatArray], None],
    text: str,
    threads: int | None,
    progress: Progress | None,
) -> None:
    over_blocks(
        source.grid,
        _WHOLE_VOXELS,
        lambda region: fill(region, analyze(source, region)),
        text,
        threads,
        progress,
    )


Values = NDArray[np.floating]


def feature_values(analysis: NDArray[Any], symmetry: str) -> dict[str, NDArray[Any]]:
    """Compute the six features of :data:`napari_mrisr.bank.hashing.FEATURES`.

    Parameters
    ----------
    analysis : (..., 8) ndarray of float
        Output of :func:`napari_mrisr.kernels.reference.voxel_features`.
    symmetry : str
        Symmetry of the hash spec; it defines the two angles.

    Returns
    -------
    dict of str to (...) ndarray of float
        Angles in degrees, strength in engine units per voxel, asymmetry per voxel;
        in the type of ``analysis``.
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
    return {name: np.asarray(value, dtype=analysis.dtype) for name, value in values.items()}


def _angles(v: NDArray[np.float64], symmetry: str) -> tuple[Values, Values]:
    """Return elevation and azimuth of directions in degrees, as the hash defines them."""
    if symmetry == "cube":
        small, medium, large = np.moveaxis(np.sort(np.abs(v), axis=-1), -1, 0)
        rise, azimuth = large, np.arctan2(small, medium)
    elif symmetry == "plane":
        x, y, z = np.moveaxis(np.abs(v), -1, 0)
        rise, azimuth = z, np.arctan2(np.minimum(x, y), np.maximum(x, y))
    elif symmetry == "flips":
        x, y, z = np.moveaxis(np.abs(v), -1, 0)
        rise, azimuth = z, np.arctan2(y, x)
    else:
        x, y, z = np.moveaxis(v, -1, 0)
        # A line has no sign: use the direction with positive y, then x, then z.
        below = (y < 0) | ((y == 0) & ((x < 0) | ((x == 0) & (z < 0))))
        sign = np.where(below, -1.0, 1.0)
        rise = sign * z
        upright = x * x + y * y <= 1e-12
        azimuth = np.where(upright, 0.0, np.arctan2(sign * y, sign * x))
    return np.degrees(np.arccos(np.clip(rise, -1.0, 1.0))), np.degrees(azimuth)


def orientation_color(direction: Values, coherence: Values) -> NDArray[np.uint8]:
    """Return the colors of directions, as in diffusion maps.

    Red is |v| along R–L, green along A–P, blue along S–I. Brightness is coherence,
    from −1/3 (no direction, black) to 1 (full).

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
