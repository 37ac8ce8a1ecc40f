"""The sums of a training on disk: written after each volume, taken up again by a resume."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr.core.scale import format_scale
from napari_mrisr.errors import BankError, explain
from napari_mrisr.io import atomic_write
from napari_mrisr.training.halves import Halves
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import Preset, StagePlan
from napari_mrisr.training.sampling import TrainParameters
from napari_mrisr.training.tensors import read_tensors, write_tensors

_KEY = "napari_mrisr_training"
_SUMS = ("gram", "cross", "energy", "count")
_FROM_THE_START = "delete it and train from the start"


@dataclass
class TrainingState:
    """What a training has learned so far.

    Attributes
    ----------
    files : list of dict
        Volumes in the order they were taken in: name, license, sha256.
    paths : list of Path or None
        Where each was found; None for voxels in memory.
    plans : list of StagePlan
        The stages, with cuts as they were fixed.
    equations : list of NormalEquations or None
        The sums of each stage; None before its first volume.
    done : list of int
        How many of ``files`` are in the sums of each stage.
    halves : list of NormalEquations or None
        The sums of every second volume, see :mod:`napari_mrisr.training.halves`;
        None where they are not kept.
    """

    files: list[dict[str, str]]
    paths: list[Path | None]
    plans: list[StagePlan]
    equations: list[NormalEquations | None]
    done: list[int]
    halves: Halves

    @classmethod
    def empty(cls, preset: Preset) -> TrainingState:
        """Nothing yet."""
        count = len(preset.stages)
        return cls([], [], list(preset.stages), [None] * count, [0] * count, [None] * count)


def checkpoint_path(bank: Path) -> Path:
    """Where the sums of a bank are kept: ``<bank>.equations.safetensors``."""
    return bank.with_name(bank.name + ".equations.safetensors")


def training_identity(parameters: TrainParameters, preset: Preset) -> dict[str, str]:
    """What two trainings must have in common for their sums to add."""
    thin = (f"{pattern}={format_scale(step)}" for pattern, step in parameters.thin)
    return {
        "scale": format_scale(parameters.scale),
        "preset": parameters.preset,
        "degradation": parameters.degradation,
        "thin": ", ".join(thin),
        # A preset may change from one version to the next; sums of the two do not add.
        "stages": hashlib.sha256(repr(preset).encode()).hexdigest()[:12],
    }


def save_checkpoint(path: Path, state: TrainingState, identity: dict[str, str]) -> None:
    """Write the sums, atomically."""
    tensors = {
        f"stage{number}.{part}{name}": tensor
        for part, sums in (("", state.equations), ("half.", state.halves))
        for number, equations in enumerate(sums)
        if equations is not None
        for name, tensor in equations.tensors().items()
    }
    document = {
        "parameters": identity,
        "files": state.files,
        "paths": [None if p is None else str(p) for p in state.paths],
        "done": state.done,
        "cuts": [plan.spec.hash.to_json()["cuts"] for plan in state.plans],
        "crc32": _checksums(tensors),
    }
    with atomic_write(path) as temporary:
        write_tensors(temporary, tensors, {_KEY: json.dumps(document)})


def load_checkpoint(path: Path, preset: Preset, identity: dict[str, str]) -> TrainingState:
    """Read what :func:`save_checkpoint` wrote; nothing yet where there is no file.

    Raises
    ------
    BankError
        When the file is damaged, or of a training with other options.
    """
    from safetensors import SafetensorError

    if not path.is_file():
        return TrainingState.empty(preset)
    try:
        metadata, tensors = read_tensors(path)
        document = json.loads(metadata[_KEY])
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise BankError(explain(path, f"cannot be read ({error})", _FROM_THE_START)) from error
    try:
        return _understand(path, document, tensors, preset, identity)
    except BankError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        found = f"cannot be understood ({error!r})"
        raise BankError(explain(path, found, _FROM_THE_START)) from error


def _understand(
    path: Path,
    document: dict[str, Any],
    tensors: dict[str, Any],
    preset: Preset,
    identity: dict[str, str],
) -> TrainingState:
    if document["parameters"] != identity:
        found = f"made with {document['parameters']}, not {identity}"
        raise BankError(explain(path, found, "resume with the same options"))
    if document["crc32"] != _checksums(tensors):
        raise BankError(explain(path, "checksum mismatch", _FROM_THE_START))
    state = TrainingState.empty(preset)
    state.files, state.done = document["files"], document["done"]
    state.paths = [None if p is None else Path(p) for p in document["paths"]]
    for number, cuts in enumerate(document["cuts"]):
        plan = state.plans[number]
        spec = plan.spec.hash.with_cuts(**{k: tuple(v) for k, v in cuts.items()})
        state.plans[number] = replace(plan, spec=replace(plan.spec, hash=spec))
        state.equations[number] = _sums(tensors, f"stage{number}.")
        state.halves[number] = _sums(tensors, f"stage{number}.half.")
    return state


def _sums(tensors: dict[str, Any], prefix: str) -> NormalEquations | None:
    if f"{prefix}gram" not in tensors:
        return None
    return NormalEquations(**{name: tensors[prefix + name] for name in _SUMS})


def _checksums(tensors: dict[str, Any]) -> dict[str, int]:
    return {name: zlib.crc32(np.ascontiguousarray(t).data) for name, t in tensors.items()}
