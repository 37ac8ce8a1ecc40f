"""Iterative methods: one loop of a data step and a prior.

::

    x ← prox(x − α Dᵀ(D x − y)),   α = 1 / ‖D‖²

D is the exact forward model between the two grids. Without a prior this is iterative
back-projection (Irani and Peleg 1991); with the total variation it is accelerated (Beck and
Teboulle 2009, monotone FISTA); with a denoising network in place of the proximal operator it is
plug-and-play (Venkatakrishnan et al. 2013). The result depends on the whole volume: a preview
shows the slices of a whole result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, is_whole, thick_axis
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Region, Volume, scale_text
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.network import open_kind
from napari_mrisr.methods.registry import Method
from napari_mrisr.methods.whole import WholeResults
from napari_mrisr.networks.file import DENOISER, NetworkFile
from napari_mrisr.networks.tiles import conditions, over_tiles, tile_boxes
from napari_mrisr.operators.degrade import Degradation, get_degradation
from napari_mrisr.operators.forward import ForwardModel, forward_model
from napari_mrisr.operators.interpolate import tricubic
from napari_mrisr.operators.variation import VariationProx, total_variation

# Per mm, of the intensity window; chosen on val/ at slice factor 4 among 0.0001 to 0.004.
_TV_WEIGHT = 0.0002
# Share of the estimated noise that a round removes, and rounds; chosen on crops of val/ at slice
# factor 4 and 2 ×.
_STRENGTH, _ROUNDS = 0.5, 10


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
    network : NetworkFile or None
        Denoiser that is the prior.
    strength : float
        Share of the noise found by the network that is removed in every round.
    """

    name: str
    scale: RealScale
    degradation: Degradation | None = None
    weight: float = 0.0
    rounds: int = 20
    network: NetworkFile | None = None
    strength: float = 1.0
    halo: None = None
    _results: WholeResults = field(default_factory=WholeResults, init=False, repr=False)

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        return self._results.region(self.compute_whole, lr, region)

    def compute_whole(self, lr: Volume, progress: Progress, threads: int = 1) -> FloatArray:
        """Compute the whole; see :class:`~napari_mrisr.methods.WholeVolume`."""
        high = lr.grid.upsampled(self.scale)
        model = forward_model(high.shape, lr.grid.shape, self._degradation_of(lr))
        check = progress.token.check
        pool = ThreadPool(threads, progress.token)
        steps = len(tile_boxes(high.shape)) if self.network else 1
        task = f"{self.name} {scale_text(self.scale, lr.origin)}"
        progress.begin(task, self.rounds * steps)
        prior = None
        if self.network is not None:
            prior = functools.partial(denoised, self.network, self.strength, pool, progress.advance)
        start = tricubic(lr.data, self.scale)
        image = solve(
            model,
            lr.data,
            start,
            self.weight,
            high.voxel_size,
            self.rounds,
            prior=prior,
            check=check,
            ended=progress.advance if prior is None else lambda: None,
        )
        return np.asarray(np.maximum(image, min(np.float32(0.0), lr.extrema[0])))

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        known = {} if self.degradation is None else {"forward_model": str(self.degradation)}
        prior = {"weight": f"{self.weight:g}"} if self.weight else {}
        if self.network is not None:
            prior = {"network": self.network.name, "strength": f"{self.strength:g}"}
        return {"method": self.name, "rounds": str(self.rounds), **prior, **known}

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
    prior: Callable[[FloatArray], FloatArray] | None = None,
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
    prior : callable, optional
        Used in place of a proximal operator, with a weight of 0.
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
            best = value = found if prior is None else prior(found)
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


def denoised(
    network: NetworkFile,
    strength: float,
    pool: ThreadPool,
    ended: Callable[[int], object],
    image: FloatArray,
) -> FloatArray:
    """Return an image with a share of its noise removed; see :class:`Iterative`."""
    change = over_tiles(network, image[None], conditions(1.0, 1.0), pool, ended)[..., 0]
    return image + np.float32(strength) * change


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


def make_plug_and_play(scale: RealScale, bank: str | None = None, option: str = "") -> Method:
    """Least squares with a denoising network as prior."""
    method = _make("plug-and-play", scale, None, option)
    network = open_kind(bank or DENOISER, DENOISER)
    return replace(method, network=network, strength=_STRENGTH, rounds=_ROUNDS)


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
