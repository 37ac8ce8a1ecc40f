"""Run a method along permuted axes: a bank for 1x1x3 on a scan of thick sagittal slices."""

from __future__ import annotations

import functools
import weakref
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.axes import (
    IN_ORDER,
    Axes,
    axes_between,
    inverse,
    permute_data,
    permute_region,
    permute_shape,
    permute_volume,
)
from napari_mrisr.core.scale import RealScale, Scale, format_scale
from napari_mrisr.core.volume import BoxArray, FloatArray, Region, Shape, Volume
from napari_mrisr.errors import BankError, explain
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.methods.registry import Method, MultiPass, passes_of


@dataclass(frozen=True, eq=False)
class Permuted:
    """A method with the volume's axes in another order.

    The result equals, bit for bit, that of the method on the permuted volume.

    Attributes
    ----------
    method : Method
    axes : tuple of int
        ``axes[i]`` is the volume's axis that the method takes as its axis ``i``.
    """

    method: Method
    axes: Axes
    _volumes: weakref.WeakKeyDictionary[Volume, Volume] = field(
        default_factory=weakref.WeakKeyDictionary, init=False, repr=False
    )

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.method.name

    @functools.cached_property
    def back(self) -> Axes:
        """Permutation from the method's axes to the volume's."""
        return inverse(self.axes)

    @property
    def scale(self) -> RealScale:
        """Factor of each axis of the volume."""
        return permute_shape(self.method.scale, self.back)

    @property
    def halo(self) -> Shape | None:
        """Low-resolution voxels needed around a region."""
        halo = self.method.halo
        return None if halo is None else permute_shape(halo, self.back)

    @property
    def passes(self) -> int:
        """Number of passes; see :class:`~napari_mrisr.methods.MultiPass`."""
        return passes_of(self.method)

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        return self.method.provenance()

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        found = self.method.compute(self.permuted(lr), permute_region(region, self.axes))
        return cast(FloatArray, permute_data(found, self.back))

    def compute_pass(
        self, number: int, lr: Volume, previous: FloatArray, region: Region
    ) -> FloatArray:
        """Compute a region in a pass; see :class:`~napari_mrisr.methods.MultiPass`."""
        if not isinstance(self.method, MultiPass):
            return self.compute(lr, region)
        if number > 0:
            whole = lr.grid.upsampled(self.scale).shape
            box = self.needs(number, region, whole)
            part = permute_data(np.asarray(previous[box.slices]), self.axes)
            corner = permute_shape(box.start, self.axes)
            array = BoxArray(part, corner, permute_shape(whole, self.axes))
            previous = cast(FloatArray, array)
        turned = permute_region(region, self.axes)
        found = self.method.compute_pass(number, self.permuted(lr), previous, turned)
        return cast(FloatArray, permute_data(found, self.back))

    def needs(self, number: int, region: Region, shape: Shape) -> Region:
        """Return the box that a pass reads; see :class:`~napari_mrisr.methods.MultiPass`."""
        assert isinstance(self.method, MultiPass), "a single pass reads no image before it"
        turned, whole = permute_region(region, self.axes), permute_shape(shape, self.axes)
        return permute_region(self.method.needs(number, turned, whole), self.back)

    def permuted(self, lr: Volume) -> Volume:
        """Return the volume in the method's order of axes; kept as long as the volume."""
        found = self._volumes.get(lr)
        if found is None:
            found = self._volumes[lr] = permute_volume(lr, self.axes)
        return found


def innermost(method: Method) -> Method:
    """Return the method within data consistency and permuted axes."""
    while isinstance(method, Permuted | Consistent):
        method = method.method
    return method


def hashed_with(bank: FilterBank, scale: Scale) -> Hashed | Permuted:
    """Return the hashed method with a bank for the scale's factors in any order of axes."""
    axes = axes_between(scale, bank.scale)
    if axes is None:
        found = f"made for scale {format_scale(bank.scale)}, not {format_scale(scale)}"
        mend = f"use scale {format_scale(bank.scale)} or another bank"
        raise BankError(explain(bank.name, found, mend))
    method = Hashed(bank)
    return method if axes == IN_ORDER else Permuted(method, axes)
