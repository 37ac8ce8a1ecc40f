"""Blocks of the output."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_mrisr.core.volume import Grid
from napari_mrisr.run.blocks import BLOCK_VOXELS, block_regions, far_apart


@pytest.mark.parametrize("scale", [(2, 2, 2), (3, 1, 4), (8, 8, 8)])
@pytest.mark.parametrize("shape", [(23, 17, 12), (2, 300, 200), (1, 2, 3), (300, 40, 50)])
def test_blocks_cover_the_output_once_in_whole_cells(shape, scale):
    grid = Grid(shape, np.eye(4)).upsampled(scale)
    count = np.zeros(grid.shape, np.uint8)
    blocks = block_regions(grid, scale)
    for block in blocks:
        assert all(n % s == 0 for n, s in zip((*block.start, *block.stop), scale * 2, strict=True))
        assert np.prod(block.shape) < 2 * BLOCK_VOXELS
        count[block.slices] += 1
    assert (count == 1).all()
    cells = count.size // np.prod(scale)
    assert len(blocks) >= min(15, cells // shape[2])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_start_far_apart_and_compute_each_block_once(threads):
    blocks = block_regions(Grid((60, 50, 40), np.eye(4)), (1, 1, 2))
    order = far_apart(blocks, threads)
    assert sorted(order, key=blocks.index) == blocks
    places = [blocks.index(block) for block in order[:threads]]
    assert all(b - a >= len(blocks) // threads for a, b in itertools.pairwise(places))
