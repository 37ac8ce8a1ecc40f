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
from napari_mrisr.methods import get_method
from napari_mrisr.methods.network import ThickSlices
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.networks.tiles import ACROSS
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.scan.traits import TraitRanges, Traits, measure_traits

FACTORS = (2, 3, 4, 6, 8)
PROFILE = "slice-profile:boxcar:1"


def calibrated_network(
    network: NetworkFile,
    volumes: Iterable[tuple[Volume, Sequence[int]]],
    *,
    factors: Sequence[int] = FACTORS,
    tiles: int = 1,
    pool: ThreadPool | None = None,
) -> tuple[CalibrationSeries, TraitRanges]:
    """Measure the expected error of a network for thick slices, by slice factor.

    Parameters
    ----------
    network : NetworkFile
    volumes : iterable of (Volume, axes)
        High resolution, and the axes that may be the thick one. Each volume is used along one
        axis; two volumes at least.
    factors : sequence of int
        Slice factors.
    tiles : int
        Tiles of the network per volume and factor, chosen within the head.
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
    pool = pool or ThreadPool()
    sums = {factor: CalibrationSums(1) for factor in factors}
    found: list[Traits] = []
    for number, (volume, axes) in enumerate(volumes):
        axis = axes[number % len(axes)]
        x, y = (other for other in range(3) if other != axis)
        turned = permute_volume(volume, (x, y, axis)).normalized()
        turned = replace(turned, data=np.clip(turned.data, 0.0, 1.0))
        mask = head_mask(turned.data)
        for factor in factors:
            truth = turned.cropped_to_multiple((1, 1, factor))
            inside = mask[:, :, : truth.grid.shape[2]]
            lr = degrade(truth, (1, 1, factor), PROFILE)
            traits = measure_traits(lr, Progress(pool.progress.token))
            found.append(traits)
            sums[factor].begin_volume(traits.noise)
            boxes = _tiles_in(inside, tiles, np.random.default_rng((number, factor)))
            _add(sums[factor], network, lr, truth, inside, boxes, pool)
    series = {factor: total.solve() for factor, total in sums.items()}
    ranges = TraitRanges.of(found)
    known = tuple((float(f), c) for f, c in sorted(series.items()) if c is not None)
    if len(known) < len(factors) or ranges is None:
        raise VolumeError(explain("calibration", "fewer than 2 volumes with a head", "add some"))
    return CalibrationSeries(tuple(f for f, _ in known), tuple(c for _, c in known)), ranges


def _tiles_in(
    mask: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Return the corners of random tiles, by the part of the head in them."""
    corners = [
        (x, y) for x in range(0, mask.shape[0], ACROSS) for y in range(0, mask.shape[1], ACROSS)
    ]
    inside = np.array([mask[x : x + ACROSS, y : y + ACROSS].sum() for x, y in corners], float)
    if not inside.any():
        return []
    size = min(count, int(np.count_nonzero(inside)))
    chosen = rng.choice(len(corners), size, replace=False, p=inside / inside.sum())
    return [corners[i] for i in chosen]


def _add(
    sums: CalibrationSums,
    network: NetworkFile,
    lr: Volume,
    truth: Volume,
    mask: NDArray[np.bool_],
    corners: Sequence[tuple[int, int]],
    pool: ThreadPool,
) -> None:
    """Add the errors of some tiles."""
    nx, ny, nz = truth.grid.shape
    scale: RealScale = (1, 1, nz // lr.grid.shape[2])
    method, start = ThickSlices(network, scale), get_method("tricubic", scale)
    detail = detail_of(lr.data)

    def tile(corner: tuple[int, int]) -> None:
        x, y = corner
        box = Region((x, y, 0), (min(x + ACROSS, nx), min(y + ACROSS, ny), nz))
        result = method.compute(lr, box)
        change = change_of(result, start.compute(lr, box), scale)
        inside = mask[box.slices]
        error = (result - truth.data[box.slices])[inside]
        fine = at_cells(detail, scale, box)[inside]
        sums.add(np.zeros(error.size, np.int32), change[inside], fine, error)

    pool.each(tile, list(corners), lambda _: None)
