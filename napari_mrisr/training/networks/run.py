"""One training of a network: read the volumes, train, validate, stop, resume, write the file.

PyTorch is imported by :func:`open_loop` only, so that command line and viewer can import this
file where PyTorch is missing.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_mrisr._version import __version__
from napari_mrisr.bank.folder import NETWORK_SUFFIX
from napari_mrisr.core.memory import require_memory
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import call_in_thread, processors
from napari_mrisr.core.volume import Shape
from napari_mrisr.errors import (
    BankError,
    Cancelled,
    DeviceError,
    OutputError,
    ParameterError,
    explain,
    install,
)
from napari_mrisr.methods.network import open_network
from napari_mrisr.networks.file import DENOISER, ISOTROPIC, THICK, UNROLLED, NetworkFile
from napari_mrisr.training.events import (
    NetworkMeasured,
    NetworkStarted,
    Observer,
    StepTaken,
    TrainEvent,
    ignore,
)
from napari_mrisr.training.networks.patches import (
    FACTOR_RANGE,
    WIDTH_RANGE,
    HeldOut,
    TrainingImage,
)
from napari_mrisr.training.networks.volumes import read_held_out, read_images
from napari_mrisr.training.run import Stopped, Watch, check_stopped
from napari_mrisr.training.sources import TrainingSource, as_source

KINDS = {
    THICK: "slices of any thickness",
    ISOTROPIC: "2×, 3× and 4× of all axes",
    UNROLLED: "slices of any thickness, method unrolled",
    DENOISER: "noise removal, method plug-and-play",
}
"""Kinds of networks, with a description each."""

MEASURED_FACTORS = {
    THICK: (2.0, 4.0, 6.0),
    ISOTROPIC: (2.0, 3.0, 4.0),
    UNROLLED: (2.0, 4.0, 6.0),
    DENOISER: (2.0, 5.0, 10.0),
}
"""Factors of the validation; for a denoiser the noise in % of the intensity window."""


def condition_label(kind: str, factor: float) -> str:
    """Return ``4×``, or ``5 % noise`` for a denoiser."""
    return f"{factor:g} % noise" if kind == DENOISER else f"{factor:g}×"


def baseline_label(kind: str) -> str:
    """Return what the gain of a network is measured over."""
    return "the noisy image" if kind == DENOISER else "tricubic"


RANGES = {
    THICK: {"factors": FACTOR_RANGE, "widths": WIDTH_RANGE},
    ISOTROPIC: {"factors": (2.0, 4.0), "widths": (1.0, 1.0)},
    UNROLLED: {"factors": FACTOR_RANGE, "widths": WIDTH_RANGE},
    DENOISER: {"factors": (1.0, 1.0), "widths": (1.0, 1.0)},
}
"""Ranges of factor and slice width in training, for the file."""

STEPS, FINE_TUNING_STEPS = 8_000, 1_000
"""Steps by default, from the start and of a network that was trained before."""

_EVERY = 250  # steps between checkpoints and validations
_FEWEST_SLICES = 4
# A trained network must not forget: a tenth of the rates of a new one.
_FINE_TUNING = 0.1
# Bytes of PyTorch, of the activations of a batch, and per voxel of images and of the largest.
_PROGRAM, _BYTES_PER_VOXEL, _BYTES_PER_LARGEST = 900_000_000, 3, 40


@dataclass(frozen=True)
class NetworkParameters:
    """Everything that determines a network, except for the volumes.

    Attributes
    ----------
    steps : int
        Training steps; more gain more, with a smaller and smaller advantage.
    kind : str
        One of :data:`KINDS`.
    start : str
        Network of this kind to train further: ``thick-slices``, a name or a file. ``unrolled``
        starts from ``thick-slices`` too. Empty for a new one.
    licenses, license, names
        As in :class:`~napari_mrisr.training.presets.TrainParameters`.
    thick_axes : tuple of (pattern, str)
        Axes (letters of ``xyz``, RAS+) along which files whose name matches are degraded. By
        default all whose voxels are at most 1.2 times as long as the shortest.
    """

    steps: int = STEPS
    kind: str = THICK
    start: str = ""
    licenses: dict[str, str] = field(default_factory=dict)
    license: str = ""
    names: bool = True
    thick_axes: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 10_000_000:
            raise ParameterError(explain("steps", str(self.steps), "give 1 to 10,000,000"))
        if self.kind not in KINDS:
            raise ParameterError(explain("kind", repr(self.kind), f"choose {' or '.join(KINDS)}"))


@dataclass(frozen=True)
class NetworkReport:
    """Result of a training.

    Attributes
    ----------
    path : Path
    steps : int
        Steps of the network, also those of earlier calls.
    seconds : float
        Wall time of this call.
    gains_db : dict of float to float
        Mean gain by factor, see :data:`MEASURED_FACTORS`; empty without validation volumes.
    stopped : str
        How far the training came before a stop; empty for a whole training.
    """

    path: Path
    steps: int
    seconds: float
    gains_db: dict[float, float]
    stopped: str = ""

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.path.name.removesuffix(NETWORK_SUFFIX)


class NetworkLoop(Protocol):
    """A training that can be stopped at any time and resumed exactly after its last full step.

    :class:`~napari_mrisr.training.networks.loop.NetworkTraining` is one.
    """

    step: int

    @property
    def steps(self) -> int:
        """Steps in all."""
        ...

    @property
    def place(self) -> str:
        """Device and precision, for the user."""
        ...

    def advance(self, check: Callable[[], None]) -> float:
        """Do one step; return the loss. Where ``check`` raises, the step was never begun."""
        ...

    def gain(self, held: HeldOut, factor: float, check: Callable[[], None]) -> float:
        """Return the gain over cubic interpolation in dB; ``check`` raises to stop."""
        ...

    def save(self, path: Path, identity: dict[str, Any] | None = None) -> None:
        """Write a checkpoint."""
        ...

    def load(self, path: Path, identity: dict[str, Any] | None = None) -> None:
        """Continue from a checkpoint."""
        ...

    def export(self, path: Path, document: dict[str, Any]) -> None:
        """Write the network."""
        ...


def train_network(
    paths: Sequence[Path | str | TrainingSource],
    out: Path | str,
    parameters: NetworkParameters,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
    threads: int | None = None,
    device: str = "auto",
) -> NetworkReport:
    """Train a network and save it as one ``.onnx`` file.

    Parameters
    ----------
    paths : sequence of path or TrainingSource
        High-resolution volumes, nearly isotropic.
    out : path
        File of the network. The checkpoint is kept in ``<out>.checkpoint.safetensors``.
    parameters : NetworkParameters
    resume : bool
        Continue from the checkpoint: the same bits as without a stop, on the same machine.
        More steps than before extend the training.
    overwrite : bool
        Replace an existing network.
    progress : Progress, optional
        Advances by one per step; a cancel keeps a usable network as a stop does.
    watch : Watch, optional
        Receives events, measures the gain, stops with a usable network.
    threads : int, optional
        One per CPU by default.
    device : str
        ``auto``, ``cpu`` or ``gpu``.

    Returns
    -------
    NetworkReport

    Raises
    ------
    ParameterError
        If PyTorch is not installed.
    BankError
        If the network exists, or the checkpoint is damaged or belongs to other options.
    VolumeError
        If a volume cannot be used.
    DeviceError
        If ``gpu`` is asked for and PyTorch finds none.
    Cancelled
        On a cancel, or a stop before the first step.
    """
    progress, watch = progress or Progress(), watch or Watch()
    started = time.monotonic()
    target = Path(out)
    check = functools.partial(check_stopped, progress, watch)
    require_torch()
    _check_target(target, resume=resume, overwrite=overwrite)
    start = _open_start(parameters)
    checkpoint = network_checkpoint(target)
    try:
        images, records = read_images([as_source(p) for p in paths], parameters, progress, check)
        held = read_held_out(watch.validation, parameters, check)
        loop = open_loop(
            images, parameters, start, device=device, threads=threads or processors(), check=check
        )
    except Stopped as stop:
        raise Cancelled("stopped before the first step") from stop
    identity = {
        "volumes": [record["sha256"] for record in records],
        "thick_axes": [list(pair) for pair in parameters.thick_axes],
        "start": hashlib.sha256(start.content).hexdigest() if start else "",
        "kind": parameters.kind,
    }
    if resume and checkpoint.is_file():
        loop.load(checkpoint, identity)
    watch.observe(NetworkStarted(loop.step, loop.steps, len(images), loop.place))
    gains: dict[float, float] = {}

    def observe(event: TrainEvent) -> None:
        if isinstance(event, NetworkMeasured):
            gains.update({f: float(np.mean(g)) for f, g in event.gains_db.items()})
        watch.observe(event)
        if isinstance(event, StepTaken):
            progress.advance()

    stopped, cancelled = "", False
    try:
        progress.begin("training a network", loop.steps - loop.step)
        drive(
            loop,
            held,
            checkpoint,
            observe=observe,
            check=check,
            identity=identity,
            factors=MEASURED_FACTORS[parameters.kind],
        )
    except (Stopped, Cancelled) as stop:
        cancelled = isinstance(stop, Cancelled)
        stopped = f"stopped after {loop.step:,} of {loop.steps:,} steps"
        if not loop.step:
            raise Cancelled("stopped before the first step") from stop
        loop.save(checkpoint, identity)
    provenance: dict[str, Any] = {
        "volumes": records,
        "steps": loop.step,
        "gain_db": {f"{factor:g}": round(gain, 3) for factor, gain in gains.items()},
        "stopped": stopped,
        "command": "napari-mrisr train --method network",
        "version": __version__,
    }
    if start is not None:
        provenance["start"] = {"name": start.name, "provenance": start.provenance}
    loop.export(target, {**RANGES[parameters.kind], "provenance": provenance})
    if cancelled:
        raise Cancelled(stopped)
    return NetworkReport(target, loop.step, time.monotonic() - started, gains, stopped)


def drive(
    loop: NetworkLoop,
    held_out: Sequence[HeldOut],
    checkpoint: Path,
    *,
    observe: Observer = ignore,
    check: Callable[[], None] = lambda: None,
    identity: dict[str, Any] | None = None,
    every: int = _EVERY,
    factors: Sequence[float] = MEASURED_FACTORS[THICK],
) -> None:
    """Train to the last step, with checkpoints and validations in between.

    Parameters
    ----------
    loop : NetworkLoop
    held_out : sequence of HeldOut
    checkpoint : Path
    observe : callable
        Receives :class:`~.events.StepTaken` and :class:`~.events.NetworkMeasured`.
    check : callable
        Called before every step and measurement, and within them; raises to stop.
    identity : dict, optional
        What a resumed training must have in common.
    every : int
        Steps between checkpoints.
    factors : sequence of float
        Factors that the gain is measured at.
    """
    started, first = time.monotonic(), loop.step
    while loop.step < loop.steps:
        check()
        loss = loop.advance(check)
        if not math.isfinite(loss):
            found = f"diverged at step {loop.step:,}"
            remedy = "resume from the checkpoint before it, or train from the start"
            raise ParameterError(explain("training", found, remedy))
        pace = (time.monotonic() - started) / (loop.step - first)
        observe(StepTaken(loop.step, loop.steps, loss, pace * (loop.steps - loop.step)))
        if loop.step % every == 0 or loop.step == loop.steps:
            loop.save(checkpoint, identity)
            gains = _measure(loop, held_out, factors, check)
            if gains:
                observe(NetworkMeasured(loop.step, gains))


def _measure(
    loop: NetworkLoop,
    held_out: Sequence[HeldOut],
    factors: Sequence[float],
    check: Callable[[], None],
) -> dict[float, tuple[float, ...]]:
    gains: dict[float, tuple[float, ...]] = {}
    for factor in factors:
        for held in held_out:
            check()
            if held.data.shape[0] / factor >= _FEWEST_SLICES:
                gains[factor] = (*gains.get(factor, ()), loop.gain(held, factor, check))
    return gains


def open_loop(
    images: Sequence[TrainingImage],
    parameters: NetworkParameters,
    start: NetworkFile | None,
    *,
    device: str,
    threads: int,
    check: Callable[[], None],
) -> NetworkLoop:
    """Return a training in PyTorch, before its first step; ``check`` raises to stop."""
    # The import takes seconds.
    call_in_thread(functools.partial(importlib.import_module, f"{__package__}.loop"), check)
    import torch

    from napari_mrisr.training.networks.export import restore
    from napari_mrisr.training.networks.loop import LoopParameters, NetworkTraining

    on_gpu = device != "cpu" and torch.cuda.is_available()
    if device == "gpu" and not on_gpu:
        found = "gpu, but PyTorch finds none"
        remedy = "install a driver and a PyTorch with CUDA, or train on the CPU"
        raise DeviceError(explain("device", found, remedy))
    torch.set_num_threads(threads)
    loop, network = LoopParameters(parameters.steps), None
    if parameters.kind in (ISOTROPIC, DENOISER):
        loop = replace(loop, batch=2, across=32)
    if start is not None:
        network = restore(start, parameters.kind)
        rate, adam_rate = _FINE_TUNING * loop.rate, _FINE_TUNING * loop.adam_rate
        loop = replace(loop, rate=rate, adam_rate=adam_rate)
    return NetworkTraining(
        loop,
        images,
        [1.0] * len(images),
        network,
        bfloat16=torch.cuda.is_bf16_supported() if on_gpu else _cpu_has_bfloat16(),
        device="cuda" if on_gpu else "cpu",
        kind=parameters.kind,
    )


def _cpu_has_bfloat16() -> bool:
    """Return True if the CPU multiplies bfloat16 itself, which halves the time."""
    from llvmlite.binding import get_host_cpu_features

    features = get_host_cpu_features()
    return any(features.get(name) for name in ("avx512bf16", "amx-bf16", "bf16"))


def _open_start(parameters: NetworkParameters) -> NetworkFile | None:
    if not parameters.start:
        return None
    start = open_network(parameters.start)
    if start.kind != parameters.kind and (start.kind, parameters.kind) != (THICK, UNROLLED):
        found = f"a network for {KINDS[start.kind]}, not {KINDS[parameters.kind]}"
        raise BankError(explain(start.name, found, "start from another, or train the same kind"))
    return start


def require_torch() -> None:
    """Raise :class:`ParameterError` if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        found = "a network is trained by PyTorch, which is not installed"
        raise ParameterError(explain("method", found, install("train")))


def network_checkpoint(network: Path) -> Path:
    """Return the file of a network's checkpoint: ``<network>.checkpoint.safetensors``."""
    return network.with_name(network.name + ".checkpoint.safetensors")


def network_memory(shapes: Sequence[Shape]) -> int:
    """Return the bytes that a training on volumes of these shapes needs."""
    voxels = [math.prod(shape) for shape in shapes]
    return _PROGRAM + _BYTES_PER_VOXEL * sum(voxels) + _BYTES_PER_LARGEST * max(voxels, default=0)


def check_network_memory(need: int) -> None:
    """Raise :class:`MemoryEstimateError` if these bytes are not free."""
    require_memory(need, "the volumes need", "train on fewer volumes, or crop them")


def _check_target(target: Path, *, resume: bool, overwrite: bool) -> None:
    if target.suffix != NETWORK_SUFFIX:
        raise OutputError(
            explain(target, "is no name of a network", f"end it with {NETWORK_SUFFIX}")
        )
    if target.exists() and not (resume or overwrite):
        raise BankError(explain(target, "exists", "overwrite or resume it"))
    if resume and target.exists() and not network_checkpoint(target).is_file():
        found = "cannot be resumed, its checkpoint is missing"
        raise BankError(explain(target, found, "start a new network from it"))
