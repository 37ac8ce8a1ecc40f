"""Forward models as matrices per axis: D, its transpose and its norm."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.volume import FloatArray, Shape
from napari_mrisr.operators.degrade import Degradation, standard_operator
from napari_mrisr.operators.interpolate import AxisOperator, quadratic_operator
from napari_mrisr.operators.sinc import truncation_operator
from napari_mrisr.operators.slices import slice_operator


@dataclass(frozen=True, eq=False)
class ForwardModel:
    """A separable degradation D and its transpose, exact to float32.

    Attributes
    ----------
    down, up : tuple of AxisOperator or None
        Per axis the operator of D and its transpose; None for an axis that D leaves alone.
    norm : float
        Largest singular value of D.
    """

    down: tuple[AxisOperator | None, ...]
    up: tuple[AxisOperator | None, ...]
    norm: float

    def apply(self, image: FloatArray) -> FloatArray:
        """Return D x for a high-resolution x."""
        return _applied(self.down, image)

    def adjoint(self, measured: FloatArray) -> FloatArray:
        """Return Dᵀ y for a low-resolution y."""
        return _applied(self.up, measured)


def forward_model(high: Shape, low: Shape, degradation: Degradation) -> ForwardModel:
    """Return the forward model between two grids over the same field of view.

    Parameters
    ----------
    high, low : tuple of int
        Shapes. Any number of voxels, but for ``standard`` and ``paper-2021`` whole factors.
    degradation : Degradation
    """
    pairs = [
        None if n == m else _axis_model(n, m, degradation) for n, m in zip(high, low, strict=True)
    ]
    down = tuple(None if pair is None else pair[0] for pair in pairs)
    up = tuple(None if pair is None else pair[1] for pair in pairs)
    return ForwardModel(down, up, float(np.prod([pair[2] for pair in pairs if pair is not None])))


def _applied(operators: tuple[AxisOperator | None, ...], array: FloatArray) -> FloatArray:
    for axis, operator in enumerate(operators):
        if operator is not None:
            array = operator.apply(array, axis)
    return array


@functools.lru_cache(maxsize=32)
def _axis_model(
    n: int, count: int, degradation: Degradation
) -> tuple[AxisOperator, AxisOperator, float]:
    """Return D, its transpose and its norm along an axis of ``n`` voxels and ``count`` below."""
    if degradation.name == "standard":
        down = standard_operator(n, n // count)
    elif degradation.name == "paper-2021":
        down = quadratic_operator(n, count)
    elif degradation.name == "kspace":
        down = truncation_operator(n, count, degradation.apodization)
    else:
        down = slice_operator(n, count, degradation.profile, degradation.fwhm)
    return down, down.transposed(n), float(np.linalg.norm(down.dense(n), 2))
