"""Calibration of a network's expected error: run it on degraded volumes and compare.

Needs no PyTorch. A network is small against its training set and sees every patch augmented, so
its training volumes serve: ``scripts/calibration_table.py`` measures the calibration on others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.calibration import CalibrationSeries, CalibrationSums, detail_of
from napari_mrisr.bank.predictors import at_cells, change_of
from napari_mrisr.core.axes import permute_volume
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Region, Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.methods import Method, get_method
from napari_mrisr.methods.isotropic import IsotropicNetwork
from napari_mrisr.methods.network import ThickSlices, network_method
from napari_mrisr.methods.permuted import innermost
from napari_mrisr.methods.unrolled import Unrolled
from napari_mrisr.networks.file import ISOTROPIC, THICK, UNROLLED, NetworkFile
from napari_mrisr.networks.tiles import tile_boxes
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.scan.traits import TraitRanges, Traits, measure_traits

FACTORS = {THICK: (2, 3, 4, 6, 8), UNROLLED: (2, 3, 4, 6, 8), ISOTROPIC: (2, 3, 4)}
"""Factors by kind of network."""

_SLICES = "slice-profile:boxcar:1"
DEGRADATIONS = {THICK: _SLICES, UNROLLED: _SLICES, ISOTROPIC: "standard"}


def calibrated_network(
    network: NetworkFile,
    volumes: Iterable[tuple[Volume, Sequence[int]]],
    *,
    factors: Sequence[int] | None = None,
    tiles: int = 1,
    pool: ThreadPool | None = None,
) -> tuple[CalibrationSeries, TraitRanges]:
    """Measure the expected error of a network by factor.

    Parameters
    ----------
    network : NetworkFile
    volumes : iterable of (Volume, axes)
        High resolution, and the axes that may be the thick one. Each volume is used along one
        of them; two volumes at least.
    factors : sequence of int, optional
        Those of :data:`FACTORS` by default.
    tiles : int
        Tiles of the network per volume and factor, chosen within the head. The result of an
        unrolled network is computed, and used, as a whole.
    pool : ThreadPool, optional

    Returns
    -------
    series : CalibrationSeries
    traits : TraitRanges
        Of the volumes after degradation.

    Raises
    ------
    VolumeError
        If fewer than two volumes have a head.
    """
    pool, kind = pool or ThreadPool(), network.kind
    sums = {factor: CalibrationSums(1) for factor in factors or FACTORS[kind]}
    found: list[Traits] = []
    for number, (volume, axes) in enumerate(volumes):
        axis = axes[number % len(axes)]
        x, y = (other for other in range(3) if other != axis)
        turned = permute_volume(volume, (x, y, axis)).normalized()
        turned = replace(turned, data=np.clip(turned.data, 0.0, 1.0))
        mask = head_mask(turned.data)
        for factor, total in sums.items():
            scale = (factor, factor, factor) if kind == ISOTROPIC else (1, 1, factor)
            truth = turned.cropped_to_multiple(scale)
            lr = degrade(truth, scale, DEGRADATIONS[kind])
            traits = measure_traits(lr, Progress(pool.progress.token))
            found.append(traits)
            total.begin_volume(traits.noise)
            inside = mask[Region.whole(truth.grid.shape).slices]
            method = _method_of(network, scale)
            rng = np.random.default_rng((number, factor))
            boxes = _tiles_in(method, lr, inside, tiles, rng)
            _add(total, method, lr, truth, inside, boxes, pool)
    series = {factor: total.solve() for factor, total in sums.items()}
    ranges = TraitRanges.of(found)
    known = tuple((float(f), c) for f, c in sorted(series.items()) if c is not None)
    if len(known) < len(series) or ranges is None:
        raise VolumeError(explain("calibration", "fewer than 2 volumes with a head", "add some"))
    return CalibrationSeries(tuple(f for f, _ in known), tuple(c for _, c in known)), ranges


def _method_of(network: NetworkFile, scale: RealScale) -> Method:
    """Return a network as its method."""
    return Unrolled(network, scale) if network.kind == UNROLLED else network_method(network, scale)


def _tiles_in(
    method: Method, lr: Volume, mask: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> list[Region]:
    """Return output regions of random tiles, by the part of the head in them."""
    whole, regions = Region.whole(lr.grid.shape), {}
    if isinstance(method, Unrolled):
        return [Region.whole(mask.shape)] if mask.any() else []
    inner = innermost(method)
    assert isinstance(inner, ThickSlices | IsotropicNetwork), "a network along z, or isotropic"
    for box in tile_boxes(lr.grid.shape, whole):
        if isinstance(inner, ThickSlices):  # its data consistency needs all slices
            box = Region((*box.start[:2], 0), (*box.stop[:2], whole.stop[2]))
        (a, d), (b, e), (c, f) = (
            (round(low * s), round(high * s))
            for low, high, s in zip(box.start, box.stop, method.scale, strict=True)
        )
        regions[box] = Region((a, b, c), (d, e, f))
    chosen = list(regions.values())
    inside = np.array([mask[region.slices].sum() for region in chosen], float)
    if not inside.any():
        return []
    size = min(count, int(np.count_nonzero(inside)))
    numbers = rng.choice(len(chosen), size, replace=False, p=inside / inside.sum())
    return [chosen[i] for i in numbers]


def _add(
    sums: CalibrationSums,
    method: Method,
    lr: Volume,
    truth: Volume,
    mask: NDArray[np.bool_],
    regions: Sequence[Region],
    pool: ThreadPool,
) -> None:
    """Add the errors in some regions."""
    start, detail = get_method("tricubic", method.scale), detail_of(lr.data)

    def add(region: Region) -> None:
        result, inside = method.compute(lr, region), mask[region.slices]
        change = change_of(result, start.compute(lr, region), method.scale)
        error = (result - truth.data[region.slices])[inside]
        fine = at_cells(detail, method.scale, region)[inside]
        sums.add(np.zeros(error.size, np.int32), change[inside], fine, error)

    pool.each(add, list(regions), lambda _: None)
