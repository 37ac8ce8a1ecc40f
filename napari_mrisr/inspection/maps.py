"""Whole maps of a stage's grid, in slabs: buckets, bins, features, orientation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.hashing import FEATURES, HashSpec
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, Region
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.inspection.features import feature_values, orientation_color
from napari_mrisr.inspection.source import StageInput, over_blocks
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.operators.gradients import tensor_box

BIN_NAMES = (*FEATURES, "phase")

_WHOLE_VOXELS = (1, 1, 1)


def bucket_map(
    source: StageInput, *, threads: int | None = None, progress: Progress | None = None
) -> NDArray[np.unsignedinteger]:
    """The bucket of every voxel of the stage's grid.

    Parameters
    ----------
    source : StageInput
    threads, progress
        As :func:`napari_mrisr.inspection.source.stage_input`.

    Returns
    -------
    (x, y, z) ndarray of unsigned integers
        Bucket ids, in the smallest type that also holds one more than the
        number of buckets.
    """
    spec = source.stage.spec.hash
    out = np.empty(source.shape, np.min_scalar_type(spec.bucket_count + 1))

    def compute(region: Region) -> None:
        box, corner = source.around(region)
        out[region.slices] = spec.hash_box(box, corner, source.shape, region)[0]

    over_blocks(source.grid, _WHOLE_VOXELS, compute, "buckets", threads, progress)
    return out


def bin_map(buckets: NDArray[Any], spec: HashSpec, name: str) -> NDArray[np.uint8]:
    """One feature's bin in each bucket of a map.

    Parameters
    ----------
    buckets : ndarray of int
        Bucket ids, of any shape.
    spec : HashSpec
    name : str
        A feature, or ``phase``.

    Returns
    -------
    ndarray of uint8
        0 for the lowest bin; the number of bins for flat voxels, which have none.

    Raises
    ------
    ParameterError
        When buckets do not tell the feature apart.
    """
    if name not in cut_names(spec):
        mend = f"choose from {', '.join(cut_names(spec))}"
        raise ParameterError(explain("feature", f"{name!r} is not cut into bins", mend))
    place = BIN_NAMES.index(name)
    after = int(np.prod(spec.radices[place + 1 :]))
    bucket = np.arange(spec.bucket_count)
    table = (bucket // after % spec.radices[place]).astype(np.uint8)
    table[spec.filter_count :] = spec.radices[place]
    return np.asarray(table[buckets])


def cut_names(spec: HashSpec) -> list[str]:
    """What buckets of a spec tell apart: features with cuts, and ``phase``."""
    return [name for name, radix in zip(BIN_NAMES, spec.radices, strict=True) if radix > 1]


def feature_map(
    source: StageInput,
    name: str,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> FloatArray:
    """A continuous feature of every voxel, cut or not, flat voxels included.

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
        Degrees for angles, engine units a voxel for strength.
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
    """The color of every voxel's direction; see :func:`orientation_color`.

    Returns
    -------
    (x, y, z, 3) ndarray of uint8
        Red left-right, green front-back, blue top-bottom; flat voxels black.
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
    """Eigenvalues, direction, asymmetry and curvature of a region's voxels.

    Returns
    -------
    (x, y, z, 8) ndarray of float32
        As :func:`napari_mrisr.kernels.reference.voxel_features`.
    """
    box, corner = source.around(region)
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
