"""How all kernels are compiled, and where their machine code is kept.

A kernel is compiled when it is first called. numba keeps the machine code in the
first of these folders that can be written to: ``NUMBA_CACHE_DIR``, the
``__pycache__`` beside the source, the user's cache folder. Without any, each
process compiles anew.
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
    """When the files were changed that any kernel's machine code may come from."""
    stats = ((path.name, path.stat()) for path in sorted(_FOLDER.glob("*.py")))
    return tuple((name, stat.st_mtime, stat.st_size) for name, stat in stats)


_STAMP = _sources_stamp()


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
    _watch_all_sources(kernel)
    KERNELS.append(kernel)
    return kernel


def _watch_all_sources(kernel: Any) -> None:
    """Compile anew after a change of any file of kernels.

    numba looks at the kernel's own file only, not at those whose kernels and
    intrinsics it was compiled with. It has no public way to say so.
    """
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if file is not None and hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, _STAMP)


def cache_folder() -> Path | None:
    """Where the machine code is kept; None where it cannot be."""
    path = KERNELS[0].stats.cache_path if KERNELS else None
    return Path(path) if path else None
