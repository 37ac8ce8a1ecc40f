"""Training a filter bank from high-resolution volumes.

Stages are trained one after the other: the first over all volumes, then the
second on what the first makes of them. Within a stage volumes only add to
:class:`~napari_mrisr.normal_equations.NormalEquations`, which are saved after
each volume. A resumed training goes on where the last one stopped; with further
volumes the first stage takes them in, and later stages, whose input has
changed, go over all volumes again. So adding volumes later equals training on
all of them at once; but the ``paper`` preset keeps the terciles that it cut at
the volumes of the first call.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_mrisr.errors import BankError, explain
from napari_mrisr.filterbank import FilterBank
from napari_mrisr.presets import get_preset
from napari_mrisr.progress import Progress
from napari_mrisr.sampling import TrainParameters
from napari_mrisr.training.memory import check_memory
from napari_mrisr.training.run import Run
from napari_mrisr.training.speed import measure_sgemm


@dataclass(frozen=True)
class TrainingReport:
    """What a training did.

    Attributes
    ----------
    bank : FilterBank
    seconds : float
        Wall time of this call.
    samples : int
        Samples added by this call, over all stages.
    samples_per_s : float
        Samples a second while accumulating (gathering and BLAS).
    gflops : float
        Rate of the accumulation's arithmetic, half of Q counted.
    sgemm_gflops : float
        The machine's rate in a single-precision matrix product, measured now.
    """

    bank: FilterBank
    seconds: float
    samples: int
    samples_per_s: float
    gflops: float
    sgemm_gflops: float


def train(
    paths: Sequence[Path | str],
    out: Path | str,
    parameters: TrainParameters,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TrainingReport:
    """Train a bank and save it.

    Parameters
    ----------
    paths : sequence of path
        High-resolution volumes.
    out : path
        The bank's file; the sums are kept beside it, in
        ``<out>.equations.safetensors``, for resuming and adding volumes.
    parameters : TrainParameters
    resume : bool
        Go on from the saved sums; volumes that they hold are not read again
        (but for later stages, when volumes are new).
    overwrite : bool
        Replace an existing bank.
    progress : Progress, optional
        One step a volume and stage; cancel keeps finished volumes.

    Returns
    -------
    TrainingReport

    Raises
    ------
    BankError
        When the bank exists, or saved sums are damaged or of other options.
    VolumeError
        When a volume cannot be used, or changed since its sums were saved.
    MemoryEstimateError
        When the sums would not fit into memory.
    Cancelled
        When asked to stop; finished volumes are kept.
    """
    progress = progress or Progress()
    started = time.monotonic()
    target = Path(out)
    if target.exists() and not (overwrite or resume):
        raise BankError(explain(target, "exists", "pass --overwrite or --resume"))
    preset = get_preset(parameters.preset, parameters.scale, parameters.degradation)
    run = Run(parameters, preset, target)
    if resume:
        run.resume()
    run.add_files([Path(p) for p in paths])
    check_memory(preset.stages, parameters.scale, preset.name)
    bank = run.finish(progress)
    bank.save(target)
    rate = run.samples / run.accumulating if run.accumulating else 0.0
    return TrainingReport(
        bank,
        time.monotonic() - started,
        run.samples,
        rate,
        run.operations / run.accumulating / 1e9 if run.accumulating else 0.0,
        measure_sgemm(),
    )
