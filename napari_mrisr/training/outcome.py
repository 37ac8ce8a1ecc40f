"""From sums to stages, and from stages to a bank: a finished one, or what a stop leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr.bank.model import FilterBank, Stage
from napari_mrisr.training.checkpoint import TrainingState
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import Preset, StagePlan
from napari_mrisr.training.sampling import TrainParameters


def solved_stage(plan: StagePlan, equations: NormalEquations) -> Stage:
    """The stage whose filters the sums ask for, with support and errors a bucket."""
    if plan.ridge is None:
        weights = equations.solve_conjugate_gradients(plan.spec.taps // 2)
    else:
        weights = equations.solve(plan.ridge)
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


def bank_of(
    stages: Sequence[Stage],
    files: Sequence[dict[str, str]],
    parameters: TrainParameters,
    preset: Preset,
    target: Path,
    **notes: str,
) -> FilterBank:
    """A bank of stages with its provenance.

    Parameters
    ----------
    stages : sequence of Stage
    files : sequence of dict
        Volumes it was trained on: name, license, sha256.
    parameters, preset
        What it was trained with.
    target : Path
        The bank's file, after which it is called.
    notes : str
        More for the provenance.
    """
    provenance: dict[str, Any] = {
        "preset": preset.name,
        "volumes": list(files),
        "created": time.strftime("%Y-%m-%d"),
        "program": _program(),
        **notes,
    }
    name = target.name.removesuffix(".safetensors")
    p = parameters
    return FilterBank(p.scale, p.degradation, preset.start, tuple(stages), provenance, name)


def unfinished_bank(
    state: TrainingState, parameters: TrainParameters, preset: Preset, target: Path
) -> FilterBank | None:
    """The bank of the stages that have volumes.

    Only the last of them can lack some; a stage with no volume is left out. The
    bank's provenance holds the volumes of the first stage, and in "stopped" how
    far it came; None without any volume.
    """
    stages: list[Stage] = []
    count = len(state.files)
    for plan, equations, done in zip(state.plans, state.equations, state.done, strict=True):
        if equations is None or done == 0:
            break
        stages.append(solved_stage(plan, equations))
    if not stages:
        return None
    number = len(stages)
    done = state.done[number - 1]
    text = f"stopped after {done} of {count} volumes in stage {number} of {len(state.plans)}"
    notes = {"stopped": text}
    return bank_of(stages, state.files[: state.done[0]], parameters, preset, target, **notes)


def _program() -> str:
    from napari_mrisr._version import __version__

    return f"napari-mrisr {__version__}"
