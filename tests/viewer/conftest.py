"""Volumes whose axes cannot be mixed up, and a watch for what is left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.volume import Grid, Volume

SHAPE = (10, 12, 15)
VOXEL = (1.0, 1.25, 1.5)


def affine_of(turn: np.ndarray) -> np.ndarray:
    """Voxel index to world for a volume off the origin."""
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(VOXEL)
    affine[:3, 3] = (-31.0, 17.0, -5.0)
    return affine


@pytest.fixture
def volume(rng: np.random.Generator) -> Volume:
    """An upright volume with a different size and voxel size on every axis."""
    data = rng.random(SHAPE, dtype=np.float32) * 100
    return Volume(data, Grid(SHAPE, affine_of(np.eye(3))), history={"method": "none"})


@pytest.fixture
def oblique(volume: Volume) -> Volume:
    """The same voxels, turned about two axes."""
    turn = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix()
    return Volume(volume.data, Grid(SHAPE, affine_of(turn)))


def our_threads() -> list[str]:
    """Names of the threads that this project started and that still run."""
    return [t.name for t in threading.enumerate() if t.name.startswith("mrisr")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert our_threads() == []
