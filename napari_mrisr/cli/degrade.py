"""``napari-mrisr degrade``: simulate the low-resolution image of a high-resolution one."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_mrisr.cli import jobs, options
from napari_mrisr.cli.batch import Batch, run_files
from napari_mrisr.cli.jobs import FilePlan, FileResult
from napari_mrisr.cli.session import Session
from napari_mrisr.core.scale import whole_scale
from napari_mrisr.errors import GeometryError, explain

_EXAMPLE = """\
examples:
  napari-mrisr degrade high.nii.gz low.nii.gz --scale 2
  napari-mrisr degrade high.nii.gz thick.nii.gz --scale 1x1x4 \\
      --degradation slice-profile
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands, "degrade", run, "Simulate a low-resolution image.", _EXAMPLE
    )
    out_help = (
        "image to write; for several inputs a folder, in which sub-01_T1w.nii.gz "
        "becomes sub-01_desc-lr2x_T1w.nii.gz"
    )
    options.add_inputs(parser)
    parser.add_argument("out", metavar="OUT", help=out_help)
    options.add_scale(parser, required=True)
    options.add_degradation(parser)
    options.add_reading(parser)
    options.add_existing(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.operators.degrade import get_degradation

    get_degradation(arguments.degradation)
    return run_files(arguments, session, _plan, _work)


def _plan(path: Path, arguments: argparse.Namespace, batch: Batch) -> FilePlan | None:
    from napari_mrisr.io import check_writable, output_path

    scan = jobs.read_scan(path, arguments.frame)
    scale = scan.origin.to_ras(arguments.scale)
    out = output_path(path, arguments.out, arguments.scale)
    if out != Path(arguments.out):
        # In a folder: named as a low-resolution image, not as a result.
        out = out.with_name(out.name.replace("_desc-sr", "_desc-lr"))
    batch.claim(out, scan)
    if batch.skips(scan, [out], arguments):
        return None
    if any(n // factor < 2 for n, factor in zip(scan.grid.shape, scale, strict=True)):
        shape = jobs.times(scan.origin.from_ras(scan.grid.shape))
        found = f"{shape} voxels leave fewer than 2 along an axis"
        raise GeometryError(explain(path, found, "use a smaller scale"))
    check_writable(out, overwrite=arguments.overwrite)
    return FilePlan(scan, out, scale)


def _work(plan: FilePlan, arguments: argparse.Namespace, session: Session) -> FileResult:
    from napari_mrisr.io import read_volume, write_volume
    from napari_mrisr.operators.degrade import degrade

    with session.at_once():
        volume = read_volume(
            plan.scan.path, frame=arguments.frame, fill_nonfinite=arguments.fill_nonfinite
        )
    result = degrade(
        volume, whole_scale(plan.scale), arguments.degradation, progress=session.progress
    )
    with session.writing(plan.out):
        write_volume(result, plan.out, overwrite=arguments.overwrite)
    return FileResult(jobs.describe_grid(plan.scan, None, result.grid)[0])
