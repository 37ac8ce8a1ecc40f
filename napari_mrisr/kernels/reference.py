"""Reference of each kernel of ``cpu``, ``cpu_hash``, ``cpu_anchors`` and ``cpu_rows``.

Plain loops, double precision, :func:`numpy.linalg.eigh`. The tests compare the fast kernels
with it. The arguments of all kernels are documented here.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.hash_tables import HashTables

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]
Vector = NDArray[np.float64]

FEATURE_COUNT = 8

# Canonical axis i lies along signs[i] times the volume's axis permutation[i].
_ELEMENTS = tuple(
    itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
)
_FLIPS = 8  # the first elements, which permute nothing

# Spread of the eigenvalues, as a share of their sum, below which they count as equal.
_EQUAL = 1e-7


def apply_rows(array: FloatArray, first: IndexArray, taps: FloatArray, axis: int) -> FloatArray:
    """Apply a banded matrix along one axis.

    Parameters
    ----------
    array : (nx, ny, nz) ndarray of float32
        Input.
    first : (m,) ndarray of int
        Index of the first input that each output row reads.
    taps : (m, width) ndarray of float32
        Weights of each output row.
    axis : int
        Axis to work along.

    Returns
    -------
    ndarray of float32
        As ``array``, with ``m`` entries along ``axis``.
    """
    moved = np.moveaxis(array.astype(np.float64), axis, 0)
    rows = [
        np.tensordot(weights.astype(np.float64), moved[start : start + weights.size], axes=1)
        for start, weights in zip(first, taps, strict=True)
    ]
    return np.ascontiguousarray(np.moveaxis(np.stack(rows), 0, axis), dtype=np.float32)


def gradient_products(array: FloatArray) -> FloatArray:
    """Compute products of the gradient's components, by central differences.

    Parameters
    ----------
    array : (nx, ny, nz) ndarray of float32
        Intensities, with a border of one voxel.

    Returns
    -------
    (6, nx - 2, ny - 2, nz - 2) ndarray of float32
        The products xx, xy, xz, yy, yz, zz; squared intensity per squared voxel.
    """
    gradient = []
    for axis in range(3):
        ahead = np.roll(array, -1, axis).astype(np.float64)
        behind = np.roll(array, 1, axis).astype(np.float64)
        gradient.append(((ahead - behind) / 2.0)[1:-1, 1:-1, 1:-1])
    pairs = itertools.combinations_with_replacement(gradient, 2)
    return np.stack([a * b for a, b in pairs]).astype(np.float32)


def voxel_features(tensor: FloatArray, smooth: FloatArray) -> FloatArray:
    """Analyze each voxel's structure tensor: eigenvalues, direction, asymmetry, curvature.

    Parameters
    ----------
    tensor : (6, nx, ny, nz) ndarray of float32
        Components xx, xy, xz, yy, yz, zz of the structure tensor, with a
        border of one voxel.
    smooth : (nx, ny, nz) ndarray of float32
        Smoothed intensities, with the same border.

    Returns
    -------
    (nx - 2, ny - 2, nz - 2, 8) ndarray of float32
        For each voxel inside the border

        0-2
            eigenvalues λ1 ≥ λ2 ≥ λ3 ≥ 0 (0 if negative by rounding);
        3-5
            first eigenvector v, of length 1, pointed to where the energy (the
            tensor's trace) grows. Any unit vector across the third eigenvector
            if λ1 = λ2; (1, 0, 0) if all three are equal or zero;
        6
            asymmetry: slope of the energy along v, over the energy;
        7
            curvature: sum of the second derivatives across v, negated if
            the intensities fall along v, over the root of the energy.

        Asymmetry and curvature are 0 if the energy is 0.
    """
    nx, ny, nz = smooth.shape
    out = np.zeros((nx - 2, ny - 2, nz - 2, FEATURE_COUNT))
    for index in np.ndindex(nx - 2, ny - 2, nz - 2):
        out[index] = _features(tensor, smooth, index)
    return out.astype(np.float32)


def _features(whole_tensor: FloatArray, whole_smooth: FloatArray, index: tuple[int, ...]) -> Vector:
    """Compute the features of a voxel, whose index does not count the border."""
    around = tuple(slice(i, i + 3) for i in index)
    tensor = whole_tensor[(slice(None), *around)].astype(np.float64)
    smooth = whole_smooth[around].astype(np.float64)
    values, v = _eigen(tensor[:, 1, 1, 1])
    energy = values.sum()
    if not energy > 0.0:
        return np.array([*values, *v, 0.0, 0.0])
    slope = v @ _central_difference(tensor[0] + tensor[3] + tensor[5])
    if slope < 0.0:
        v, slope = -v, -slope
    hessian = _hessian(smooth)
    across = np.trace(hessian) - v @ hessian @ v
    if v @ _central_difference(smooth) < 0.0:
        across = -across
    return np.array([*values, *v, slope / energy, across / np.sqrt(energy)])


def _eigen(components: Vector) -> tuple[Vector, Vector]:
    """Compute eigenvalues, descending and not negative, and the first eigenvector."""
    xx, xy, xz, yy, yz, zz = components
    values, vectors = np.linalg.eigh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
    trace = xx + yy + zz
    if not trace > 0.0:
        return np.zeros(3), np.array([1.0, 0.0, 0.0])
    if np.sqrt(np.sum((values - trace / 3.0) ** 2) / 6.0) < _EQUAL * trace:
        return np.full(3, trace / 3.0), np.array([1.0, 0.0, 0.0])
    return np.maximum(values[::-1], 0.0), vectors[:, 2]


def _central_difference(cube: NDArray[np.float64]) -> Vector:
    """Compute the gradient in the middle of a 3³ cube."""
    along_x, along_y, along_z = cube[:, 1, 1], cube[1, :, 1], cube[1, 1, :]
    return np.array([(line[2] - line[0]) / 2.0 for line in (along_x, along_y, along_z)])


def _hessian(cube: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the second derivatives in the middle of a 3³ cube."""
    hessian = np.empty((3, 3))
    for a, b in itertools.product(range(3), repeat=2):
        step_a, step_b = np.eye(3, dtype=int)[[a, b]]
        if a == b:
            hessian[a, a] = cube[tuple(1 + step_a)] - 2.0 * cube[1, 1, 1] + cube[tuple(1 - step_a)]
        else:
            ahead = cube[tuple(1 + step_a + step_b)] - cube[tuple(1 + step_a - step_b)]
            behind = cube[tuple(1 - step_a + step_b)] - cube[tuple(1 - step_a - step_b)]
            hessian[a, b] = (ahead - behind) / 4.0
    return hessian


def hash_voxels(
    tensor: FloatArray,
    smooth: FloatArray,
    origin: tuple[int, int, int],
    code: HashTables,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Compute bucket and symmetry of each voxel.

    Parameters
    ----------
    tensor, smooth
        As :func:`voxel_features`.
    origin : tuple of int
        Index in the volume of the first voxel inside the border; sub-voxel phases start
        there.
    code : HashTables
        Tables of the hash spec.

    Returns
    -------
    bucket : (nx - 2, ny - 2, nz - 2) ndarray of int32
        The mixed-radix number of the features' bins and the canonical phase.
        A flat voxel (trace below ``code.flat``) has the number after the last.
    element : (nx - 2, ny - 2, nz - 2) ndarray of uint8
        Index of the cube symmetry that makes the patch canonical; 0, the
        identity, without symmetry and for flat voxels.
    """
    nx, ny, nz = smooth.shape
    bucket = np.empty((nx - 2, ny - 2, nz - 2), np.int32)
    element = np.zeros(bucket.shape, np.uint8)
    phases = code.phase.shape[1]
    radices = (*(int(count) + 1 for count in code.counts), phases)
    for index in np.ndindex(*bucket.shape):
        xx, _, _, yy, _, zz = tensor[:, index[0] + 1, index[1] + 1, index[2] + 1]
        if xx + yy + zz < code.flat:
            bucket[index] = np.prod(radices)
            continue
        features = _features(tensor, smooth, index)
        strength, coherence = _strength_and_coherence(features[:3])
        elevation, azimuth, e = _angles(features[3:6], code.symmetry)
        asymmetry, curvature = features[6:]
        numbers = (elevation, azimuth, strength, coherence, asymmetry, curvature)
        digits = [
            int(np.searchsorted(cuts[:count], number, side="right"))
            for number, cuts, count in zip(numbers, code.cuts, code.counts, strict=True)
        ]
        position = (np.array(origin) + index) % code.scale
        phase = int(code.phase[e, np.ravel_multi_index(tuple(position), code.scale)])
        bucket[index] = np.ravel_multi_index((*digits, phase), radices)
        element[index] = e
    return bucket, element


def _strength_and_coherence(values: Vector) -> tuple[float, float]:
    """Compute strength √λ1 and coherence (paper, equation 5)."""
    a, b, c = np.sqrt(values)
    total = a + b + c
    return float(a), float((a - b - c) / total) if total > 0.0 else 0.0


def _angles(v: Vector, symmetry: int) -> tuple[float, float, int]:
    """Compute elevation (as −cosine), azimuth and symmetry of a direction.

    The azimuth is in radians without symmetry, else its tangent.
    """
    if symmetry == 0:
        # A line has no sign: take the sign with positive y, then x, then z.
        x, y, z = v if (v[1], v[0], v[2]) >= (0.0, 0.0, 0.0) else -v
        return float(-z), float(np.arctan2(y, x)) if np.hypot(x, y) > 1e-6 else 0.0, 0
    if symmetry == 1:
        e = next(e for e in range(_FLIPS) if np.all(_canonical(v, e) >= 0.0))
        x, y, z = _canonical(v, e)
        return float(-z), _tangent(y, x), e
    if symmetry == 3:
        # The first eight permute nothing; of the others, eight swap x and y.
        swaps = [e for e, (order, _) in enumerate(_ELEMENTS) if order[2] == 2]
        e = next(e for e in swaps if _is_in_plane(_canonical(v, e)))
        large, small, z = _canonical(v, e)
        return float(-z), _tangent(small, large), e
    e = next(e for e in range(len(_ELEMENTS)) if _is_sorted(_canonical(v, e)))
    large, medium, small = _canonical(v, e)
    return float(-large), _tangent(small, medium), e


def _canonical(v: Vector, element: int) -> Vector:
    """Return the direction along the canonical axes."""
    permutation, signs = _ELEMENTS[element]
    return v[list(permutation)] * signs


def _is_sorted(v: Vector) -> bool:
    return bool(v[0] >= v[1] >= v[2] >= 0.0)


def _is_in_plane(v: Vector) -> bool:
    return bool(v[0] >= v[1] >= 0.0 and v[2] >= 0.0)


def _tangent(opposite: float, adjacent: float) -> float:
    if opposite == 0.0:
        return 0.0
    return float(opposite / adjacent) if adjacent > 0.0 else np.inf


def nearest_anchor(
    rows: FloatArray,
    projection: FloatArray,
    points: FloatArray,
    offsets: FloatArray,
    mirrored: bool,
) -> NDArray[np.int32]:
    """Find the anchor with the highest score, the first of equal ones.

    The score of anchor k is ``rows @ projection @ points[:, k] + offsets[k]``.

    Parameters
    ----------
    rows : (n, inputs) ndarray of float32
        One description per voxel.
    projection : (inputs, dimensions) ndarray of float32
    points : (dimensions, anchors) ndarray of float32
    offsets : (anchors,) ndarray of float32
        0 for the inner product; minus half the squared length of each anchor for the
        Euclidean distance.
    mirrored : bool
        Compare magnitudes of scores, so that an anchor also serves its negative.

    Returns
    -------
    (n,) ndarray of int32
    """
    values = rows.astype(np.float64) @ projection.astype(np.float64)
    scores = values @ points.astype(np.float64) + offsets
    best = np.argmax(np.abs(scores) if mirrored else scores, axis=1)
    return np.asarray(best, dtype=np.int32)


def gather(
    source: FloatArray,
    base: IndexArray,
    element: NDArray[np.uint8],
    offsets: IndexArray,
    centered: bool,
) -> FloatArray:
    """Gather canonical patches of chosen voxels, one per row.

    Parameters
    ----------
    source : ndarray of float32
        Any shape, C order; indexed flat.
    base : (n,) ndarray of int
        Flat index of each patch's center.
    element : (n,) ndarray of uint8
        Symmetry of each patch.
    offsets : (48, taps) ndarray of int
        Steps from the center to each tap in the flat array, by symmetry
        (:func:`napari_mrisr.bank.symmetries.element_offsets`).
    centered : bool
        Subtract the center.

    Returns
    -------
    (n, taps) ndarray of float32
    """
    flat = source.reshape(-1)
    rows = np.empty((base.size, offsets.shape[1]), np.float32)
    for row, center, e in zip(rows, base, element, strict=True):
        row[:] = flat[center + offsets[e]] - (flat[center] if centered else 0.0)
    return rows


def filter_cells(
    source: FloatArray,
    bucket: NDArray[np.int32],
    element: NDArray[np.uint8],
    offsets: IndexArray,
    places: IndexArray,
    weights: FloatArray,
    scale: tuple[int, int, int],
    out: FloatArray,
) -> None:
    """Filter low-resolution voxels and add the results to their blocks of ``out``.

    Parameters
    ----------
    source : (nx + 2 rx, ny + 2 ry, nz + 2 rz) ndarray of float32
        Low-resolution voxels with half a patch around them.
    bucket, element : (nx, ny, nz) ndarray of int32 and uint8
        Bucket and symmetry of each voxel. A bucket without a filter adds nothing.
    offsets : (48, taps) ndarray of int
        As in :func:`gather`, for ``source``.
    places : (48, outputs) ndarray of int
        Steps in the flat ``out`` from a block's first voxel to each output,
        by symmetry (:func:`napari_mrisr.bank.symmetries.phase_offsets`).
    weights : (filters, taps, outputs or more) ndarray of float32
        Applied to the patch minus its center. The numba kernel needs the last
        axis padded to a multiple of eight.
    scale : tuple of int
        Size of a block.
    out : (nx sx, ny sy, nz sz) ndarray of float32
        Added to.
    """
    radius = (np.array(source.shape) - bucket.shape) // 2
    flat, flat_out = source.reshape(-1), out.reshape(-1)
    outputs = places.shape[1]
    for index in np.ndindex(*bucket.shape):
        if bucket[index] >= len(weights):
            continue
        center = np.ravel_multi_index(tuple(index + radius), source.shape)
        corner = np.ravel_multi_index(tuple(np.array(index) * scale), out.shape)
        patch = flat[center + offsets[element[index]]].astype(np.float64) - flat[center]
        total = patch @ weights[bucket[index], :, :outputs]
        flat_out[corner + places[element[index]]] += total


def filter_voxels(
    source: FloatArray,
    bucket: NDArray[np.int32],
    element: NDArray[np.uint8],
    offsets: IndexArray,
    weights: FloatArray,
    centered: bool,
) -> FloatArray:
    """Filter voxels, one value per voxel.

    Parameters
    ----------
    source : (nx + 2 rx, ny + 2 ry, nz + 2 rz) ndarray of float32
        Voxels with half a patch around them.
    bucket, element : (nx, ny, nz) ndarray of int32 and uint8
        Bucket and symmetry of each voxel. A bucket without a filter gives 0.
    offsets : (48, taps) ndarray of int
        As in :func:`gather`, for ``source``.
    weights : (filters, taps) ndarray of float32
        One filter per bucket.
    centered : bool
        Filters see the patch minus its center.

    Returns
    -------
    (nx, ny, nz) ndarray of float32
    """
    radius = (np.array(source.shape) - bucket.shape) // 2
    flat = source.reshape(-1)
    out = np.zeros(bucket.shape, np.float32)
    for index in np.ndindex(*bucket.shape):
        if bucket[index] < len(weights):
            center = np.ravel_multi_index(tuple(index + radius), source.shape)
            patch = flat[center + offsets[element[index]]].astype(np.float64)
            if centered:
                patch -= flat[center]
            out[index] = patch @ weights[bucket[index]]
    return out
