"""Frames and the three anatomical planes: axes, letters at their edges, conventions.

A :class:`Frame` is a RAS+ system of axes in mm: x grows toward the patient's
right, y toward anterior, z toward superior. That of an upright scan is the
world; the frame of an oblique scan is the world rotated about its origin to the scan's
axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_mrisr.core.volume import Grid

Matrix = NDArray[np.float64]
Letters = tuple[str, str, str, str]

AXIS_NAMES = ("R–L", "A–P", "S–I")
"""Directions of the RAS axes, for texts."""

# Largest deviation of a direction that counts as upright: 0.01 mm at 100 mm.
UPRIGHT_TOLERANCE = 1e-4


def rotation_of(affine: Matrix) -> Matrix:
    """Return the rotation nearest to the affine's axes; exactly 1 if upright.

    Parameters
    ----------
    affine : (4, 4) ndarray
        RAS+ voxel index to world.

    Returns
    -------
    (3, 3) ndarray
        Scan's axes to world.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(directions - np.eye(3)).max() < UPRIGHT_TOLERANCE:
        return np.eye(3)
    u, _, vt = np.linalg.svd(directions)
    rotation: Matrix = u @ vt
    return rotation


@dataclass(frozen=True, eq=False)
class Frame:
    """The axes along which planes are cut.

    Attributes
    ----------
    rotation : (3, 3) ndarray
        Frame to world; both in mm, about one origin.
    """

    rotation: Matrix

    @classmethod
    def of(cls, grid: Grid) -> Frame:
        """Return the frame of a scan."""
        return cls(rotation_of(grid.affine))

    def to_world(self, position: ArrayLike) -> Matrix:
        """Convert positions of shape (..., 3), in mm, from frame to world."""
        return np.asarray(position, dtype=np.float64) @ self.rotation.T

    def from_world(self, position: ArrayLike) -> Matrix:
        """Convert positions of shape (..., 3), in mm, from world to frame."""
        return np.asarray(position, dtype=np.float64) @ self.rotation

    def affine(self, grid: Grid) -> Matrix:
        """Return the affine from voxel index to frame, (4, 4)."""
        affine = grid.affine.copy()
        affine[:3] = self.rotation.T @ grid.affine[:3]
        return affine

    def is_along(self, grid: Grid) -> bool:
        """Return True if the grid's axes are the frame's, in order and direction."""
        steps = self.affine(grid)[:3, :3]
        off = np.abs(steps / np.linalg.norm(steps, axis=0) - np.eye(3)).max()
        return bool(off < UPRIGHT_TOLERANCE)


@dataclass(frozen=True)
class Plane:
    """A cut through the volume: its normal, and the axes across and up the screen.

    Attributes
    ----------
    name : str
        ``axial``, ``sagittal`` or ``coronal``.
    normal, across, upward : int
        Axes (0 = x) of the frame. ``upward`` grows toward the top of the screen.
    """

    name: str
    normal: int
    across: int
    upward: int

    def grows_rightward(self, radiological: bool) -> bool:
        """Return True if ``across`` grows toward the right of the screen.

        In radiological convention the patient's right is at the left of the
        screen; in neurological convention at the right side. In the sagittal
        plane the face looks to the left in both.
        """
        return self.across == 0 and not radiological

    def letters(self, radiological: bool = True) -> Letters:
        """Return the patient's sides at the left, right, top and bottom of the screen."""
        low, high = _ENDS[self.across]
        left, right = (low, high) if self.grows_rightward(radiological) else (high, low)
        bottom, top = _ENDS[self.upward]
        return left, right, top, bottom


_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))

AXIAL = Plane("axial", 2, 0, 1)
SAGITTAL = Plane("sagittal", 0, 1, 2)
CORONAL = Plane("coronal", 1, 0, 2)

PLANES = (AXIAL, SAGITTAL, CORONAL)
