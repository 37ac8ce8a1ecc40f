"""A volume that is there already, saved as OME-Zarr piece by piece.

What :mod:`napari_mrisr.io.write` is to files: the folder appears whole or not at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region
from napari_mrisr.io.formats import stem_of
from napari_mrisr.io.write import write_error
from napari_mrisr.streaming.memory import CHUNK, cut
from napari_mrisr.streaming.request import check_absent, check_place, check_room
from napari_mrisr.streaming.target import move_into_place
from napari_mrisr.streaming.zarr_files import ZarrTarget, pyramid_voxels

# 64 MiB, and whole chunks of most images that are read meanwhile.
_BLOCK = (8 * CHUNK, 8 * CHUNK, CHUNK)

Take = Callable[[Region], FloatArray]
"""Gives a box of the volume: RAS+, in the scan's intensities."""


def save_zarr(
    take: Take,
    grid: Grid,
    out: Path,
    *,
    history: Mapping[str, str],
    limits: tuple[float, float],
    overwrite: bool = False,
    threads: int = 1,
) -> None:
    """Save a volume as an OME-Zarr image.

    Parameters
    ----------
    take : callable
        Gives any box of it. At most one box is held at a time.
    grid : Grid
        Of the volume.
    out : Path
        The folder to be. Its name without suffix is the image's.
    history : mapping of str to str
        How the volume was made.
    limits : tuple of float
        Intensities to show from black to white.
    overwrite : bool
        Replace a file or an image that is there; other folders stay.
    threads : int
        That compress chunks.

    Raises
    ------
    MrisrError
        What ``take`` raises; and when zarr is not installed, the output exists, or
        cannot be written. Nothing is left behind then.
    """
    check_place(out, overwrite=overwrite)
    check_room(out, 4 * pyramid_voxels(grid.shape))
    try:
        # Only its owner can look into it.
        with tempfile.TemporaryDirectory(prefix=f".{out.name[:40]}-", dir=out.parent) as folder:
            target = ZarrTarget(Path(folder), grid.shape, ("R", "A", "S"))
            target.create(grid, Origin(stem_of(out)), dict(history), limits)
            for box in cut(grid.shape, _BLOCK, 2):
                target.write(box, take(box), ThreadPool(threads))
            made = target.finish(Progress())
            if not overwrite:
                check_absent(out)
            move_into_place(made, out)
    except OSError as error:
        raise write_error(out, error) from error
