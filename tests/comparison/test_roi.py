"""Which voxels lie in a region: against brute force over every voxel's center."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from matplotlib.path import Path
from nibabel.affines import apply_affine
from nibabel.processing import resample_from_to
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.roi import BoxRoi, LabelRoi, PrismRoi, Selection, label_rois
from napari_mrisr.comparison.state import RoiBox
from napari_mrisr.core.frames import AXIAL, PLANES, SAGITTAL
from napari_mrisr.core.volume import Grid, Region
from napari_mrisr.errors import ParameterError

TURN = Rotation.from_euler("xyz", [15, -10, 25], degrees=True).as_matrix()
SHAPE = (19, 23, 14)


def grid_of(matrix, center=(5.0, -3.0, 8.0), shape=SHAPE):
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = np.array(center) - matrix @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


GRIDS = {
    "upright": grid_of(np.diag([1.0, 1.3, 2.1])),
    "flipped": grid_of(np.diag([-1.13, 1.3, -0.9])),
    "oblique": grid_of(TURN @ np.diag([1.2, 0.9, 1.6])),
}


def centers(grid):
    """World positions of all voxel centers, (x, y, z, 3)."""
    return apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))


def full(selection, grid):
    """The selection as a mask of the whole grid."""
    mask = np.zeros(grid.shape, bool)
    if selection is not None:
        mask[selection.region.slices] = selection.mask
    return mask


def is_tight(selection):
    return (
        all(selection.mask.take(end, axis).any() for axis in range(3) for end in (0, -1))
        and selection.mask.shape == selection.region.shape
    )


def box(center, size, shape="box", axes=None):
    turn = np.eye(3) if axes is None else axes
    return BoxRoi(RoiBox("r", shape, tuple(center), tuple(size), tuple(map(float, turn.ravel()))))


@pytest.mark.parametrize("shape", ["box", "ellipsoid"])
@pytest.mark.parametrize("turn", [np.eye(3), TURN], ids=["upright roi", "oblique roi"])
@pytest.mark.parametrize("name", GRIDS)
def test_boxes_hold_the_voxels_whose_centers_are_inside(rng, name, turn, shape):
    grid = GRIDS[name]
    world = centers(grid)
    corners = grid.corners()
    clipped = 0
    for _ in range(25):
        center = rng.uniform(corners.min(axis=0), corners.max(axis=0))
        size = rng.uniform(2.0, 14.0, 3)
        local = np.abs((world - center) @ turn) / (size / 2)
        expected = (local < 1).all(-1) if shape == "box" else (local**2).sum(-1) < 1
        found = box(center, size, shape, turn).select(grid)
        assert np.array_equal(full(found, grid), expected)
        if found is not None and found.count:
            assert found.count == expected.sum()
            assert is_tight(found)
            clipped += found.clipped
    assert 0 < clipped < 25  # the random regions reach over edges, some of them


@pytest.mark.parametrize("name", GRIDS)
def test_the_part_outside_the_field_of_view_is_noticed(name):
    grid = GRIDS[name]
    middle = grid.corners().mean(axis=0)
    axes = grid.affine[:3, :3] / np.array(grid.voxel_size)
    extent = np.array(grid.shape) * grid.voxel_size
    for shape in ("box", "ellipsoid"):
        assert not box(middle, extent, shape, axes).select(grid).clipped
        assert box(middle, extent + (0, 0.1, 0), shape, axes).select(grid).clipped
        # Turned, an ellipsoid reaches less far than its box.
    size = np.array([0.9 * extent.min()] * 3)
    assert not box(middle, size, "ellipsoid", axes @ TURN).select(grid).clipped
    assert box(middle, size, "box", axes @ TURN).select(grid).clipped


def test_a_region_outside_is_none_and_one_between_slices_is_empty():
    grid = GRIDS["upright"]
    assert box((500, 0, 0), (10, 10, 10)).select(grid) is None
    between = apply_affine(grid.affine, (5, 5, 5.5))
    found = box(between, (9, 9, 0.5)).select(grid)
    assert found.count == 0
    assert not found.clipped


def test_neighboring_boxes_share_no_voxel_and_miss_none():
    """Edges exactly through voxel centers, on a grid that binary numbers cannot hold."""
    grid = grid_of(np.diag([0.1, 0.7, 1.1]))
    start = apply_affine(grid.affine, (3, 2, 1))
    step = np.array(grid.voxel_size)
    total = np.zeros(grid.shape, int)
    for i in range(2):
        for j in range(3):
            size = step * (5, 4, 6)
            center = start + size * (i + 0.5, j + 0.5, 0.5)
            found = box(center, size).select(grid)
            assert found.region.shape == (5, 4, 6)
            total += full(found, grid)
    expected = np.zeros(grid.shape, int)
    expected[3:13, 2:14, 1:7] = 1
    assert np.array_equal(total, expected)


@pytest.mark.parametrize("plane", PLANES, ids=lambda p: p.name)
@pytest.mark.parametrize("name", GRIDS)
def test_prisms_hold_the_voxels_inside_their_polygon(rng, name, plane):
    grid = GRIDS[name]
    turn = TURN if name == "oblique" else np.eye(3)
    frame = centers(grid) @ turn
    middle = grid.corners().mean(axis=0) @ turn
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    star = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(3, 12, (9, 1))
    points = star + middle[[plane.across, plane.upward]]
    position = middle[plane.normal] + 1.0
    found = PrismRoi("p", plane, points, position, 5.0, turn).select(grid)
    inside = Path(points).contains_points(frame[..., [plane.across, plane.upward]].reshape(-1, 2))
    deep = np.abs(frame[..., plane.normal] - position) < 2.5
    assert np.array_equal(full(found, grid), inside.reshape(grid.shape) & deep)
    assert found.count > 20


def test_a_polygon_that_crosses_itself_counts_by_even_and_odd():
    grid = Grid((9, 8, 3), np.eye(4))
    bow = np.array([(0.5, 0.5), (7.5, 6.5), (7.5, 0.5), (0.5, 6.5)])
    mask = full(PrismRoi("p", AXIAL, bow, 1.0, 1.0, np.eye(3)).select(grid), grid)
    assert mask[1, 3, 1]
    assert mask[7, 3, 1]
    assert not mask[4, 1, 1]
    assert not mask[4, 6, 1]
    assert not mask[..., [0, 2]].any()


@pytest.mark.parametrize("points", [[(0, 0), (1, 1)], [(0, 0, 0), (1, 1, 1), (2, 0, 0)]])
def test_a_polygon_needs_three_corners(points):
    with pytest.raises(ParameterError, match="3 corners"):
        PrismRoi("p", SAGITTAL, np.array(points), 0.0, 1.0, np.eye(3))


def test_a_label_holds_its_voxels_on_its_own_grid(rng):
    grid = GRIDS["oblique"]
    mask = rng.random(grid.shape) > 0.99
    found = LabelRoi("l", mask, grid).select(Grid(grid.shape, grid.affine + 1e-9))
    assert np.array_equal(full(found, grid), mask)
    assert is_tight(found)
    assert not found.clipped


@pytest.mark.parametrize("name", ["flipped", "oblique"])
def test_a_label_on_another_grid_is_the_nearest_voxel(rng, name):
    own, other = GRIDS["upright"], GRIDS[name]
    mask = np.zeros(own.shape, bool)
    mask[4:15, 6:17, 3:11] = rng.random((11, 11, 8)) > 0.4
    found = LabelRoi("l", mask, own).select(other)
    image = nib.Nifti1Image(mask.astype(np.uint8), own.affine)
    expected = np.asarray(resample_from_to(image, (other.shape, other.affine), order=0).dataobj)
    assert np.array_equal(full(found, other), expected > 0)
    assert found.count > 100


def test_a_label_on_a_finer_grid_is_repeated(rng):
    own = grid_of(np.diag([2.0, 2.4, 3.0]), shape=(6, 7, 5))
    mask = rng.random(own.shape) > 0.5
    fine = own.upsampled((2, 3, 1))
    found = full(LabelRoi("l", mask, own).select(fine), fine)
    assert np.array_equal(found, mask.repeat(2, axis=0).repeat(3, axis=1))


def test_a_label_is_clipped_only_where_it_is_marked():
    own = Grid((12, 11, 10), np.eye(4))
    half = Grid((6, 11, 10), np.eye(4))
    mask = np.zeros(own.shape, bool)
    mask[2:6, 3, 3] = True
    assert not LabelRoi("l", mask, own).select(half).clipped
    mask[6, 3, 3] = True
    assert LabelRoi("l", mask, own).select(half).clipped
    assert LabelRoi("l", mask, own).select(half).count == 4
    # An oblique label's box has empty corners, which may lie outside.
    line = np.eye(10, dtype=bool)[:, :, None]
    turned = Rotation.from_euler("z", -45, degrees=True).as_matrix()
    label = LabelRoi("l", line, grid_of(turned, (0, 0, 0), (10, 10, 1)))
    assert not label.select(grid_of(np.eye(3), (0, 0, 0), (14, 3, 1))).clipped


def test_an_empty_label_is_empty_everywhere():
    grid = GRIDS["upright"]
    label = LabelRoi("l", np.zeros(grid.shape, bool), grid)
    assert label.select(grid).count == 0
    assert label.select(GRIDS["flipped"]).count == 0
    with pytest.raises(ParameterError, match="shape"):
        LabelRoi("l", np.zeros((2, 2, 2), bool), grid)


@pytest.mark.parametrize("values", [(1, 2, 5), (-3, 7, 2_000_000_000)])
def test_each_label_is_a_region(rng, values):
    grid = GRIDS["oblique"]
    labels = np.zeros(grid.shape, np.int64)
    for value in values:
        labels[tuple(rng.integers(0, n, 9) for n in grid.shape)] = value
    found = label_rois("lesion", labels, grid)
    assert [roi.name for roi in found] == [f"lesion {value}" for value in values]
    for roi, value in zip(found, values, strict=True):
        assert np.array_equal(full(roi.select(grid), grid), labels == value)


def test_no_label_is_no_region():
    assert label_rois("none", np.zeros((4, 5, 6), np.uint8), Grid((4, 5, 6), np.eye(4))) == ()


def test_a_grown_selection_has_the_same_voxels():
    grid = GRIDS["upright"]
    found = Selection(Region((2, 9, 10), (5, 12, 14)), np.ones((3, 3, 4), bool))
    grown = found.grown(5, grid)
    assert grown.region == Region((0, 4, 5), (10, 17, 14))
    assert np.array_equal(full(grown, grid), full(found, grid))


def test_descriptions_name_shape_and_size_but_no_name():
    text = "box, 20 × 12.5 × 10 mm, 2500 mm³, center R 0.0  A 0.0  S 0.0 mm"
    assert box((0, 0, 0), (20, 12.5, 10)).describe() == text
    prism = PrismRoi("Smith", AXIAL, np.array([(0, 0), (1, 0), (0, 1)]), 0.0, 5.0, np.eye(3))
    assert prism.describe() == "axial polygon, 5 mm deep"
