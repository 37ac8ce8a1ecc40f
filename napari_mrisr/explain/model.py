"""What is known of one voxel: of each stage, and of all together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.hashing import ELEMENTS
from napari_mrisr.bank.model import StageSpec
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, IntensityWindow, Shape
from napari_mrisr.explain.neighborhood import Gradients

Matrix = NDArray[np.float64]

# Differences of sums in another order stay below, in engine units.
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class StageTrace:
    """One stage at the voxel. Patches lie as in the volume: x, y, z.

    Attributes
    ----------
    spec : StageSpec
    voxel : tuple of int
        Index in the stage's grid: of low-resolution or of output voxels.
    window : (n, n, n) ndarray of float32
        The voxels whose gradients count, engine units.
    gradients : Gradients
        Central differences there and their weights.
    tensor : (3, 3) ndarray of float64
        The structure tensor, squared engine units a squared voxel.
    values : (3,) ndarray of float64
        Its eigenvalues, descending.
    vectors : (3, 3) ndarray of float64
        Its eigenvectors, one a column.
    features : dict of str to float
        Value of each of :data:`~napari_mrisr.bank.hashing.FEATURES`.
    element : int
        Index into :data:`~napari_mrisr.bank.hashing.ELEMENTS` of the symmetry that
        makes the patch canonical.
    bucket : int
    ranges : dict of str to (float, float)
        What the bucket stands for (:meth:`HashSpec.decode`).
    flat : bool
        Whether the voxel is flat, so that there is no filter.
    patch : (w, w, w) ndarray of float32
        What the filter is laid over, engine units.
    filter : (w, w, w) ndarray of float32
        The bucket's filter, turned into the volume's axes.
    products : (w, w, w) ndarray of float64
        The filter times the patch (less its middle, for a residual filter).
    before, after : float
        The voxel before and after the stage, engine units, of the engine.
    support : int
        Training samples of the bucket.
    start_error, error : float
        Root mean squared error over them before and after the stage.
    """

    spec: StageSpec
    voxel: Shape
    window: FloatArray
    gradients: Gradients
    tensor: Matrix
    values: Matrix
    vectors: Matrix
    features: dict[str, float]
    element: int
    bucket: int
    ranges: dict[str, tuple[float, float]]
    flat: bool
    patch: FloatArray
    filter: FloatArray
    products: Matrix
    before: float
    after: float
    support: int
    start_error: float
    error: float

    @property
    def center(self) -> float:
        """The patch's middle, engine units."""
        r = self.spec.width // 2
        return float(self.patch[r, r, r])

    @property
    def change(self) -> float:
        """What the stage adds to the voxel, engine units."""
        return self.after - self.before

    @property
    def sum(self) -> float:
        """Sum of the products: the change, or for a filter that replaces, the new value."""
        return float(self.products.sum())

    @property
    def held(self) -> bool:
        """Whether the result would have been below the scan's lowest value, and was held there."""
        wanted = self.sum + (self.before if self.spec.residual else 0.0)
        return self.after - wanted > _ROUNDING

    @property
    def directions(self) -> tuple[str, str, str]:
        """Which way the canonical axes lie in the volume, such as ``−y``."""
        permutation, signs = ELEMENTS[self.element]
        a, b, c = (
            ("" if sign > 0 else "−") + "xyz"[axis]
            for axis, sign in zip(permutation, signs, strict=True)
        )
        return a, b, c


@dataclass(frozen=True, eq=False)
class Explanation:
    """How one output voxel came about. Holds no name and no path of the scan.

    Attributes
    ----------
    voxel : tuple of int
        Index in the output grid, x, y, z.
    lr_voxel : tuple of int
        Index of the low-resolution voxel it lies in.
    scale : tuple of int
    bank_name, degradation, start : str
        Of the bank; ``start`` is its interpolation.
    intensities : IntensityWindow
        Maps engine units to the scan's intensities.
    voxel_size : tuple of float
        Of the output grid, mm.
    lr_patch : (5, 5, 5) ndarray of float32
        Low-resolution voxels around, engine units; NaN outside the volume.
    start_patch : ndarray of float32
        The interpolation over the same field of view.
    start_value : float
        The interpolation at the voxel, engine units.
    stages : tuple of StageTrace
    output : float
        The engine's result, engine units.
    tricubic : float
    truth : float or None
    around : dict of str to ndarray of float32
        ``tricubic``, ``output`` and ``truth`` (where there is one) around the voxel,
        17 voxels an axis, engine units; NaN outside the volume.
    """

    voxel: Shape
    lr_voxel: Shape
    scale: Scale
    bank_name: str
    degradation: str
    start: str
    intensities: IntensityWindow
    voxel_size: tuple[float, float, float]
    lr_patch: FloatArray
    start_patch: FloatArray
    start_value: float
    stages: tuple[StageTrace, ...]
    output: float
    tricubic: float
    truth: float | None
    around: dict[str, FloatArray]

    @property
    def contributions(self) -> tuple[tuple[str, float], ...]:
        """What adds up to the output: the start, each stage, and what else the engine does."""
        rows = [(self.start, self.start_value)]
        rows += [(f"stage {i}", stage.change) for i, stage in enumerate(self.stages, 1)]
        floor = self.output - sum(value for _, value in rows)
        # Above the scan's window, where the start is brighter than the result.
        if abs(floor) > _ROUNDING:
            rows.append(("never below the start", floor))
        return tuple(rows)

    @property
    def most(self) -> int:
        """Number (from 0) of the stage that changes most."""
        return int(np.argmax([abs(stage.change) for stage in self.stages]))

    def to_scan(self, value: float) -> float:
        """Engine units to the scan's intensities."""
        return float(self.intensities.from_unit(np.asarray(value, np.float32)))
