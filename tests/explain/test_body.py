from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.explain.body import SCREEN, faces_of, half_axes


def test_screen_shows_the_patient_from_in_front():
    np.testing.assert_allclose(SCREEN @ SCREEN.T, np.eye(2), atol=1e-12)
    right, anterior, superior = SCREEN.T
    assert right[0] < -0.5  # the patient's right is at the left
    assert superior[1] > 0.5
    assert abs(superior[0]) < 1e-12
    assert anterior[1] < 0.0  # toward the eye, which looks down


def test_faces_lie_on_the_ellipsoid():
    turn = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()
    lengths = np.array([1.0, 0.5, 0.2])
    corners, normals = faces_of(lengths, turn)
    inside = corners.reshape(-1, 3) @ turn / lengths
    np.testing.assert_allclose(np.linalg.norm(inside, axis=1), 1.0, atol=1e-9)
    # Outward, and across the surface.
    middles = corners.mean(axis=1)
    assert ((middles * normals).sum(axis=1) > 0).all()
    edges = corners[:, 2] - corners[:, 0]
    slope = np.abs((edges * normals).sum(axis=1)) / np.maximum(np.linalg.norm(edges, axis=1), 1e-9)
    assert np.median(slope) < 0.05


def test_half_axes():
    np.testing.assert_allclose(half_axes(np.array([4.0, 1.0, 0.0])), (1.0, 0.5, 0.0))
    assert half_axes(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert half_axes(np.array([1e-12, 0.0, 0.0]))[0] == pytest.approx(1.0)
