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
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import format_scale
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import IntensityWindow, Region, Shape
from napari_mrisr.errors import OutputError, explain
from napari_mrisr.io.formats import is_zarr, suffix_of
from napari_mrisr.io.text import write_text
from napari_mrisr.io.write import write_error
from napari_mrisr.methods import Method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.methods.permuted import Permuted
from napari_mrisr.run.upscale import check_parameters
from napari_mrisr.streaming.compute import BlockRun, Ended
from napari_mrisr.streaming.memory import bytes_needed, cut
from napari_mrisr.streaming.request import (
    StreamRequest,
    block_for,
    check,
    check_absent,
    layer_bytes,
    open_source,
    slow_axis,
    stored_codes,
)
from napari_mrisr.streaming.source import Source, prepare_file
from napari_mrisr.streaming.statistics import Statistics, survey
from napari_mrisr.streaming.target import NiftiTarget, Target, make_private, move_into_place
from napari_mrisr.streaming.zarr_files import ZarrTarget

_FORMAT = 1


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
                self.compute_with(run, number, ThreadPool(self.request.parameters.thread_count))

    @contextlib.contextmanager
    def opened(self) -> Iterator[BlockRun]:
        """The method over the opened input."""
        request = self.request
        method = check_parameters(request.parameters)
        with open_source(request, self.aid) as source:
            yield BlockRun(method, source, self.statistics)

    def compute_with(
        self, run: BlockRun, number: int, pool: ThreadPool, ended: Ended | None = None
    ) -> None:
        """:meth:`compute`, with what is open already."""
        block = self.blocks[number]
        data = run.compute(block, pool, ended)
        try:
            self.target.write(block, data, pool)
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
                check_absent(request.out)
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
    # Good in another process, wherever it works.
    request = replace(request, path=request.path.absolute(), out=request.out.absolute())
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
        progress.advance()
    with open_source(request, aid) as source:
        statistics = survey(source, progress)
        grid = source.grid.upsampled(method.scale)
        codes = stored_codes(request, source)
        plan = StreamPlan(
            request, block_for(request, source, method), grid.shape, codes, statistics, aid
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

    def say(text: str) -> None:
        progress.message(f"{request.out.name}: {text}")

    try:
        document = json.loads((request.folder / "plan.json").read_text("utf-8"))
        x, y, z = (int(n) for n in document["block"])
        window = IntensityWindow(**document["window"])
        statistics = Statistics(window, float(document["low"]), float(document["high"]))
        aid = request.folder / document["aid"] if document["aid"] else None
        same = document["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        say("the unfinished run cannot be read; starting anew")
        return None
    if not same:
        say("the unfinished run had other parameters or another input; starting anew")
        return None
    threads = request.parameters.thread_count
    layer = layer_bytes(source)
    if bytes_needed((x, y, z), source.grid.shape, method, threads, layer) > request.memory:
        say("the unfinished run has blocks too large for --memory; starting anew")
        return None
    shape = source.grid.upsampled(method.scale).shape
    plan = StreamPlan(request, (x, y, z), shape, stored_codes(request, source), statistics, aid)
    done, count = len(plan.finished()), len(plan.blocks)
    say(f"resuming, {done} of {count} blocks are done")
    return plan


def _key(request: StreamRequest, source: Source, method: Method) -> str:
    """What a result depends on, as one checksum."""
    from napari_mrisr._version import __version__

    filters = hashlib.sha256()
    if isinstance(method, Hashed | Permuted):
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


def _target(request: StreamRequest, shape: Shape, codes: tuple[str, str, str]) -> Target:
    if is_zarr(request.out):
        return ZarrTarget(request.folder, shape, codes)
    compressed = suffix_of(request.out) == ".nii.gz"
    return NiftiTarget(request.folder, shape, codes, compressed)
