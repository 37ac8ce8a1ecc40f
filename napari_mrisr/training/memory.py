"""The memory that a training takes, known before it starts."""

from __future__ import annotations

from collections.abc import Sequence

from napari_mrisr.errors import MemoryEstimateError, explain
from napari_mrisr.presets import StagePlan
from napari_mrisr.scale import Scale


def estimate_sums(plans: Sequence[StagePlan], scale: Scale) -> int:
    """Bytes that the sums of all stages take at their peak: twice, for saving."""
    need = 0
    for plan in plans:
        taps, outputs = plan.spec.taps, plan.spec.outputs(scale)
        values = plan.spec.hash.filter_count * taps * (taps + outputs)
        need += 2 * values * (4 if plan.single else 8)
    return need


def check_memory(plans: Sequence[StagePlan], scale: Scale, preset: str) -> None:
    """Raise :class:`MemoryEstimateError` when the sums would not fit."""
    import psutil

    need, have = estimate_sums(plans, scale), psutil.virtual_memory().available
    if need > have:
        found = f"the sums of preset {preset} need {need / 2**30:.1f} GB"
        found += f", {have / 2**30:.1f} GB are free"
        raise MemoryEstimateError(explain("memory", found, "use --preset default"))
