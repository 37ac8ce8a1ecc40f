"""Any factor: run a method at its own factors, then resample."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from napari_mrisr.bank.model import (
    FilterBank,
    bank_for,
    bundled_name,
    bundled_scales,
    load_bank,
)
from napari_mrisr.core.scale import RealScale, Scale, orders_of, scale_label, upsampled_size
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import BankError, ParameterError, ScaleError, explain
from napari_mrisr.methods.blended import Blended
from napari_mrisr.methods.consistent import Consistent, made_consistent
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.methods.permuted import Permuted, hashed_with
from napari_mrisr.methods.registry import Method
from napari_mrisr.operators import interpolate


@dataclass(frozen=True, eq=False)
class Resampled:
    """A method, resampled by a cubic B-spline to another number of voxels.

    Attributes
    ----------
    method : Method
        Runs at its own factors.
    scale : tuple of float
        Factor of each axis of the result.
    """

    method: Method
    scale: RealScale

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.method.name

    @property
    def halo(self) -> Shape | None:
        """Low-resolution voxels needed around a region."""
        around = self.method.halo
        if around is None:
            return None
        x, y, z = (
            halo + (0 if a == b else 2 + math.ceil(interpolate.TRICUBIC_HALO / a))
            for halo, a, b in zip(around, self.method.scale, self.scale, strict=True)
        )
        return x, y, z

    def shapes(self, low: Shape) -> tuple[Shape, Shape]:
        """Return the shapes of the filters' result and of the resampled one."""
        (a, d), (b, e), (c, f) = (
            (upsampled_size(n, whole), upsampled_size(n, factor))
            for n, whole, factor in zip(low, self.method.scale, self.scale, strict=True)
        )
        return (a, b, c), (d, e, f)

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        box = interpolate.resample_reads(*self.shapes(lr.grid.shape), region)
        return self.resample(lr, self.method.compute(lr, box), box.start, region)

    def resample(self, lr: Volume, image: FloatArray, corner: Shape, region: Region) -> FloatArray:
        """Resample a box of the filters' result that begins at ``corner``."""
        out = interpolate.resample(image, corner, *self.shapes(lr.grid.shape), region)
        return np.maximum(out, lr.extrema[0], out=out)

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        return self.method.provenance()


def bank_of(method: Method | None) -> FilterBank | None:
    """Return the filter bank of a method; None if it has none."""
    while isinstance(method, Permuted | Resampled | Consistent | Blended):
        method = method.method
    return method.bank if isinstance(method, Hashed) else None


def make_hashed(scale: RealScale, bank: str | None = None, option: str = "") -> Method:
    """Learned filters of a bank by name or path, or of the bundled bank for the scale.

    The option ``blend`` adds census blending. Data consistency follows where the bank's
    degradation is known at the scale.
    """
    if option not in ("", "blend"):
        unknown = f"option {option[:40]!r} of learned filters"
        raise ParameterError(explain("method", unknown, "use blend, or none"))
    whole = scale_of_bank(scale, [load_bank(bank).scale] if bank else bundled_scales())
    found = bank_for(scale if whole is None else whole, bank, any_order=True)
    hashed = hashed_with(found, found.scale if whole is None else whole)
    method: Method = _blended(hashed) if option else hashed
    if method.scale != scale:
        method = Resampled(method, scale)
    return made_consistent(method, found.degradation)


def make_anchored(scale: RealScale, bank: str | None = None, option: str = "") -> Method:
    """Learned filters that the nearest anchor chooses, of a bank or the bundled one."""
    if bank is None:
        bundled = bundled_scales("a-plus")
        whole = scale_of_bank(scale, bundled)
        if whole is None:
            have = ", ".join(map(scale_label, bundled)) or "none"
            mend = f"use one of {have}, or method hashed"
            raise ScaleError(explain("scale", f"no anchors for {scale_label(scale)}", mend))
        bank = bundled_name(whole, "a-plus")
    elif not load_bank(bank).anchored:
        raise BankError(explain(bank, "a filter bank without anchors", "use method hashed"))
    return make_hashed(scale, bank, option)


def _blended(method: Hashed | Permuted) -> Method:
    """Return the method with census blending along the bank's axes."""
    if isinstance(method, Hashed):
        return Blended(method)
    assert isinstance(method.method, Hashed)
    return replace(method, method=Blended(method.method))


def scale_of_bank(scale: RealScale, banks: Iterable[Scale]) -> Scale | None:
    """Return the bank's factors to run for a scale; None if no bank fits.

    The next whole factor of each axis; along a single axis the next factor that a bank has,
    or else the largest.
    """
    orders = {order for bank in banks for order in orders_of(bank)}
    for order in orders:
        if order == tuple(map(math.ceil, scale)):
            return order
    raised = [axis for axis in range(3) if scale[axis] > 1]
    if len(raised) != 1:
        return None
    factors = {
        order[raised[0]]: order
        for order in orders
        if [axis for axis in range(3) if order[axis] > 1] == raised
    }
    larger = [factor for factor in factors if factor >= scale[raised[0]]]
    return factors[min(larger) if larger else max(factors)] if factors else None
