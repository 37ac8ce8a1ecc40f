"""A run in blocks that survives a kill.

:func:`prepare` checks everything, surveys the intensities and makes a private
folder beside the output, ``.NAME.part``, with ``plan.json``, the empty result and a
mark for each finished block. A :class:`StreamPlan` is all that a process needs
to compute any block: it is small, frozen and picklable, and blocks may be
computed in any order, in several processes at once, and twice. ``complete``
moves the result into place and takes the folder away.

A resumed run takes over the folder when the key in ``plan.json`` is its own: the
same input (size and time of change), parameters, filters and version.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_mrisr.crew import Crew
from napari_mrisr.errors import DeviceError, OutputError, ParameterError, explain
from napari_mrisr.io.formats import expansion_of, suffix_of
from napari_mrisr.io.text import write_text
from napari_mrisr.io.write import write_error
from napari_mrisr.methods import Method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.progress import Progress
from napari_mrisr.scale import format_scale
from napari_mrisr.streaming.compute import BlockRun, Done
from napari_mrisr.streaming.memory import bytes_needed, choose_block, cut
from napari_mrisr.streaming.ngff import is_zarr, need_zarr
from napari_mrisr.streaming.source import (
    Source,
    has_indexed_gzip,
    open_file,
    prepare_file,
)
from napari_mrisr.streaming.statistics import Statistics, survey
from napari_mrisr.streaming.target import NiftiTarget, Target, make_private, move_into_place
from napari_mrisr.streaming.zarr_files import ZarrTarget, open_zarr, pyramid_voxels
from napari_mrisr.upscale import RESEARCH_USE, UpscaleParameters, check_parameters
from napari_mrisr.volume import Grid, IntensityWindow, Region, Shape

_FORMAT = 1
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


@dataclass(frozen=True)
class StreamPlan:
    """Everything that a process needs to compute blocks.

    Attributes
    ----------
    request : StreamRequest
        With absolute paths.
    block : tuple of int
        Shape of a block, output voxels.
    shape : tuple of int
        Of the output, RAS+.
    codes : tuple of str
        Direction of the axes as stored in the output.
    statistics : Statistics
        Of the input.
    aid : Path or None
        What reading a compressed input takes.
    """

    request: StreamRequest
    block: Shape
    shape: Shape
    codes: tuple[str, str, str]
    statistics: Statistics
    aid: Path | None = None

    @property
    def blocks(self) -> list[Region]:
        """All blocks, in the order of the file; a block's number is its place."""
        return cut(self.shape, self.block, slow_axis(self.codes))

    @property
    def target(self) -> Target:
        """Where results go."""
        return _target(self.request, self.shape, self.codes)

    def compute(self, number: int) -> None:
        """Compute a block and write it, if that has not been done.

        Raises
        ------
        MrisrError
            When the input has changed, or the output cannot be written.
        """
        if number not in self.finished():
            with self.opened() as run:
                self.compute_with(run, number, Crew(self.request.parameters.thread_count), _pass)

    @contextlib.contextmanager
    def opened(self) -> Iterator[BlockRun]:
        """The method over the opened input."""
        request = self.request
        method = check_parameters(request.parameters)
        with open_source(request, self.aid) as source:
            yield BlockRun(method, source, self.statistics)

    def compute_with(self, run: BlockRun, number: int, crew: Crew, done: Done) -> None:
        """:meth:`compute`, with what is open already."""
        block = self.blocks[number]
        data = run.compute(block, crew, done)
        try:
            self.target.write(block, data, crew)
            self._mark(number).touch()
        except OSError as error:
            raise write_error(self.request.out, error) from error

    def _mark(self, number: int) -> Path:
        return self.request.folder / "done" / str(number)

    def finished(self) -> set[int]:
        """Numbers of the blocks that are written."""
        return {int(mark.name) for mark in self._mark(0).parent.glob("[0-9]*")}

    def complete(self, progress: Progress | None = None) -> None:
        """Finish the result and move it into place.

        Raises
        ------
        OutputError
            When blocks are missing, or the output cannot be written.
        """
        request = self.request
        missing = len(self.blocks) - len(self.finished())
        if missing:
            found = f"{missing} of {len(self.blocks)} blocks are not computed"
            raise OutputError(explain(request.out, found, "compute them first"))
        try:
            made = self.target.finish(progress or Progress())
            if not request.overwrite:
                _check_absent(request.out)
            move_into_place(made, request.out)
        except OutputError:
            raise
        except OSError as error:
            raise write_error(request.out, error) from error
        self.discard()

    def discard(self) -> None:
        """Take the partial result away."""
        shutil.rmtree(self.request.folder, ignore_errors=True)


def _pass() -> None:
    """Nobody is told."""


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
        _block(request, source, method)
        _check_room(request, source.grid.upsampled(method.scale).shape, source)
        return source.grid


def prepare(request: StreamRequest, progress: Progress | None = None) -> StreamPlan:
    """Check, survey the input and begin the output, or take over what is there.

    Parameters
    ----------
    request : StreamRequest
        What to do.
    progress : Progress, optional
        Reports the survey, says when a run cannot be resumed, and cancels.

    Raises
    ------
    MrisrError
        As :func:`check`, and for what the voxels tell.
    Cancelled
        Nothing is left behind, other than a run to be resumed.
    """
    progress = progress or Progress()
    check(request)
    request = _absolute(request)
    method = check_parameters(request.parameters)
    with open_source(request) as source:
        key = _key(request, source, method)
        old = _resumed(request, key, source, method, progress) if request.resume else None
    if old is not None:
        return old
    folder = request.folder
    try:
        shutil.rmtree(folder, ignore_errors=True)
        make_private(folder)
        return _begin(request, key, method, progress)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise write_error(request.out, error) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _begin(request: StreamRequest, key: str, method: Method, progress: Progress) -> StreamPlan:
    aid = None
    if not is_zarr(request.path):
        progress.begin(f"reading {request.path.name}", 1)
        aid = prepare_file(
            request.path, request.frame, request.folder, progress.message, progress.token.check
        )
    with open_source(request, aid) as source:
        statistics = survey(source, progress)
        grid = source.grid.upsampled(method.scale)
        codes = _codes(request, source)
        plan = StreamPlan(
            request, _block(request, source, method), grid.shape, codes, statistics, aid
        )
        history = {
            **method.provenance(),
            "scale": format_scale(source.origin.from_ras(method.scale)),
            "note": RESEARCH_USE,
        }
        window = statistics.window
        plan.target.create(grid, source.origin, history, (window.low, window.high))
    (request.folder / "done").mkdir()
    document = {
        "key": key,
        "block": plan.block,
        "low": statistics.low,
        "high": statistics.high,
        "window": asdict(window),
        "aid": aid.name if aid is not None else None,
    }
    # Last: a folder without it was never begun.
    write_text(request.folder / "plan.json", json.dumps(document, indent=2) + "\n")
    return plan


def _resumed(
    request: StreamRequest, key: str, source: Source, method: Method, progress: Progress
) -> StreamPlan | None:
    """The plan of an earlier run, when it is for the same work."""
    if not request.folder.exists():
        return None
    try:
        document = json.loads((request.folder / "plan.json").read_text("utf-8"))
        x, y, z = (int(n) for n in document["block"])
        window = IntensityWindow(**document["window"])
        statistics = Statistics(window, float(document["low"]), float(document["high"]))
        aid = request.folder / document["aid"] if document["aid"] else None
        same = document["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        progress.message(f"{request.out}: the unfinished run cannot be read; starting anew")
        return None
    if not same:
        text = "the unfinished run had other parameters or another input; starting anew"
        progress.message(f"{request.out}: {text}")
        return None
    threads = request.parameters.thread_count
    layer = _layer_bytes(source)
    if bytes_needed((x, y, z), source.grid.shape, method, threads, layer) > request.memory:
        text = "the unfinished run has blocks too large for --memory; starting anew"
        progress.message(f"{request.out}: {text}")
        return None
    shape = source.grid.upsampled(method.scale).shape
    plan = StreamPlan(request, (x, y, z), shape, _codes(request, source), statistics, aid)
    done, count = len(plan.finished()), len(plan.blocks)
    progress.message(f"{request.out}: resuming, {done} of {count} blocks are done")
    return plan


def _key(request: StreamRequest, source: Source, method: Method) -> str:
    """What a result depends on, as one checksum."""
    from napari_mrisr import __version__

    filters = hashlib.sha256()
    if isinstance(method, Hashed):
        for stage in method.bank.stages:
            filters.update(repr(stage.spec).encode())
            filters.update(stage.weights.tobytes())
    content = {
        "format": _FORMAT,
        "version": __version__,
        "input": source.identity,
        "output": request.out.name,
        "frame": request.frame,
        "fill": request.fill_nonfinite,
        "method": method.provenance(),
        "scale": method.scale,
        "filters": filters.hexdigest(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _absolute(request: StreamRequest) -> StreamRequest:
    """Good in another process, wherever it works."""
    values: dict[str, Any] = {**vars(request)}
    values["path"], values["out"] = request.path.absolute(), request.out.absolute()
    return StreamRequest(**values)


def _target(request: StreamRequest, shape: Shape, codes: tuple[str, str, str]) -> Target:
    if is_zarr(request.out):
        return ZarrTarget(request.folder, shape, codes)
    compressed = suffix_of(request.out) == ".nii.gz"
    return NiftiTarget(request.folder, shape, codes, compressed)


def _codes(request: StreamRequest, source: Source) -> tuple[str, str, str]:
    """NIfTI keeps the input's axes; OME-Zarr holds RAS+."""
    return ("R", "A", "S") if is_zarr(request.out) else source.origin.axis_codes


def _layer_bytes(source: Source) -> int:
    # At most 8 bytes a voxel as stored.
    return 8 * source.step * source.shape[0] * source.shape[1]


def _block(request: StreamRequest, source: Source, method: Method) -> Shape:
    threads, slow = request.parameters.thread_count, slow_axis(_codes(request, source))
    layer = _layer_bytes(source)
    return choose_block(source.grid.shape, method, threads, request.memory, slow, layer)


def _check_method(request: StreamRequest) -> Method:
    method = check_parameters(request.parameters)
    if request.parameters.device == "gpu":
        mend = "drop one of the two; the result is the same"
        raise DeviceError(explain("--device gpu", "streaming computes on the CPU", mend))
    if method.halo is None:
        found = f"{method.name} needs the whole volume at once"
        raise ParameterError(explain("--method", found, "drop --memory or choose another"))
    return method


def _check_place(request: StreamRequest) -> None:
    out, folder = request.out, request.out.parent
    if is_zarr(out):
        need_zarr(out)
    elif suffix_of(out) not in STREAMED:
        found = f"cannot be written piece by piece as {suffix_of(out) or 'a file without suffix'}"
        raise OutputError(explain(out, found, f"choose one of {', '.join(STREAMED)}"))
    if out.resolve() == request.path.resolve():
        raise OutputError(explain(out, "is the input itself", "choose another name"))
    if not folder.is_dir():
        raise OutputError(explain(folder, "no such folder", "create it first"))
    if not os.access(folder, os.W_OK | os.X_OK):
        mend = "choose another folder or change its permissions"
        raise OutputError(explain(folder, "folder cannot be written to", mend))
    if out.is_dir() and not (is_zarr(out) and _looks_like_zarr(out)):
        raise OutputError(explain(out, "is a folder", "give another name"))
    if not request.overwrite:
        _check_absent(out)
        if request.folder.exists() and not request.resume:
            found = "an unfinished run is there"
            mend = "continue it with --resume or start anew with --overwrite"
            raise OutputError(explain(out, found, mend))


def _looks_like_zarr(folder: Path) -> bool:
    """Whether a folder may be replaced as an older result."""
    names = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
    return any((folder / name).exists() for name in names)


def _check_absent(out: Path) -> None:
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
    free = shutil.disk_usage(request.out.parent).free
    held = 0
    if request.folder.exists():
        files = (file.stat() for file in request.folder.rglob("*") if file.is_file())
        held = sum(getattr(s, "st_blocks", 0) * 512 for s in files)
    if free + held < needed:
        found = f"needs {needed / 2**20:.0f} MiB and the disk has {(free + held) / 2**20:.0f}"
        raise OutputError(explain(request.out, found, "free some room or choose another folder"))
