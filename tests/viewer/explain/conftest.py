"""Volumes to explain."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scans import head

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.operators.degrade import degrade

SHAPE = (40, 44, 36)


@pytest.fixture(scope="session")
def truth() -> Volume:
    """A small head with sharp edges."""
    return Volume(head(3, SHAPE), Grid(SHAPE, np.diag([1.0, 1.1, 1.3, 1.0])))


@pytest.fixture(scope="session")
def lr(truth) -> Volume:
    """Return the low-resolution scan of the head."""
    return degrade(truth, (2, 2, 2))
