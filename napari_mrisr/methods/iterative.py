"""Iterative methods: one loop of a data step and a prior.

::

    x ← prox(x − α Dᵀ(D x − y)),   α = 1 / ‖D‖²

D is the exact forward model between the two grids. Without a prior this is iterative
back-projection (Irani and Peleg 1991); with the total variation it is accelerated (Beck and
Teboulle 2009, monotone FISTA). The result depends on the whole volume: a preview shows the
slices of a whole result.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, is_whole, scale_label, thick_axis
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.volume import FloatArray, Region, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.registry import Method
from napari_mrisr.operators.degrade import Degradation, get_degradation
from napari_mrisr.operators.forward import ForwardModel, forward_model
from napari_mrisr.operators.interpolate import tricubic
from napari_mrisr.operators.variation import VariationProx, total_variation

# Per mm, of the intensity window; chosen on val/ at slice factor 4 among 0.0001 to 0.004.
_TV_WEIGHT = 0.0002


@dataclass(frozen=True, eq=False)
class Iterative:
    """A loop of a data step and a prior.

    Attributes
    ----------
    name : str
    scale : tuple of float
    degradation : Degradation or None
        Forward model. By default slices of the scan's thickness if one axis becomes finer,
        else ``standard`` for whole factors, and for others the mean over each voxel.
    weight : float
        Of the total variation, in intensity windows per mm; 0 for no prior.
    rounds : int
    """

    name: str
    scale: RealScale
    degradation: Degradation | None = None
    weight: float = 0.0
    rounds: int = 20
    halo: None = None
    _kept: weakref.WeakKeyDictionary[Volume, FloatArray] = field(
        default_factory=weakref.WeakKeyDictionary, init=False, repr=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        with self._lock:
            whole = self._kept.get(lr)
            if whole is None:
                whole = self._kept[lr] = self.compute_whole(lr, Progress())
        return np.ascontiguousarray(whole[region.slices])

    def compute_whole(self, lr: Volume, progress: Progress) -> FloatArray:
        """Compute the whole; see :class:`~napari_mrisr.methods.WholeVolume`."""
        high = lr.grid.upsampled(self.scale)
        model = forward_model(high.shape, lr.grid.shape, self._degradation_of(lr))
        check = progress.token.check
        progress.begin(f"{self.name} {scale_label(self.scale)}", self.rounds)
        start = tricubic(lr.data, self.scale)
        image = solve(
            model,
            lr.data,
            start,
            self.weight,
            high.voxel_size,
            self.rounds,
            check=check,
            ended=progress.advance,
        )
        return np.asarray(np.maximum(image, min(np.float32(0.0), lr.extrema[0])))

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        known = {} if self.degradation is None else {"forward_model": str(self.degradation)}
        weight = {"weight": f"{self.weight:g}"} if self.weight else {}
        return {"method": self.name, "rounds": str(self.rounds), **weight, **known}

    def _degradation_of(self, lr: Volume) -> Degradation:
        if self.degradation is not None:
            return self.degradation
        axis = thick_axis(self.scale)
        if axis is None and is_whole(self.scale):
            return Degradation("standard")
        width = None if axis is None else relative_width(lr, axis)
        return Degradation("slice-profile", fwhm=width or 1.0)


def solve(
    model: ForwardModel,
    measured: FloatArray,
    start: FloatArray,
    weight: float,
    voxel_size: tuple[float, ...],
    rounds: int,
    *,
    check: Callable[[], None] = lambda: None,
    ended: Callable[[], object] = lambda: None,
    inner: int = 5,
) -> FloatArray:
    """Minimize ½‖D x − y‖² + weight · TV(x); see the module.

    Parameters
    ----------
    model : ForwardModel
    measured, start : ndarray of float32
        Low-resolution voxels y, and the first x.
    weight : float
        0 for back-projection, which is not accelerated.
    voxel_size : tuple of float
        Of x, in mm.
    rounds, inner : int
        Rounds of the loop, and of the proximal operator in each.
    check, ended : callable
        Called in every round; ``check`` raises to stop.
    """
    step = 1.0 / model.norm**2
    prox = VariationProx(voxel_size, inner)
    best = value = start
    best_objective = objective(model, measured, best, weight, voxel_size) if weight else 0.0
    momentum = 1.0
    for _ in range(rounds):
        check()
        residual = model.apply(value)
        residual -= measured
        check()
        found = value - np.float32(step) * model.adjoint(residual)
        if not weight:
            best = value = found
            ended()
            continue
        found = prox(found, weight * step, check)
        check()
        reached = objective(model, measured, found, weight, voxel_size)
        before, following = best, 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        if reached <= best_objective:
            best, best_objective = found, reached
        value = best + np.float32(momentum / following) * (found - best)
        value += np.float32((momentum - 1.0) / following) * (best - before)
        momentum = following
        ended()
    return best


def objective(
    model: ForwardModel,
    measured: FloatArray,
    image: FloatArray,
    weight: float,
    voxel_size: tuple[float, ...],
) -> float:
    """Return ½‖D x − y‖² + weight · TV(x)."""
    residual = model.apply(image) - measured
    half = 0.5 * float(np.einsum("i,i->", residual.ravel(), residual.ravel(), dtype=np.float64))
    return half + weight * total_variation(image, voxel_size)


def make_back_projection(scale: RealScale, bank: str | None = None, option: str = "") -> Method:
    """Tricubic interpolation made consistent with the scan (iterative back-projection)."""
    return _make("back-projection", scale, bank, option)


def make_tv(scale: RealScale, bank: str | None = None, option: str = "") -> Method:
    """Least squares with the total variation as prior."""
    return replace(_make("tv", scale, bank, option), weight=_TV_WEIGHT, rounds=25)


def _make(name: str, scale: RealScale, bank: str | None, option: str) -> Iterative:
    if bank is not None:
        found = f"{bank!r} given with method {name}"
        raise ParameterError(explain("bank", found, "leave it out, or use hashed"))
    degradation = get_degradation(option) if option else None
    whole_only = degradation is not None and degradation.name in ("standard", "paper-2021")
    if whole_only and not is_whole(scale):
        found = f"{degradation} with factors that are not whole"
        raise ParameterError(explain("method", found, "use a slice profile or kspace"))
    return Iterative(f"{name}:{option}" if option else name, scale, degradation)
