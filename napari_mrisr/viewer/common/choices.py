"""Scales and filter banks to offer. No Qt."""

from __future__ import annotations

import functools
from pathlib import Path

from napari_mrisr.bank.folder import user_banks
from napari_mrisr.core.scale import Scale
from napari_mrisr.errors import BankError
from napari_mrisr.methods import available_scales

COMMON_SCALES: tuple[Scale, ...] = ((2, 2, 2), (3, 3, 3), (4, 4, 4), (1, 1, 2), (1, 1, 4))
"""Offered for methods that take any scale, before "other"."""


def offered_scales(method: str) -> tuple[list[Scale], bool]:
    """Scales to offer for a method, and whether any other will do too."""
    scales = available_scales(method)
    if scales is None:
        return list(COMMON_SCALES), True
    own = {_scale_of(path) for path in user_banks().values()} if method == "hashed" else set()
    return sorted({*scales, *(scale for scale in own if scale is not None)}), False


def fitting_banks(scale: Scale) -> list[str]:
    """Names of the filter banks for a scale: the bundled ones, then the user's own."""
    from napari_mrisr.bank.model import bundled_banks, load_bank

    bundled = bundled_banks()
    fitting = [name for name in bundled if load_bank(name).scale == scale]
    own = [name for name, path in user_banks().items() if _scale_of(path) == scale]
    return fitting + [name for name in own if name not in bundled]


def _scale_of(path: Path) -> Scale | None:
    """Scale of a bank of the user's; None for a file that is none, which must not stop others."""
    try:
        stat = path.stat()
        return _read_scale(path, stat.st_mtime_ns, stat.st_size)
    except (BankError, OSError):
        return None


@functools.lru_cache(maxsize=256)
def _read_scale(path: Path, changed_ns: int, size: int) -> Scale:
    from napari_mrisr.bank.model import load_bank

    return load_bank(path).scale
