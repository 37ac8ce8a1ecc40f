"""What to stream, and every check that can be made before a voxel is read."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_mrisr.core.volume import Grid, Shape
from napari_mrisr.errors import DeviceError, OutputError, ParameterError, explain
from napari_mrisr.io.formats import expansion_of, is_zarr, suffix_of
from napari_mrisr.methods import Method
from napari_mrisr.run.upscale import UpscaleParameters, check_parameters
from napari_mrisr.streaming.memory import choose_block
from napari_mrisr.streaming.ngff import need_zarr
from napari_mrisr.streaming.source import Source, has_indexed_gzip, open_file
from napari_mrisr.streaming.zarr_files import open_zarr, pyramid_voxels

STREAMED = (".nii", ".nii.gz", ".ome.zarr")


@dataclass(frozen=True)
class StreamRequest:
    """What to stream, where to, and how.

    Attributes
    ----------
    path, out : Path
        Input; output, whose suffix is one of :data:`STREAMED`.
    parameters : UpscaleParameters
        As in memory. Runs on the CPU.
    memory : int
        Bytes that the process may hold at its peak.
    resume : bool
        Go on with what an earlier run left; and leave it when this one stops.
    overwrite : bool
        Replace an output, and an unfinished run.
    frame, fill_nonfinite
        As :func:`~napari_mrisr.io.read_volume`.
    """

    path: Path
    out: Path
    parameters: UpscaleParameters
    memory: int
    resume: bool = False
    overwrite: bool = False
    frame: int | None = None
    fill_nonfinite: float | None = None

    @property
    def folder(self) -> Path:
        """Where the partial result lies."""
        return self.out.with_name(f".{self.out.name}.part")


@contextlib.contextmanager
def open_source(request: StreamRequest, aid: Path | None = None) -> Iterator[Source]:
    """The input, opened; ``aid`` as :func:`~napari_mrisr.streaming.source.open_file`."""
    if is_zarr(request.path):
        yield open_zarr(request.path, request.frame, request.fill_nonfinite)
    else:
        with open_file(request.path, request.frame, request.fill_nonfinite, aid) as source:
            yield source


def slow_axis(codes: tuple[str, str, str]) -> int:
    """The RAS axis along which a file with these axes stores planes."""
    return {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[codes[2]]


def check(request: StreamRequest) -> Grid:
    """Check all that can be known before voxels are read; the input's grid.

    Raises
    ------
    MrisrError
        For an input, output, method, memory or disk that cannot serve.
    """
    method = _check_method(request)
    _check_place(request)
    with open_source(request) as source:
        block_for(request, source, method)
        _check_room(request, source.grid.upsampled(method.scale).shape, source)
        return source.grid


def stored_codes(request: StreamRequest, source: Source) -> tuple[str, str, str]:
    """NIfTI keeps the input's axes; OME-Zarr holds RAS+."""
    return ("R", "A", "S") if is_zarr(request.out) else source.origin.axis_codes


def layer_bytes(source: Source) -> int:
    """What the source reads at once."""
    # At most 8 bytes a voxel as stored.
    return 8 * source.step * source.shape[0] * source.shape[1]


def block_for(request: StreamRequest, source: Source, method: Method) -> Shape:
    """Shape of the blocks that the request's memory allows."""
    threads, slow = request.parameters.thread_count, slow_axis(stored_codes(request, source))
    layer = layer_bytes(source)
    return choose_block(source.grid.shape, method, threads, request.memory, slow, layer)


def _check_method(request: StreamRequest) -> Method:
    method = check_parameters(request.parameters)
    if request.parameters.device == "gpu":
        mend = "use --device cpu, the result is the same"
        raise DeviceError(explain("--device gpu", "streaming computes on the CPU", mend))
    if method.halo is None:
        found = f"{method.name} needs the whole volume at once"
        raise ParameterError(explain("--method", found, "drop --memory or choose another"))
    return method


def _check_place(request: StreamRequest) -> None:
    out = request.out
    if out.resolve() == request.path.resolve():
        raise OutputError(explain(out, "is the input itself", "choose another name"))
    check_place(out, overwrite=request.overwrite)
    if request.folder.exists() and not (request.overwrite or request.resume):
        found = "an unfinished run is there"
        mend = "continue it with --resume or start anew with --overwrite"
        raise OutputError(explain(out, found, mend))


def check_place(out: Path, *, overwrite: bool) -> None:
    """Raise where a result cannot be written piece by piece, or would replace a strange folder."""
    folder = out.parent
    if is_zarr(out):
        need_zarr(out)
    elif suffix_of(out) not in STREAMED:
        found = f"cannot be written piece by piece as {suffix_of(out) or 'a file without suffix'}"
        raise OutputError(explain(out, found, f"choose one of {', '.join(STREAMED)}"))
    if not folder.is_dir():
        raise OutputError(explain(folder, "no such folder", "create it first"))
    if not os.access(folder, os.W_OK | os.X_OK):
        mend = "choose another folder or change its permissions"
        raise OutputError(explain(folder, "folder cannot be written to", mend))
    if out.is_dir() and not (is_zarr(out) and _looks_like_zarr(out)):
        raise OutputError(explain(out, "is a folder", "give another name"))
    if not overwrite:
        check_absent(out)


def _looks_like_zarr(folder: Path) -> bool:
    """Whether a folder may be replaced as an older result."""
    names = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
    return any((folder / name).exists() for name in names)


def check_absent(out: Path) -> None:
    """Raise when there is an output already."""
    if out.exists() or out.is_symlink():
        mend = "choose another name or allow overwriting with --overwrite"
        raise OutputError(explain(out, "exists already", mend))


def _check_room(request: StreamRequest, shape: Shape, source: Source) -> None:
    """Refuse when the disk has no room for the result and what is made on the way."""
    needed = 4 * math.prod(shape)
    if is_zarr(request.out):
        needed = 4 * pyramid_voxels(shape)
    elif suffix_of(request.out) == ".nii.gz":
        needed *= 2  # first uncompressed; how small it gets is not known before
    if not is_zarr(request.path) and expansion_of(request.path) > 1 and not has_indexed_gzip():
        needed += 8 * math.prod(source.shape)
    held = 0
    if request.folder.exists():
        files = (file.stat() for file in request.folder.rglob("*") if file.is_file())
        held = sum(getattr(s, "st_blocks", 0) * 512 for s in files)
    check_room(request.out, needed, held)


def check_room(out: Path, needed: int, held: int = 0) -> None:
    """Raise when the disk has no room for so many bytes, some of which it holds already."""
    free = shutil.disk_usage(out.parent).free + held
    if free < needed:
        found = f"needs {needed / 2**20:.0f} MiB and the disk has {free / 2**20:.0f}"
        raise OutputError(explain(out, found, "free some room or choose another folder"))
