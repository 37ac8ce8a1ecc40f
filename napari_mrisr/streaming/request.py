"""Request for a streamed run, its memory budget, and every check before voxels are read."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from napari_mrisr.core.scale import upsampled_size
from napari_mrisr.core.slices import check_thickness, given_thickness
from napari_mrisr.core.volume import Grid, Region, Shape
from napari_mrisr.errors import (
    DeviceError,
    MemoryEstimateError,
    OutputError,
    ParameterError,
    explain,
)
from napari_mrisr.io import check_writable
from napari_mrisr.io.formats import expansion_of, is_zarr, suffix_of
from napari_mrisr.io.ngff import CHUNK, pyramid_voxels
from napari_mrisr.io.read import Fill
from napari_mrisr.io.write import check_space
from napari_mrisr.methods import Method, pass_regions
from napari_mrisr.run.upscale import UpscaleParameters, check_parameters
from napari_mrisr.streaming.compute import PIECE_VOXELS
from napari_mrisr.streaming.source import Source, has_indexed_gzip, open_file, open_zarr

STREAMED = (".nii", ".nii.gz", ".ome.zarr")

# Bytes of the program with its compiled kernels; see benchmarks/tracking/engine.py.
_PROGRAM = 300 * 10**6

# Arrays of the size of a piece with its halo per thread; see benchmarks/tracking/engine.py.
_HELD = 18
_HALO_GROWTH = 2.5

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class StreamRequest:
    """Input, output and parameters of a streamed run.

    Attributes
    ----------
    path, out : Path
        Input; output, whose suffix is one of :data:`STREAMED`.
    parameters : UpscaleParameters
        As in memory. Runs on the CPU.
    memory : int
        Bytes that the process may hold at its peak.
    resume : bool
        Resume an unfinished run, and keep partial results if interrupted.
    overwrite : bool
        Replace an output, and an unfinished run.
    frame, fill_nonfinite
        As for :func:`~napari_mrisr.io.read_volume`.
    """

    path: Path
    out: Path
    parameters: UpscaleParameters
    memory: int
    resume: bool = False
    overwrite: bool = False
    frame: int | None = None
    fill_nonfinite: Fill | None = None

    @property
    def folder(self) -> Path:
        """Folder of the partial result."""
        return self.out.with_name(f".{self.out.name}.part")


@contextlib.contextmanager
def open_source(request: StreamRequest, aid: Path | None = None) -> Iterator[Source]:
    """Open the input; ``aid`` as for :func:`~napari_mrisr.streaming.source.open_file`."""
    if is_zarr(request.path):
        yield _with_thickness(
            open_zarr(request.path, request.frame, request.fill_nonfinite), request
        )
    else:
        with open_file(request.path, request.frame, request.fill_nonfinite, aid) as source:
            yield _with_thickness(source, request)


def _with_thickness(source: Source, request: StreamRequest) -> Source:
    thickness = request.parameters.slice_thickness
    if thickness is None:
        return source
    check_thickness(source.grid, thickness)
    return replace(source, origin=given_thickness(source.origin, thickness))


def check(request: StreamRequest) -> Grid:
    """Check everything that can be known before voxels are read; return the input's grid.

    Raises
    ------
    MrisrError
        For an unusable input, output, method, memory or disk.
    """
    method = _check_method(request)
    _check_place(request)
    with open_source(request) as source:
        block_for(request, source, method)
        _check_room(request, source.grid.upsampled(method.scale).shape, source)
        return source.grid


def parse_memory(text: str) -> int:
    """Return the bytes of a size such as ``2GB``, ``500 MB`` or ``1.5GiB``.

    Raises
    ------
    ParameterError
        For any other text.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(I?)B?\s*", text.upper())
    if match is None or (match[3] and not match[2]):
        found = f"cannot read {text[:80]!r}"
        raise ParameterError(explain("--memory", found, "give a size such as 2GB"))
    unit = 1024 ** "KMGT".index(match[2]) * 1024 if match[3] else _UNITS[match[2]]
    return int(float(match[1]) * unit)


def slow_axis(codes: tuple[str, str, str]) -> int:
    """Return the RAS axis along which a file with these axes stores planes."""
    return {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[codes[2]]


def stored_codes(request: StreamRequest, source: Source) -> tuple[str, str, str]:
    """Return the axes of the output: the input's in NIfTI, RAS+ in OME-Zarr."""
    return ("R", "A", "S") if is_zarr(request.out) else source.origin.axis_codes


def layer_bytes(source: Source) -> int:
    """Return the bytes that the source reads at once, at 8 bytes per voxel."""
    return 8 * source.step * source.shape[0] * source.shape[1]


def block_for(request: StreamRequest, source: Source, method: Method) -> Shape:
    """Return the shape of the largest blocks that fit the request's memory."""
    threads, slow = request.parameters.thread_count, slow_axis(stored_codes(request, source))
    layer = layer_bytes(source)
    return choose_block(source.grid.shape, method, threads, request.memory, slow, layer)


def bytes_needed(block: Shape, low: Shape, method: Method, threads: int, layer: int = 0) -> int:
    """Return the peak memory of a run with blocks of this shape.

    Parameters
    ----------
    block : tuple of int
        Output voxels along x, y, z.
    low : tuple of int
        Shape of the low-resolution volume.
    method : Method
        Determines halo and passes.
    threads : int
        Number of threads.
    layer : int
        Bytes that the source reads at once.
    """
    assert method.halo is not None, "checked before"
    whole = [upsampled_size(n, s) for n, s in zip(low, method.scale, strict=True)]
    # A block in the middle of an endless volume has its halo on all sides.
    far = 1 << 20
    middle = Region((far, far, far), (far + block[0], far + block[1], far + block[2]))
    boxes = pass_regions(method, middle, (2 * far, 2 * far, 2 * far))
    sizes = [math.prod(map(min, box.shape, whole)) for box in boxes]
    images = max((a + b for a, b in itertools.pairwise(sizes)), default=sizes[0])
    read = math.prod(
        min(n, math.ceil(b / s) + 2 * h)
        for n, b, s, h in zip(low, block, method.scale, method.halo, strict=True)
    )
    plane = math.prod(sorted(low)[1:])
    pieces = threads * _HELD * _HALO_GROWTH * min(PIECE_VOXELS, max(sizes))
    return int(_PROGRAM + 4 * (images + read + pieces) + 20 * plane + 2 * layer)


def memory_for_arrays(memory: int) -> int:
    """Return the bytes of a memory budget that are left for arrays."""
    return max(0, memory - _PROGRAM)


def choose_block(
    low: Shape, method: Method, threads: int, memory: int, slow: int, layer: int = 0
) -> Shape:
    """Return the shape of the largest block that fits, in whole chunks.

    Parameters
    ----------
    low : tuple of int
        Shape of the low-resolution volume.
    method : Method
        Method to run.
    threads : int
        Number of threads.
    memory : int
        Bytes that the process may hold.
    slow : int
        Axis to cut first: the one along which files store planes.
    layer : int
        As for :func:`bytes_needed`.

    Raises
    ------
    MemoryEstimateError
        When not even one chunk fits.
    """
    whole = [upsampled_size(n, s) for n, s in zip(low, method.scale, strict=True)]
    block = list(whole)

    def need() -> int:
        return bytes_needed((block[0], block[1], block[2]), low, method, threads, layer)

    for axis in (slow, *(a for a in range(3) if a != slow)):
        # The thickest that fits, before another axis is cut.
        for chunks in range(-(-whole[axis] // CHUNK), 0, -1):
            block[axis] = min(whole[axis], chunks * CHUNK)
            if need() <= memory:
                return block[0], block[1], block[2]
    found = f"{memory / 1e9:.2g} GB is too little, this run needs {need() / 1e9:.2g} GB"
    raise MemoryEstimateError(explain("--memory", found, "give more, or fewer --threads"))


def _check_method(request: StreamRequest) -> Method:
    method = check_parameters(request.parameters)
    if request.parameters.device == "gpu":
        remedy = "use --device cpu, the result is the same"
        raise DeviceError(explain("--device gpu", "streaming computes on the CPU", remedy))
    if method.halo is None:
        found = f"{method.name} needs the whole volume at once"
        raise ParameterError(explain("--method", found, "drop --memory or choose another"))
    return method


def _check_place(request: StreamRequest) -> None:
    out = request.out
    if out.resolve() == request.path.resolve():
        raise OutputError(explain(out, "is the input itself", "choose another name"))
    if suffix_of(out) not in STREAMED and not is_zarr(out):
        found = f"cannot be written in blocks as {suffix_of(out)[:80] or 'a file without suffix'}"
        raise OutputError(explain(out, found, f"choose one of {', '.join(STREAMED)}"))
    check_writable(out, overwrite=request.overwrite)
    if request.folder.exists() and not (request.overwrite or request.resume):
        found = "an unfinished run exists"
        remedy = "continue it with --resume or start again with --overwrite"
        raise OutputError(explain(out, found, remedy))


def _check_room(request: StreamRequest, shape: Shape, source: Source) -> None:
    """Refuse when the disk has no space for the result and its temporary files."""
    needed = 4 * math.prod(shape)
    if is_zarr(request.out):
        needed = 4 * pyramid_voxels(shape)
    elif suffix_of(request.out) == ".nii.gz":
        needed *= 2  # first uncompressed; the compressed size is not known before
    if not is_zarr(request.path) and expansion_of(request.path) > 1 and not has_indexed_gzip():
        needed += 8 * math.prod(source.shape)
    held = 0
    if request.folder.exists():
        files = (file.stat() for file in request.folder.rglob("*") if file.is_file())
        held = sum(getattr(s, "st_blocks", 0) * 512 for s in files)
    check_space(request.out, needed, held)
