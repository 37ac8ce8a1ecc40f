"""What the widget asks for, frozen, and how to say it to a person. No Qt."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_mrisr.bank_folder import user_banks
from napari_mrisr.errors import BankError, MrisrError
from napari_mrisr.methods import available_scales
from napari_mrisr.progress import Progress, ProgressState, format_seconds
from napari_mrisr.scale import Scale, format_scale
from napari_mrisr.upscale import UpscaleParameters, estimate_memory, upscale
from napari_mrisr.viewer.layers import LayerData, LayerSnapshot, layer_data
from napari_mrisr.volume import Grid, Shape, Volume

Fill = Callable[..., Volume]
"""Takes and returns what ``upscale`` does."""

COMMON_SCALES: tuple[Scale, ...] = ((2, 2, 2), (3, 3, 3), (4, 4, 4), (1, 1, 2), (1, 1, 4))
"""Offered for methods that take any scale, before "other"."""


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
        from napari_mrisr.degrade import degrade

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


def offered_scales(method: str) -> tuple[list[Scale], bool]:
    """Scales to offer for a method, and whether any other will do too."""
    scales = available_scales(method)
    if scales is None:
        return list(COMMON_SCALES), True
    own = {_scale_of(path) for path in user_banks().values()} if method == "hashed" else set()
    return sorted({*scales, *(scale for scale in own if scale is not None)}), False


def fitting_banks(scale: Scale) -> list[str]:
    """Names of the filter banks for a scale: the bundled ones, then the user's own."""
    from napari_mrisr.filterbank import bundled_banks, load_bank

    bundled = bundled_banks()
    fitting = [name for name in bundled if load_bank(name).scale == scale]
    own = [name for name, path in user_banks().items() if _scale_of(path) == scale]
    return fitting + [name for name in own if name not in bundled]


def _scale_of(path: Path) -> Scale | None:
    """Scale of a bank of the user's; None for a file that is none, which must not stop others."""
    try:
        stat = path.stat()
        return _read_scale(path, stat.st_mtime_ns, stat.st_size)
    except (BankError, OSError):
        return None


@functools.lru_cache(maxsize=256)
def _read_scale(path: Path, changed_ns: int, size: int) -> Scale:
    from napari_mrisr.filterbank import load_bank

    return load_bank(path).scale


def scale_label(scale: Scale) -> str:
    """``2×`` for equal factors, otherwise with the axes: ``1 × 1 × 4 (slices: I–S)``."""
    if len(set(scale)) == 1:
        return f"{scale[0]}×"
    names = ("left–right", "front–back", "top–bottom")
    raised = [f"{n}× {name}" for n, name in zip(scale, names, strict=True) if n > 1]
    return ", ".join(raised)


def grid_label(grid: Grid) -> str:
    """``160 × 192 × 192 voxels`` and below it ``1 × 1.33 × 1.33 mm`` (x, y, z)."""
    voxel = " × ".join(f"{size:.3g}" for size in grid.voxel_size)
    return f"{shape_label(grid.shape)} voxels\n{voxel} mm"


def source_label(source: LayerSnapshot) -> str:
    """What goes in, and which frame of a series it is."""
    if source.frame is None:
        return grid_label(source.grid)
    return f"{grid_label(source.grid)}\nframe {source.frame}, the one on screen"


def shape_label(shape: Shape) -> str:
    """``160 × 192 × 192``."""
    return " × ".join(str(n) for n in shape)


def bytes_label(count: int) -> str:
    """``870 MB`` or ``1.2 GB``."""
    return f"{count / 1e6:.0f} MB" if count < 995_000_000 else f"{count / 1e9:.1f} GB"


def plan_label(grid: Grid, parameters: UpscaleParameters) -> str:
    """What a run would make, and the memory it needs."""
    out = grid.upsampled(parameters.scale)
    memory = bytes_label(estimate_memory(grid, parameters))
    return f"{grid_label(out)}\nabout {memory} of memory"


def preview_label(approximate: bool) -> str:
    """What a preview is."""
    exactly = "approximately" if approximate else "as Run computes it"
    return f"Preview: the slice on screen, {exactly}. Run fills the rest."


def progress_label(state: ProgressState) -> str:
    """``hashed 2x: 45 %, 8 s left``."""
    percent = f"{100 * state.done // max(1, state.total)} %"
    if state.eta_s is None or state.done == state.total:
        return f"{state.task}: {percent}"
    return f"{state.task}: {percent}, {format_seconds(state.eta_s)} left"


def duration_label(seconds: float) -> str:
    """``0.8 s``, ``12 s``, ``2 min 05 s``."""
    return f"{seconds:.1f} s" if seconds < 9.95 else format_seconds(seconds)


def error_line(error: BaseException) -> str:
    """One line for the widget, whatever went wrong."""
    if isinstance(error, MrisrError):
        return str(error)
    if isinstance(error, MemoryError):
        return "memory: there is not enough of it; close other layers or use a smaller scale"
    text = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}: {text}; please report it"
