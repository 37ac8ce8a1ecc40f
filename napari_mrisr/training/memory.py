"""The memory that a training takes, known before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from napari_mrisr.core.memory import gigabytes, require_memory
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Shape
from napari_mrisr.training.presets import Preset

# Arrays of the largest volume's size, in bytes a voxel, that samples are taken from:
# truth, start, stage before, what is left, buckets, symmetries, masks, indices.
_BYTES_A_VOXEL = 50


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a training takes at its peak.

    Attributes
    ----------
    sums : int
        The sums of all stages, twice: they are copied for saving and while a volume is added.
    volume : int
        The largest volume with all that is made of it.
    batches : int
        Patches on their way into the sums: a block and its products a thread.
    """

    sums: int
    volume: int
    batches: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.sums + self.volume + self.batches


def estimate_training(
    preset: Preset, scale: Scale, largest: Shape = (0, 0, 0), threads: int = 1
) -> MemoryNeed:
    """The memory that a training takes.

    Parameters
    ----------
    preset : Preset
    scale : tuple of int
    largest : tuple of int
        Shape of the largest volume; by default only the sums count.
    threads : int
    """
    sums, block = 0, 0
    for plan in preset.stages:
        taps, outputs = plan.spec.taps, plan.spec.outputs(scale)
        # Features still to be cut at their terciles make three of each bucket.
        open_cuts = [name for name in plan.terciles if name not in plan.spec.hash.cuts]
        buckets = plan.spec.hash.filter_count * 3 ** len(open_cuts)
        values = buckets * taps * (taps + outputs)
        # In double precision the sums of half of the volumes are kept besides.
        sums += values * (2 * 4 if plan.single else 4 * 8)
        # In the cache: 64 samples, and the products of their values, padded to whole vectors.
        block = max(block, 4 * (taps + outputs + 16) * (64 + taps + 16))
    voxels = largest[0] * largest[1] * largest[2]
    return MemoryNeed(sums, _BYTES_A_VOXEL * voxels, threads * block)


def check_memory(need: MemoryNeed, preset: str) -> None:
    """Raise :class:`MemoryEstimateError` when a training would not fit."""
    found = f"preset {preset} ({gigabytes(need.sums)} for its sums"
    if need.volume:
        found += f", {gigabytes(need.volume)} for the largest volume"
    mend = "crop the volumes" if need.volume > need.sums else "use --preset default"
    require_memory(need.total, f"{found}) needs", mend)
