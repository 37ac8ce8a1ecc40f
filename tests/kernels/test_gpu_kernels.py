"""The CUDA kernels agree with the reference: compiled for this processor, and on a GPU."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.patterns import ANGLE_CUTS, OTHER_CUTS, random_fields

from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.symmetries import ELEMENTS, element_offsets, phase_offsets
from napari_mrisr.kernels import gpu_kernels, reference


def put(machine, *arrays):
    return [machine.xp.asarray(array) for array in arrays]


# Rows, boxes, products


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows(machine, rng, axis):
    array = rng.normal(size=(6, 9, 11)).astype(np.float32)
    first = np.sort(rng.integers(0, array.shape[axis] - 3, 14))
    taps = rng.normal(size=(14, 4)).astype(np.float32)
    (there,) = put(machine, array)
    found = machine.get(gpu_kernels.apply_rows(machine, there, first, taps, axis))
    expected = reference.apply_rows(array, first, taps, axis)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_rows_of_several_parts_of_a_crop(machine, rng, axis):
    parts = rng.normal(size=(3, 8, 7, 9)).astype(np.float32)
    first, taps = np.array([0, 2, 1]), rng.normal(size=(3, 2)).astype(np.float32)
    (there,) = put(machine, parts)
    found = gpu_kernels.apply_rows(machine, there[:, 1:-1, :, 2:], first, taps, axis)
    for part, one in zip(parts, machine.get(found), strict=True):
        expected = reference.apply_rows(part[1:-1, :, 2:], first, taps, axis - 1)
        np.testing.assert_allclose(one, expected, atol=2e-6)


def test_box(machine, rng):
    array = rng.normal(size=(5, 6, 7)).astype(np.float32)
    index = np.array([2, 1, 0, 1]), np.array([5, 4]), np.array([0, 6, 3])
    (there,) = put(machine, array)
    found = machine.get(gpu_kernels.take_box(machine, there, index))
    np.testing.assert_array_equal(found, array[np.ix_(*index)])


def test_products(machine, rng):
    array = rng.normal(size=(5, 7, 9)).astype(np.float32)
    (there,) = put(machine, array)
    found = machine.get(gpu_kernels.gradient_products(machine, there))
    np.testing.assert_allclose(found[:6], reference.gradient_products(array), atol=1e-6)
    np.testing.assert_array_equal(found[6], array[1:-1, 1:-1, 1:-1])


# Features and buckets


@pytest.mark.parametrize("shape", [(3, 4, 5), (9, 7, 12)])
def test_features(machine, rng, shape):
    tensor, smooth = random_fields(rng, shape)
    found = machine.get(gpu_kernels.voxel_features(machine, *put(machine, tensor, smooth)))
    expected = reference.voxel_features(tensor, smooth)
    np.testing.assert_allclose(found[..., :3], expected[..., :3], atol=1e-7)
    np.testing.assert_allclose(found[..., 3:], expected[..., 3:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("symmetry", ANGLE_CUTS)
@pytest.mark.parametrize("flat", [0.0, 0.06])
def test_buckets(machine, rng, symmetry, flat):
    phases = {"cube": (2, 2, 2), "plane": (2, 2, 3)}.get(symmetry, (1, 2, 3))
    cuts = {**ANGLE_CUTS[symmetry], **OTHER_CUTS}
    spec = HashSpec(cuts=cuts, symmetry=symmetry, phases=phases, flat=flat)
    tensor, smooth = random_fields(rng, (11, 12, 13))
    origin = (3, 0, 5)
    code = gpu_kernels.put_code(machine, spec.code)
    there = gpu_kernels.hash_voxels(machine, *put(machine, tensor, smooth), origin, code)
    bucket, element = (machine.get(part) for part in there)
    expected = reference.hash_voxels(tensor, smooth, origin, spec.code)
    # Both in double precision: what rounding moves across a cut is less than one of a thousand.
    assert (bucket != expected[0]).sum() <= 1
    assert (element != expected[1]).sum() <= 1
    assert bucket.dtype == np.int32
    assert element.dtype == np.uint8
    assert len(np.unique(bucket)) > 40
    assert (bucket == spec.filter_count).any() == (flat > 0)


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


@pytest.mark.parametrize("size", [1.0, 1e-12, 1e4])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_tensors(machine, rng, name, size):
    """Eigenvalues as the reference has them; the vector is one, of length 1."""
    turns = [np.eye(3), *(np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(9))]
    tensor = np.zeros((6, 3, 3, len(turns) + 2), np.float32)
    for k, turn in enumerate(turns):
        matrix = (turn * (np.array(DEGENERATE[name]) * size)) @ turn.T
        pairs = itertools.combinations_with_replacement(range(3), 2)
        tensor[:, 1, 1, k + 1] = [matrix[a][b] for a, b in pairs]
    smooth = np.zeros(tensor.shape[1:], np.float32)
    found = machine.get(gpu_kernels.voxel_features(machine, *put(machine, tensor, smooth)))[0, 0]
    expected = reference.voxel_features(tensor, smooth)[0, 0]
    np.testing.assert_allclose(found[:, :3], expected[:, :3], atol=3e-7 * size)
    np.testing.assert_allclose(np.linalg.norm(found[:, 3:6], axis=1), 1.0, atol=1e-6)
    for k, row in enumerate(found.astype(np.float64)):
        xx, xy, xz, yy, yz, zz = tensor[:, 1, 1, k + 1].astype(np.float64)
        rest = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ row[3:6]
        np.testing.assert_allclose(rest, row[0] * row[3:6], atol=3e-6 * size)
    if name in ("flat", "equal"):
        np.testing.assert_array_equal(found[:1, 3:6], [[1.0, 0.0, 0.0]])


# Filters


def filtering(rng, shape, width, filters, outputs):
    """Source, buckets (one without a filter among them), symmetries, weights."""
    r = width // 2
    source = rng.normal(size=[n + 2 * r for n in shape]).astype(np.float32)
    bucket = rng.integers(0, filters + 1, shape).astype(np.int32)
    element = rng.integers(0, len(ELEMENTS), shape).astype(np.uint8)
    weights = rng.normal(size=(filters, width**3, outputs)).astype(np.float32) / width
    return source, bucket, element, weights


def offsets_of(width, source):
    return element_offsets((width,) * 3, (source.shape[1] * source.shape[2], source.shape[2], 1))


@pytest.mark.parametrize(("width", "shape"), [(1, (2, 3, 4)), (3, (5, 6, 7)), (7, (3, 1, 9))])
@pytest.mark.parametrize("centered", [True, False])
def test_voxels(machine, rng, width, shape, centered):
    source, bucket, element, weights = filtering(rng, shape, width, 7, 1)
    single = np.ascontiguousarray(weights[:, :, 0])
    there = put(machine, source, bucket, element)
    planes = gpu_kernels.put_voxel_weights(machine, single, width)
    arguments = source, bucket, element, offsets_of(width, source), single, centered
    expected = reference.filter_voxels(*arguments)
    found = gpu_kernels.filter_voxels(machine, *there, planes, centered=centered)
    np.testing.assert_allclose(machine.get(found), expected, atol=2e-5)
    r = width // 2
    inner = source[tuple(slice(r, r + n) for n in shape)]
    found = gpu_kernels.filter_voxels(machine, *there, planes, centered=centered, add=True, low=0.1)
    np.testing.assert_allclose(machine.get(found), np.maximum(expected + inner, 0.1), atol=2e-5)


@pytest.mark.parametrize(
    ("scale", "elements"), [((2, 2, 2), 48), ((3, 3, 3), 48), ((1, 1, 4), 8), ((2, 1, 3), 8)]
)
def test_cells(machine, rng, scale, elements):
    width, shape, outputs = 3, (3, 4, 5), int(np.prod(scale))
    source, bucket, element, weights = filtering(rng, shape, width, 6, outputs)
    element %= elements
    out = rng.normal(size=[n * s for n, s in zip(shape, scale, strict=True)]).astype(np.float32)
    places = phase_offsets(scale) @ np.array([out.shape[1] * out.shape[2], out.shape[2], 1])
    # What fills up the eights must not be added anywhere.
    padded = np.pad(weights, ((0, 0), (0, 0), (0, -outputs % 8)), constant_values=7.0)
    results = []
    for low in (-np.inf, 0.2):
        source_there, *buckets, padded_there, result = put(
            machine, source, bucket, element, padded, np.maximum(out, low)
        )
        gpu_kernels.filter_cells(
            machine, source_there, *buckets, places, padded_there, width, scale, result, low=low
        )
        results.append(machine.get(result))
        expected = np.maximum(out, low)
        arguments = source, bucket, element, offsets_of(width, source), places, weights, scale
        reference.filter_cells(*arguments, expected)
        np.testing.assert_allclose(results[-1], np.maximum(expected, low), atol=1e-5)
    assert (results[0] != out).mean() > 0.5


@pytest.mark.parametrize("centered", [True, False])
def test_gather(machine, rng, centered):
    source = rng.normal(size=(9, 8, 7)).astype(np.float32)
    base = np.ravel_multi_index(rng.integers(2, 5, (3, 12)), source.shape)
    element = rng.integers(0, 48, 12).astype(np.uint8)
    offsets = offsets_of(5, source)
    there = put(machine, source, base, element, offsets.astype(np.int32))
    found = machine.get(gpu_kernels.gather(machine, *there, centered))
    np.testing.assert_array_equal(found, reference.gather(source, base, element, offsets, centered))
