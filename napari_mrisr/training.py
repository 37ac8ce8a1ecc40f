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

import dataclasses
import hashlib
import json
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr.errors import BankError, MemoryEstimateError, VolumeError, explain
from napari_mrisr.filterbank import FilterBank, Stage
from napari_mrisr.io import atomic_write
from napari_mrisr.normal_equations import NormalEquations
from napari_mrisr.presets import Preset, StagePlan, get_preset
from napari_mrisr.progress import Progress
from napari_mrisr.sampling import Pair, TrainParameters, feature_sample, prepare_pair, samples_of
from napari_mrisr.scale import format_scale, scale_label

CUT_SAMPLES = 250_000


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
    run = _Run(parameters, preset, target)
    if resume:
        run.load()
    run.add_files([Path(p) for p in paths])
    run.check_memory()
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


class _Run:
    """State of a training: files, sums of each stage, filters so far."""

    def __init__(self, parameters: TrainParameters, preset: Preset, target: Path) -> None:
        self.parameters, self.preset, self.target = parameters, preset, target
        self.files: list[dict[str, str]] = []
        self.paths: list[Path] = []
        self.plans: list[StagePlan] = list(preset.stages)
        self.equations: list[NormalEquations | None] = [None] * len(preset.stages)
        self.done: list[int] = [0] * len(preset.stages)
        self.samples, self.operations, self.accumulating = 0, 0.0, 0.0

    @property
    def checkpoint(self) -> Path:
        return self.target.with_name(self.target.name + ".equations.safetensors")

    def check_memory(self) -> None:
        """Raise :class:`MemoryEstimateError` when the sums would not fit, twice for saving."""
        import psutil

        need = 0
        for plan in self.plans:
            taps, outputs = plan.spec.taps, plan.spec.outputs(self.parameters.scale)
            values = plan.spec.hash.filter_count * taps * (taps + outputs)
            need += 2 * values * (4 if plan.single else 8)
        have = psutil.virtual_memory().available
        if need > have:
            found = f"the sums of preset {self.preset.name} need {need / 2**30:.1f} GB"
            found += f", {have / 2**30:.1f} GB are free"
            raise MemoryEstimateError(explain("memory", found, "use --preset default"))

    def add_files(self, paths: list[Path]) -> None:
        """Take in volumes that are not in yet; the same file twice counts once."""
        known = {entry["sha256"] for entry in self.files}
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
            self.files.append(entry)
            self.paths.append(path.resolve())
        if not self.files:
            raise VolumeError(explain("train", "no volumes", "name files or a folder"))
        if self.done[0] < len(self.files):
            # The first stage will change, and with it what later stages see.
            for later in range(1, len(self.plans)):
                self.equations[later], self.done[later] = None, 0

    def finish(self, progress: Progress) -> FilterBank:
        """Train what is missing and build the bank."""
        stages: list[Stage] = []
        steps = sum(len(self.files) - done for done in self.done)
        progress.begin(f"training {scale_label(self.parameters.scale)}", max(1, steps))
        for number in range(len(self.plans)):
            self._accumulate(number, stages, progress)
            stages.append(self._solve(number))
        provenance = {
            "preset": self.preset.name,
            "volumes": self.files,
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
        if self.done[number] < len(self.files):
            self._fix_cuts(number, stages)
        plan = self.plans[number]
        equations = self.equations[number]
        if equations is None:
            dtype = np.float32 if plan.single else np.float64
            outputs = plan.spec.outputs(self.parameters.scale)
            equations = NormalEquations.empty(
                plan.spec.hash.filter_count, plan.spec.taps, outputs, dtype
            )
            self.equations[number] = equations
        while self.done[number] < len(self.files):
            index = self.done[number]
            pair = self._pair(index)
            for bucket, patches, targets in samples_of(
                pair, plan, self._bank(stages, {}), self.parameters
            ):
                # Cancel between batches must not leave half a volume in the sums: they are
                # thrown away with the run, and the saved ones end with the volume before.
                progress.token.check()
                tick = time.perf_counter()
                equations.add(bucket, patches, targets)
                self.accumulating += time.perf_counter() - tick
                n, taps = patches.shape
                self.samples += n
                self.operations += n * taps * (taps + 2.0 * targets.shape[1])
            self.done[number] += 1
            self.save()
            progress.advance()

    def _fix_cuts(self, number: int, stages: list[Stage]) -> None:
        """Cut the features that the plan leaves open at the terciles of a sample."""
        plan = self.plans[number]
        missing = [n for n in plan.terciles if n not in plan.spec.hash.cuts]
        if not missing:
            return
        share = -(-CUT_SAMPLES // len(self.paths))
        bank = self._bank(stages, {})
        parts = [
            feature_sample(self._pair(i), plan.spec, bank, share) for i in range(len(self.paths))
        ]
        cuts = {
            name: tuple(
                float(c)
                for c in np.quantile(np.concatenate([p[name] for p in parts]), (1 / 3, 2 / 3))
            )
            for name in missing
        }
        spec = dataclasses.replace(plan.spec, hash=plan.spec.hash.with_cuts(**cuts))
        self.plans[number] = dataclasses.replace(plan, spec=spec)

    def _pair(self, index: int) -> Pair:
        path = self.paths[index]
        if _sha256(path) != self.files[index]["sha256"]:
            found = "has changed since its sums were saved"
            raise VolumeError(explain(path, found, "restore it, or train from the start"))
        return prepare_pair(path, self.parameters)

    def _solve(self, number: int) -> Stage:
        plan, equations = self.plans[number], self.equations[number]
        assert equations is not None
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

    def save(self) -> None:
        """Write the sums, atomically."""
        from safetensors.numpy import save_file

        tensors = {}
        for number, equations in enumerate(self.equations):
            if equations is not None:
                for name, tensor in equations.tensors().items():
                    tensors[f"stage{number}.{name}"] = tensor
        document = {
            "parameters": self._identity(),
            "files": self.files,
            "paths": [str(p) for p in self.paths],
            "done": self.done,
            "cuts": [plan.spec.hash.to_json()["cuts"] for plan in self.plans],
            "crc32": _checksums(tensors),
        }
        with atomic_write(self.checkpoint) as temporary:
            save_file(tensors, temporary, {"napari_mrisr_training": json.dumps(document)})

    def load(self) -> None:
        """Take up saved sums, if there are any."""
        from safetensors import SafetensorError, safe_open

        path = self.checkpoint
        if not path.is_file():
            return
        try:
            with safe_open(path, framework="numpy") as file:
                document = json.loads((file.metadata() or {})["napari_mrisr_training"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
            mend = "delete it and train from the start"
            raise BankError(explain(path, f"cannot be read ({error})", mend)) from error
        try:
            self._take(path, document, tensors)
        except BankError:
            raise
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            mend = "delete it and train from the start"
            raise BankError(explain(path, f"cannot be understood ({error!r})", mend)) from error

    def _take(self, path: Path, document: dict[str, Any], tensors: dict[str, Any]) -> None:
        if document["parameters"] != self._identity():
            found = f"made with {document['parameters']}, not {self._identity()}"
            raise BankError(explain(path, found, "resume with the same options"))
        if document["crc32"] != _checksums(tensors):
            mend = "delete it and train from the start"
            raise BankError(explain(path, "checksum mismatch", mend))
        self.files, self.done = document["files"], document["done"]
        self.paths = [Path(p) for p in document["paths"]]
        for number, cuts in enumerate(document["cuts"]):
            plan = self.plans[number]
            spec = plan.spec.hash.with_cuts(**{k: tuple(v) for k, v in cuts.items()})
            self.plans[number] = dataclasses.replace(
                plan, spec=dataclasses.replace(plan.spec, hash=spec)
            )
            if f"stage{number}.gram" in tensors:
                self.equations[number] = NormalEquations(
                    **{
                        name: tensors[f"stage{number}.{name}"]
                        for name in ("gram", "cross", "energy", "count")
                    }
                )

    def _identity(self) -> dict[str, str]:
        p = self.parameters
        return {
            "scale": format_scale(p.scale),
            "preset": p.preset,
            "degradation": p.degradation,
            "thin": ", ".join(f"{pattern}={format_scale(step)}" for pattern, step in p.thin),
            # A preset may change from one version to the next; sums of the two do not add.
            "stages": hashlib.sha256(repr(self.preset).encode()).hexdigest()[:12],
        }


def _checksums(tensors: dict[str, Any]) -> dict[str, int]:
    return {name: zlib.crc32(np.ascontiguousarray(t).data) for name, t in tensors.items()}


def measure_sgemm(size: int = 1536) -> float:
    """The machine's single-precision matrix product, GFLOP/s, best of five."""
    a = np.ones((size, size), np.float32)
    best = np.inf
    for _ in range(5):
        tick = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - tick)
    return 2.0 * size**3 / best / 1e9


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
