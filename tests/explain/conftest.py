"""Explanations of small volumes with planted banks."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.patterns import PAPER_CUTS, planted_bank
from scipy import ndimage

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.explain import Explanation, explain_voxel


def _explain(bank, *, truth: bool) -> Explanation:
    shape = (9, 11, 13)
    rng = np.random.default_rng(4)
    data = 200.0 * ndimage.gaussian_filter(rng.random(shape), 0.9, mode="mirror")
    lr = Volume(data.astype(np.float32), Grid(shape, np.diag([1.0, 1.2, 1.5, 1.0])))
    grid = lr.grid.upsampled((2, 2, 2))
    high = Volume(200.0 * rng.random(grid.shape, dtype=np.float32), grid)
    return explain_voxel(lr, bank, (8, 11, 13), high if truth else None)


@pytest.fixture(scope="session")
def cascade() -> Explanation:
    """Explain a bank with a cell stage and a voxel stage, with a reference."""
    return _explain(planted_bank(), truth=True)


@pytest.fixture(scope="session")
def paper() -> Explanation:
    """Explain a bank like the paper's, without a reference."""
    bank = planted_bank(("voxel",), "none", cuts=PAPER_CUTS, residual=False)
    return _explain(bank, truth=False)


@pytest.fixture(scope="session")
def flat() -> Explanation:
    """Explain a voxel in a constant neighborhood."""
    data = np.full((9, 11, 13), 50.0, np.float32)
    data[0, 0, 0] = 100.0
    return explain_voxel(Volume(data, Grid(data.shape, np.eye(4))), planted_bank(), (10, 13, 15))
