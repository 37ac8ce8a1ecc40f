"""Presets that train in seconds, training pairs, checkpoints, and an oracle for patches."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from napari_mrisr.bank.descriptors import Descriptor
from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import StageSpec
from napari_mrisr.core.volume import FloatArray
from napari_mrisr.io import read_volume
from napari_mrisr.operators.gradients import Window
from napari_mrisr.training import presets, run
from napari_mrisr.training.presets import AnchorPlan, Preset, StagePlan, TrainParameters
from napari_mrisr.training.sampling import Pair, Samples, make_pair

ANGLES = {"elevation": (25.0,), "azimuth": (22.5,), "coherence": (0.0, 0.2)}


def batches(samples: Samples) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Yield bucket, patches (n, taps) and targets (n, outputs), found by plain indexing."""
    source, target = samples.source.ravel(), samples.target.ravel()
    for bucket, (first, end) in enumerate(itertools.pairwise(samples.ends)):
        if first == end:
            continue
        base, goal = samples.base[first:end, None], samples.goal[first:end, None]
        turn = samples.element[first:end]
        patches = source[base + samples.offsets[turn]]
        if samples.centered:
            patches = patches - source[base]
        yield bucket, patches, target[goal + samples.places[turn]]


def small_preset(name, scale, degradation="standard"):
    """Return a cell and a voxel stage, or one like the paper's, with few buckets."""
    symmetry = "cube" if len(set(scale)) == 1 else "flips"
    if name == "paper":
        spec = HashSpec(Window(1.0, 2), {"elevation": (90.0,)})
        plan = StagePlan(
            StageSpec("voxel", spec, 3, residual=False),
            terciles=("strength", "coherence"),
            ridge=None,
            single=True,
        )
        return Preset(name, "tricubic", (plan,))
    if name == "a-plus":
        spec = StageSpec("cell", HashSpec(Window(1.0, 2), {}, symmetry, flat=0.002), 3)
        anchors = AnchorPlan(Descriptor("gradients", (3, 3, 3)), 12, 6)
        voxels = StagePlan(replace(spec, grid="voxel"), ridge=100.0, samples=20_000)
        return Preset(name, "tricubic", (StagePlan(spec, ridge=100.0, anchors=anchors), voxels))
    spec = HashSpec(Window(1.0, 2), ANGLES, symmetry, flat=0.002)
    cell = StagePlan(StageSpec("cell", spec, 3), ridge=100.0)
    voxel = StagePlan(StageSpec("voxel", spec, 3), ridge=100.0, samples=20_000)
    return Preset(name, "tricubic", (cell, voxel))


def train_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train with few buckets, and without measuring the BLAS."""
    monkeypatch.setattr(run, "get_preset", small_preset)
    monkeypatch.setattr(presets, "get_preset", small_preset)
    monkeypatch.setattr(run, "measure_sgemm", lambda: 100.0)


def prepare_pair(path: Path, parameters: TrainParameters) -> Pair:
    """Read a volume and make its pair."""
    return make_pair(read_volume(path), parameters, parameters.thinning(path.name))


def checkpoint_document(bank: Path) -> dict[str, Any]:
    """Return the description in a bank's checkpoint."""
    with safe_open(f"{bank}.equations.safetensors", framework="numpy") as file:
        return json.loads(file.metadata()["napari_mrisr_training"])
