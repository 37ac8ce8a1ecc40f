"""Training a filter bank from high-resolution volumes.

Stages are trained one after the other: the first over all volumes, then the
second on what the first makes of them. Within a stage volumes only add to
:class:`~napari_mrisr.training.normal_equations.NormalEquations`, which are saved after
each volume. A resumed training goes on where the last one stopped; with further
volumes the first stage takes them in, and later stages, whose input has
changed, go over all volumes again. So adding volumes later equals training on
all of them at once; but the ``paper`` preset keeps the terciles that it cut at
the volumes of the first call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from napari_mrisr.bank.model import FilterBank, load_bank
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.errors import BankError, explain
from napari_mrisr.training.checkpoint import checkpoint_path
from napari_mrisr.training.events import Began, Observer, ignore
from napari_mrisr.training.hands import Hands, Here
from napari_mrisr.training.memory import check_memory, estimate_training
from napari_mrisr.training.on_device import accumulator
from napari_mrisr.training.presets import get_preset
from napari_mrisr.training.run import Run
from napari_mrisr.training.sampling import TrainParameters
from napari_mrisr.training.sources import TrainingFile, TrainingSource
from napari_mrisr.training.speed import measure_sgemm
from napari_mrisr.training.validation import prepare_checks

__all__ = ["TrainingReport", "Watch", "checkpoint_path", "measure_sgemm", "train"]


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
        Rate of the accumulation (gathering and multiplying), with the symmetric half
        of Q counted once: k (k + 1) operations a sample for k taps, and 2 k m for V.
    sgemm_gflops : float
        The machine's rate in a single-precision matrix product, measured now on as
        many threads.
    stopped : str
        How far it came when it was stopped; empty for a whole training.
    """

    bank: FilterBank
    seconds: float
    samples: int
    samples_per_s: float
    gflops: float
    sgemm_gflops: float
    stopped: str = ""


@dataclass(frozen=True)
class Watch:
    """Who watches a training, and may stop it.

    Attributes
    ----------
    observe : callable
        Told every :class:`~napari_mrisr.training.events.TrainEvent`.
    validation : sequence of TrainingSource
        Volumes to measure the gain on after each volume.
    stop : CancelToken, optional
        Ends the training at its next batch; the bank of what was finished is
        saved. (``progress`` cancels without a bank.)
    """

    observe: Observer = ignore
    validation: Sequence[TrainingSource] = ()
    stop: CancelToken = field(default_factory=CancelToken)


class _Stop(Exception):
    """The watch's stop was asked for."""


def train(
    paths: Sequence[Path | str | TrainingSource],
    out: Path | str,
    parameters: TrainParameters,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
    threads: int | None = None,
    device: str = "auto",
    hands: Callable[[ThreadPool], Hands] | None = None,
) -> TrainingReport:
    """Train a bank and save it.

    Parameters
    ----------
    paths : sequence of path or Source
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
    watch : Watch, optional
        For events, a curve of validation gain, and to stop with a bank.
    threads : int, optional
        One a processor by default.
    device : str
        Where samples are added up: ``auto``, ``cpu`` or ``gpu``.
    hands : callable, optional
        Gives who does the work on volumes instead of this process; their check is
        that of the pool.

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
        When asked to cancel, or to stop before there was a volume; finished
        volumes are kept.
    """
    progress, watch = progress or Progress(), watch or Watch()
    started = time.monotonic()
    target = Path(out)
    if target.exists() and not (overwrite or resume):
        raise BankError(explain(target, "exists", "pass --overwrite or --resume"))
    preset = get_preset(parameters.preset, parameters.scale, parameters.degradation)
    pool = ThreadPool(threads or processors(), CancelToken(partial(_check, progress, watch)))
    check_memory(estimate_training(preset, parameters.scale, threads=pool.threads), preset.name)
    with threadpool_limits(pool.threads, user_api="blas"):
        sgemm = measure_sgemm()
    doing = hands(pool) if hands else Here(pool, accumulator(device, progress.message))
    run = Run(parameters, preset, target, pool, watch.observe, doing)
    # The pool shares out the work; threads of BLAS's own would wait for one another.
    with threadpool_limits(1, user_api="blas"):
        try:
            if resume:
                run.resume()
            run.add([_source(entry) for entry in paths])
            run.checks = prepare_checks(watch.validation, parameters, pool)
            state = run.state
            watch.observe(Began(len(state.plans), len(state.files), run.missing, sgemm))
            bank = run.finish(progress)
        except _Stop:
            bank = run.unfinished()
    stopped = str(bank.provenance.get("stopped", ""))
    kept = _richer(target, bank) if stopped and resume else None
    if kept is None:
        bank.save(target)
    else:
        bank, stopped = kept, f"{stopped}; the bank there has more stages and is kept"
    seconds, work = time.monotonic() - started, run.work
    return TrainingReport(
        bank, seconds, work.samples, work.samples_per_s, work.gflops, sgemm, stopped
    )


def _check(progress: Progress, watch: Watch) -> None:
    progress.token.check()
    if watch.stop.cancelled:
        raise _Stop


def _source(entry: Path | str | TrainingSource) -> TrainingSource:
    return TrainingFile(Path(entry)) if isinstance(entry, (str, Path)) else entry


def _richer(target: Path, bank: FilterBank) -> FilterBank | None:
    """The bank that is there already, when it has more stages: then the other is no gain."""
    if not target.exists():
        return None
    try:
        there = load_bank(target)
    except BankError:
        return None
    return there if len(there.stages) > len(bank.stages) else None
