"""The head mask on made-up heads whose outline is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import CancelToken
from napari_mrisr.errors import ParameterError
from napari_mrisr.scan import masks
from napari_mrisr.scan.masks import eroded, head_mask, interior_mask

SHAPE = (88, 101, 79)


def ball(shape=SHAPE, radius=0.36, center=(0.5, 0.5, 0.5)):
    axes = [(np.arange(n) + 0.5) / n - c for n, c in zip(shape, center, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.sqrt(x**2 + y**2 + z**2) < radius


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def assert_outline(mask, head, voxels=2):
    """The outline is right to ``voxels``, but for a few voxels in a thousand."""
    cube = np.ones((3, 3, 3), dtype=bool)
    wide = ndimage.binary_dilation(head, cube, iterations=voxels)
    narrow = ndimage.binary_erosion(head, cube, iterations=voxels)
    allowed = 0.003 * np.count_nonzero(head)
    assert np.count_nonzero(mask & ~wide) <= allowed
    assert np.count_nonzero(narrow & ~mask) <= allowed


@pytest.fixture
def anatomy(rng):
    """Bright shell, dark gap (skull), medium brain with dark ventricles."""
    head = ball()
    data = np.zeros(SHAPE)
    data[head] = 600.0
    data[ball(radius=0.33)] = 130.0
    data[ball(radius=0.30)] = 400.0
    data[ball(radius=0.06)] = 30.0
    return head, ndimage.gaussian_filter(data, 0.6)


def rician(data, sigma, rng):
    a, b = sigma * rng.standard_normal((2, *data.shape))
    return np.hypot(data + a, b).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.0, 10.0, 30.0])
def test_a_head_is_found_under_noise(anatomy, rng, sigma):
    head, data = anatomy
    assert_outline(head_mask(rician(data, sigma, rng)), head)


def test_the_inside_of_the_head_has_no_holes(anatomy, rng):
    mask = head_mask(rician(anatomy[1], 10.0, rng))
    assert mask[ball(radius=0.32)].all()


def test_a_skull_stripped_brain_is_kept_to_its_rim(rng):
    brain = ball(radius=0.34)
    data = np.where(brain, 300.0 + 100.0 * rng.random(SHAPE), 0.0)
    data[brain & ~ball(radius=0.31)] *= 0.4  # dark cortex
    mask = head_mask(data)
    assert dice(mask, brain) > 0.96
    assert np.count_nonzero(brain & ~mask) < 0.01 * np.count_nonzero(brain)


def test_a_removed_face_stays_outside(anatomy, rng):
    head, data = anatomy
    noisy = rician(data, 10.0, rng)
    face = np.zeros(SHAPE, dtype=bool)
    face[:, 70:, :45] = True
    noisy[face] = 0.0
    mask = head_mask(noisy)
    assert dice(mask, head & ~face) > 0.92
    deep = face.copy()
    deep[:, :76, :] = False
    deep[:, :, 39:] = False
    assert np.count_nonzero(mask & deep & head) < 0.02 * np.count_nonzero(deep & head)


def test_only_the_largest_object_stays(anatomy):
    head, data = anatomy
    data = data.copy()
    data[2:8, 2:9, 2:10] = 500.0  # a marker beside the head
    mask = head_mask(data)
    assert not mask[2:8, 2:9, 2:10].any()
    assert_outline(mask, head)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_the_intensity_unit_does_not_matter(anatomy, factor):
    _, data = anatomy
    assert dice(head_mask(data * factor), head_mask(data)) > 0.999


def test_the_same_volume_gives_the_same_mask_and_stays_as_it_was(anatomy, rng):
    noisy = rician(anatomy[1], 10.0, rng)
    before = noisy.copy()
    first = head_mask(noisy)
    np.testing.assert_array_equal(first, head_mask(noisy))
    np.testing.assert_array_equal(noisy, before)
    assert first.dtype == np.bool_
    assert first.shape == SHAPE


def test_a_thick_slice_stack_keeps_its_axes(rng):
    shape = (120, 97, 9)
    head = np.zeros(shape, dtype=bool)
    head[20:80, 30:90, :] = True
    data = np.where(head, 500.0, 5.0) + rng.random(shape)
    mask = head_mask(data)
    assert_outline(mask, head)
    assert mask[30:70, 40:80].all()


@pytest.mark.parametrize("slices", [1, 2, 3, 4])
def test_a_few_slices_are_no_colors(slices, rng):
    data = 5.0 * rng.random((40, 30, slices))
    data[10:30, 8:22] += 500.0
    assert dice(head_mask(data), data > 400) > 0.8


def test_a_bright_volume_without_background_is_all_head(rng):
    data = 500.0 + rng.random((20, 21, 22))
    assert head_mask(data).mean() > 0.3  # whatever is brighter; no crash


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_a_constant_volume_has_no_head(value):
    assert not head_mask(np.full((5, 6, 7), value)).any()


def test_a_single_voxel_does_not_crash():
    data = np.zeros((9, 10, 11))
    data[4, 5, 6] = 1.0
    assert head_mask(data).shape == (9, 10, 11)


def test_only_three_axes():
    with pytest.raises(ParameterError, match="2 axes"):
        head_mask(np.zeros((5, 6)))


def test_the_rim_is_as_wide_as_asked():
    data = np.zeros((20, 21, 22))
    data[3:17, 4:18, 5:19] = 1.0
    expected = np.zeros(data.shape, dtype=bool)
    expected[5:15, 6:16, 7:17] = True
    np.testing.assert_array_equal(interior_mask(data, 2), expected)
    np.testing.assert_array_equal(interior_mask(data, 0), data != 0)


def test_the_border_of_the_array_is_no_rim():
    data = np.ones((6, 7, 8))
    data[0, 0, 0] = np.nan
    mask = interior_mask(data, 1)
    assert not mask[0, 0, 0]
    assert not mask[0, 1, 0]
    assert mask[5, 6, 7]
    assert np.count_nonzero(~mask) == 4


def test_eroding_leaves_its_input_alone():
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[1:4, 1:5, 1:6] = True
    before = mask.copy()
    eroded(mask, 0)[:] = False
    eroded(mask, 1)
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("shape", [(40, 21, 18), (16, 5, 9), (1, 6, 7), (33, 1, 2)])
@pytest.mark.parametrize("margin", [1, 2, 5])
def test_slabs_are_eroded_as_the_whole(rng, shape, margin):
    mask = rng.random(shape) < 0.97
    expected = ndimage.binary_erosion(mask, iterations=margin, border_value=1)
    np.testing.assert_array_equal(eroded(mask, margin), expected)


def test_holes_are_filled_in_3d_and_then_in_planes(rng):
    """As scipy does, hole by hole; holes open to the last plane or to the side are among them."""
    mask = ndimage.gaussian_filter(rng.standard_normal((37, 30, 41)), 1.2) > -0.06
    expected = ndimage.binary_fill_holes(mask)
    for z in range(mask.shape[2]):
        expected[:, :, z] = ndimage.binary_fill_holes(expected[:, :, z])
    found = masks._filled(mask, CancelToken())
    np.testing.assert_array_equal(found, expected)
    assert mask.sum() < found.sum() < found.size


@pytest.mark.parametrize("step", [(1, 1, 1), (2, 1, 2), (2, 2, 2)])
def test_the_mean_of_blocks(rng, step):
    data = rng.random((39, 8, 13), dtype=np.float32)
    padded = np.pad(data, [(0, -n % s) for n, s in zip(data.shape, step, strict=True)], mode="edge")
    x, y, z = (n // s for n, s in zip(padded.shape, step, strict=True))
    blocks = padded.reshape(x, step[0], y, step[1], z, step[2])
    found = masks._block_mean(data, step, CancelToken())
    np.testing.assert_allclose(found, blocks.mean(axis=(1, 3, 5)), rtol=1e-6)


@pytest.mark.parametrize("planes", [1, 3, 16, 17, 45])
def test_slabs_are_smoothed_as_the_whole(rng, planes):
    data = rng.random((planes, 9, 11), dtype=np.float32)
    expected = ndimage.gaussian_filter(data, 0.5)
    np.testing.assert_array_equal(masks._smoothed(data, CancelToken()), expected)


def test_a_negative_margin_is_refused():
    with pytest.raises(ParameterError, match="-1 voxels"):
        interior_mask(np.ones((3, 4, 5)), -1)
