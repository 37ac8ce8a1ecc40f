"""Width of the vectors that the kernels use; apart, so that reading a bank needs no numba."""

from __future__ import annotations

LANES = 8
