"""Record of one explained voxel: the interpolation, what is added to it, and the sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import StageSpec
from napari_mrisr.bank.symmetries import ELEMENTS
from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.volume import FloatArray, IntensityWindow, Shape
from napari_mrisr.explain.anchored import AnchorTrace
from napari_mrisr.inspection.effective import EffectiveFilter

Matrix = NDArray[np.float64]

CONSISTENCY = "data consistency"

# Rounding differences between sums stay below this, engine units.
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients in a window around a voxel.

    Attributes
    ----------
    vectors : (3, n, n, n) ndarray of float64
        Components along x, y, z by central differences, engine units per voxel.
    weights : (n, n, n) ndarray of float64
        Weights with sum 1.
    """

    vectors: NDArray[np.float64]
    weights: NDArray[np.float64]

    def tensor(self) -> NDArray[np.float64]:
        """Return the weighted sum of the vectors' outer products, shape (3, 3)."""
        products = np.einsum("xyz,axyz,bxyz->ab", self.weights, self.vectors, self.vectors)
        return np.asarray(products)


@dataclass(frozen=True, eq=False)
class StageTrace:
    """One stage at the voxel. Patches have the volume's axes x, y, z.

    Attributes
    ----------
    spec : StageSpec
    voxel : tuple of int
        Index in the stage's grid of low-resolution or output voxels.
    window : (n, n, n) ndarray of float32
        Voxels around it in which gradients are computed, engine units.
    gradients : Gradients
        Central differences in the window and their weights.
    tensor : (3, 3) ndarray of float64
        Structure tensor, engine units² per voxel².
    values : (3,) ndarray of float64
        Eigenvalues, descending.
    vectors : (3, 3) ndarray of float64
        Eigenvectors, one per column.
    features : dict of str to float
        Value of each of :data:`~napari_mrisr.bank.hashing.FEATURES`.
    element : int
        Index into :data:`~napari_mrisr.bank.symmetries.ELEMENTS` of the symmetry that
        makes the patch canonical.
    bucket : int
    ranges : dict of str to (float, float)
        Ranges of the bucket (:meth:`HashSpec.decode`).
    flat : bool
        True if the voxel is flat and has no filter.
    anchor : AnchorTrace or None
        None for a stage without anchors.
    patch : (w, w, w) ndarray of float32
        Input of the filter, engine units.
    filter : (w, w, w) ndarray of float32
        Filter of the bucket, along the volume's axes.
    products : (w, w, w) ndarray of float64
        Filter × patch (minus its center, for a residual filter).
    before, after : float
        Voxel before and after the stage in the engine, engine units.
    support : int
        Training samples of the bucket.
    start_error, error : float
        Root mean squared error of the training samples before and after the stage.
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
    anchor: AnchorTrace | None
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
        """Center voxel of the patch, engine units."""
        return float(self.patch[tuple(width // 2 for width in self.spec.shape)])

    @property
    def change(self) -> float:
        """Value that the stage adds to the voxel, engine units."""
        return self.after - self.before

    @property
    def sum(self) -> float:
        """Sum of the products: the change, or the new value without residual."""
        return float(self.products.sum())

    @property
    def clipped(self) -> bool:
        """True if the result was raised to the scan's minimum."""
        unclipped = self.sum + (self.before if self.spec.residual else 0.0)
        return self.after - unclipped > _ROUNDING

    @property
    def directions(self) -> tuple[str, str, str]:
        """Volume axis of each canonical axis, such as ``−y``."""
        permutation, signs = ELEMENTS[self.element]
        a, b, c = (
            ("" if sign > 0 else "−") + "xyz"[axis]
            for axis, sign in zip(permutation, signs, strict=True)
        )
        return a, b, c


@dataclass(frozen=True, eq=False)
class VoxelExplanation:
    """Computation of one output voxel. Contains no name and no path of the scan.

    Attributes
    ----------
    voxel : tuple of int
        Index in the output grid, x, y, z.
    lr_voxel : tuple of int
        Index of the low-resolution voxel that contains it.
    scale : tuple of float
    bank_name, degradation, start : str
        Name of the bank or network, the loss of detail that it assumes, and its
        interpolation.
    intensities : IntensityWindow
        Converts engine units to the scan's intensities.
    voxel_size : tuple of float
        Voxel size of the output grid, mm.
    lr_patch : (5, 5, 5) ndarray of float32
        Low-resolution voxels around it, engine units; NaN outside the volume.
    start_value : float
        Interpolation at the voxel, engine units.
    output : float
        Result of the engine, engine units.
    tricubic : float
    truth : float or None
        Reference at the voxel, engine units.
    around : dict of str to ndarray of float32
        ``tricubic``, ``output`` and, with a reference, ``truth`` around the voxel,
        17 voxels per axis, engine units; NaN outside the volume.
    """

    voxel: Shape
    lr_voxel: Shape
    scale: RealScale
    bank_name: str
    degradation: str
    start: str
    intensities: IntensityWindow
    voxel_size: tuple[float, float, float]
    lr_patch: FloatArray
    start_value: float
    output: float
    tricubic: float
    truth: float | None
    around: dict[str, FloatArray]

    @property
    def changes(self) -> tuple[tuple[str, float], ...]:
        """Names and values of what is added to the interpolation."""
        raise NotImplementedError

    @property
    def replaces(self) -> bool:
        """True if the last change gives a new value instead of an addition."""
        return False

    @property
    def contributions(self) -> tuple[tuple[str, float], ...]:
        """Terms of the output: interpolation, changes, lower limit."""
        rows = [(self.start, self.start_value), *self.changes]
        floor = self.output - sum(value for _, value in rows)
        # Above the scan's window the engine keeps the interpolation if it is brighter.
        if abs(floor) > _ROUNDING:
            rows.append(("lower limit", floor))
        return tuple(rows)

    def to_scan(self, value: float) -> float:
        """Convert engine units to the scan's intensities."""
        return float(self.intensities.from_unit(np.asarray(value, np.float32)))


@dataclass(frozen=True, eq=False)
class Explanation(VoxelExplanation):
    """Computation of one output voxel by a filter bank.

    Attributes
    ----------
    start_patch : ndarray of float32
        Interpolation in the field of view of ``lr_patch``.
    stages : tuple of StageTrace
    consistency : float
        Change of the voxel by data consistency, engine units; 0 without.
    """

    start_patch: FloatArray
    stages: tuple[StageTrace, ...]
    consistency: float

    @property
    def changes(self) -> tuple[tuple[str, float], ...]:
        """Changes by the stages and by data consistency."""
        rows = [(f"stage {i}", stage.change) for i, stage in enumerate(self.stages, 1)]
        return (*rows, (CONSISTENCY, self.consistency)) if self.consistency else tuple(rows)

    @property
    def replaces(self) -> bool:
        """True if the last stage gives a new value instead of an addition."""
        return not self.stages[-1].spec.residual


@dataclass(frozen=True, eq=False)
class NetworkExplanation(VoxelExplanation):
    """Computation of one output voxel by a network.

    Attributes
    ----------
    filter : EffectiveFilter
    weights, brightness, products : (n, n, n) ndarray
        Weights, voxels (engine units) and their products around ``lr_voxel``, along the
        volume's axes; 0 outside the volume.
    """

    filter: EffectiveFilter
    weights: Matrix
    brightness: Matrix
    products: Matrix

    @property
    def changes(self) -> tuple[tuple[str, float], ...]:
        """Changes by the network and by data consistency."""
        return (
            ("network", self.filter.correction),
            (CONSISTENCY, self.filter.consistency),
        )
