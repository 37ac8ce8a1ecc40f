"""Scales and filter banks that the docks offer. No Qt."""

from __future__ import annotations

import functools
from pathlib import Path

from napari_mrisr.bank.folder import user_banks
from napari_mrisr.core.scale import Scale, orders_of
from napari_mrisr.errors import BankError
from napari_mrisr.methods import available_scales

COMMON_SCALES: tuple[Scale, ...] = ((2, 2, 2), (3, 3, 3), (4, 4, 4), (1, 1, 2), (1, 1, 4))
"""Scales listed for methods that take any scale."""


def offered_scales(method: str) -> tuple[list[Scale], bool]:
    """Return the scales to list for a method, and True if any other scale works too."""
    scales = available_scales(method)
    if scales is None:
        return list(COMMON_SCALES), True
    own = {_scale_of(path) for path in user_banks().values()} if method == "hashed" else set()
    orders = {order for scale in own if scale is not None for order in orders_of(scale)}
    return sorted({*scales, *orders}), False


def fitting_banks(scale: Scale, *, any_order: bool = False) -> list[str]:
    """Return the names of the filter banks for a scale: the bundled ones, then the user's.

    With ``any_order`` a bank for 1x1x3 also fits 3x1x1, as for super-resolution.
    """
    from napari_mrisr.bank.model import bundled_banks, fits, load_bank

    def fitting_scale(found: Scale | None) -> bool:
        return found == scale or (any_order and found is not None and fits(found, scale))

    bundled = bundled_banks()
    fitting = [name for name in bundled if fitting_scale(load_bank(name).scale)]
    own = [name for name, path in user_banks().items() if fitting_scale(_scale_of(path))]
    return fitting + [name for name in own if name not in bundled]


def _scale_of(path: Path) -> Scale | None:
    """Return the scale of a user's bank; None for a file that is no bank."""
    try:
        stat = path.stat()
        return _read_scale(path, stat.st_mtime_ns, stat.st_size)
    except (BankError, OSError):
        return None


@functools.lru_cache(maxsize=256)
def _read_scale(path: Path, changed_ns: int, size: int) -> Scale:
    from napari_mrisr.bank.model import load_bank

    return load_bank(path).scale
