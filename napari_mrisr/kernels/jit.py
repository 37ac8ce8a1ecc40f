"""How all kernels are compiled, and where their machine code is kept.

A kernel is compiled when it is first called. numba keeps the machine code in the
first of these folders that can be written to: ``NUMBA_CACHE_DIR``, the
``__pycache__`` beside the source, the user's cache folder. Without any, each
process compiles anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

KERNELS: list[Any] = []
"""All kernels of the modules loaded so far, as numba's dispatchers."""


def jit(function: Callable[..., Any]) -> Any:
    """Compile a function with numba, and keep its machine code where that is possible."""
    # Contraction (a * b + c in one rounding) is the same in a vector body and in
    # its scalar rest, so it keeps results independent of the region; reordering
    # sums ("reassoc") would not, and stays off.
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "nsz"},
        "error_model": "numpy",
    }
    try:
        kernel = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # "no locator available": no folder can be written to
        kernel = numba.njit(**options)(function)
    KERNELS.append(kernel)
    return kernel


def cache_folder() -> Path | None:
    """Where the machine code is kept; None where it cannot be."""
    path = KERNELS[0].stats.cache_path if KERNELS else None
    return Path(path) if path else None
