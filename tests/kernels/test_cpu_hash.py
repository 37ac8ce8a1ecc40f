"""Hashing in numba agrees with the reference, degenerate tensors included."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.patterns import ANGLE_CUTS, OTHER_CUTS, random_fields

from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.symmetries import ELEMENTS
from napari_mrisr.kernels import cpu_hash, reference


def uniform(matrix, shape=(4, 5, 6)):
    """Fields with the same tensor everywhere."""
    components = [matrix[a][b] for a, b in itertools.combinations_with_replacement(range(3), 2)]
    tensor = np.broadcast_to(np.reshape(components, (6, 1, 1, 1)), (6, *shape))
    return np.ascontiguousarray(tensor, np.float32), np.zeros(shape, np.float32)


def features_of(matrix):
    tensor, smooth = uniform(matrix, (3, 3, 3))
    return cpu_hash.voxel_features(tensor, smooth)[0, 0, 0].astype(np.float64)


@pytest.mark.parametrize("shape", [(3, 4, 5), (9, 7, 12), (6, 3, 21)])
def test_features(rng, shape):
    tensor, smooth = random_fields(rng, shape)
    result = cpu_hash.voxel_features(tensor, smooth)
    expected = reference.voxel_features(tensor, smooth)
    assert result.shape == expected.shape == (*(n - 2 for n in shape), 8)
    scale = expected[..., :1]
    np.testing.assert_allclose(result[..., :3] / scale, expected[..., :3] / scale, atol=2e-6)
    # Where the slope along v is nearly zero, its sign is rounding's.
    clear = (np.abs(expected[..., 6]) > 1e-4) & (expected[..., 1] < 0.98 * expected[..., 0])
    assert clear.mean() > 0.9
    np.testing.assert_allclose(result[clear][:, 3:], expected[clear][:, 3:], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("symmetry", list(ANGLE_CUTS))
@pytest.mark.parametrize("phases", [(1, 1, 1), (2, 2, 2), (1, 2, 3)])
@pytest.mark.parametrize("flat", [0.0, 0.06])
def test_hash(rng, symmetry, phases, flat):
    if symmetry == "cube" and len(set(phases)) > 1:
        phases = (3, 3, 3)
    if symmetry == "plane" and phases == (1, 2, 3):
        phases = (2, 2, 3)
    spec = HashSpec(
        cuts={**ANGLE_CUTS[symmetry], **OTHER_CUTS},
        symmetry=symmetry,
        phases=phases,
        flat=flat,
    )
    tensor, smooth = random_fields(rng, (11, 12, 13))
    arguments = tensor, smooth, (3, 0, 5), spec.code
    bucket, element = cpu_hash.hash_voxels(*arguments)
    expected_bucket, expected_element = reference.hash_voxels(*arguments)
    assert bucket.dtype == expected_bucket.dtype == np.int32
    assert element.dtype == expected_element.dtype == np.uint8
    assert bucket.shape == element.shape == (9, 10, 11)
    # Rounding may put a voxel on the other side of a cut, one in a thousand.
    assert (bucket == expected_bucket).mean() > 0.998
    assert (element == expected_element).mean() > 0.998
    assert len(np.unique(bucket)) > 40
    assert bucket.min() >= 0
    assert bucket.max() < spec.bucket_count
    assert (bucket == spec.filter_count).any() == (flat > 0)


def test_elements_are_those_of_hashing():
    """The reference may not import hashing, which stands above it."""
    assert reference._ELEMENTS == ELEMENTS


def test_features_of_a_tilted_sheet_are_known():
    """λ and v by hand: T = g g'."""
    g = np.array([0.2, -0.3, 0.6])
    features = features_of(np.outer(g, g))
    np.testing.assert_allclose(features[:3], [g @ g, 0, 0], atol=1e-6)
    assert abs(abs(features[3:6] @ g) - np.linalg.norm(g)) < 1e-6


def test_slope_and_curvature_of_a_parabolic_sheet():
    """Energy growing along x, intensities bent along y: both known in closed form."""
    shape = (5, 6, 7)
    x, y, _ = np.meshgrid(*map(np.arange, shape), indexing="ij")
    tensor = np.zeros((6, *shape), np.float32)
    tensor[0] = 0.04 * (1 + 0.25 * x)
    for sign in (1, -1):  # bright on the far side, then dark
        smooth = (sign * (0.2 * x + 0.03 * y**2)).astype(np.float32)
        features = cpu_hash.voxel_features(tensor, smooth)
        energy = 0.04 * (1 + 0.25 * x[1:-1, 1:-1, 1:-1])
        np.testing.assert_allclose(features[..., 3], 1.0)
        np.testing.assert_allclose(features[..., 6], 0.01 / energy, rtol=1e-5)
        np.testing.assert_allclose(features[..., 7], 0.06 / np.sqrt(energy), rtol=1e-4)
        np.testing.assert_allclose(
            features, reference.voxel_features(tensor, smooth), rtol=1e-4, atol=1e-6
        )
    # Energy growing the other way turns v, and with it the sign of the curvature.
    turned = cpu_hash.voxel_features(tensor[:, ::-1].copy(), smooth)
    assert (turned[..., 3] == -1.0).all()
    assert (turned[..., 7] < 0).all()


def random_rotation(rng):
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]


DEGENERATE = {
    "flat": (0.0, 0.0, 0.0),
    "one direction": (1.0, 0.0, 0.0),
    "equal": (1.0, 1.0, 1.0),
    "two large equal": (1.0, 1.0, 0.2),
    "two large equal, no third": (1.0, 1.0, 0.0),
    "two small equal": (1.0, 0.3, 0.3),
    "nearly equal": (1.0, 1.0 - 1e-6, 1.0 - 2e-6),
    "far apart": (1.0, 1e-5, 1e-10),
}


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-12, 1e4])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_tensors(rng, name, size):
    values = np.array(DEGENERATE[name]) * size
    rotations = [np.eye(3), np.eye(3)[[1, 2, 0]], *(random_rotation(rng) for _ in range(20))]
    for rotation in rotations:
        matrix = (rotation * values) @ rotation.T
        tensor, smooth = uniform(matrix)
        with np.errstate(all="raise"):
            features = cpu_hash.voxel_features(tensor, smooth)[0, 0, 0].astype(np.float64)
        assert np.isfinite(features).all()
        assert (features[:3] >= 0).all()
        assert (np.diff(features[:3]) <= 1e-6 * size).all()
        np.testing.assert_allclose(features[:3], values, atol=1e-6 * size)
        v = features[3:6]
        np.testing.assert_allclose(np.linalg.norm(v), 1.0, rtol=1e-6)
        # Whatever v is chosen, it is a first eigenvector of what the kernel was given.
        given = np.array(tensor[:, 0, 0, 0], np.float64)[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]]
        np.testing.assert_allclose(given @ v, values[0] * v, atol=3e-4 * size)
        for spec in (HashSpec(), HashSpec(cuts=ANGLE_CUTS["cube"], symmetry="cube")):
            bucket, element = cpu_hash.hash_voxels(tensor, smooth, (0, 0, 0), spec.code)
            assert (bucket >= 0).all()
            assert (bucket < spec.bucket_count).all()
            assert (element < 48).all()


def test_without_a_direction_it_is_x():
    for values in ("flat", "equal"):
        features = features_of(np.diag(DEGENERATE[values]))
        np.testing.assert_array_equal(features[3:6], [1, 0, 0])


def test_negative_eigenvalues_by_rounding_are_zero(rng):
    """A tensor that rounding made indefinite: still λ ≥ 0, and no NaN from its roots."""
    spec = HashSpec(cuts=OTHER_CUTS)
    for _ in range(200):
        g = rng.normal(size=3)
        matrix = np.outer(g, g) + 1e-7 * np.diag(rng.normal(size=3))
        features = features_of(matrix)
        assert np.isfinite(features).all()
        assert (features[:3] >= 0).all()
        bucket, _ = cpu_hash.hash_voxels(*uniform(matrix), (0, 0, 0), spec.code)
        assert (bucket >= 0).all()
        assert (bucket < spec.filter_count).all()


def test_eigen_is_that_of_lapack_over_random_tensors(rng):
    factors = rng.normal(size=(300, 3, 3)) * 10.0 ** rng.uniform(-3, 1, (300, 1, 1))
    for factor in factors:
        matrix = (factor @ factor.T).astype(np.float32).astype(np.float64)
        values, vectors = np.linalg.eigh(matrix)
        features = features_of(matrix)
        np.testing.assert_allclose(features[:3], values[::-1], atol=2e-6 * values[2])
        if values[1] < 0.99 * values[2]:
            assert abs(features[3:6] @ vectors[:, 2]) > 1 - 1e-6


@pytest.mark.parametrize("symmetry", list(ANGLE_CUTS))
def test_origin_moves_the_phases_and_nothing_else(rng, symmetry):
    spec = HashSpec(symmetry=symmetry, phases=(2, 2, 2))
    tensor, smooth = random_fields(rng, (7, 8, 9))
    at_corner, element = cpu_hash.hash_voxels(tensor, smooth, (0, 0, 0), spec.code)
    moved, same = cpu_hash.hash_voxels(tensor, smooth, (4, 6, 2), spec.code)
    np.testing.assert_array_equal(moved, at_corner)
    np.testing.assert_array_equal(same, element)
    shifted, _ = cpu_hash.hash_voxels(tensor, smooth, (1, 0, 0), spec.code)
    assert (shifted != at_corner).all()


@pytest.mark.parametrize("symmetry", list(ANGLE_CUTS))
def test_axes_that_lie_swapped_give_the_same_bits(rng, symmetry):
    spec = HashSpec(
        cuts={**ANGLE_CUTS[symmetry], **OTHER_CUTS}, symmetry=symmetry, phases=(3, 3, 3)
    )
    tensor, smooth = random_fields(rng, (7, 31, 5))
    expected = cpu_hash.hash_voxels(tensor, smooth, (4, 1, 2), spec.code)
    turned = (np.ascontiguousarray(np.swapaxes(a, -1, -2)) for a in (tensor, smooth))
    found = cpu_hash.hash_voxels(*turned, (4, 1, 2), spec.code, True)
    for result, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(result.transpose(0, 2, 1), right)
