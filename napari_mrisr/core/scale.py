"""Scale of a super-resolution: one factor per axis, whole or not.

Filter banks, degradations and their evaluation need whole factors (:data:`Scale`). Methods
also take factors that are not whole (:data:`RealScale`): the result has ``round(n * factor)``
voxels over exactly the scan's field of view.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from typing import SupportsFloat, SupportsIndex

from napari_mrisr.errors import ScaleError, explain

Scale = tuple[int, int, int]
RealScale = tuple[float, float, float]
"""Three factors from 1 to 10; whole ones are of type int."""

MAX_SCALE = 8
"""Largest whole factor of a filter bank or degradation."""

MAX_FACTOR = 10
"""Largest factor of a method."""

MOST_TIMES_FINER = 8
"""Largest factor of :func:`isotropic_scale`."""

_EXACT = 1e-3
_NEARLY_EQUAL = 1.2


ScaleLike = float | str | Sequence[float]
"""Whatever :func:`parse_scale` reads."""


def parse_scale(scale: ScaleLike) -> RealScale:
    """Read a scale: ``2``, ``(1, 1, 4)``, ``"1x1x4"`` or ``"1x1x4.8"``; 2 means 2x2x2.

    Parameters
    ----------
    scale : float, str or sequence of float
        One factor for all axes or three factors.

    Returns
    -------
    tuple of int or float
        Three factors, each from 1 to 10. Whole factors are of type int.

    Raises
    ------
    ScaleError
        For anything else.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> sr.parse_scale(2)
    (2, 2, 2)
    >>> sr.parse_scale("1x1x4.8")
    (1, 1, 4.8)
    """
    mend = f"give one number from 1 to {MAX_FACTOR}, or three such as 1x1x4"
    unreadable = ScaleError(explain("scale", f"cannot read {repr(scale)[:80]}", mend))
    parts: Sequence[object]
    if isinstance(scale, str):
        parts = re.split(r"[x×]", scale.strip().lower().removesuffix("×"))
        if not all(re.fullmatch(r"\d{1,3}(\.\d{1,6})?", str(part).strip()) for part in parts):
            raise unreadable
        parts = [float(str(part)) for part in parts]
    else:
        parts = list(scale) if isinstance(scale, Iterable) else [scale]
    factors = []
    for part in parts:
        number = isinstance(part, SupportsIndex | SupportsFloat) and not isinstance(part, str)
        if isinstance(part, bool) or not number:
            raise unreadable
        factors.append(_tidy(float(part)))  # type: ignore[arg-type]
    if len(factors) == 1:
        factors *= 3
    if len(factors) != 3 or not all(map(math.isfinite, factors)):
        raise unreadable
    if not all(1 <= factor <= MAX_FACTOR for factor in factors):
        raise ScaleError(explain("scale", f"{repr(scale)[:80]} is out of range", mend))
    return factors[0], factors[1], factors[2]


def whole_scale(scale: RealScale, needed_by: str = "") -> Scale:
    """Return a scale of whole factors from 1 to 8, or raise :class:`ScaleError`.

    Parameters
    ----------
    scale : tuple of float
        Factors to check.
    needed_by : str
        Subject of the message; empty if the option is named.
    """
    x, y, z = (int(factor) for factor in scale)
    if (x, y, z) != tuple(scale) or max(x, y, z) > MAX_SCALE:
        found = f"needs whole factors up to {MAX_SCALE}, not {format_scale(scale)}"
        found = f"{needed_by} {found}".strip()
        raise ScaleError(explain("scale", found, "give factors such as 2 or 1x1x4"))
    return x, y, z


def upsampled_size(n: int, factor: float) -> int:
    """Return the voxels of the result along an axis of ``n`` voxels."""
    return max(1, round(n * factor))


def is_whole(scale: RealScale) -> bool:
    """Return True if all factors are whole."""
    return all(float(factor).is_integer() for factor in scale)


def _tidy(factor: float) -> float:
    return int(factor) if factor.is_integer() else factor


def orders_of(scale: Scale) -> list[Scale]:
    """Return the distinct orders of a scale's factors, sorted."""
    return sorted({(a, b, c) for a, b, c in itertools.permutations(scale)})


def thick_axis(scale: RealScale) -> int | None:
    """Return the only axis whose factor is above 1; None if there are more, or none."""
    thick = [axis for axis, factor in enumerate(scale) if factor > 1]
    return thick[0] if len(thick) == 1 else None


def format_scale(scale: RealScale) -> str:
    """Format a scale as ``2``, ``1x1x4`` or ``1x1x4.8``, as :func:`parse_scale` reads it."""
    factors = [f"{factor:.4g}" for factor in scale]
    return factors[0] if len(set(scale)) == 1 else "x".join(factors)


def scale_label(scale: RealScale) -> str:
    """Format a scale for a message: ``2x`` or ``1x1x4``."""
    return f"{format_scale(scale)}x" if len(set(scale)) == 1 else format_scale(scale)


def scale_for_spacing(
    voxel_size: tuple[float, float, float], spacing: float | Sequence[float]
) -> RealScale:
    """Return the factors that give a wanted voxel size.

    Parameters
    ----------
    voxel_size : tuple of float
        Present voxel size per axis, in mm.
    spacing : float or sequence of float
        Wanted voxel size, in mm: one for all axes, or three.

    Returns
    -------
    tuple of int or float
        1 for axes that are finer already. Factors within 0.1 % of a whole one are whole.

    Raises
    ------
    ScaleError
        If the spacing is not positive or needs a factor above 10.
    """
    wanted = _lengths(spacing)
    ratios = [have / want for have, want in zip(voxel_size, wanted, strict=True)]
    if max(ratios) > MAX_FACTOR * (1 + _EXACT):
        sizes = " x ".join(f"{size:.4g}" for size in voxel_size)
        text = " x ".join(f"{size:.4g}" for size in dict.fromkeys(wanted))
        found = f"{text} mm from {sizes} mm needs a factor of {max(ratios):.4g}"
        mend = f"ask for at least {max(voxel_size) / MAX_FACTOR:.3g} mm"
        raise ScaleError(explain("spacing", found, mend))
    x, y, z = (_snapped(ratio) for ratio in ratios)
    return x, y, z


def isotropic_scale(voxel_size: tuple[float, float, float]) -> RealScale:
    """Return the factors that make voxels isotropic.

    Axes coarser than the finest one by 20 % or more are brought to it, but become at most 8
    times finer. The others are kept.

    Parameters
    ----------
    voxel_size : tuple of float
        Present voxel size per axis, in mm.

    Returns
    -------
    tuple of int or float
        (1, 1, 1) for voxels that are nearly isotropic.

    Examples
    --------
    >>> from napari_mrisr.core.scale import isotropic_scale
    >>> isotropic_scale((0.75, 0.75, 3.3))
    (1, 1, 4.4)
    """
    ratios = [size / min(voxel_size) for size in voxel_size]
    x, y, z = (
        1 if ratio < _NEARLY_EQUAL else _snapped(min(ratio, MOST_TIMES_FINER)) for ratio in ratios
    )
    return x, y, z


def _snapped(ratio: float) -> float:
    """Return a factor of at least 1, whole if it is within 0.1 % of a whole one.

    The sizes in a header are rounded; more than six decimals are noise.
    """
    nearest = max(1, round(ratio))
    if ratio < 1 or abs(ratio / nearest - 1.0) <= _EXACT:
        return nearest
    return round(ratio, 6)


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
