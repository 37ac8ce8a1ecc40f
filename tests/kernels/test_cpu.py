"""The numba kernels agree with the reference, over shapes, memory orders and edges."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.bank.symmetries import ELEMENTS, element_offsets, phase_offsets
from napari_mrisr.kernels import cpu, reference

ORDERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "sliced": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
}

TABLE = np.array(ELEMENTS)


def random_array(rng, shape):
    return rng.normal(0.4, 0.3, shape).astype(np.float32)


def random_bank(rng, shape, width, filters, outputs=1):
    """A padded source, buckets (one of them without a filter), elements and weights."""
    source = random_array(rng, [n + width - 1 for n in shape])
    bucket = rng.integers(0, filters + 1, shape).astype(np.int32)
    element = rng.integers(0, 48, shape).astype(np.uint8)
    weights = rng.normal(0, 1 / width**1.5, (filters, width**3, outputs)).astype(np.float32)
    offsets = element_offsets((width,) * 3, (source.shape[1] * source.shape[2], source.shape[2], 1))
    return source, bucket, element, offsets, weights


@pytest.mark.parametrize("shape", [(3, 3, 3), (4, 7, 5), (5, 3, 34), (12, 11, 3)])
def test_gradient_products(rng, shape):
    array = random_array(rng, shape)
    result = cpu.gradient_products(array)
    assert result.shape == (6, *(n - 2 for n in shape))
    np.testing.assert_allclose(result, reference.gradient_products(array), rtol=1e-5, atol=1e-7)


def test_gradient_products_of_a_ramp():
    x, y, z = np.meshgrid(*map(np.arange, (5, 6, 7)), indexing="ij")
    ramp = (2.0 * x + 3.0 * y - 5.0 * z).astype(np.float32)
    for kernels in (cpu, reference):
        products = kernels.gradient_products(ramp)
        np.testing.assert_allclose(products[:, 1, 2, 3], [4, 6, -10, 9, -15, 25])
        assert np.ptp(products, axis=(1, 2, 3)).max() < 1e-5


@pytest.mark.parametrize("order", ORDERS)
def test_take(rng, order):
    source = ORDERS[order](random_array(rng, (6, 7, 9)))
    for z in ([2, 1, 0, 1, 2, 3, 4, 5, 4, 3], [5, 4, 3], [0], [8, 8, 8, 0, 1]):
        index = [np.array([3, 0, 0, 5]), np.array([6]), np.array(z)]
        np.testing.assert_array_equal(cpu.take(source, index), source[np.ix_(*index)])


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("width", [1, 3, 5])
def test_the_reference_gathers_turned_cubes(rng, centered, width):
    source = random_array(rng, (8, 9, 7))
    offsets = element_offsets((width,) * 3, (63, 7, 1))
    r = width // 2
    at = [rng.integers(r, n - r, 50) for n in source.shape]
    base = np.ravel_multi_index(at, source.shape)
    element = rng.integers(0, 48, 50).astype(np.uint8)
    result = reference.gather(source, base, element, offsets, centered)
    for row, x, y, z, e in zip(result, *at, element, strict=True):
        cube = source[x - r : x + r + 1, y - r : y + r + 1, z - r : z + r + 1]
        permutation, signs = ELEMENTS[e]
        turned = np.flip(np.transpose(cube, permutation), np.flatnonzero(np.less(signs, 0)))
        np.testing.assert_array_equal(row, turned.ravel() - (source[x, y, z] if centered else 0))


@pytest.mark.parametrize(
    "scale", [(2, 2, 2), (3, 3, 3), (1, 1, 4), (2, 1, 3), (1, 1, 1), (5, 5, 5)]
)
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 2, 3), (4, 1, 1)])
def test_filter_cells(rng, scale, shape):
    outputs = int(np.prod(scale))
    source, bucket, element, offsets, weights = random_bank(rng, shape, 3, 6, outputs)
    out = random_array(rng, [n * s for n, s in zip(shape, scale, strict=True)])
    places = phase_offsets(scale) @ np.array([out.shape[1] * out.shape[2], out.shape[2], 1])
    expected = out.copy()
    # Padding that must not come out.
    weights = np.pad(weights, ((0, 0), (0, 0), (0, -outputs % 8)), constant_values=9.0)
    arguments = source, bucket, element, offsets, places, weights, scale
    reference.filter_cells(*arguments, expected)
    before = out.copy()
    cpu.filter_cells(*arguments, out)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=2e-6)
    # Without a filter nothing is added.
    blocks = np.kron(bucket == 6, np.ones(scale, bool))
    np.testing.assert_array_equal(out[blocks], before[blocks])


def test_cells_of_flat_patches(rng):
    """A patch of 5 × 5 × 3 low-resolution voxels gives four outputs."""
    shape, patch, scale = (3, 4, 5), (5, 5, 3), (1, 1, 4)
    source = random_array(rng, [n + w - 1 for n, w in zip(shape, patch, strict=True)])
    bucket = rng.integers(0, 4, shape).astype(np.int32)
    swaps = [e for e, (order, _) in enumerate(ELEMENTS) if order[2] == 2]
    element = rng.choice(swaps, shape).astype(np.uint8)
    weights = np.pad(random_array(rng, (4, 75, 4)), ((0, 0), (0, 0), (0, 4)))
    offsets = element_offsets(patch, (source.shape[1] * source.shape[2], source.shape[2], 1))
    out = np.zeros((3, 4, 20), np.float32)
    places = phase_offsets(scale) @ np.array([out.shape[1] * out.shape[2], out.shape[2], 1])
    cpu.filter_cells(source, bucket, element, offsets, places, weights, scale, out)
    for i, j, k in np.ndindex(*shape):
        box = source[i : i + 5, j : j + 5, k : k + 3]
        order, signs = ELEMENTS[element[i, j, k]]
        turned = np.flip(np.transpose(box, order), np.flatnonzero(np.less(signs, 0)))
        total = (turned - box[2, 2, 1]).reshape(-1) @ weights[bucket[i, j, k], :, :4]
        four = out[i, j, 4 * k : 4 * k + 4]
        np.testing.assert_allclose(four[::-1] if signs[2] < 0 else four, total, atol=1e-4)


def test_a_patch_of_the_reference_is_the_turned_volume(rng):
    """The canonical patch is the cube with its axes permuted and flipped, by numpy's own hand."""
    from napari_mrisr.bank.symmetries import ELEMENTS

    cube = random_array(rng, (3, 3, 3))
    offsets = element_offsets((3,) * 3, (9, 3, 1))
    for e, (permutation, signs) in enumerate(ELEMENTS):
        turned = np.transpose(cube, permutation)
        turned = np.flip(turned, [axis for axis in range(3) if signs[axis] < 0])
        patch = reference.gather(cube, np.array([13]), np.array([e], np.uint8), offsets, False)
        np.testing.assert_array_equal(patch[0], turned.reshape(-1))


def random_filters(rng, shape, width, filters=5):
    """A padded source, buckets (one of them without a filter), elements and weights."""
    source = rng.normal(0.4, 0.3, [n + width - 1 for n in shape]).astype(np.float32)
    bucket = rng.integers(0, filters + 1, shape).astype(np.int32)
    element = rng.integers(0, 48, shape).astype(np.uint8)
    weights = rng.normal(0, 1 / width**1.5, (filters, width**3)).astype(np.float32)
    return source, bucket, element, weights


def by_reference(source, bucket, element, weights, width, centered):
    strides = (source.shape[1] * source.shape[2], source.shape[2], 1)
    offsets = element_offsets((width,) * 3, strides)
    return reference.filter_voxels(source, bucket, element, offsets, weights, centered)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("width", [1, 3, 5, 7, 9, 11])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 2, 19), (4, 1, 1)])
def test_filter_voxels(rng, centered, width, shape):
    source, bucket, element, weights = random_filters(rng, shape, width)
    rows = cpu.filter_rows(weights, (width,) * 3)
    result = cpu.filter_voxels(source, bucket, element, TABLE, rows, centered)
    expected = by_reference(source, bucket, element, weights, width, centered)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=3e-6)
    assert not result[bucket == 5].any()


@pytest.mark.parametrize("element", range(48))
def test_each_symmetry(rng, element):
    source, bucket, _, weights = random_filters(rng, (2, 3, 4), 5)
    elements = np.full(bucket.shape, element, np.uint8)
    rows = cpu.filter_rows(weights, (5,) * 3)
    result = cpu.filter_voxels(source, bucket, elements, TABLE, rows, True)
    expected = by_reference(source, bucket, elements, weights, 5, True)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("patch", [(5, 5, 3), (3, 3, 7), (3, 3, 9), (1, 5, 3)])
def test_patches_of_another_width_along_each_axis(rng, patch):
    """Only with symmetries that swap axes of equal widths."""
    shape, element_list = (3, 4, 5), range(8)
    if patch[0] == patch[1]:
        element_list = [e for e, (order, _) in enumerate(ELEMENTS) if order[2] == 2]
    source = rng.normal(size=[n + w - 1 for n, w in zip(shape, patch, strict=True)])
    source = source.astype(np.float32)
    bucket = rng.integers(0, 6, shape).astype(np.int32)
    element = rng.choice(element_list, shape).astype(np.uint8)
    weights = rng.normal(size=(5, int(np.prod(patch)))).astype(np.float32)
    found = cpu.filter_voxels(source, bucket, element, TABLE, cpu.filter_rows(weights, patch), True)
    radius = [w // 2 for w in patch]
    for index in np.ndindex(*shape):
        box = source[tuple(slice(i, i + w) for i, w in zip(index, patch, strict=True))]
        order, signs = ELEMENTS[element[index]]
        turned = np.flip(np.transpose(box, order), np.flatnonzero(np.less(signs, 0)))
        taps = (turned - box[tuple(radius)]).reshape(-1).astype(np.float64)
        expected = taps @ weights[bucket[index]] if bucket[index] < 5 else 0.0
        np.testing.assert_allclose(found[index], expected, rtol=1e-4, atol=1e-4)


def test_filters_and_their_mirror_images(rng):
    weights = rng.normal(size=(3, 125)).astype(np.float32)
    rows = cpu.filter_rows(weights, (5,) * 3)
    assert rows.shape == (6, 25, 8)
    assert not rows[:, :, 5:].any()
    np.testing.assert_array_equal(rows[2, :, :5], weights[1].reshape(25, 5))
    np.testing.assert_array_equal(rows[3, :, :5], weights[1].reshape(25, 5)[:, ::-1])


@pytest.mark.parametrize("width", [3, 5])
def test_filtered_voxels_do_not_depend_on_the_region(rng, width):
    source, bucket, element, weights = random_filters(rng, (4, 5, 23), width)
    rows = cpu.filter_rows(weights, (width,) * 3)
    whole = cpu.filter_voxels(source, bucket, element, TABLE, rows, True)
    for start, stop in [(0, 1), (3, 11), (20, 23)]:
        box = np.s_[1:3, :, start:stop]
        part = source[1 : 3 + width - 1, :, start : stop + width - 1]
        result = cpu.filter_voxels(
            np.ascontiguousarray(part), bucket[box], element[box], TABLE, rows, True
        )
        np.testing.assert_array_equal(result, whole[box])
