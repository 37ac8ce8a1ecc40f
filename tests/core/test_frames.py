"""Frames and planes: which way is which, and mm there and back."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.core.frames import AXIAL, CORONAL, PLANES, SAGITTAL, Frame, rotation_of
from napari_mrisr.core.volume import Grid

TURN = Rotation.from_euler("xyz", [12, -8, 20], degrees=True).as_matrix()


def grid(rotation, sizes=(0.9, 1.1, 2.0), origin=(-31.0, 17.0, 5.5)):
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(sizes)
    affine[:3, 3] = origin
    return Grid((20, 24, 11), affine)


@pytest.mark.parametrize(
    ("plane", "radiological", "neurological"),
    [
        (AXIAL, "RLAP", "LRAP"),
        (SAGITTAL, "APSI", "APSI"),  # the face to the left in both
        (CORONAL, "RLSI", "LRSI"),
    ],
)
def test_letters_left_right_top_bottom(plane, radiological, neurological):
    assert "".join(plane.letters(radiological=True)) == radiological
    assert "".join(plane.letters(radiological=False)) == neurological


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("radiological", [True, False])
def test_letters_are_those_that_nibabel_gives_the_axes(plane, radiological):
    """The direction that grows toward the right or the top has its letter there."""
    codes = nib.aff2axcodes(np.eye(4))  # where x, y and z grow to: R, A, S
    left, right, top, _ = plane.letters(radiological)
    assert top == codes[plane.upward]
    rightward = plane.grows_rightward(radiological)
    assert (right if rightward else left) == codes[plane.across]


@pytest.mark.parametrize("plane", PLANES)
def test_a_plane_has_all_three_axes(plane):
    assert {plane.normal, plane.across, plane.upward} == {0, 1, 2}


def test_an_upright_scan_s_frame_is_the_world():
    assert (rotation_of(grid(np.eye(3)).affine) == np.eye(3)).all()
    nudged = Rotation.from_euler("z", 0.003, degrees=True).as_matrix()
    assert (rotation_of(grid(nudged).affine) == np.eye(3)).all()
    turned = Rotation.from_euler("z", 0.03, degrees=True).as_matrix()
    assert not (rotation_of(grid(turned).affine) == np.eye(3)).all()


def test_the_frame_of_an_oblique_scan_is_its_rotation():
    frame = Frame.of(grid(TURN))
    np.testing.assert_allclose(frame.rotation, TURN, atol=1e-12)
    np.testing.assert_allclose(frame.to_world([0, 0, 1]), TURN[:, 2], atol=1e-12)
    assert frame.is_along(grid(TURN))
    assert not frame.is_along(grid(np.eye(3)))


def test_a_sheared_affine_gives_a_rotation_near_it():
    shear = np.array([[1, 0.05, 0], [0, 1, 0], [0, 0, 1]])
    rotation = rotation_of(grid(shear).affine)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.abs(rotation - shear).max() < 0.05


def test_positions_there_and_back(rng):
    frame = Frame(TURN)
    points = rng.normal(0, 50, (4, 5, 3))
    world = frame.to_world(points)
    np.testing.assert_allclose(world[2, 3], TURN @ points[2, 3])
    np.testing.assert_allclose(frame.from_world(world), points, atol=1e-11)


def test_the_affine_into_the_frame_is_diagonal_along_it(rng):
    scan = grid(TURN)
    frame = Frame.of(scan)
    affine = frame.affine(scan)
    np.testing.assert_allclose(affine[:3, :3], np.diag([0.9, 1.1, 2.0]), atol=1e-12)
    index = rng.uniform(0, 10, 3)
    world = (scan.affine @ [*index, 1.0])[:3]
    np.testing.assert_allclose((affine @ [*index, 1.0])[:3], frame.from_world(world))


def test_flipped_and_permuted_axes_are_not_along():
    frame = Frame(np.eye(3))
    assert not frame.is_along(grid(np.diag([-1.0, 1.0, 1.0])))
    assert not frame.is_along(grid(np.eye(3)[[1, 0, 2]]))
    assert frame.is_along(grid(np.eye(3), sizes=(0.3, 4.0, 1.0)))
