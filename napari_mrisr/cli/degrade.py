"""``napari-mrisr degrade``: make the low-resolution image of a high-resolution one."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_mrisr.cli import batch as batches
from napari_mrisr.cli import options
from napari_mrisr.cli.jobs import Job
from napari_mrisr.cli.session import Session
from napari_mrisr.cli.upscale import describe_grid
from napari_mrisr.errors import GeometryError, explain

_EXAMPLE = """\
examples:
  napari-mrisr degrade truth.nii.gz low.nii.gz --scale 2
  napari-mrisr degrade truth.nii.gz thick.nii.gz --scale 1x1x4 --degradation slice-profile
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands,
        "degrade",
        run,
        "Make the low-resolution image that a high-resolution one stands for.",
        _EXAMPLE,
    )
    parser.add_argument("inputs", nargs="+", metavar="IN", help="images or folders of images")
    parser.add_argument(
        "out",
        metavar="OUT",
        help="image to write; for several inputs a folder, in which sub-01_T1w.nii.gz "
        "becomes sub-01_desc-lr2x_T1w.nii.gz",
    )
    parser.add_argument(
        "--scale", type=options.scale_value, required=True, metavar="S", help=options.SCALE_HELP
    )
    parser.add_argument(
        "--degradation", default="standard", metavar="NAME", help=options.DEGRADATION_HELP
    )
    options.add_reading(parser)
    options.add_overwrite(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.operators.degrade import get_degradation

    get_degradation(arguments.degradation)
    return batches.run_images(arguments, session, _plan, _work)


def _plan(path: Path, arguments: argparse.Namespace, taken: dict[Path, Path]) -> Job:
    from napari_mrisr.io import output_path

    scan = batches.read_scan(path, arguments.frame)
    scale = scan.origin.to_ras(arguments.scale)
    if any(n // factor < 2 for n, factor in zip(scan.grid.shape, scale, strict=True)):
        shape = " x ".join(str(n) for n in scan.origin.from_ras(scan.grid.shape))
        found = f"{shape} voxels leave fewer than 2 along an axis"
        raise GeometryError(explain(path, found, "use a smaller scale"))
    out = output_path(path, arguments.out, arguments.scale)
    if out != Path(arguments.out):
        # In a folder: named as a low-resolution image, not as a result.
        out = out.with_name(out.name.replace("_desc-sr", "_desc-lr"))
    job = Job(scan, out, scale)
    batches.check_output(job, 0, arguments.overwrite, taken)
    return job


def _work(job: Job, arguments: argparse.Namespace, session: Session) -> str:
    from napari_mrisr.io import read_volume, write_volume
    from napari_mrisr.operators.degrade import degrade

    with session.at_once():
        volume = read_volume(
            job.scan.path, frame=arguments.frame, fill_nonfinite=arguments.fill_nonfinite
        )
    result = degrade(volume, job.scale, arguments.degradation, progress=session.progress)
    with session.writing(job.out):
        write_volume(result, job.out, overwrite=arguments.overwrite)
    return describe_grid(job, result.grid.shape, result.grid.voxel_size)
