"""Texts that several docks show. No Qt."""

from __future__ import annotations

from napari_mrisr.core.progress import ProgressState, format_seconds
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Grid, Shape
from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.layers.convert import LayerSnapshot

AXIS_NAMES = ("R–L", "A–P", "S–I")
"""Names of the axes x, y, z of RAS+."""


def scale_label(scale: Scale) -> str:
    """Return ``2×`` for equal factors, otherwise factors with axes: ``2× R–L, 4× S–I``."""
    if len(set(scale)) == 1:
        return f"{scale[0]}×"
    raised = [f"{n}× {name}" for n, name in zip(scale, AXIS_NAMES, strict=True) if n > 1]
    return ", ".join(raised)


def described(name: str, summary: str) -> str:
    """Return a name with its one-line description: ``hashed: learned filters``."""
    return f"{name}: {summary}" if summary else name


def grid_label(grid: Grid) -> str:
    """Return ``160 × 192 × 192 voxels`` and below it ``1 × 1.33 × 1.33 mm`` (x, y, z)."""
    voxel = " × ".join(f"{size:.3g}" for size in grid.voxel_size)
    return f"{shape_label(grid.shape)} voxels\n{voxel} mm"


def source_label(source: LayerSnapshot) -> str:
    """Return the size of a layer and the frame of a series."""
    if source.frame is None:
        return grid_label(source.grid)
    return f"{grid_label(source.grid)}\nframe {source.frame} (on screen)"


def shape_label(shape: Shape) -> str:
    """Return ``160 × 192 × 192``."""
    return " × ".join(str(n) for n in shape)


def bytes_label(count: int) -> str:
    """Return ``870 MB`` or ``1.2 GB``."""
    return f"{count / 1e6:.0f} MB" if count < 995_000_000 else f"{count / 1e9:.1f} GB"


def progress_label(state: ProgressState) -> str:
    """Return ``hashed 2x: 45 %, 8 s left``."""
    percent = f"{100 * state.done // max(1, state.total)} %"
    if state.eta_s is None or state.done == state.total:
        return f"{state.task}: {percent}"
    return f"{state.task}: {percent}, {format_seconds(state.eta_s)} left"


def duration_label(seconds: float) -> str:
    """Return ``0.8 s``, ``12 s``, ``2 min 05 s``."""
    return f"{seconds:.1f} s" if seconds < 9.95 else format_seconds(seconds)


def error_line(error: BaseException) -> str:
    """Return one line about any error."""
    if isinstance(error, MrisrError):
        return str(error)
    if isinstance(error, MemoryError):
        return "Not enough memory: close other layers or use a smaller scale"
    text = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}: {text}; please report it"
