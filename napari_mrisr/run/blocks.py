"""Blocks of the output that a run computes one by one."""

from __future__ import annotations

import itertools
import math

from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.volume import Grid, Region

# Large enough that a block's halo costs little, small enough for a smooth progress and for
# its temporaries to fit into the cache.
BLOCK_VOXELS = 250_000
_BLOCKS_AT_LEAST = 20


def block_regions(grid: Grid, scale: RealScale, voxels: int = BLOCK_VOXELS) -> list[Region]:
    """Cut the output along x and y into blocks of about ``voxels``, of whole low-resolution voxels.

    Blocks are whole along z, because the kernels work on lines along z.
    """
    x, y, z = grid.shape
    side = math.sqrt(block_voxels(x * y * z, voxels) / z)
    # Longer along y, where the kernels reuse results of the row before.
    cells = [math.ceil(factor) for factor in scale]
    x_edges, y_edges = _edges(x, cells[0], side / 1.4), _edges(y, cells[1], side * 1.4)
    return [
        Region((a, c, 0), (b, d, z))
        for a, b in itertools.pairwise(x_edges)
        for c, d in itertools.pairwise(y_edges)
    ]


def far_apart(blocks: list[Region], threads: int) -> list[Region]:
    """Return the blocks so that threads start far apart: neighbors wait for the same tile."""
    share = -(-len(blocks) // threads)
    return [block for n in range(share) for block in blocks[n::share]]


def _edges(size: int, cell: int, thick: float) -> list[int]:
    """Return the edges of about equal pieces of whole cells, about ``thick`` voxels each."""
    cells = -(-size // cell)
    pieces = min(cells, max(1, round(size / thick)))
    return [min(size, cells * n // pieces * cell) for n in range(pieces + 1)]


def block_voxels(output: int, most: int = BLOCK_VOXELS) -> int:
    """Return the voxels of a block: at least 20 blocks, so that the progress is smooth."""
    return max(1, min(most, output // _BLOCKS_AT_LEAST))
