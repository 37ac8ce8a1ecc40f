"""One training: go over the volumes stage by stage, add, save, solve."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from napari_mrisr.bank.model import FilterBank, Stage, load_bank
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.scale import format_scale
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.errors import BankError, Cancelled, VolumeError, explain
from napari_mrisr.training import anchors
from napari_mrisr.training.accumulate import accumulator
from napari_mrisr.training.checkpoint import (
    TrainingState,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
    training_identity,
)
from napari_mrisr.training.cost import WorkMeter, check_memory, estimate_training, measure_sgemm
from napari_mrisr.training.events import (
    CalibrationStarted,
    GainMeasured,
    Observer,
    TrainingStarted,
    VolumeAdded,
    VolumeStarted,
    ignore,
)
from napari_mrisr.training.executor import Executor, Local, StageJob, VolumeSums, volume_features
from napari_mrisr.training.finish import bank_of, calibrated, solved_stage, unfinished_bank
from napari_mrisr.training.normal_equations import NormalEquations, add_to_first_half
from napari_mrisr.training.presets import Preset, StagePlan, TrainParameters, get_preset
from napari_mrisr.training.sources import (
    TrainingFile,
    TrainingSource,
    TrainingVolume,
    as_source,
    volume_record,
)
from napari_mrisr.training.validation import Check, prepare_checks

# Voxels over all volumes for the terciles.
_CUT_SAMPLES = 250_000


@dataclass(frozen=True)
class TrainingReport:
    """Result of a training.

    Attributes
    ----------
    bank : FilterBank
    seconds : float
        Wall time of this call.
    samples : int
        Samples added by this call, over all stages.
    samples_per_s : float
        Samples per second while gathering and adding.
    gflops : float
        Rate while gathering and adding, with the symmetric half of Q counted once:
        k (k + 1) operations per sample for k taps, and 2 k m for V with m outputs.
    sgemm_gflops : float
        Rate of this machine in a single-precision matrix product, measured at the
        start on as many threads.
    stopped : str
        The part that was finished before a stop; empty for a whole training.
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
    """Observes a training, and may stop it.

    Attributes
    ----------
    observe : callable
        Receives every :class:`~napari_mrisr.training.events.TrainEvent`.
    validation : sequence of TrainingSource
        Volumes for measuring the gain after each volume.
    stop : CancelToken, optional
        Ends the training at its next batch and saves the bank of the finished volumes.
        (``progress`` cancels without a bank.)
    """

    observe: Observer = ignore
    validation: Sequence[TrainingSource] = ()
    stop: CancelToken = field(default_factory=CancelToken)


class Stopped(Exception):
    """The training was stopped by :attr:`Watch.stop`."""


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
    executor: Callable[[ThreadPool], Executor] | None = None,
) -> TrainingReport:
    """Train a bank and save it.

    Parameters
    ----------
    paths : sequence of path or TrainingSource
        High-resolution volumes.
    out : path
        File of the bank. The sums for resuming and adding volumes are kept in
        ``<out>.equations.safetensors``.
    parameters : TrainParameters
    resume : bool
        Continue from the saved sums. Volumes that they contain are read again only by
        later stages, if there are new volumes.
    overwrite : bool
        Replace an existing bank.
    progress : Progress, optional
        Advances by one step per volume and stage; a cancel keeps finished volumes.
    watch : Watch, optional
        Receives events, measures the validation gain, stops with a bank.
    threads : int, optional
        One per CPU by default.
    device : str
        Device that adds samples: ``auto``, ``cpu`` or ``gpu``.
    executor : callable, optional
        Makes the executor from a thread pool; by default this process does the work.

    Returns
    -------
    TrainingReport

    Raises
    ------
    BankError
        If the bank exists, or saved sums are damaged or belong to other options.
    VolumeError
        If a volume cannot be used, or changed since its sums were saved.
    MemoryEstimateError
        If the sums do not fit into memory.
    Cancelled
        On a cancel, or a stop before the first volume; finished volumes are kept.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> parameters = sr.TrainParameters(scale=(2, 2, 2))
    >>> report = sr.train(["scan.nii.gz"], "mine.safetensors", parameters)
    >>> [stage.spec.grid for stage in report.bank.stages]
    ['cell', 'voxel', 'voxel']
    """
    progress, watch = progress or Progress(), watch or Watch()
    started = time.monotonic()
    target = Path(out)
    if target.exists() and not (overwrite or resume):
        raise BankError(explain(target, "exists", "overwrite or resume it"))
    preset = get_preset(parameters.preset, parameters.scale, parameters.degradation)
    if any(plan.anchors for plan in preset.stages):
        anchors.require_scikit_learn()
    pool = ThreadPool(threads or processors(), CancelToken(partial(check_stopped, progress, watch)))
    check_memory(estimate_training(preset, parameters.scale, threads=pool.threads), preset.name)
    with threadpool_limits(pool.threads, user_api="blas"):
        sgemm = measure_sgemm()
    chosen = executor(pool) if executor else Local(pool, accumulator(device, progress.message))
    run = TrainingRun(parameters, preset, target, pool, watch.observe, chosen)
    # The thread pool shares the work; threads of the BLAS would compete with its threads.
    with threadpool_limits(1, user_api="blas"):
        try:
            if resume:
                run.resume()
            run.add([as_source(entry) for entry in paths])
            run.checks = prepare_checks(watch.validation, parameters, pool)
            state = run.state
            watch.observe(TrainingStarted(len(state.plans), len(state.files), run.missing, sgemm))
            bank = run.finish(progress)
        except Stopped:
            bank = run.unfinished()
    stopped = str(bank.provenance.get("stopped", ""))
    kept = _bank_with_more_stages(target, bank) if stopped and resume else None
    if kept is None:
        bank.save(target)
    else:
        bank, stopped = kept, f"{stopped}; the existing bank has more stages and is kept"
    seconds, work = time.monotonic() - started, run.work
    return TrainingReport(
        bank, seconds, work.samples, work.samples_per_s, work.gflops, sgemm, stopped
    )


def check_stopped(progress: Progress, watch: Watch) -> None:
    """Raise :class:`Cancelled` or :class:`Stopped` if the user asked for it."""
    progress.token.check()
    if watch.stop.cancelled:
        raise Stopped


def _bank_with_more_stages(target: Path, bank: FilterBank) -> FilterBank | None:
    """Return the bank in the file if it has more stages than the stopped one."""
    if not target.exists():
        return None
    try:
        existing = load_bank(target)
    except BankError:
        return None
    return existing if len(existing.stages) > len(bank.stages) else None


class TrainingRun:
    """A running training.

    Parameters
    ----------
    parameters : TrainParameters
    preset : Preset
    target : Path
        File of the bank.
    pool : ThreadPool
        An exception of its token ends the run; the sums on disk are those of whole volumes.
    observe : callable
        Receives every event.
    executor : Executor, optional
        Computes on volumes; by default the threads of the pool.
    """

    def __init__(
        self,
        parameters: TrainParameters,
        preset: Preset,
        target: Path,
        pool: ThreadPool,
        observe: Observer,
        executor: Executor | None = None,
    ) -> None:
        self.parameters, self.preset, self.target = parameters, preset, target
        self.pool, self.observe = pool, observe
        self.executor = executor or Local(pool)
        self.identity = training_identity(parameters, preset)
        self.state = TrainingState.empty(preset)
        self.checks: Sequence[Check] = ()
        self.work = WorkMeter(preset.stages, parameters.scale)
        self._sources: dict[str, TrainingSource] = {}

    def resume(self) -> None:
        """Load the saved sums, if there are any."""
        path = checkpoint_path(self.target)
        self.state = load_checkpoint(path, self.preset, self.identity)

    def add(self, sources: Sequence[TrainingSource]) -> None:
        """Add volumes that the training does not contain yet; duplicates count once."""
        state = self.state
        known = {entry["sha256"] for entry in state.files}
        for source in sources:
            self.pool.check()
            digest = source.digest()
            self._sources.setdefault(digest, source)
            if digest in known:
                continue
            known.add(digest)
            state.files.append(self._entry(source, digest))
            state.paths.append(source.path.resolve() if source.path else None)
        if not state.files:
            raise VolumeError(explain("train", "no volumes", "name files or a folder"))
        if state.done[0] < len(state.files):
            # The first stage will change, and with it the input of later stages.
            for later in range(1, len(state.plans)):
                state.equations[later], state.done[later] = None, 0
                state.halves[later] = None

    @property
    def missing(self) -> tuple[int, ...]:
        """Number of volumes that each stage still lacks."""
        return tuple(len(self.state.files) - done for done in self.state.done)

    def finish(self, progress: Progress) -> FilterBank:
        """Train the missing volumes and make the bank."""
        stages: list[Stage] = []
        # The calibration filters each volume once more.
        steps = sum(self.missing) + len(self.state.files)
        progress.begin("training a filter bank", steps)
        for number in range(len(self.state.plans)):
            stages.append(self._train(number, stages, progress))
        state, parameters = self.state, self.parameters
        bank = bank_of(stages, state.files, parameters, self.preset, self.target)
        self.observe(CalibrationStarted(len(state.files)))
        return calibrated(bank, state, self._volumes(0), parameters, self.executor, progress)

    def unfinished(self) -> FilterBank:
        """Make a bank of the sums on disk, after a stop.

        Raises
        ------
        Cancelled
            If they contain no volume.
        """
        # The sums in memory may contain a part of a volume.
        self.resume()
        bank = unfinished_bank(self.state, self.parameters, self.preset, self.target)
        if bank is None:
            raise Cancelled("stopped before the first volume was finished")
        return bank

    def _entry(self, source: TrainingSource, digest: str) -> dict[str, str]:
        entry = volume_record(source, digest, len(self.state.files) + 1, self.parameters)
        step = self.parameters.thinning(source.name)
        if max(step) > 1:
            entry["thinned"] = format_scale(step)
        return entry

    def _train(self, number: int, stages: list[Stage], progress: Progress) -> Stage:
        """Add the missing volumes to a stage, and solve it."""
        state = self.state
        if state.done[number] < len(state.files):
            self._fix_cuts(number, stages)
            self._fix_anchors(number, stages)
        plan = state.plans[number]
        job = StageJob(plan, self._bank(stages), self.parameters)
        equations = state.equations[number]
        if equations is None:
            equations = state.equations[number] = job.empty()
        stage: Stage | None = None
        # The gain is measured after each volume; single precision is added in order.
        singly = bool(self.checks) or plan.single
        found = self.executor.sums(job, self._volumes(state.done[number]), singly=singly)
        while state.done[number] < len(state.files):
            self.observe(VolumeStarted(number + 1, state.done[number] + 1))
            sums = next(found)
            self._take(number, equations, sums)
            save_checkpoint(checkpoint_path(self.target), state, self.identity)
            samples = sums.samples // sums.volumes
            self.work.volume_done(number, samples, self.missing, len(state.files))
            self._report_volume(number, equations)
            progress.advance(sums.volumes)
            if self.checks:
                stage = self._measure_gain(number, plan, equations, stages)
        return stage or solved_stage(plan, equations)

    def _take(self, number: int, equations: NormalEquations, sums: VolumeSums) -> None:
        """Add volumes to the sums of a stage, and to those of its first half."""
        state, spec = self.state, self.state.plans[number].spec
        half, done = state.halves[number], state.done[number]
        state.halves[number] = add_to_first_half(half, done, sums.halves)
        for part in sums.halves:
            if part is not None:
                equations.merge(part)
        state.done[number] += sums.volumes
        outputs = spec.outputs(self.parameters.scale)
        self.work.count(sums.samples, spec.taps, outputs, sums.seconds)

    def _report_volume(self, number: int, equations: NormalEquations) -> None:
        done, work, support = self.state.done[number], self.work, equations.count.copy()
        rates = (work.samples_per_s, work.gflops, work.share_left)
        self.observe(VolumeAdded(number + 1, done, support, *rates))

    def _measure_gain(
        self, number: int, plan: StagePlan, equations: NormalEquations, stages: list[Stage]
    ) -> Stage:
        """Solve the stage with its volumes so far and report its gain."""
        stage = solved_stage(plan, equations)
        bank = self._bank([*stages, stage])
        gains = tuple(check.gain_db(bank, self.pool) for check in self.checks)
        voxels = sum(check.voxels for check in self.checks)
        self.observe(GainMeasured(number + 1, self.state.done[number], gains, voxels))
        return stage

    def _bank(self, stages: list[Stage]) -> FilterBank:
        return bank_of(stages, [], self.parameters, self.preset, self.target)

    def _fix_cuts(self, number: int, stages: list[Stage]) -> None:
        """Cut the features that the plan leaves open at the terciles of a sample."""
        state = self.state
        plan = state.plans[number]
        missing = [n for n in plan.terciles if n not in plan.spec.hash.cuts]
        if not missing:
            return
        share = -(-_CUT_SAMPLES // len(state.files))
        job = StageJob(plan, self._bank(stages), self.parameters)
        parts = list(self.executor.each(volume_features, self._volumes(0), job, share))
        cuts = {}
        for name in missing:
            values = np.concatenate([part[name] for part in parts])
            cuts[name] = tuple(float(cut) for cut in np.quantile(values, (1 / 3, 2 / 3)))
        spec = replace(plan.spec, hash=plan.spec.hash.with_cuts(**cuts))
        state.plans[number] = replace(plan, spec=spec)

    def _fix_anchors(self, number: int, stages: list[Stage]) -> None:
        """Learn the anchors that the plan leaves open."""
        state = self.state
        plan = state.plans[number]
        if plan.anchors is None or plan.spec.hash.anchors is not None:
            return
        volumes = self._volumes(0)
        volumes = volumes[:: -(-len(volumes) // anchors.MOST_VOLUMES)]
        share = -(-anchors.SAMPLES // len(volumes))
        job = StageJob(plan, self._bank(stages), self.parameters)
        parts = self.executor.each(anchors.volume_descriptions, volumes, job, share)
        learned = anchors.learn_anchors(plan.anchors, np.concatenate(list(parts)))
        spec = replace(plan.spec, hash=replace(plan.spec.hash, anchors=learned))
        state.plans[number] = replace(plan, spec=spec)

    def _volumes(self, first: int) -> list[TrainingVolume]:
        """Return the volumes from an index on."""
        return [self._volume(index) for index in range(first, len(self.state.files))]

    def _volume(self, index: int) -> TrainingVolume:
        entry, path = self.state.files[index], self.state.paths[index]
        source = self._sources.get(entry["sha256"])
        if source is None:
            if path is None:
                found = "later stages need its voxels again, and it was no file"
                mend = "add it again, or train from the start"
                raise VolumeError(explain(entry["name"], found, mend))
            source = TrainingFile(path)
        return TrainingVolume(index, source, entry["sha256"])
