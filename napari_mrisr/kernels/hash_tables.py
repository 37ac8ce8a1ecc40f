"""Tables that the kernels read; importing them needs no numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LANES = 8
"""Width of the vectors of the kernels, in float32."""


class HashTables(NamedTuple):
    """A :class:`~napari_mrisr.bank.hashing.HashSpec`, compiled to plain arrays.

    Attributes
    ----------
    cuts : (6, m) ndarray of float64
        Ascending cuts of elevation, azimuth, strength, coherence, asymmetry
        and curvature, in the values that the kernels compare: the negated
        cosine of the elevation; the azimuth in radians, or its tangent for
        canonical directions. Rows are padded.
    counts : (6,) ndarray of int64
        Cuts used in each row.
    symmetry : int
        0: none; 1: flips of the axes; 2: flips and permutations, the cube's 48;
        3: flips, and x and y swapped.
    flat : float
        Trace of the structure tensor below which a voxel is flat.
    scale : tuple of int
        Sub-voxel phases along each axis; (1, 1, 1) where they do not count.
    phase : (48, p) ndarray of int64
        Canonical phase of each phase under each symmetry.
    """

    cuts: NDArray[np.float64]
    counts: NDArray[np.int64]
    symmetry: int
    flat: float
    scale: tuple[int, int, int]
    phase: NDArray[np.int64]
