"""How large a block may be for a run to stay within its memory."""

from __future__ import annotations

import itertools
import math
import re

from napari_mrisr.core.volume import Region, Shape
from napari_mrisr.errors import MemoryEstimateError, ParameterError, explain
from napari_mrisr.methods import Method, pass_regions
from napari_mrisr.streaming.compute import PIECE_VOXELS

CHUNK = 64
"""Edge of a Zarr chunk, voxels; blocks are whole chunks."""

# The program itself with its compiled kernels; measured by benchmarks/stream.py.
_PROGRAM = 300 * 10**6

# Arrays of a piece's size with its halo that a thread holds; see benchmarks/memory.py.
_HELD = 18
_HALO_GROWTH = 2.5

# Bytes a voxel, read, brought to the window and measured; see tests/streaming/test_look.py.
_LOOKED_AT = 24
# 320^3 and a little: some seconds.
_MOST_LOOKED_AT = 1 << 25

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_memory(text: str) -> int:
    """Bytes of ``2GB``, ``500 MB`` or ``1.5GiB``.

    Raises
    ------
    ParameterError
        For anything else.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(I?)B?\s*", text.upper())
    if match is None or (match[3] and not match[2]):
        raise ParameterError(explain("--memory", f"cannot read {text!r}", "give such as 2GB"))
    unit = 1024 ** "KMGT".index(match[2]) * 1024 if match[3] else _UNITS[match[2]]
    return int(float(match[1]) * unit)


def bytes_needed(block: Shape, low: Shape, method: Method, threads: int, layer: int = 0) -> int:
    """Peak memory of a run with blocks of this shape.

    Parameters
    ----------
    block : tuple of int
        Output voxels along x, y, z.
    low : tuple of int
        Shape of the low-resolution volume.
    method : Method
        Its halo, and the passes that it takes.
    threads : int
        Computing at once.
    layer : int
        Bytes that the source reads at once.
    """
    assert method.halo is not None, "checked before"
    whole = [n * s for n, s in zip(low, method.scale, strict=True)]
    # A block in the middle of a volume without end has its halo on all sides.
    far = 1 << 20
    middle = Region((far, far, far), (far + block[0], far + block[1], far + block[2]))
    boxes = pass_regions(method, middle, (2 * far, 2 * far, 2 * far))
    sizes = [math.prod(map(min, box.shape, whole)) for box in boxes]
    images = max((a + b for a, b in itertools.pairwise(sizes)), default=sizes[0])
    read = math.prod(
        min(n, -(-b // s) + 2 * h)
        for n, b, s, h in zip(low, block, method.scale, method.halo, strict=True)
    )
    plane = math.prod(sorted(low)[1:])
    pieces = threads * _HELD * _HALO_GROWTH * min(PIECE_VOXELS, max(sizes))
    return int(_PROGRAM + 4 * (images + read + pieces) + 20 * plane + 2 * layer)


def voxels_to_look_at(memory: int) -> int:
    """How many voxels may be in memory while traits are measured; no more than tell enough."""
    return min(_MOST_LOOKED_AT, max(0, memory - _PROGRAM) // _LOOKED_AT)


def choose_block(
    low: Shape, method: Method, threads: int, memory: int, slow: int, layer: int = 0
) -> Shape:
    """The largest block that fits, in whole chunks.

    Parameters
    ----------
    low : tuple of int
        Shape of the low-resolution volume.
    method : Method
        To run.
    threads : int
        Computing at once.
    memory : int
        Bytes that the process may hold.
    slow : int
        The axis to cut first: the one along which files store planes.
    layer : int
        As :func:`bytes_needed`.

    Raises
    ------
    MemoryEstimateError
        When not even a chunk fits.
    """
    whole = [n * s for n, s in zip(low, method.scale, strict=True)]
    block = list(whole)

    def need() -> int:
        return bytes_needed((block[0], block[1], block[2]), low, method, threads, layer)

    for axis in (slow, *(a for a in range(3) if a != slow)):
        # The thickest that fits, before another axis is cut.
        for chunks in range(-(-whole[axis] // CHUNK), 0, -1):
            block[axis] = min(whole[axis], chunks * CHUNK)
            if need() <= memory:
                return block[0], block[1], block[2]
    found = f"{memory / 1e9:.2g} GB is too little, this run needs {need() / 1e9:.2g} GB"
    raise MemoryEstimateError(explain("--memory", found, "give more, or fewer --threads"))


def cut(whole: Shape, block: Shape, slow: int) -> list[Region]:
    """The output in blocks, those along the slow axis last to change least."""
    order = [slow, *(a for a in range(3) if a != slow)]
    found = []
    counts = [range(0, whole[axis], block[axis]) for axis in order]
    for a in counts[0]:
        for b in counts[1]:
            for c in counts[2]:
                start = [0, 0, 0]
                for axis, at in zip(order, (a, b, c), strict=True):
                    start[axis] = at
                stop = [min(n, s + m) for n, s, m in zip(whole, start, block, strict=True)]
                found.append(Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])))
    return found
