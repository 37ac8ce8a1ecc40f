"""One training: go over the volumes stage by stage, sum, save, solve."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.filterbank import FilterBank, Stage
from napari_mrisr.normal_equations import NormalEquations
from napari_mrisr.presets import Preset, StagePlan
from napari_mrisr.progress import Progress
from napari_mrisr.sampling import Pair, TrainParameters, feature_sample, prepare_pair, samples_of
from napari_mrisr.scale import format_scale, scale_label
from napari_mrisr.training.checkpoint import (
    TrainingState,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
    training_identity,
)

CUT_SAMPLES = 250_000


class Run:
    """A training under way."""

    def __init__(self, parameters: TrainParameters, preset: Preset, target: Path) -> None:
        self.parameters, self.preset, self.target = parameters, preset, target
        self.identity = training_identity(parameters, preset)
        self.state = TrainingState.empty(preset)
        self.samples, self.operations, self.accumulating = 0, 0.0, 0.0

    def resume(self) -> None:
        """Take up saved sums, if there are any."""
        path = checkpoint_path(self.target)
        self.state = load_checkpoint(path, self.preset, self.identity)

    def add_files(self, paths: list[Path]) -> None:
        """Take in volumes that are not in yet; the same file twice counts once."""
        state = self.state
        known = {entry["sha256"] for entry in state.files}
        for path in paths:
            digest = _sha256(path)
            if digest in known:
                continue
            known.add(digest)
            license_ = self.parameters.licenses.get(path.name, "")
            entry = {"name": path.name, "license": license_, "sha256": digest}
            step = self.parameters.thinning(path.name)
            if max(step) > 1:
                entry["thinned"] = format_scale(step)
            state.files.append(entry)
            state.paths.append(path.resolve())
        if not state.files:
            raise VolumeError(explain("train", "no volumes", "name files or a folder"))
        if state.done[0] < len(state.files):
            # The first stage will change, and with it what later stages see.
            for later in range(1, len(state.plans)):
                state.equations[later], state.done[later] = None, 0

    def finish(self, progress: Progress) -> FilterBank:
        """Train what is missing and build the bank."""
        state = self.state
        stages: list[Stage] = []
        steps = sum(len(state.files) - done for done in state.done)
        progress.begin(f"training {scale_label(self.parameters.scale)}", max(1, steps))
        for number in range(len(state.plans)):
            self._accumulate(number, stages, progress)
            stages.append(self._solve(number))
        provenance = {
            "preset": self.preset.name,
            "volumes": state.files,
            "created": time.strftime("%Y-%m-%d"),
            "program": _program(),
        }
        name = self.target.name.removesuffix(".safetensors")
        return self._bank(stages, provenance, name)

    def _bank(
        self, stages: list[Stage], provenance: dict[str, Any], name: str = "training"
    ) -> FilterBank:
        p = self.parameters
        start = self.preset.start
        return FilterBank(p.scale, p.degradation, start, tuple(stages), provenance, name)

    def _accumulate(self, number: int, stages: list[Stage], progress: Progress) -> None:
        state = self.state
        if state.done[number] < len(state.files):
            self._fix_cuts(number, stages)
        plan = state.plans[number]
        equations = state.equations[number]
        if equations is None:
            equations = state.equations[number] = _empty(plan, self.parameters)
        while state.done[number] < len(state.files):
            pair = self._pair(state.done[number])
            before = self._bank(stages, {})
            for bucket, patches, targets in samples_of(pair, plan, before, self.parameters):
                # Cancel between batches must not leave half a volume in the sums: they are
                # thrown away with the run, and the saved ones end with the volume before.
                progress.token.check()
                tick = time.perf_counter()
                equations.add(bucket, patches, targets)
                self.accumulating += time.perf_counter() - tick
                n, taps = patches.shape
                self.samples += n
                self.operations += n * taps * (taps + 2.0 * targets.shape[1])
            state.done[number] += 1
            save_checkpoint(checkpoint_path(self.target), state, self.identity)
            progress.advance()

    def _fix_cuts(self, number: int, stages: list[Stage]) -> None:
        """Cut the features that the plan leaves open at the terciles of a sample."""
        state = self.state
        plan = state.plans[number]
        missing = [n for n in plan.terciles if n not in plan.spec.hash.cuts]
        if not missing:
            return
        count = len(state.files)
        share = -(-CUT_SAMPLES // count)
        bank = self._bank(stages, {})
        parts = [feature_sample(self._pair(i), plan.spec, bank, share) for i in range(count)]
        cuts = {
            name: tuple(
                float(c)
                for c in np.quantile(np.concatenate([p[name] for p in parts]), (1 / 3, 2 / 3))
            )
            for name in missing
        }
        spec = replace(plan.spec, hash=plan.spec.hash.with_cuts(**cuts))
        state.plans[number] = replace(plan, spec=spec)

    def _pair(self, index: int) -> Pair:
        path = self.state.paths[index]
        if _sha256(path) != self.state.files[index]["sha256"]:
            found = "has changed since its sums were saved"
            raise VolumeError(explain(path, found, "restore it, or train from the start"))
        return prepare_pair(path, self.parameters)

    def _solve(self, number: int) -> Stage:
        equations = self.state.equations[number]
        assert equations is not None
        return solved_stage(self.state.plans[number], equations)


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


def _empty(plan: StagePlan, parameters: TrainParameters) -> NormalEquations:
    spec = plan.spec
    dtype = np.float32 if plan.single else np.float64
    outputs = spec.outputs(parameters.scale)
    return NormalEquations.empty(spec.hash.filter_count, spec.taps, outputs, dtype)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = explain(path, f"cannot be read ({error.strerror})", "check its permissions")
        raise VolumeError(message) from error


def _program() -> str:
    from napari_mrisr import __version__

    return f"napari-mrisr {__version__}"
