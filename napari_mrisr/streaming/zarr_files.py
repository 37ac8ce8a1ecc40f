"""OME-Zarr as a source and as a target of boxes."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Shape
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io.intake import Intake
from napari_mrisr.io.orientation import axis_codes
from napari_mrisr.streaming.memory import CHUNK
from napari_mrisr.streaming.ngff import NgffImage, half, metadata, need_zarr, open_ngff
from napari_mrisr.streaming.source import Source
from napari_mrisr.streaming.target import Target

# Coarser levels are made until one fits a screen.
_COARSE = 256


@dataclass(frozen=True, eq=False)
class ZarrSource(Source):
    """An image in chunks.

    Attributes
    ----------
    image : NgffImage
        Opened.
    """

    image: NgffImage | None = None

    def stored(self, start: Shape, stop: Shape) -> NDArray[Any]:
        """See the base class; the stored axes are the array's, last first."""
        assert self.image is not None
        index = list(self.image.index)
        for number, axis in enumerate(self.image.space):
            index[axis] = slice(start[2 - number], stop[2 - number])
        try:
            box = np.asarray(self.image.levels[0][tuple(index)])
        except Exception as error:
            found = f"its voxels cannot be read ({error})"
            raise VolumeError(explain(self.path, found, "copy or export it again")) from error
        return box.transpose(2, 1, 0)

    def layers(self) -> Iterator[Region]:
        """See the base class; whole chunks, since layers of them may be large."""
        assert self.image is not None
        chunks = self.image.levels[0].chunks
        edges = [int(chunks[axis]) for axis in reversed(self.image.space)]
        starts = [range(0, n, e) for n, e in zip(self.shape, edges, strict=True)]
        for z, y, x in itertools.product(*reversed(starts)):
            at = (x, y, z)
            far = [min(n, a + e) for n, a, e in zip(self.shape, at, edges, strict=True)]
            yield self._in_ras_order(at, (far[0], far[1], far[2]))


def open_zarr(path: Path, frame: int | None, fill: float | None) -> ZarrSource:
    """Open an OME-Zarr image to read boxes of it.

    Parameters and errors are those of :func:`~napari_mrisr.streaming.ngff.open_ngff`;
    ``fill`` stands in for NaN and infinite voxels.
    """
    image = open_ngff(path, frame)
    files = [file.stat() for file in path.rglob("*") if file.is_file()]
    newest = max((status.st_mtime_ns for status in files), default=0)
    identity = f"{path.name} {len(files)} {sum(s.st_size for s in files)} {newest}"
    codes = axis_codes(image.affine)
    depth = int(image.levels[0].chunks[image.space[0]])
    origin = Origin(path.name, codes, None, ".ome.zarr")
    intake = Intake(path, fill=fill)
    return ZarrSource(path, image.shape, image.affine, origin, intake, identity, depth, image)


@dataclass(frozen=True)
class ZarrTarget(Target):
    """An OME-Zarr image, RAS+, with coarser levels made at the end."""

    @property
    def _group(self) -> Path:
        return self.folder / "result.ome.zarr"

    def create(
        self, grid: Grid, origin: Origin, history: dict[str, str], limits: tuple[float, float]
    ) -> None:
        """See the base class."""
        zarr = need_zarr(self._group)
        group = zarr.create_group(str(self._group), zarr_format=3)
        shapes = _levels(grid.shape)
        group.attrs.update(metadata(grid, len(shapes), origin.name, history, limits))
        for level, shape in enumerate(shapes):
            group.create_array(
                str(level),
                shape=shape[::-1],
                chunks=tuple(min(CHUNK, n) for n in shape[::-1]),
                dtype="float32",
                compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
                fill_value=0.0,
                dimension_names=("z", "y", "x"),
            )

    def write(self, region: Region, data: FloatArray, pool: ThreadPool) -> None:
        """See the base class; each chunk is written by itself."""
        array = self._level(0)

        def put(chunk: Region) -> None:
            inner = tuple(
                slice(a - c, b - c)
                for a, b, c in zip(chunk.start, chunk.stop, region.start, strict=True)
            )
            array[chunk.slices[::-1]] = data[inner].transpose(2, 1, 0)

        pool.each(put, _chunks(region))

    def finish(self, progress: Progress) -> Path:
        """See the base class: the coarser levels."""
        shapes = _levels(self.shape)
        boxes = [_chunks(Region.whole(shape)) for shape in shapes]
        progress.begin("making coarser levels", sum(map(len, boxes[1:])))
        for level in range(1, len(shapes)):
            finer, coarser = self._level(level - 1), self._level(level)
            for box in boxes[level]:
                wide = tuple(
                    slice(2 * a, min(2 * b, n))
                    for a, b, n in zip(box.start, box.stop, shapes[level - 1], strict=True)
                )
                coarser[box.slices[::-1]] = half(np.asarray(finer[wide[::-1]]))
                progress.advance()
        # What a kill left of a chunk that was being written.
        for partial in self._group.rglob("*.partial"):
            with contextlib.suppress(OSError):
                partial.unlink()
        return self._group

    def _level(self, level: int) -> Any:
        zarr = need_zarr(self._group)
        return zarr.open_array(str(self._group / str(level)), mode="r+")


def _levels(shape: Shape) -> list[Shape]:
    """Shapes of all levels, finest first."""
    found = [shape]
    while max(found[-1]) > _COARSE and min(found[-1]) > 1:
        x, y, z = (-(-n // 2) for n in found[-1])
        found.append((x, y, z))
    return found


def pyramid_voxels(shape: Shape) -> int:
    """Voxels of all levels together."""
    return sum(map(math.prod, _levels(shape)))


def _chunks(region: Region) -> list[Region]:
    """The chunks of a box that begins at one."""
    spans = [
        [(a, min(a + CHUNK, stop)) for a in range(start, stop, CHUNK)]
        for start, stop in zip(region.start, region.stop, strict=True)
    ]
    return [Region((a, b, c), (d, e, f)) for (a, d), (b, e), (c, f) in itertools.product(*spans)]
