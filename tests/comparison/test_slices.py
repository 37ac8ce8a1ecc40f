"""Cuts: the same millimeter under the same pixel, whatever the grid."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_from_to
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.slices import (
    Slice,
    bounds,
    cut,
    nearest_index,
    sample,
    slab,
    values_at,
)
from napari_mrisr.core.frames import AXIAL, CORONAL, PLANES, SAGITTAL, Frame
from napari_mrisr.core.volume import Grid, Volume

WORLD = Frame(np.eye(3))
TURN = Rotation.from_euler("xyz", [12, -8, 20], degrees=True).as_matrix()


def affine_of(matrix, center, shape):
    """With the middle of the volume at ``center``."""
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = np.asarray(center) - matrix @ ((np.array(shape) - 1) / 2)
    return affine


GRIDS = {
    "upright": Grid(
        (22, 26, 18), affine_of(np.diag([1.0, 1.2, 1.5]), (3.0, -4.0, 10.0), (22, 26, 18))
    ),
    "coarse": Grid(
        (11, 13, 6), affine_of(np.diag([2.0, 2.4, 4.5]), (3.0, -4.0, 10.0), (11, 13, 6))
    ),
    "oblique": Grid(
        (24, 28, 20), affine_of(TURN @ np.diag([1.1, 1.0, 1.4]), (3.0, -4.0, 10.0), (24, 28, 20))
    ),
    "flipped": Grid(
        (23, 21, 19), affine_of(np.diag([-1.0, 1.3, -1.6]), (3.0, -4.0, 10.0), (23, 21, 19))
    ),
    "permuted": Grid(
        (18, 25, 22),
        affine_of(np.array([[0, 0, 1.2], [1.1, 0, 0], [0, -1.3, 0]]), (3, -4, 10), (18, 25, 22)),
    ),
}


def volume_on(grid, rng):
    return Volume(rng.normal(100, 20, grid.shape).astype(np.float32), grid)


def centers_in_world(made: Slice, frame, plane, position):
    """World position of every pixel, written apart from the code under test."""
    across, upward = made.centers()
    points = np.empty((*made.values.shape, 3))
    for row, up in enumerate(upward):
        for column, right in enumerate(across):
            points[row, column, plane.across] = right
            points[row, column, plane.upward] = up
            points[row, column, plane.normal] = position
    return points @ frame.rotation.T


@pytest.mark.parametrize("frame", [WORLD, Frame(TURN)], ids=["world", "turned"])
@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("plane", PLANES, ids=lambda p: p.name)
def test_pixels_are_the_voxels_they_lie_in(rng, name, plane, frame):
    volume = volume_on(GRIDS[name], rng)
    position = float(frame.from_world([3.2, -4.3, 10.7])[plane.normal])
    made = cut(volume, frame, plane, position)
    assert made is not None
    points = centers_in_world(made, frame, plane, position)
    index = nib.affines.apply_affine(np.linalg.inv(volume.grid.affine), points)
    expected = map_coordinates(
        volume.data, np.moveaxis(np.floor(index + 0.5), -1, 0), order=0, cval=np.nan
    )
    np.testing.assert_array_equal(made.values, expected)
    assert made.values.dtype == np.float32
    assert np.isfinite(made.values).mean() > 0.4


@pytest.mark.parametrize("plane", PLANES, ids=lambda p: p.name)
def test_along_the_axes_a_cut_is_the_volume_s_own_voxels(rng, plane):
    volume = volume_on(GRIDS["upright"], rng)
    centers = volume.grid.affine[:3, 3] + np.array([5, 7, 4]) * volume.grid.voxel_size
    made = cut(volume, WORLD, plane, centers[plane.normal])
    expected = {AXIAL: volume.data[:, :, 4], SAGITTAL: volume.data[5], CORONAL: volume.data[:, 7]}
    np.testing.assert_array_equal(made.values, expected[plane].T)
    sizes = volume.grid.voxel_size
    assert made.step == pytest.approx((sizes[plane.across], sizes[plane.upward]))
    low, high = volume.grid.corners().min(axis=0), volume.grid.corners().max(axis=0)
    a, u = plane.across, plane.upward
    assert made.extent == pytest.approx((low[a], high[a], low[u], high[u]))


@pytest.mark.parametrize("name", [n for n in GRIDS if n != "upright"])
def test_linear_samples_are_nibabel_s(rng, name):
    """At the pixels of another grid's cut, against its resampling of the whole volume."""
    volume, like = volume_on(GRIDS[name], rng), volume_on(GRIDS["upright"], rng)
    image = nib.Nifti1Image(volume.data.astype(np.float64), volume.grid.affine)
    resampled = resample_from_to(
        image, (like.grid.shape, like.grid.affine), order=1, cval=np.nan, mode="constant"
    ).get_fdata()
    k = 9
    position = (like.grid.affine @ [0, 0, k, 1])[2]
    made = sample(volume, WORLD, AXIAL, position, cut(like, WORLD, AXIAL, position))
    known = np.isfinite(resampled[:, :, k].T)
    assert known.mean() > 0.5
    np.testing.assert_allclose(made.values[known], resampled[:, :, k].T[known], rtol=1e-6)


def test_a_volume_sampled_at_its_own_pixels_is_itself(rng):
    volume = volume_on(GRIDS["upright"], rng)
    for plane in PLANES:
        middle = (volume.grid.affine @ [5, 7, 4, 1])[plane.normal]
        made = cut(volume, WORLD, plane, middle)
        for order in (0, 1):
            again = sample(volume, WORLD, plane, middle, made, order)
            np.testing.assert_array_equal(again.values, made.values)


@pytest.mark.parametrize("frame", [WORLD, Frame(TURN)], ids=["world", "turned"])
@pytest.mark.parametrize("plane", PLANES, ids=lambda p: p.name)
@pytest.mark.parametrize("name", GRIDS)
def test_a_planted_voxel_is_under_its_mm(name, plane, frame):
    grid = GRIDS[name]
    index = tuple(n // 2 + 1 for n in grid.shape)
    data = np.zeros(grid.shape, np.float32)
    data[index] = 1000.0
    world = nib.affines.apply_affine(grid.affine, index)
    place = frame.from_world(world)
    made = cut(Volume(data, grid), frame, plane, place[plane.normal])
    across, upward = made.centers()
    row = np.abs(upward - place[plane.upward]).argmin()
    column = np.abs(across - place[plane.across]).argmin()
    # Across the axes the pixel's center may lie in the voxel beside it.
    reach = 0 if frame.is_along(grid) else 1
    near = made.values[row - reach : row + reach + 1, column - reach : column + reach + 1]
    assert near.max() == 1000.0
    assert values_at(Volume(data, grid), world) == 1000.0


@pytest.mark.parametrize("frame", [WORLD, Frame(TURN)], ids=["world", "turned"])
@pytest.mark.parametrize("plane", PLANES, ids=lambda p: p.name)
def test_a_blob_is_at_the_same_mm_on_every_grid(plane, frame):
    target = np.array([4.0, -5.5, 11.0])
    place = frame.from_world(target)
    for name, grid in GRIDS.items():
        index = np.moveaxis(np.indices(grid.shape), 0, -1)
        off = nib.affines.apply_affine(grid.affine, index) - target
        blob = np.exp(-(off**2).sum(axis=-1) / (2 * 2.5**2))
        made = cut(Volume(blob.astype(np.float32), grid), frame, plane, place[plane.normal])
        weight = np.nan_to_num(made.values)
        across, upward = made.centers()
        center = (weight.sum(axis=0) @ across, weight.sum(axis=1) @ upward) / weight.sum()
        assert center == pytest.approx(place[[plane.across, plane.upward]], abs=0.7), name


def test_outside_there_is_no_cut_and_no_value(rng):
    for name, grid in GRIDS.items():
        volume = volume_on(grid, rng)
        low, high = bounds(grid, WORLD)
        for plane in PLANES:
            n = plane.normal
            assert cut(volume, WORLD, plane, low[n] - 0.01) is None, name
            assert cut(volume, WORLD, plane, high[n] + 0.01) is None, name
            assert cut(volume, WORLD, plane, low[n] + 0.01) is not None, name
        far = np.array([[1000.0, 0, 0], grid.corners().mean(axis=0)])
        for order in (0, 1):
            values = values_at(volume, far, order)
            assert np.isnan(values[0])
            assert np.isfinite(values[1])


def test_a_sample_is_nan_beyond_half_a_voxel_of_the_outer_centers():
    volume = Volume(np.full((4, 5, 6), 7, np.float32), Grid((4, 5, 6), np.diag([2.0, 1, 1, 1])))
    # Pixels of 0.5 mm from -2 to 8 mm; the field of view is -1 to 7 mm.
    blank = Slice(np.empty((5, 20), np.float32), (-2.0, -0.5), (0.5, 1.0))
    for order in (0, 1):
        made = sample(volume, WORLD, AXIAL, 3.0, blank, order)
        inside = (made.centers()[0] > -1) & (made.centers()[0] < 7)
        assert inside.sum() == 16
        np.testing.assert_array_equal(np.isfinite(made.values), np.tile(inside, (5, 1)))
        assert np.unique(made.values[:, inside]) == [7]


@pytest.mark.parametrize("order", [0, 1])
def test_values_at_are_scipy_s(rng, order):
    grid = GRIDS["oblique"]
    volume = volume_on(grid, rng)
    index = rng.uniform(0, np.array(grid.shape) - 1, (3, 7, 3))
    world = nib.affines.apply_affine(grid.affine, index)
    expected = map_coordinates(
        volume.data.astype(np.float64), np.moveaxis(index, -1, 0), order=order
    )
    np.testing.assert_allclose(values_at(volume, world, order), expected, rtol=1e-6)


def test_the_lower_border_belongs_to_a_voxel():
    almost = np.array([-0.5, 0.5 - 1e-9, 0.5, 1.49, 2.5])
    assert nearest_index(almost).tolist() == [0, 1, 1, 1, 3]


@pytest.mark.parametrize(
    ("projection", "by_hand"), [("maximum", np.max), ("minimum", np.min), ("mean", np.mean)]
)
def test_a_slab_projects_the_slices_whose_centers_are_inside(rng, projection, by_hand):
    volume = volume_on(GRIDS["upright"], rng)
    affine = volume.grid.affine
    for plane, step in zip((AXIAL, SAGITTAL, CORONAL), (1.5, 1.0, 1.2), strict=True):
        at = affine[plane.normal, 3] + step * 8
        made = slab(volume, WORLD, plane, at, 4.0 * step, projection)
        parts = np.moveaxis(volume.data, plane.normal, 0)[6:11]
        np.testing.assert_allclose(made.values, by_hand(parts, axis=0).T, rtol=1e-6)
        one = cut(volume, WORLD, plane, at)
        assert (made.origin, made.step) == (one.origin, one.step)
        thin = slab(volume, WORLD, plane, at, 0.9 * step, projection)
        np.testing.assert_allclose(thin.values, one.values, rtol=1e-6)


def test_a_slab_at_the_border_has_the_slices_that_exist(rng):
    volume = volume_on(GRIDS["upright"], rng)
    first = float(volume.grid.affine[2, 3])
    made = slab(volume, WORLD, AXIAL, first, 6.0, "mean")
    np.testing.assert_allclose(made.values, volume.data[:, :, :3].mean(axis=2).T, rtol=1e-5)
    assert slab(volume, WORLD, AXIAL, first - 100.0, 6.0, "mean") is None


def test_a_slab_of_an_oblique_volume_is_nan_only_where_all_slices_are(rng):
    name = next(n for n in GRIDS if not WORLD.is_along(GRIDS[n]))
    volume = volume_on(GRIDS[name], rng)
    low, high = bounds(volume.grid, WORLD)
    at = float(low[2] + high[2]) / 2
    made = slab(volume, WORLD, AXIAL, at, 5.0, "maximum")
    one = cut(volume, WORLD, AXIAL, at)
    both = np.isfinite(one.values)
    assert (made.values[both] >= one.values[both]).all()
    assert np.isfinite(made.values).sum() > both.sum()
