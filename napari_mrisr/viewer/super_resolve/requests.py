"""What the widget asks for, frozen, and how to say it to a person. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale, format_scale
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.run.upscale import UpscaleParameters, estimate_memory, upscale
from napari_mrisr.viewer.common.labels import bytes_label, grid_label
from napari_mrisr.viewer.layers.convert import LayerData, LayerSnapshot, layer_data

Fill = Callable[..., Volume]
"""Takes and returns what ``upscale`` does."""


@dataclass(frozen=True)
class UpscaleRequest:
    """Super-resolve a layer."""

    source: LayerSnapshot
    parameters: UpscaleParameters

    @property
    def result_name(self) -> str:
        """Name of the layer to be."""
        parameters = self.parameters
        return f"{self.source.name} {parameters.method} {format_scale(parameters.scale)}x"

    def run(self, progress: Progress, fill: Fill | None = None) -> LayerData:
        """Do the work, for a background thread; with ``fill`` in place of ``upscale``."""
        result = self.result(self.volume(progress), progress, fill)
        return layer_data(result, self.result_name, self.source.look)

    def volume(self, progress: Progress) -> Volume:
        """What goes in."""
        volume = self.source.to_volume()
        progress.token.check()
        return volume

    def result(self, volume: Volume, progress: Progress, fill: Fill | None) -> Volume:
        """What comes out."""
        return (fill or upscale)(volume, self.parameters, progress=progress)


@dataclass(frozen=True)
class SimulateRequest:
    """Take a layer as truth and make the low-resolution volume that fits it."""

    source: LayerSnapshot
    scale: Scale
    degradation: str

    @property
    def result_name(self) -> str:
        """Name of the layer to be."""
        return f"{self.source.name} LR {format_scale(self.scale)}x"

    def run(self, progress: Progress) -> LayerData:
        """Do the work; for a background thread."""
        from napari_mrisr.operators.degrade import degrade

        volume = self.source.to_volume()
        progress.token.check()
        result = degrade(volume, self.scale, self.degradation, progress=progress)
        return layer_data(result, self.result_name, self.source.look)


Request = UpscaleRequest | SimulateRequest


def alternatives(
    now: UpscaleParameters,
    methods: Sequence[str],
    bank: str | None,
    banks: Sequence[str | None],
    scales: Sequence[Scale],
) -> list[UpscaleParameters]:
    """What is one choice away.

    Parameters
    ----------
    now : UpscaleParameters
        What is chosen.
    methods, banks, scales : sequence
        What else there is to choose.
    bank : str or None
        That would come with the method hashed.
    """
    asked = [replace(now, method=m, bank=bank if m == "hashed" else None) for m in methods]
    if now.method == "hashed":
        asked += [replace(now, bank=other) for other in banks]
    asked += [replace(now, scale=scale, bank=None) for scale in scales]
    return [parameters for parameters in dict.fromkeys(asked) if parameters != now]


def plan_label(grid: Grid, parameters: UpscaleParameters) -> str:
    """What a run would make, and the memory it needs."""
    out = grid.upsampled(parameters.scale)
    memory = bytes_label(estimate_memory(grid, parameters))
    return f"{grid_label(out)}\nabout {memory} of memory"


def preview_label(approximate: bool) -> str:
    """What a preview is."""
    exactly = "approximately" if approximate else "as Run computes it"
    return f"Preview: the slice on screen, {exactly}. Run fills the rest."
