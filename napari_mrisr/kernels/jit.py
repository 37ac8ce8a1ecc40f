"""How all kernels are compiled."""

from __future__ import annotations

import numba

# Contraction (a * b + c in one rounding) is the same in a vector body and in
# its scalar rest, so it keeps results independent of the region; reordering
# sums ("reassoc") would not, and stays off.
jit = numba.njit(nogil=True, cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
