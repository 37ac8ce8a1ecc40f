"""Buckets, features and filters in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.hashing import FEATURES, HashSpec
from napari_mrisr.bank.model import FilterBank
from napari_mrisr.inspection.census import BucketTable, gain_reference
from napari_mrisr.inspection.source import StageInput
from napari_mrisr.inspection.voxel import VoxelView

_DIGITS = {"elevation": 1, "azimuth": 1, "strength": 4}
_UNITS = {"elevation": "°", "azimuth": "°"}


@dataclass(frozen=True)
class Fact:
    """A line of a readout: what, its value here, and the bucket's range of it."""

    name: str
    value: str
    range: str = ""


def number_text(value: float, digits: int = 3) -> str:
    """A number with a true minus sign; a dash for NaN."""
    if np.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return ("0" + text[2:] if float(text) == 0 and text[0] == "-" else text).replace("-", "−")


def value_text(name: str, value: float) -> str:
    """A feature's value with its unit."""
    return number_text(value, _DIGITS.get(name, 3)) + _UNITS.get(name, "")


def range_text(name: str, low: float, high: float) -> str:
    """A feature's range: ``15 to 30°``, ``below −0.15``, ``0.15 and more``."""
    unit = _UNITS.get(name, "")
    a, b = (f"{end:.{4 if abs(end) >= 100 else 3}g}".replace("-", "−") for end in (low, high))
    if name == "phase":
        return a
    if np.isinf(low):
        return f"below {b}{unit}"
    if np.isinf(high):
        return f"{a}{unit} and more"
    return f"{a} to {b}{unit}"


def bucket_text(spec: HashSpec, bucket: int) -> str:
    """All ranges of a bucket in one line."""
    ranges = spec.decode(bucket)
    if "flat" in ranges:
        return f"flat: gradient below {spec.flat:g}, no filter"
    return ", ".join(f"{name} {range_text(name, *ends)}" for name, ends in ranges.items())


def stage_text(bank: FilterBank, number: int) -> str:
    """A stage in a few words: ``1: cells (LR voxels), filters 5³``."""
    spec = bank.stages[number].spec
    grid = "LR voxels" if spec.grid == "cell" else "upsampled voxels"
    return f"{number + 1} of {len(bank.stages)}: {grid}, filters {spec.width}³"


def voxel_facts(source: StageInput, view: VoxelView) -> list[Fact]:
    """The features of a voxel beside its bucket's ranges."""
    facts = [Fact(name, value_text(name, view.values[name]), _bin(view, name)) for name in FEATURES]
    if "phase" in view.ranges:
        sub = (i % s for i, s in zip(view.index, source.bank.scale, strict=True))
        place = ", ".join(map(str, sub))
        facts.append(Fact("sub-voxel", place, f"phase {_bin(view, 'phase')}"))
    x, y, z = (number_text(float(v), 2) for v in view.direction)
    facts.append(Fact("v1 (R, A, S)", f"{x}, {y}, {z}"))
    facts.append(Fact("√λ1, √λ2, √λ3", ", ".join(_root(v) for v in view.eigenvalues)))
    return facts


def _bin(view: VoxelView, name: str) -> str:
    return range_text(name, *view.ranges[name]) if name in view.ranges else "–"


def _root(value: float) -> str:
    return number_text(float(np.sqrt(value)), 3)


def training_facts(bank: FilterBank, number: int, table: BucketTable, bucket: int) -> list[Fact]:
    """What the bank knows of a bucket, and how often this volume uses it."""
    share = table.share("here")[bucket], table.share("training")[bucket]
    facts = [Fact("in this head", f"{table.here[bucket]:,}", _percent(share[0]))]
    if bucket >= table.filter_count:
        return [*facts, Fact("training samples", "none", "no filter")]
    facts.append(Fact("training samples", f"{table.training[bucket]:,}", _percent(share[1])))
    error, gain = table.error[bucket], table.gain[bucket]
    facts.append(Fact("residual error", number_text(float(error), 4), "of the window"))
    reference = gain_reference(bank, number)
    if reference is None:
        facts.append(Fact("gain", "–", "not known"))
    else:
        facts.append(Fact("gain", f"{number_text(float(gain), 2)} dB", f"over {reference}"))
    return facts


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.2g} %"


def result_fact(source: StageInput, view: VoxelView) -> Fact:
    """What the stage makes of the voxel, engine units."""
    spec = source.stage.spec
    if view.flat:
        return Fact("result", "left as it is", "flat")
    results = view.results.reshape(-1)
    if spec.grid == "cell":
        low, high = (number_text(float(v), 4) for v in (results.min(), results.max()))
        return Fact("adds", f"{low} to {high}", f"to {results.size} sub-voxels")
    after = float(results[0]) + (view.intensity if spec.residual else 0.0)
    before = number_text(view.intensity, 4)
    return Fact("result", number_text(after, 4), f"was {before}")
