"""After the last stage: what error to expect, and what the training volumes were like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from napari_mrisr.bank.calibration import CalibrationSums, VolumeErrors, detail_of
from napari_mrisr.bank.model import FilterBank
from napari_mrisr.bank.predictors import before_last, predict_from
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Region
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.scan.traits import TraitRanges, Traits, measure_traits
from napari_mrisr.training.checkpoint import TrainingState
from napari_mrisr.training.halves import both_halves, in_first_half
from napari_mrisr.training.hands import TrainingVolume
from napari_mrisr.training.outcome import solved_stage
from napari_mrisr.training.sampling import Pair, TrainParameters, run_stages, slabs_of


@dataclass(frozen=True, eq=False)
class Strangers:
    """Who judges a volume.

    Attributes
    ----------
    banks : tuple of FilterBank or None
        Fitted to the second half, and to the first: each for volumes of the other.
    parameters : TrainParameters
    """

    banks: tuple[FilterBank, FilterBank] | None
    parameters: TrainParameters


Judge = Callable[
    [Sequence[TrainingVolume], Strangers], Iterable[tuple[Traits, VolumeErrors | None]]
]


def calibrated(
    bank: FilterBank,
    state: TrainingState,
    volumes: Sequence[TrainingVolume],
    parameters: TrainParameters,
    judge: Judge,
    progress: Progress,
) -> FilterBank:
    """The bank with its calibration and the ranges of its training volumes.

    Every volume is filtered once more, by filters fitted to the half that it is not in.
    Without halves (the preset ``paper``), or with one volume, there is no calibration.

    Parameters
    ----------
    bank : FilterBank
        The finished bank.
    state : TrainingState
        With all volumes in all sums.
    volumes : sequence of TrainingVolume
        All of them.
    parameters : TrainParameters
    judge : callable
        Gives what :func:`judged` finds, for each volume.
    progress : Progress
        Advanced by one step a volume.
    """
    strangers = Strangers(_banks_of_halves(bank, state), parameters)
    sums, traits = CalibrationSums(bank.stages[-1].spec.hash.bucket_count), []
    for found, errors in judge(volumes, strangers):
        traits.append(found)
        if errors is not None:
            sums.take(errors)
        progress.advance()
    provenance = dict(bank.provenance)
    ranges = TraitRanges.of(traits)
    if ranges is not None:
        provenance["traits"] = ranges.to_json()
    return replace(bank, provenance=provenance, calibration=sums.solve())


def judged(
    strangers: Strangers, volume: TrainingVolume, pool: ThreadPool
) -> tuple[Traits, VolumeErrors | None]:
    """What a volume is like, and where a bank that does not know it errs."""
    pair = volume.pair(strangers.parameters, pool)
    traits = measure_traits(pair.lr, pool.progress)
    if strangers.banks is None:
        return traits, None
    bank = strangers.banks[0 if in_first_half(volume.index) else 1]
    sums = CalibrationSums(bank.stages[-1].spec.hash.bucket_count)
    sums.begin_volume(traits.noise)
    _add_volume(sums, pair, bank, pool)
    return traits, sums.volumes[-1]


def _banks_of_halves(
    bank: FilterBank, state: TrainingState
) -> tuple[FilterBank, FilterBank] | None:
    """Fitted to the second half, and to the first."""
    if len(state.files) < 2 or bank.stages[-1].spec.grid != "voxel":
        return None
    stages = []
    for plan, equations, half in zip(state.plans, state.equations, state.halves, strict=True):
        if equations is None or half is None:
            return None
        stages.append([solved_stage(plan, part) for part in both_halves(half, equations)])
    first, second = zip(*stages, strict=True)
    return replace(bank, stages=second), replace(bank, stages=first)


def _add_volume(sums: CalibrationSums, pair: Pair, bank: FilterBank, pool: ThreadPool) -> None:
    """Add the errors inside a volume's head."""
    image = run_stages(pair.lr, before_last(bank), pool)
    detail, method = detail_of(pair.lr.data), Hashed(bank)
    last, shape = method.passes - 1, Region.whole(pair.lr.grid.upsampled(bank.scale).shape).stop

    def add_slab(slab: Region) -> None:
        inside = pair.mask[slab.slices]
        if inside.any():
            found = predict_from(bank, image, (0, 0, 0), shape, detail, slab)
            result = method.compute_pass(last, pair.lr, image, slab)
            error = (result - pair.truth[slab.slices])[inside]
            sums.add(found.bucket[inside], found.strength[inside], found.detail[inside], error)

    pool.each(add_slab, slabs_of(pair.truth.shape, bank.scale[0]))
