"""Compilation of the kernels, and the cache of their machine code.

A kernel is compiled at its first call. numba keeps the machine code in the first writable
folder of ``NUMBA_CACHE_DIR``, the ``__pycache__`` of the source, and the user's cache
folder. Without one, each process compiles again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# numba refuses to load with 0, "" or other text here. The engine has threads of its own.
if not os.environ.get("NUMBA_NUM_THREADS", "1").isdigit() or not int(
    os.environ.get("NUMBA_NUM_THREADS", "1")
):
    del os.environ["NUMBA_NUM_THREADS"]

import numba

KERNELS: list[Any] = []
"""All kernels of the modules loaded so far, as numba's dispatchers."""

_FOLDER = Path(__file__).parent


def _sources_stamp() -> tuple[tuple[str, float, int], ...]:
    """Return the times and sizes of all files of kernels."""
    stats = ((path.name, path.stat()) for path in sorted(_FOLDER.glob("*.py")))
    return tuple((name, stat.st_mtime, stat.st_size) for name, stat in stats)


_STAMP = _sources_stamp()


def jit(function: Callable[..., Any]) -> Any:
    """Compile a function with numba, and cache its machine code if possible."""
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
    _watch_all_sources(kernel)
    KERNELS.append(kernel)
    return kernel


def _watch_all_sources(kernel: Any) -> None:
    """Make numba compile again after a change of any file of kernels.

    numba checks the kernel's own file only, not the files of the kernels and intrinsics that
    it uses, and has no public option for that.
    """
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if file is not None and hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, _STAMP)


def cache_folder() -> Path | None:
    """Return the folder of the machine code; None if it is not cached."""
    path = KERNELS[0].stats.cache_path if KERNELS else None
    return Path(path) if path else None
