"""The scale: three integers from 1 to 8, one an axis."""

from __future__ import annotations

import itertools
import math
import re

from napari_mrisr.errors import ScaleError, explain

Scale = tuple[int, int, int]

MAX_SCALE = 8


def parse_scale(text: str | int | tuple[int, ...]) -> Scale:
    """Read ``2``, ``"2"`` or ``"1x1x4"``; "2" means "2x2x2".

    Parameters
    ----------
    text : str, int or tuple of int
        One factor for all axes or three joined by ``x``.

    Returns
    -------
    tuple of int
        Three factors, each from 1 to 8.

    Raises
    ------
    ScaleError
        For anything else.
    """
    mend = f"give one whole number from 1 to {MAX_SCALE}, or three such as 1x1x4"
    if isinstance(text, tuple):
        factors = text
    else:
        parts = re.split(r"[x×]", str(text).strip().lower().removesuffix("×"))
        if not all(re.fullmatch(r"\d{1,3}", part.strip()) for part in parts):
            raise ScaleError(explain("--scale", f"cannot read {text!r}", mend))
        factors = tuple(int(part) for part in parts)
    if len(factors) == 1:
        factors = factors * 3
    if len(factors) != 3 or not all(1 <= f <= MAX_SCALE for f in factors):
        raise ScaleError(explain("--scale", f"{text!r} is out of range", mend))
    return (int(factors[0]), int(factors[1]), int(factors[2]))


def orders_of(scale: Scale) -> list[Scale]:
    """Return the distinct orders of a scale's factors, sorted."""
    return sorted({(a, b, c) for a, b, c in itertools.permutations(scale)})


def format_scale(scale: Scale) -> str:
    """``2`` for equal factors, ``1x1x4`` otherwise; inverse of :func:`parse_scale`."""
    return str(scale[0]) if len(set(scale)) == 1 else "x".join(map(str, scale))


def scale_label(scale: Scale) -> str:
    """For a person: ``2x``, or ``1x1x4``."""
    return f"{scale[0]}x" if len(set(scale)) == 1 else format_scale(scale)


def scale_for_spacing(
    voxel_size: tuple[float, float, float], spacing: float | tuple[float, float, float]
) -> Scale:
    """The whole factors that come closest to a wanted voxel size.

    Parameters
    ----------
    voxel_size : tuple of float
        Present voxel size, mm, one an axis.
    spacing : float or tuple of float
        Wanted voxel size, mm.

    Returns
    -------
    tuple of int
        Per axis the nearest whole factor in the logarithm, at least 1.

    Raises
    ------
    ScaleError
        When the spacing is not positive or needs a factor above 8.
    """
    wanted = (spacing,) * 3 if isinstance(spacing, int | float) else spacing
    if not all(math.isfinite(w) and w > 0 for w in wanted):
        raise ScaleError(explain("--spacing", f"{spacing} mm", "give a positive number of mm"))
    factors = []
    for have, want in zip(voxel_size, wanted, strict=True):
        ratio = have / want
        low = max(1, math.floor(ratio))
        factors.append(low if ratio / low <= (low + 1) / ratio else low + 1)
    if max(factors) > MAX_SCALE:
        found = f"{spacing} mm from {voxel_size} mm needs a factor of {max(factors)}"
        mend = f"ask for at least {max(voxel_size) / MAX_SCALE:.3g} mm"
        raise ScaleError(explain("--spacing", found, mend))
    return (factors[0], factors[1], factors[2])
