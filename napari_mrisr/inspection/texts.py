"""Numbers, buckets and voxels as text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.hashing import FEATURES, HashSpec
from napari_mrisr.bank.model import FilterBank, StageSpec, patch_text
from napari_mrisr.inspection.buckets import BucketTable, gain_baseline
from napari_mrisr.inspection.filters import VoxelView
from napari_mrisr.inspection.source import StageInput

_DIGITS = {"elevation": 1, "azimuth": 1, "strength": 4}
_UNITS = {"elevation": "°", "azimuth": "°"}


@dataclass(frozen=True)
class Fact:
    """A line of the readout: name, value, and the bucket's range."""

    name: str
    value: str
    range: str = ""


def number_text(value: float, digits: int = 3) -> str:
    """Return a number with a true minus sign; a dash for NaN."""
    if np.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return ("0" + text[2:] if float(text) == 0 and text[0] == "-" else text).replace("-", "−")


def value_text(name: str, value: float) -> str:
    """Return a feature's value with its unit."""
    return number_text(value, _DIGITS.get(name, 3)) + _UNITS.get(name, "")


def range_text(name: str, low: float, high: float) -> str:
    """Return a feature's range: ``15 to 30°``, ``below −0.15``, ``0.15 or more``."""
    unit = _UNITS.get(name, "")
    a, b = (f"{end:.{4 if abs(end) >= 100 else 3}g}".replace("-", "−") for end in (low, high))
    if name in ("phase", "anchor"):
        return a
    if np.isinf(low):
        return f"below {b}{unit}"
    if np.isinf(high):
        return f"{a}{unit} or more"
    return f"{a} to {b}{unit}"


def bucket_text(spec: HashSpec, bucket: int) -> str:
    """Return all ranges of a bucket in one line."""
    ranges = spec.decode(bucket)
    if "flat" in ranges:
        return f"flat: gradient below {spec.flat:g}, no filter"
    return ", ".join(f"{name} {range_text(name, *ends)}" for name, ends in ranges.items())


def stage_text(bank: FilterBank, number: int) -> str:
    """Return a stage's grid and filter size: ``1 of 2: measured voxels, filters 5³``."""
    spec = bank.stages[number].spec
    return f"{number + 1} of {len(bank.stages)}: {grid_text(spec)}s, filters {patch_text(spec)}"


def grid_text(spec: StageSpec) -> str:
    """Return the name of the voxels that a stage works on."""
    return "measured voxel" if spec.grid == "cell" else "upsampled voxel"


def voxel_facts(source: StageInput, view: VoxelView) -> list[Fact]:
    """Return the features of a voxel with the ranges of its bucket."""
    facts = [Fact(name, value_text(name, view.values[name]), _bin(view, name)) for name in FEATURES]
    if "phase" in view.ranges:
        sub = (i % s for i, s in zip(view.index, source.bank.scale, strict=True))
        position = ", ".join(map(str, sub))
        facts.append(Fact("sub-voxel", position, f"phase {_bin(view, 'phase')}"))
    if (anchors := source.stage.spec.hash.anchors) is not None and not view.flat:
        number = _bin(view, "anchor")
        facts.append(Fact("anchor", number, f"of {anchors.count}, {anchors.descriptor.kind}"))
    x, y, z = (number_text(float(v), 2) for v in view.direction)
    facts.append(Fact("v1 (R, A, S)", f"{x}, {y}, {z}"))
    facts.append(Fact("√λ1, √λ2, √λ3", ", ".join(_root(v) for v in view.eigenvalues)))
    return facts


def _bin(view: VoxelView, name: str) -> str:
    return range_text(name, *view.ranges[name]) if name in view.ranges else "–"


def _root(value: float) -> str:
    return number_text(float(np.sqrt(value)), 3)


def training_facts(bank: FilterBank, number: int, table: BucketTable, bucket: int) -> list[Fact]:
    """Return the training statistics of a bucket, and its voxels in this volume."""
    share = table.share("voxels")[bucket], table.share("training")[bucket]
    facts = [Fact("voxels in head", f"{table.voxels[bucket]:,}", _percent(share[0]))]
    if bucket >= table.filter_count:
        return [*facts, Fact("training samples", "none", "no filter")]
    facts.append(Fact("training samples", f"{table.training[bucket]:,}", _percent(share[1])))
    error, gain = table.error[bucket], table.gain[bucket]
    facts.append(Fact("residual error", number_text(float(error), 4), "window = 1"))
    baseline = gain_baseline(bank, number)
    if baseline is None:
        facts.append(Fact("gain", "–", "not stored in the bank"))
    else:
        facts.append(Fact("gain", f"{number_text(float(gain), 2)} dB", f"over {baseline}"))
    return facts


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.2g} %"


def result_fact(source: StageInput, view: VoxelView) -> Fact:
    """Return the stage's output at the voxel, engine units."""
    spec = source.stage.spec
    if view.flat:
        return Fact("result", "unchanged", "flat")
    results = view.results.reshape(-1)
    if spec.grid == "cell":
        low, high = (number_text(float(v), 4) for v in (results.min(), results.max()))
        return Fact("adds", f"{low} to {high}", f"to {results.size} sub-voxels")
    after = float(results[0]) + (view.intensity if spec.residual else 0.0)
    before = number_text(view.intensity, 4)
    return Fact("result", number_text(after, 4), f"was {before}")
