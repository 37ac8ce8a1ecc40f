"""``upscale`` from disk to disk: ``--memory`` and ``--resume``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli import batch as batches
from napari_mrisr.cli import trust
from napari_mrisr.cli.jobs import InputScan, Job
from napari_mrisr.cli.session import Session
from napari_mrisr.errors import Cancelled, MemoryEstimateError, ParameterError, explain

if TYPE_CHECKING:
    from napari_mrisr.run.upscale import UpscaleParameters
    from napari_mrisr.streaming import StreamPlan, StreamRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--memory`` and ``--resume``."""
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="stream from and to disk, within SIZE of memory such as 2GB; OUT is .nii, .nii.gz "
        "or .ome.zarr (default: in memory where the volume fits)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an unfinished streamed run, and leave this one to go on with when it "
        "stops",
    )


def read_scan(path: Path, frame: int | None) -> InputScan:
    """Read and check a header, that of OME-Zarr too."""
    from napari_mrisr.io.formats import is_zarr

    if not is_zarr(path):
        return batches.read_scan(path, frame)
    from napari_mrisr.streaming.zarr_files import open_zarr

    source = open_zarr(path, frame, None)
    return InputScan(path, source.grid, source.origin)


def memory_for(
    job: Job, arguments: argparse.Namespace, parameters: UpscaleParameters
) -> int | None:
    """Bytes for a streamed run; None when the run is to be in memory.

    A run streams when it is asked to, when OME-Zarr is read or written, and when it
    would not fit into memory and can stream.
    """
    from napari_mrisr.core.memory import free_memory
    from napari_mrisr.io.formats import is_zarr, suffix_of
    from napari_mrisr.run.upscale import check_memory
    from napari_mrisr.streaming import STREAMED, parse_memory

    if arguments.memory is not None:
        return parse_memory(arguments.memory)
    # Half, as others use this machine too.
    half = free_memory() // 2
    if arguments.resume or is_zarr(job.scan.path) or is_zarr(job.out):
        return half
    try:
        check_memory(job.scan.grid, parameters)
    except MemoryEstimateError:
        if suffix_of(job.out) in STREAMED and not trust.wanted(arguments):
            return half
        raise
    return None


def check(job: Job, arguments: argparse.Namespace, parameters: UpscaleParameters) -> None:
    """Raise, before any work, where a job cannot be streamed."""
    from napari_mrisr.streaming import check

    if trust.wanted(arguments):
        option = "--maps" if arguments.maps else "--report"
        found = "cannot be made of a volume that is streamed"
        mend = "drop it, or run without --memory on .nii.gz"
        raise ParameterError(explain(option, found, mend))
    check(_request(job, arguments, parameters))


def run(
    job: Job, arguments: argparse.Namespace, parameters: UpscaleParameters, session: Session
) -> None:
    """Stream a job; say so when nobody asked for it."""
    from napari_mrisr.cluster.runs import stream_on
    from napari_mrisr.streaming import stream

    assert job.memory is not None
    if arguments.memory is None:
        text = f"{job.scan.path.name}: streamed from and to disk within {job.memory / 1e9:.1f} GB"
        session.progress.message(f"{text} (--memory sets it)")
    request = _request(job, arguments, parameters)

    def look(plan: StreamPlan) -> None:
        trust.look_at_streamed(plan, session)

    try:
        if session.cluster is None:
            stream(request, session.progress, look)
        else:
            stream_on(session.cluster, request, session.progress, look)
    except (Cancelled, KeyboardInterrupt):
        if arguments.resume:
            session.progress.message(f"{job.out}: what is done is kept; --resume goes on with it")
        raise


def _request(
    job: Job, arguments: argparse.Namespace, parameters: UpscaleParameters
) -> StreamRequest:
    from napari_mrisr.streaming import StreamRequest

    assert job.memory is not None
    return StreamRequest(
        job.scan.path,
        job.out,
        parameters,
        job.memory,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        frame=arguments.frame,
        fill_nonfinite=arguments.fill_nonfinite,
    )
