"""Methods without learning: one linear operator per axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from napari_mrisr.core.scale import RealScale, whole_scale
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.registry import Method
from napari_mrisr.operators import interpolate
from napari_mrisr.operators.sinc import (
    LOBES,
    WINDOWS,
    interpolated,
    lanczos_operator,
    linear_operator,
    zero_fill_operator,
)

_WHOLE_AXIS = 1 << 20
Upsampler = Callable[[FloatArray, Any, Region | None], FloatArray]


@dataclass(frozen=True)
class Interpolation:
    """Separable interpolation, clipped to the range of the input.

    The clip is that of ``skimage.transform.resize``: a spline overshoots at
    edges, and a magnitude image has no negative intensities.
    """

    name: str
    scale: RealScale
    upsample: Upsampler
    reach: int

    @property
    def halo(self) -> Shape:
        """Low-resolution voxels read around a region."""
        x, y, z = (self.reach if s > 1 else 0 for s in self.scale)
        return x, y, z

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        out = self.upsample(lr.data, self.scale, region)
        return np.clip(out, *lr.extrema, out=out)

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        return {"method": self.name}


def make_nearest(scale: RealScale, bank: str | None = None) -> Method:
    """Copy of the nearest voxel."""
    return Interpolation("nearest", scale, interpolate.nearest, _no_bank("nearest", bank))


def make_tricubic(scale: RealScale, bank: str | None = None) -> Method:
    """Cubic B-spline interpolation."""
    _no_bank("tricubic", bank)
    return Interpolation("tricubic", scale, interpolate.tricubic, interpolate.TRICUBIC_HALO)


def make_quadratic(scale: RealScale, bank: str | None = None) -> Method:
    """Quadratic spline, called tricubic in the 2021 paper; to reproduce its figures."""
    _no_bank("quadratic", bank)
    # Voxel centers move against the scale by up to half a voxel over the volume.
    factors = whole_scale(scale, "method quadratic")
    return Interpolation("quadratic", factors, interpolate.quadratic, 3)


def make_linear(scale: RealScale, bank: str | None = None) -> Method:
    """Linear interpolation."""
    _no_bank("linear", bank)
    return Interpolation("linear", scale, partial(interpolated, linear_operator), 2)


def make_lanczos(scale: RealScale, bank: str | None = None) -> Method:
    """Windowed sinc of three lobes."""
    _no_bank("lanczos", bank)
    return Interpolation("lanczos", scale, partial(interpolated, lanczos_operator), LOBES + 1)


def make_zero_fill(scale: RealScale, bank: str | None = None, option: str = "") -> Method:
    """Zero filling of k-space, as scanners do (ZIP); the option is a window over k-space."""
    _no_bank("zero-fill", bank)
    if option not in ("", *WINDOWS):
        found = f"window {option[:40]!r} of zero-fill"
        raise ParameterError(explain("method", found, f"choose from {', '.join(WINDOWS)}"))
    operator = partial(zero_fill_operator, window=option or "none")
    name = f"zero-fill:{option}" if option else "zero-fill"
    return Interpolation(name, scale, partial(interpolated, operator), _WHOLE_AXIS)


def _no_bank(name: str, bank: str | None) -> int:
    if bank is not None:
        raise ParameterError(
            explain("bank", f"{bank!r} given with method {name}", "leave it out, or use hashed")
        )
    return 0
