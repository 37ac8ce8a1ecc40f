"""One training: go over the volumes stage by stage, sum, save, solve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from napari_mrisr.bank.model import FilterBank, Stage
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import format_scale, scale_label
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import Cancelled, VolumeError, explain
from napari_mrisr.training.calibrating import calibrated, judged
from napari_mrisr.training.checkpoint import (
    TrainingState,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
    training_identity,
)
from napari_mrisr.training.events import (
    Calibrating,
    GainMeasured,
    Observer,
    VolumeAdded,
    VolumeBegan,
)
from napari_mrisr.training.halves import first_half
from napari_mrisr.training.hands import Hands, Here, Part, StageJob, TrainingVolume, features
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.outcome import bank_of, solved_stage, unfinished_bank
from napari_mrisr.training.presets import Preset, StagePlan
from napari_mrisr.training.sampling import TrainParameters
from napari_mrisr.training.sources import TrainingFile, TrainingSource
from napari_mrisr.training.validation import Check
from napari_mrisr.training.work import Work

CUT_SAMPLES = 250_000


class Run:
    """A training under way.

    Parameters
    ----------
    parameters : TrainParameters
    preset : Preset
    target : Path
        The bank's file.
    pool : ThreadPool
        Its check is asked all the time; what it raises ends the run, with the
        sums on disk those of whole volumes.
    observe : callable
        Told every event.
    hands : Hands, optional
        Who does the work on volumes; by default the pool.
    """

    def __init__(
        self,
        parameters: TrainParameters,
        preset: Preset,
        target: Path,
        pool: ThreadPool,
        observe: Observer,
        hands: Hands | None = None,
    ) -> None:
        self.parameters, self.preset, self.target = parameters, preset, target
        self.pool, self.observe = pool, observe
        self.hands = hands or Here(pool)
        self.identity = training_identity(parameters, preset)
        self.state = TrainingState.empty(preset)
        self.checks: Sequence[Check] = ()
        self.work = Work(preset.stages, parameters.scale)
        self._sources: dict[str, TrainingSource] = {}

    def resume(self) -> None:
        """Take up saved sums, if there are any."""
        path = checkpoint_path(self.target)
        self.state = load_checkpoint(path, self.preset, self.identity)

    def add(self, sources: Sequence[TrainingSource]) -> None:
        """Take in volumes that are not in yet; the same one twice counts once."""
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
            # The first stage will change, and with it what later stages see.
            for later in range(1, len(state.plans)):
                state.equations[later], state.done[later] = None, 0
                state.halves[later] = None

    @property
    def missing(self) -> tuple[int, ...]:
        """How many volumes each stage still has to take in."""
        return tuple(len(self.state.files) - done for done in self.state.done)

    def finish(self, progress: Progress) -> FilterBank:
        """Train what is missing and build the bank."""
        stages: list[Stage] = []
        # Each volume once more at the end, for the held-out errors.
        steps = sum(self.missing) + len(self.state.files)
        progress.begin(f"training {scale_label(self.parameters.scale)}", steps)
        for number in range(len(self.state.plans)):
            stages.append(self._train(number, stages, progress))
        bank = bank_of(stages, self.state.files, self.parameters, self.preset, self.target)
        self.observe(Calibrating(len(self.state.files)))
        judge = partial(self.hands.each, judged)
        volumes = self._volumes(0)
        return calibrated(bank, self.state, volumes, self.parameters, judge, progress)

    def unfinished(self) -> FilterBank:
        """The bank that the sums on disk make, after a stop.

        Raises
        ------
        Cancelled
            When they hold no volume.
        """
        # What is in memory may hold half a volume.
        self.resume()
        bank = unfinished_bank(self.state, self.parameters, self.preset, self.target)
        if bank is None:
            raise Cancelled("stopped before the first volume was finished")
        return bank

    def _entry(self, source: TrainingSource, digest: str) -> dict[str, str]:
        p = self.parameters
        name = source.name if p.names else f"volume {len(self.state.files) + 1}"
        license_ = p.licenses.get(source.name, p.license)
        entry = {"name": name, "license": license_, "sha256": digest}
        step = p.thinning(source.name)
        if max(step) > 1:
            entry["thinned"] = format_scale(step)
        return entry

    def _train(self, number: int, stages: list[Stage], progress: Progress) -> Stage:
        """Take the missing volumes into a stage, and solve it."""
        state = self.state
        if state.done[number] < len(state.files):
            self._fix_cuts(number, stages)
        plan = state.plans[number]
        job = StageJob(plan, self._bank(stages), self.parameters)
        equations = state.equations[number]
        if equations is None:
            equations = state.equations[number] = job.empty()
        stage: Stage | None = None
        # The gain is measured after each volume; single precision is added in order.
        singly = bool(self.checks) or plan.single
        parts = self.hands.sums(job, self._volumes(state.done[number]), singly=singly)
        while state.done[number] < len(state.files):
            self.observe(VolumeBegan(number + 1, state.done[number] + 1))
            part = next(parts)
            self._take(number, equations, part)
            save_checkpoint(checkpoint_path(self.target), state, self.identity)
            each = part.samples // part.volumes
            self.work.finished(number, each, self.missing, len(state.files))
            self._tell_volume(number, equations)
            progress.advance(part.volumes)
            if self.checks:
                stage = self._measure(number, plan, equations, stages)
        return stage or solved_stage(plan, equations)

    def _take(self, number: int, equations: NormalEquations, part: Part) -> None:
        """Add a part to a stage's sums, and to those of the first half."""
        state, spec = self.state, self.state.plans[number].spec
        state.halves[number] = first_half(state.halves[number], state.done[number], part.halves)
        for half in part.halves:
            if half is not None:
                equations.merge(half)
        state.done[number] += part.volumes
        outputs = spec.outputs(self.parameters.scale)
        self.work.count(part.samples, spec.taps, outputs, part.seconds)

    def _tell_volume(self, number: int, equations: NormalEquations) -> None:
        done, work, support = self.state.done[number], self.work, equations.count.copy()
        rates = (work.samples_per_s, work.gflops, work.share_left)
        self.observe(VolumeAdded(number + 1, done, support, *rates))

    def _measure(
        self, number: int, plan: StagePlan, equations: NormalEquations, stages: list[Stage]
    ) -> Stage:
        """Solve the stage as it is and tell what it gains."""
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
        count = len(state.files)
        share = -(-CUT_SAMPLES // count)
        bank = self._bank(stages)
        job = StageJob(plan, bank, self.parameters)
        parts = list(self.hands.each(features, self._volumes(0), job, share))
        cuts = {
            name: tuple(
                float(c)
                for c in np.quantile(np.concatenate([p[name] for p in parts]), (1 / 3, 2 / 3))
            )
            for name in missing
        }
        spec = replace(plan.spec, hash=plan.spec.hash.with_cuts(**cuts))
        state.plans[number] = replace(plan, spec=spec)

    def _volumes(self, first: int) -> list[TrainingVolume]:
        """The volumes from a number on."""
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
