from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Grid, IntensityWindow, Origin, Region, Shape, Volume
from napari_mrisr.errors import GeometryError

SHAPE = (4, 6, 5)
OBLIQUE = np.array(
    [
        [1.1, -0.4, 0.2, -30.0],
        [0.3, 0.9, -0.5, 12.0],
        [-0.1, 0.35, 2.4, 7.5],
        [0.0, 0.0, 0.0, 1.0],
    ]
)

scales = st.tuples(*[st.integers(1, 8)] * 3)
shapes = st.tuples(*[st.integers(1, 9)] * 3)


def corners_by_hand(shape: Shape, affine: np.ndarray) -> np.ndarray:
    """Sums written out; no matrix product, nothing of ours."""
    points = []
    for at in itertools.product(*[(-0.5, n - 0.5) for n in shape]):
        points.append(
            [
                sum(affine[row, axis] * at[axis] for axis in range(3)) + affine[row, 3]
                for row in range(3)
            ]
        )
    return np.array(points)


@pytest.fixture
def volume(rng: np.random.Generator) -> Volume:
    data = rng.normal(100.0, 30.0, SHAPE).astype(np.float32)
    return Volume(data, Grid(SHAPE, OBLIQUE), origin=Origin("a.nii"), history={"method": "x"})


def test_corners() -> None:
    np.testing.assert_allclose(Grid(SHAPE, OBLIQUE).corners(), corners_by_hand(SHAPE, OBLIQUE))
    box = Grid((2, 3, 4), np.diag([1.0, 2.0, 3.0, 1.0])).corners()
    np.testing.assert_allclose(box.min(axis=0), [-0.5, -1.0, -1.5])
    np.testing.assert_allclose(box.max(axis=0), [1.5, 5.0, 10.5])


@given(shapes, scales)
def test_upsampled_keeps_the_field_of_view(shape: Shape, scale: Scale) -> None:
    fine = Grid(shape, OBLIQUE).upsampled(scale)
    assert fine.shape == tuple(n * s for n, s in zip(shape, scale, strict=True))
    expected = corners_by_hand(shape, OBLIQUE)
    np.testing.assert_allclose(corners_by_hand(fine.shape, fine.affine), expected, atol=1e-9)
    np.testing.assert_allclose(
        fine.voxel_size, np.linalg.norm(OBLIQUE[:3, :3], axis=0) / scale, rtol=1e-12
    )


def test_upsampled_first_voxel_lies_half_a_step_before() -> None:
    fine = Grid((3, 4, 5), np.diag([2.0, 3.0, 4.0, 1.0])).upsampled((2, 1, 4))
    # Half an old voxel less half a new one, before the old center.
    np.testing.assert_allclose(fine.affine[:3, 3], [-0.5, 0.0, -1.5])


@given(shapes, scales)
def test_degraded_is_the_inverse_of_upsampled(shape: Shape, scale: Scale) -> None:
    grid = Grid(shape, OBLIQUE, units="um")
    back = grid.upsampled(scale).degraded(scale)
    assert (back.shape, back.units) == (grid.shape, "um")
    np.testing.assert_allclose(back.affine, grid.affine, atol=1e-9)


def test_degraded_needs_a_multiple() -> None:
    with pytest.raises(GeometryError, match=r"\(4, 6, 5\) is no multiple of \(2, 3, 2\); crop"):
        Grid(SHAPE, OBLIQUE).degraded((2, 3, 2))


def test_cropped_voxels_stay_where_they_were(volume: Volume) -> None:
    part = volume.cropped((1, 3, 2), (3, 2, 1))
    assert part.data.shape == part.grid.shape == (3, 2, 1)
    for index in np.ndindex(3, 2, 1):
        old = np.array(index) + (1, 3, 2)
        assert part.data[index] == volume.data[tuple(old)]
        np.testing.assert_allclose(part.grid.affine @ [*index, 1], OBLIQUE @ [*old, 1])
    assert part.origin is volume.origin
    assert part.history == volume.history


def test_cropped_to_multiple_drops_the_far_end(volume: Volume) -> None:
    part = volume.cropped_to_multiple((2, 4, 3))
    assert part.grid.shape == (4, 4, 3)
    np.testing.assert_array_equal(part.data, volume.data[:, :4, :3])
    np.testing.assert_array_equal(part.grid.affine, OBLIQUE)
    assert volume.cropped_to_multiple((2, 3, 5)) is volume


def test_grid_cannot_be_changed() -> None:
    affine = np.eye(4)
    grid = Grid((2, 3, 4), affine)
    affine[0, 0] = 9.0
    assert grid.voxel_size == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2.0
    with pytest.raises(GeometryError, match=r"shape \(3, 3\); give a 4 x 4 matrix"):
        Grid((2, 3, 4), np.eye(3))


def test_volume_is_float32_c_order_and_fits_its_grid() -> None:
    data = np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    volume = Volume(data, Grid((2, 3, 4), np.eye(4)))  # type: ignore[arg-type]
    assert volume.data.dtype == np.float32
    assert volume.data.flags.c_contiguous
    np.testing.assert_array_equal(volume.data, data)
    with pytest.raises(GeometryError, match=r"shape \(2, 3, 4\) on a grid of \(4, 3, 2\)"):
        Volume(volume.data, Grid((4, 3, 2), np.eye(4)))


def test_normalized_is_zero_to_one_over_the_window_and_back(volume: Volume) -> None:
    unit = volume.normalized()
    assert unit.window == IntensityWindow.of(volume.data)
    expected = volume.data.astype(np.float64) / np.percentile(volume.data, 99.9)
    np.testing.assert_allclose(unit.data, expected, rtol=1e-6)
    assert unit.data.max() > 1.0
    assert unit.normalized() is unit
    back = unit.restored()
    np.testing.assert_allclose(back.data, volume.data, rtol=1e-6)
    assert back.window == IntensityWindow()
    assert volume.restored() is volume


def test_a_given_window_is_used(volume: Volume) -> None:
    unit = volume.normalized(IntensityWindow(50.0, 250.0))
    np.testing.assert_allclose(unit.data, (volume.data - 50.0) / 200.0, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(unit.restored().data, volume.data, rtol=1e-5)


def test_window_of_a_scan() -> None:
    ramp = np.arange(10001, dtype=np.float32).reshape(73, 137, 1)
    assert IntensityWindow.of(ramp) == IntensityWindow(0.0, pytest.approx(9990.0))
    assert IntensityWindow.of(ramp + 500).low == 0.0
    assert IntensityWindow.of(ramp - 500) == IntensityWindow(-500.0, pytest.approx(9490.0))
    # So few voxels set that the percentile is 0: the maximum stands in.
    sparse = np.zeros((30, 30, 30), np.float32)
    sparse[3, 4, 5] = 8.0
    assert IntensityWindow.of(sparse) == IntensityWindow(0.0, 8.0)


@pytest.mark.parametrize(
    ("codes", "stored", "ras"),
    [
        (("R", "A", "S"), (2, 3, 4), (2, 3, 4)),
        (("L", "P", "I"), (2, 3, 4), (2, 3, 4)),
        (("P", "I", "R"), (2, 3, 4), (4, 2, 3)),
        (("I", "R", "A"), (2, 3, 4), (3, 4, 2)),
        (("A", "L", "S"), (2, 3, 4), (3, 2, 4)),
    ],
)
def test_factors_follow_their_axes(codes: tuple[str, str, str], stored: Scale, ras: Scale) -> None:
    origin = Origin("a.nii", codes)
    assert origin.to_ras(stored) == ras
    assert origin.from_ras(ras) == stored


def test_region() -> None:
    region = Region((1, 2, 0), (3, 6, 5))
    assert region.shape == (2, 4, 5)
    assert np.zeros(SHAPE)[region.slices].shape == (2, 4, 5)
    assert region.slices == (slice(1, 3), slice(2, 6), slice(0, 5))
    assert Region.whole(SHAPE) == Region((0, 0, 0), SHAPE)


def test_a_window_leads_there_and_back(rng):
    data = (300 * rng.random((5, 6, 7)) - 20).astype(np.float32)
    before, window = data.copy(), IntensityWindow(-20.0, 250.0)
    unit = window.to_unit(data)
    np.testing.assert_allclose(unit, (before + 20.0) / 270.0, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(window.from_unit(unit), before, atol=1e-4)
    whole = np.zeros((8, 9, 10), np.float32)
    window.from_unit(unit, whole[2:7, 1:7, 3:])
    np.testing.assert_array_equal(whole[2:7, 1:7, 3:], window.from_unit(unit))
    assert np.count_nonzero(whole) <= data.size
    np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize("slow", [0, 1, 2])
def test_blocks_cover_a_region_once_and_in_order(slow):
    region, seen = Region((1, 0, 2), (6, 4, 9)), np.zeros((6, 4, 9), int)
    blocks = region.blocks((2, 3, 4), slow)
    for block in blocks:
        seen[block.slices] += 1
    assert (seen[region.slices] == 1).all()
    assert seen.sum() == np.prod(region.shape)
    starts = [block.start[slow] for block in blocks]
    assert starts == sorted(starts)
