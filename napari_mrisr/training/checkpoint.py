"""Checkpoints: the sums of a training on disk, written after each volume."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.anchors import Anchors
from napari_mrisr.core.scale import format_scale
from napari_mrisr.errors import BankError, explain
from napari_mrisr.io import atomic_write
from napari_mrisr.training.normal_equations import Halves, NormalEquations
from napari_mrisr.training.presets import Preset, StagePlan, TrainParameters

_KEY = "napari_mrisr_training"
_SUMS = ("gram", "cross", "energy", "count")
_FROM_THE_START = "delete it and train from the start"

_NAMES = {"float32": "F32", "float64": "F64", "int64": "I64"}
_DTYPES = {name: np.dtype(dtype) for dtype, name in _NAMES.items()}


@dataclass
class TrainingState:
    """Progress of a training.

    Attributes
    ----------
    files : list of dict
        Name, license and sha256 of each volume, in order.
    paths : list of Path or None
        Path of each volume; None for a volume in memory.
    plans : list of StagePlan
        The stages; cuts at terciles become fixed when a stage starts.
    equations : list of NormalEquations or None
        Sums per stage; None before its first volume.
    done : list of int
        Number of ``files`` in the sums of each stage.
    halves : list of NormalEquations or None
        Sums of every second volume per stage; None where they are not kept.
    """

    files: list[dict[str, str]]
    paths: list[Path | None]
    plans: list[StagePlan]
    equations: list[NormalEquations | None]
    done: list[int]
    halves: Halves

    @classmethod
    def empty(cls, preset: Preset) -> TrainingState:
        """Return the state before the first volume."""
        count = len(preset.stages)
        return cls([], [], list(preset.stages), [None] * count, [0] * count, [None] * count)


def checkpoint_path(bank: Path) -> Path:
    """Return the file of a bank's sums: ``<bank>.equations.safetensors``."""
    return bank.with_name(bank.name + ".equations.safetensors")


def training_identity(parameters: TrainParameters, preset: Preset) -> dict[str, str]:
    """Return what two trainings must have in common for their sums to add."""
    axes = {"thick_axes": repr(parameters.thick_axes)} if parameters.thick_axes else {}
    sharpen = {"sharpen": repr(parameters.sharpen)} if parameters.sharpen else {}
    thin = (f"{pattern}={format_scale(step)}" for pattern, step in parameters.thin)
    return {
        "scale": format_scale(parameters.scale),
        "preset": parameters.preset,
        "degradation": parameters.degradation,
        "thin": ", ".join(thin),
        **axes,
        **sharpen,
        # A preset may differ between versions, whose sums do not add.
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
    hashes = [plan.spec.hash for plan in state.plans]
    for number, spec in enumerate(hashes):
        if spec.anchors is not None:
            named = spec.anchors.tensors().items()
            tensors |= {f"stage{number}.anchors.{name}": tensor for name, tensor in named}
    document = {
        "parameters": identity,
        "files": state.files,
        "paths": [None if p is None else str(p) for p in state.paths],
        "done": state.done,
        "cuts": [spec.to_json()["cuts"] for spec in hashes],
        "anchors": [spec.anchors and spec.anchors.to_json() for spec in hashes],
        "crc32": _checksums(tensors),
    }
    with atomic_write(path) as temporary:
        write_tensors(temporary, tensors, {_KEY: json.dumps(document)})


def load_checkpoint(path: Path, preset: Preset, identity: dict[str, str]) -> TrainingState:
    """Read the sums; return an empty state without a file.

    Raises
    ------
    BankError
        If the file is damaged, or belongs to a training with other options.
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
        if (entry := document.get("anchors", {})) and entry[number]:
            anchors = Anchors.read(entry[number], tensors, f"stage{number}.anchors.")
            spec = replace(spec, anchors=anchors)
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


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file of float32, float64 and int64 tensors.

    The library would copy each tensor while it holds the GIL, which at hundreds of MB
    freezes the window. The format is simple: the length of the header (8 bytes,
    little-endian), the header (JSON), and the tensors one after the other.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    # Larger items first, for alignment.
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _NAMES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            file.write(np.ascontiguousarray(tensors[name]).data)


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Read metadata and tensors of a file that :func:`write_tensors` wrote.

    Raises
    ------
    SafetensorError, OSError, KeyError
        If the file is damaged or contains other types.
    """
    from safetensors import safe_open

    # The library checks the header: sizes, order, and completeness of the file.
    with safe_open(path, framework="numpy") as checked:
        metadata = checked.metadata() or {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            dtype, (start, end) = _DTYPES[entry["dtype"]], entry["data_offsets"]
            file.seek(8 + length + start)
            flat = np.fromfile(file, dtype, (end - start) // dtype.itemsize)
            tensors[name] = flat.reshape(entry["shape"])
    return metadata, tensors
