"""Jobs: one input, its output and its scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.core.scale import Scale

if TYPE_CHECKING:
    from napari_mrisr.core.volume import Grid, Origin


@dataclass(frozen=True)
class InputScan:
    """An input whose header was read: no voxels yet.

    Attributes
    ----------
    path : Path
        The file.
    grid : Grid
        RAS+.
    origin : Origin
        Order of the stored axes.
    """

    path: Path
    grid: Grid
    origin: Origin


@dataclass(frozen=True)
class Job:
    """One input, where its result goes, and the scale in RAS order.

    ``memory`` is what a run may hold that streams from and to disk, bytes; None for
    a run in memory. ``beside`` are further files that it writes.
    """

    scan: InputScan
    out: Path
    scale: Scale
    memory: int | None = None
    beside: tuple[Path, ...] = ()
