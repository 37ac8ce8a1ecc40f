"""Plans: one per input file, made and checked before any work, then carried through."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli.session import Session
from napari_mrisr.core.scale import RealScale, format_scale

if TYPE_CHECKING:
    from napari_mrisr.core.volume import Grid, Origin
    from napari_mrisr.methods import Method


@dataclass(frozen=True)
class InputScan:
    """An input whose header was read and checked; its voxels are not loaded.

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
class FilePlan:
    """One checked input with all that its work needs.

    Attributes
    ----------
    scan : InputScan
        The input.
    out : Path
        The file to write.
    scale : tuple of float
        Factors in RAS order.
    method : Method or None
        The checked method; None for a command without one, and on a Dask worker.
    memory : int or None
        Bytes that a run from and to disk may hold; None for a run in memory.
    beside : tuple of Path
        Further files to write.
    phased : bool
        True for a complex scan.
    """

    scan: InputScan
    out: Path
    scale: RealScale
    method: Method | None = None
    memory: int | None = None
    beside: tuple[Path, ...] = ()
    phased: bool = False


@dataclass(frozen=True)
class FileResult:
    """The outcome for one input.

    Attributes
    ----------
    text : str
        The result line, without the file name.
    facts : dict
        For ``--json``, beside input, output, scale, shape, voxel size and cautions.
    cautions : list of str
        Kinds of the cautions about the scan.
    """

    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    cautions: list[str] = field(default_factory=list)


Work = Callable[[FilePlan, argparse.Namespace, Session], FileResult]


def read_scan(path: Path, frame: int | None, *, complex_voxels: bool = False) -> InputScan:
    """Read and check a header."""
    from napari_mrisr.io import read_header

    grid, origin = read_header(path, frame=frame, complex_voxels=complex_voxels)
    # Without the header, whose free text may name the patient.
    return InputScan(path, grid, replace(origin, header=None))


def describe_grid(
    scan: InputScan, scale: RealScale | None, grid: Grid
) -> tuple[str, dict[str, Any]]:
    """Describe a result's grid along the file's own axes, as text and as facts for JSON."""
    axes = scan.origin.ras_axis
    shape = [grid.shape[axis] for axis in axes]
    size = [grid.voxel_size[axis] for axis in axes]
    voxels, lengths = times(shape), " × ".join(f"{mm:.3g}" for mm in size)
    facts: dict[str, Any] = {"shape": shape, "voxel_size_mm": [round(mm, 6) for mm in size]}
    if scale is not None:
        facts["scale"] = format_scale(scan.origin.from_ras(scale))
    return f"{voxels} voxels of {lengths} mm", facts


def times(numbers: Sequence[int]) -> str:
    """Join numbers as ``256 × 256 × 128``."""
    return " × ".join(map(str, numbers))
