"""Scale of a super-resolution: one whole factor from 1 to 8 per axis."""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Iterable, Sequence
from typing import SupportsFloat, SupportsIndex

from napari_mrisr.errors import ScaleError, explain

Scale = tuple[int, int, int]

MAX_SCALE = 8

_EXACT = 1e-3


ScaleLike = int | str | Sequence[int]
"""Whatever :func:`parse_scale` reads."""


def parse_scale(scale: ScaleLike) -> Scale:
    """Read a scale: ``2``, ``(1, 1, 4)``, ``[1, 1, 4]`` or ``"1x1x4"``; 2 means 2x2x2.

    Parameters
    ----------
    scale : int, str or sequence of int
        One factor for all axes or three factors.

    Returns
    -------
    tuple of int
        Three factors, each from 1 to 8.

    Raises
    ------
    ScaleError
        For anything else.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> sr.parse_scale(2)
    (2, 2, 2)
    >>> sr.parse_scale("1x1x4")
    (1, 1, 4)
    """
    mend = f"give one whole number from 1 to {MAX_SCALE}, or three such as 1x1x4"
    unreadable = ScaleError(explain("scale", f"cannot read {repr(scale)[:80]}", mend))
    parts: Sequence[object]
    if isinstance(scale, str):
        parts = re.split(r"[x×]", scale.strip().lower().removesuffix("×"))
        if not all(re.fullmatch(r"\d{1,3}", str(part).strip()) for part in parts):
            raise unreadable
        parts = [int(str(part)) for part in parts]
    else:
        parts = list(scale) if isinstance(scale, Iterable) else [scale]
    factors = []
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, SupportsIndex):
            raise unreadable
        factors.append(operator.index(part))
    if len(factors) == 1:
        factors *= 3
    if len(factors) != 3:
        raise unreadable
    if not all(1 <= factor <= MAX_SCALE for factor in factors):
        raise ScaleError(explain("scale", f"{repr(scale)[:80]} is out of range", mend))
    return factors[0], factors[1], factors[2]


def orders_of(scale: Scale) -> list[Scale]:
    """Return the distinct orders of a scale's factors, sorted."""
    return sorted({(a, b, c) for a, b, c in itertools.permutations(scale)})


def format_scale(scale: Scale) -> str:
    """Format a scale as ``2`` or ``1x1x4``, as :func:`parse_scale` reads it."""
    return str(scale[0]) if len(set(scale)) == 1 else "x".join(map(str, scale))


def scale_label(scale: Scale) -> str:
    """Format a scale for a message: ``2x`` or ``1x1x4``."""
    return f"{scale[0]}x" if len(set(scale)) == 1 else format_scale(scale)


def scale_for_spacing(
    voxel_size: tuple[float, float, float],
    spacing: float | Sequence[float],
    *,
    exact: bool = False,
) -> Scale:
    """Return the whole factors that come closest to a wanted voxel size.

    Parameters
    ----------
    voxel_size : tuple of float
        Present voxel size per axis, in mm.
    spacing : float or sequence of float
        Wanted voxel size, in mm: one for all axes, or three.
    exact : bool
        Refuse a spacing that is more than 0.1 % away from a whole factor.

    Returns
    -------
    tuple of int
        Per axis the nearest whole factor in the logarithm, at least 1.

    Raises
    ------
    ScaleError
        If the spacing is not positive, needs a factor above 8, or is not exact.
    """
    wanted = _lengths(spacing)
    sizes = " x ".join(f"{size:.4g}" for size in voxel_size)
    text = " x ".join(f"{size:.4g}" for size in dict.fromkeys(wanted))
    factors, off = [], 0.0
    for have, want in zip(voxel_size, wanted, strict=True):
        ratio = have / want
        low = max(1, math.floor(ratio))
        factors.append(low if ratio / low <= (low + 1) / ratio else low + 1)
        off = max(off, abs(ratio / factors[-1] - 1.0))
    if max(factors) > MAX_SCALE:
        found = f"{text} mm from {sizes} mm needs a factor of {max(factors)}"
        mend = f"ask for at least {max(voxel_size) / MAX_SCALE:.3g} mm"
        raise ScaleError(explain("spacing", found, mend))
    if exact and off > _EXACT:
        possible = " x ".join(f"{n / f:.4g}" for n, f in zip(voxel_size, factors, strict=True))
        found = f"{text} mm from {sizes} mm needs factors that are not whole"
        raise ScaleError(explain("spacing", found, f"ask for {possible} mm"))
    return factors[0], factors[1], factors[2]


def _lengths(spacing: float | Sequence[float]) -> tuple[float, float, float]:
    try:
        lengths = [float(spacing)] * 3 if isinstance(spacing, SupportsFloat) else list(spacing)
        x, y, z = (float(length) for length in lengths)
    except (TypeError, ValueError):
        x = y = z = math.nan
    if not all(math.isfinite(length) and length > 0 for length in (x, y, z)):
        mend = "give a positive number of mm, or three"
        raise ScaleError(explain("spacing", f"{repr(spacing)[:80]} mm", mend))
    return x, y, z
