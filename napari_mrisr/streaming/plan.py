"""A run in blocks that can be resumed after a kill.

:func:`prepare` checks everything, surveys the intensities and creates a private folder next to
the output, ``.NAME.part``, with ``plan.json``, the empty result and a mark for each finished
block. A :class:`StreamPlan` holds everything that a process needs to compute any block. It is
small, frozen and picklable. Blocks may be computed in any order, in several processes at once,
and more than once. ``complete`` moves the result into place and removes the folder.

A resumed run uses the folder again if the key in ``plan.json`` is its own: the same input (size
and time of change), parameters, filters and version.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.slices import slices_of
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import IntensityWindow, Region, Shape, scale_text
from napari_mrisr.errors import OutputError, explain
from napari_mrisr.io.atomic import (
    exclusive,
    make_private,
    move_into_place,
    write_error,
    write_text,
)
from napari_mrisr.io.formats import is_zarr, suffix_of
from napari_mrisr.io.nifti import read_note
from napari_mrisr.io.write import check_absent
from napari_mrisr.methods import Method
from napari_mrisr.methods.resampled import bank_of
from napari_mrisr.run.upscale import (
    check_labels,
    check_parameters,
    compile_kernels,
    history_of,
    history_of_scan,
)
from napari_mrisr.streaming.compute import BlockRun, Ended
from napari_mrisr.streaming.request import (
    StreamRequest,
    block_for,
    bytes_needed,
    check,
    layer_bytes,
    memory_for_arrays,
    open_source,
    slow_axis,
    stored_codes,
)
from napari_mrisr.streaming.source import Source, prepare_file
from napari_mrisr.streaming.survey import (
    SampledTraits,
    Statistics,
    finite_mean,
    middle_of,
    sample_traits,
    survey,
)
from napari_mrisr.streaming.target import NiftiTarget, Target, ZarrTarget

# Version of plan.json.
_FORMAT = 2

Prepared = Callable[["StreamPlan"], object]


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
        Shape of the output, RAS+.
    codes : tuple of str
        Directions of the axes as stored in the output.
    statistics : Statistics
        Intensities of the input.
    aid : Path or None
        Index or unpacked copy of a compressed input.
    """

    request: StreamRequest
    block: Shape
    shape: Shape
    codes: tuple[str, str, str]
    statistics: Statistics
    aid: Path | None = None

    @property
    def blocks(self) -> list[Region]:
        """All blocks, in the order of the file; a block's number is its index."""
        return Region.whole(self.shape).blocks(self.block, slow_axis(self.codes))

    @property
    def target(self) -> Target:
        """The result in the making."""
        return _target(self.request, self.shape, self.codes)

    def compute(self, number: int) -> None:
        """Compute a block and write it, unless it is finished.

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
        """Open the input, ready to compute blocks."""
        request = self.request
        method = check_parameters(request.parameters)
        with open_source(request, self.aid) as source:
            yield BlockRun(method, source, self.statistics)

    def compute_with(
        self, run: BlockRun, number: int, pool: ThreadPool, ended: Ended | None = None
    ) -> None:
        """Compute and write a block with an opened input."""
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
        """Return the numbers of the finished blocks."""
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
                check_absent([request.out])
            move_into_place(made, request.out)
        except OutputError:
            raise
        except OSError as error:
            raise write_error(request.out, error) from error
        self.discard()

    def discard(self) -> None:
        """Remove the partial result."""
        shutil.rmtree(self.request.folder, ignore_errors=True)

    def traits(self, progress: Progress | None = None) -> SampledTraits:
        """Measure the traits of the input within the memory of the request.

        Raises
        ------
        MrisrError
            When the input can no longer be read.
        Cancelled
            When cancelled.
        """
        memory = memory_for_arrays(self.request.memory)
        with self.opened() as run:
            window = self.statistics.window
            return sample_traits(run.source, window, memory, progress or Progress())


def stream(
    request: StreamRequest, progress: Progress | None = None, prepared: Prepared | None = None
) -> StreamPlan:
    """Super-resolve from disk to disk.

    Parameters
    ----------
    request : StreamRequest
        Input, output and parameters.
    progress : Progress, optional
        Reports every piece, and cancels between pieces.
    prepared : callable, optional
        Receives the plan before the first block.

    Returns
    -------
    StreamPlan
        The finished plan; the output is in place.

    Raises
    ------
    MrisrError
        For an unusable input or output, a full disk, or an output that another run is writing.
    Cancelled
        When cancelled. After this, as after an error, no file is left, unless
        ``request.resume`` was set: then the finished blocks are kept.
    """
    progress = progress or Progress()
    with exclusive(request.out):
        plan = prepare(request, progress)
        try:
            if prepared is not None:
                prepared(plan)
            run_blocks(plan, progress)
            plan.complete(progress)
        except BaseException:
            if not request.resume:
                plan.discard()
            raise
    return plan


def run_blocks(plan: StreamPlan, progress: Progress) -> None:
    """Compute all unfinished blocks in this process."""
    blocks, finished = plan.blocks, plan.finished()
    left = [number for number in range(len(blocks)) if number not in finished]
    if not left:
        return
    with plan.opened() as run:
        compile_kernels(run.method, progress)
        steps = sum(run.steps(blocks[number]) for number in left)
        scale = scale_text(run.method.scale, run.source.origin)
        task = f"{run.method.name} {scale}, {len(blocks)} blocks"
        progress.begin(task, steps)
        pool = ThreadPool(plan.request.parameters.thread_count, progress.token)
        for number in left:
            plan.compute_with(run, number, pool, progress.advance)


def prepare(request: StreamRequest, progress: Progress | None = None) -> StreamPlan:
    """Check, survey the input and create the output, or resume an unfinished run.

    Parameters
    ----------
    request : StreamRequest
        Input, output and parameters.
    progress : Progress, optional
        Reports the survey, explains why a run cannot be resumed, and cancels.

    Raises
    ------
    MrisrError
        As :func:`check`, and for unusable voxels.
    Cancelled
        When cancelled. No file is left, except those of a run to resume.
    """
    progress = progress or Progress()
    check(request)
    # Valid in another process with another working folder.
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
        check_labels(middle_of(source, progress), request.parameters)
    if request.fill_nonfinite == "mean":
        with open_source(request, aid) as source:
            request = replace(request, fill_nonfinite=finite_mean(source, progress))
    with open_source(request, aid) as source:
        statistics = survey(source, progress)
        grid = source.grid.upsampled(method.scale)
        codes = stored_codes(request, source)
        plan = StreamPlan(
            request, block_for(request, source, method), grid.shape, codes, statistics, aid
        )
        before = history_of_scan(read_note(source.origin.header))
        history = {**before, **history_of(method, source.grid, source.origin)}
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
        "fill": request.fill_nonfinite,
    }
    # Written last: a folder without it cannot be resumed.
    write_text(request.folder / "plan.json", json.dumps(document, indent=2) + "\n")
    return plan


def _resumed(
    request: StreamRequest, key: str, source: Source, method: Method, progress: Progress
) -> StreamPlan | None:
    """Return the plan of an unfinished run with the same key; None if there is none."""
    if not request.folder.exists():
        return None

    def message(text: str) -> None:
        progress.message(f"{request.out.name}: {text}")

    try:
        document = json.loads((request.folder / "plan.json").read_text("utf-8"))
        x, y, z = (int(n) for n in document["block"])
        window = IntensityWindow(**document["window"])
        statistics = Statistics(window, float(document["low"]), float(document["high"]))
        aid = request.folder / document["aid"] if document["aid"] else None
        request = replace(request, fill_nonfinite=document["fill"])
        same = document["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        message("the unfinished run cannot be read; starting again")
        return None
    if not same:
        message("the unfinished run had other parameters or another input; starting again")
        return None
    threads = request.parameters.thread_count
    layer = layer_bytes(source)
    if bytes_needed((x, y, z), source.grid.shape, method, threads, layer) > request.memory:
        message("the blocks of the unfinished run are too large for --memory; starting again")
        return None
    shape = source.grid.upsampled(method.scale).shape
    plan = StreamPlan(request, (x, y, z), shape, stored_codes(request, source), statistics, aid)
    done, count = len(plan.finished()), len(plan.blocks)
    message(f"resuming, {done} of {count} blocks are finished")
    return plan


def _key(request: StreamRequest, source: Source, method: Method) -> str:
    """Return a checksum of everything that a result depends on."""
    from napari_mrisr._version import __version__

    filters = hashlib.sha256()
    if (bank := bank_of(method)) is not None:
        for stage in bank.stages:
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
        "slices": str(slices_of(source.grid, source.origin)),
        "filters": filters.hexdigest(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _target(request: StreamRequest, shape: Shape, codes: tuple[str, str, str]) -> Target:
    if is_zarr(request.out):
        return ZarrTarget(request.folder, shape, codes)
    compressed = suffix_of(request.out) == ".nii.gz"
    return NiftiTarget(request.folder, shape, codes, compressed)
