"""From sums to a bank: solve the stages, measure held-out errors, record the provenance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr._version import __version__
from napari_mrisr.bank.calibration import CalibrationSums, VolumeErrors, detail_of
from napari_mrisr.bank.model import FilterBank, Stage
from napari_mrisr.bank.predictors import before_last, hashes_cells, predict_from
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Region
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.scan.traits import TraitRanges, Traits, measure_traits
from napari_mrisr.training.checkpoint import TrainingState
from napari_mrisr.training.executor import Executor
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import Preset, StagePlan, TrainParameters
from napari_mrisr.training.sampling import Pair, run_stages, slabs_of
from napari_mrisr.training.sources import TrainingVolume

NEIGHBORS = 8
"""Anchors whose samples the regressor ``neighborhood`` shares."""


def solved_stage(plan: StagePlan, equations: NormalEquations) -> Stage:
    """Solve for the filters of a stage, with support and errors per bucket."""
    weights = _solve(plan, equations)
    spec = plan.spec
    per_sample = np.maximum(equations.count * equations.outputs, 1)
    error = np.sqrt(equations.squared_error(weights) / per_sample)
    start = np.sqrt(equations.energy / per_sample)
    if not spec.residual:
        start = np.full_like(start, np.nan)
    error[equations.count == 0] = np.nan
    start[equations.count == 0] = np.nan
    extra = spec.hash.bucket_count - spec.hash.filter_count
    return Stage(
        spec,
        weights,
        np.pad(equations.count, (0, extra)),
        np.pad(error, (0, extra), constant_values=np.nan).astype(np.float32),
        np.pad(start, (0, extra), constant_values=np.nan).astype(np.float32),
    )


def _solve(plan: StagePlan, equations: NormalEquations) -> FloatArray:
    if plan.ridge is None:
        return equations.solve_conjugate_gradients(plan.spec.taps // 2)
    anchors = plan.spec.hash.anchors
    if anchors is None:
        return equations.solve(plan.ridge)
    if plan.regressor == "constant":
        weights = equations.solve_examples()
    else:
        if plan.regressor == "neighborhood":
            equations = equations.shared(anchors.neighbors(NEIGHBORS))
        weights = equations.solve(plan.ridge)
    # As the bank's file stores them, so that later stages see what a run computes.
    return weights.astype(np.float16).astype(np.float32)


def bank_of(
    stages: Sequence[Stage],
    files: Sequence[dict[str, str]],
    parameters: TrainParameters,
    preset: Preset,
    target: Path,
    **notes: str,
) -> FilterBank:
    """Make a bank of stages, with its provenance.

    Parameters
    ----------
    stages : sequence of Stage
    files : sequence of dict
        Name, license and sha256 of each training volume.
    parameters : TrainParameters
    preset : Preset
    target : Path
        File of the bank, which gives its name.
    notes : str
        Further entries of the provenance.
    """
    provenance: dict[str, Any] = {
        "preset": preset.name,
        "volumes": list(files),
        "created": time.strftime("%Y-%m-%d"),
        "program": f"napari-mrisr {__version__}",
        **notes,
    }
    if parameters.thick_axes:
        provenance["thick_axes"] = [f"{name}={axes}" for name, axes in parameters.thick_axes]
    if parameters.sharpen:
        amount, sigma = parameters.sharpen
        provenance["sharpen"] = f"amount {amount:g}, sigma {sigma:g} voxels"
    name = target.name.removesuffix(".safetensors")
    p = parameters
    return FilterBank(p.scale, p.degradation, preset.start, tuple(stages), provenance, name)


def unfinished_bank(
    state: TrainingState, parameters: TrainParameters, preset: Preset, target: Path
) -> FilterBank | None:
    """Make a bank of the stages that have volumes; None without any volume.

    Only the last of these stages can lack volumes. The provenance lists the volumes of
    the first stage and says under "stopped" which part was finished.
    """
    stages: list[Stage] = []
    for plan, equations, done in zip(state.plans, state.equations, state.done, strict=True):
        if equations is None or done == 0:
            break
        stages.append(solved_stage(plan, equations))
    if not stages:
        return None
    number, count = len(stages), len(state.files)
    done = state.done[number - 1]
    text = f"stopped after {done} of {count} volumes in stage {number} of {len(state.plans)}"
    files = state.files[: state.done[0]]
    return bank_of(stages, files, parameters, preset, target, stopped=text)


@dataclass(frozen=True, eq=False)
class HeldOutBanks:
    """Filters that do not know a volume.

    Attributes
    ----------
    banks : tuple of FilterBank or None
        Trained on the second half, for volumes of the first, and the other way round.
    parameters : TrainParameters
    """

    banks: tuple[FilterBank, FilterBank] | None
    parameters: TrainParameters


def calibrated(
    bank: FilterBank,
    state: TrainingState,
    volumes: Sequence[TrainingVolume],
    parameters: TrainParameters,
    executor: Executor,
    progress: Progress,
) -> FilterBank:
    """Return the bank with its calibration and the traits of its training volumes.

    Every volume is filtered once more, by filters of the half that does not contain it.
    The preset ``paper`` keeps no halves, and one volume has none: no calibration then.

    Parameters
    ----------
    bank : FilterBank
        The finished bank.
    state : TrainingState
        All sums contain all volumes.
    volumes : sequence of TrainingVolume
    parameters : TrainParameters
    executor : Executor
    progress : Progress
        Advances by one step per volume.
    """
    held_out = HeldOutBanks(_banks_of_halves(bank, state), parameters)
    sums, traits = CalibrationSums(bank.stages[-1].spec.hash.bucket_count), []
    for found, errors in executor.each(held_out_errors, volumes, held_out):
        traits.append(found)
        if errors is not None:
            sums.take(errors)
        progress.advance()
    provenance = dict(bank.provenance)
    ranges = TraitRanges.of(traits)
    if ranges is not None:
        provenance["traits"] = ranges.to_json()
    return replace(bank, provenance=provenance, calibration=sums.solve())


def held_out_errors(
    held_out: HeldOutBanks, volume: TrainingVolume, pool: ThreadPool
) -> tuple[Traits, VolumeErrors | None]:
    """Measure a volume's traits, and the errors of a bank that does not know it."""
    traits: Traits | None = None
    for pair in volume.pairs(held_out.parameters, pool):
        if traits is None:
            traits = measure_traits(pair.lr, pool.progress)
            if held_out.banks is None:
                return traits, None
            bank = held_out.banks[0 if volume.in_first_half else 1]
            sums = CalibrationSums(bank.stages[-1].spec.hash.bucket_count)
            sums.begin_volume(traits.noise)
        _add_errors(sums, pair, bank, pool)
    assert traits is not None
    return traits, sums.volumes[-1]


def _banks_of_halves(
    bank: FilterBank, state: TrainingState
) -> tuple[FilterBank, FilterBank] | None:
    """Solve for the filters of the second half and of the first."""
    if len(state.files) < 2:
        return None
    first, second = [], []
    for plan, equations, half in zip(state.plans, state.equations, state.halves, strict=True):
        if equations is None or half is None:
            return None
        first.append(solved_stage(plan, half))
        second.append(solved_stage(plan, equations.minus(half)))
    return replace(bank, stages=tuple(second)), replace(bank, stages=tuple(first))


def _add_errors(sums: CalibrationSums, pair: Pair, bank: FilterBank, pool: ThreadPool) -> None:
    """Add the errors inside the head of a volume."""
    image = run_stages(pair.lr, before_last(bank), pool)
    detail, method = detail_of(pair.lr.data), Hashed(bank)
    last = method.passes - 1
    source = pair.lr.data if hashes_cells(bank) else image
    whole = Region.whole(source.shape).stop

    def add_slab(slab: Region) -> None:
        inside = pair.mask[slab.slices]
        if inside.any():
            found = predict_from(bank, source, (0, 0, 0), whole, detail, slab)
            result = method.compute_pass(last, pair.lr, image, slab)
            error = (result - pair.truth[slab.slices])[inside]
            sums.add(found.bucket[inside], found.strength[inside], found.detail[inside], error)

    pool.each(add_slab, slabs_of(pair.truth.shape, bank.scale[0]))
