"""``napari-mrisr upscale``: super-resolve images."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli import batch as batches
from napari_mrisr.cli import options, streamed, trust
from napari_mrisr.cli.jobs import InputScan, Job
from napari_mrisr.cli.session import Session
from napari_mrisr.core.progress import format_seconds
from napari_mrisr.core.scale import Scale, scale_for_spacing
from napari_mrisr.errors import ScaleError, explain

if TYPE_CHECKING:
    from napari_mrisr.run.upscale import UpscaleParameters

_EXAMPLE = """\
examples:
  napari-mrisr upscale scan.nii.gz scan-2x.nii.gz
  napari-mrisr upscale thick.nii.gz thin.nii.gz --scale 1x1x4 --method tricubic
  napari-mrisr upscale sub-01_T1w.nii.gz sub-02_T1w.nii.gz results/ --spacing 0.5
  napari-mrisr upscale large.nii.gz large-2x.ome.zarr --memory 2GB
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands, "upscale", run, "Super-resolve an image, several, or all in a folder.", _EXAMPLE
    )
    parser.add_argument("inputs", nargs="+", metavar="IN", help="images or folders of images")
    parser.add_argument(
        "out",
        metavar="OUT",
        help="image to write; for several inputs a folder, in which sub-01_T1w.nii.gz "
        "becomes sub-01_desc-sr2x_T1w.nii.gz",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--scale",
        type=options.scale_value,
        default="2",
        metavar="S",
        help=f"{options.SCALE_HELP} (default: 2)",
    )
    size.add_argument(
        "--spacing",
        type=options.spacing_value,
        metavar="MM",
        help="wanted voxel size instead of a scale: the whole factor of each axis that comes "
        "closest, or three such as 1x1x0.5 along left-right, back-front, foot-head",
    )
    parser.add_argument(
        "--method", default="hashed", help="hashed, tricubic, nearest ... (default: %(default)s)"
    )
    parser.add_argument(
        "--bank",
        metavar="FILE|NAME",
        help="filter bank of --method hashed (default: the bundled one for the scale)",
    )
    trust.add_arguments(parser)
    streamed.add_arguments(parser)
    options.add_running(parser)
    options.add_dask(parser)
    options.add_reading(parser)
    options.add_overwrite(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    return batches.run_images(arguments, session, _plan, _work)


def _plan(path: Path, arguments: argparse.Namespace, taken: dict[Path, Path]) -> Job:
    """Check everything that can be known before a voxel is loaded."""
    from napari_mrisr.io import output_path
    from napari_mrisr.run.upscale import check_memory, check_parameters

    scan = streamed.read_scan(path, arguments.frame)
    scale = _scale(scan, arguments)
    job = Job(scan, output_path(path, arguments.out, scan.origin.from_ras(scale)), scale)
    parameters = _parameters(scale, arguments)
    method = check_parameters(parameters)
    memory = streamed.memory_for(job, arguments, parameters)
    if memory is not None:
        job = replace(job, memory=memory)
        batches.check_unclaimed(job, taken)
        streamed.check(job, arguments, parameters)
        taken[job.out] = path
        return job
    trust.check(job, method, arguments)
    check_memory(scan.grid, parameters)
    out_bytes = 4 * math.prod(scan.grid.upsampled(scale).shape)
    batches.check_output(job, out_bytes, arguments.overwrite, taken)
    return replace(job, beside=tuple(trust.files_of(job, arguments)))


def _scale(scan: InputScan, arguments: argparse.Namespace) -> Scale:
    """The scale in RAS order."""
    if arguments.spacing is None:
        return scan.origin.to_ras(arguments.scale)
    scale = scale_for_spacing(scan.grid.voxel_size, arguments.spacing)
    if scale == (1, 1, 1):
        size = " x ".join(f"{mm:.3g}" for mm in scan.grid.voxel_size)
        found = f"its voxels of {size} mm are not coarser than --spacing"
        raise ScaleError(explain(scan.path, found, "ask for a smaller spacing"))
    return scale


def _parameters(scale: Scale, arguments: argparse.Namespace) -> UpscaleParameters:
    from napari_mrisr.run.upscale import UpscaleParameters

    return UpscaleParameters(
        scale, arguments.method, arguments.bank, arguments.device, arguments.threads
    )


def _work(job: Job, arguments: argparse.Namespace, session: Session) -> str:
    """Read, super-resolve, write; what to say of the result."""
    from napari_mrisr.io import read_volume, write_volume
    from napari_mrisr.run.upscale import check_parameters, upscale

    start = time.monotonic()
    parameters = _parameters(job.scale, arguments)
    if job.memory is not None:
        streamed.run(job, arguments, parameters, session)
        out = job.scan.grid.upsampled(job.scale)
        took = format_seconds(time.monotonic() - start)
        return f"{describe_grid(job, out.shape, out.voxel_size)}, {took}"
    with session.at_once():
        volume = read_volume(
            job.scan.path, frame=arguments.frame, fill_nonfinite=arguments.fill_nonfinite
        )
    bank = trust.bank_of(check_parameters(parameters))
    found = trust.look_at(volume, bank, session) if bank is not None else None
    result = upscale(volume, parameters, progress=session.progress)
    judged = found.judge(result, arguments, session) if found is not None else None
    with session.writing(job.out):
        write_volume(result, job.out, overwrite=arguments.overwrite)
    text = judged.write(job, arguments, session) if judged is not None else ""
    took = format_seconds(time.monotonic() - start)
    grid = describe_grid(job, result.grid.shape, result.grid.voxel_size)
    return f"{grid}{text}, {took}"


def describe_grid(
    job: Job, shape: tuple[int, int, int], voxel_size: tuple[float, float, float]
) -> str:
    """Voxels and voxel size along the file's own axes."""
    axes = job.scan.origin.ras_axis
    voxels = " x ".join(str(shape[axis]) for axis in axes)
    size = " x ".join(f"{voxel_size[axis]:.3g}" for axis in axes)
    return f"{voxels} voxels of {size} mm"
