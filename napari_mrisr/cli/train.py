"""``napari-mrisr train``: learn a filter bank."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_mrisr.cli import options
from napari_mrisr.cli.batch import Batch
from napari_mrisr.cli.session import Session

_EXAMPLE = """\
example:
  napari-mrisr train scans/ --scale 2 --out my-bank.safetensors
  napari-mrisr upscale low.nii.gz high.nii.gz --scale 2 --bank my-bank.safetensors

Give images of high resolution; the low-resolution ones are made from them.
Ctrl-C keeps the checkpoint beside the bank: go on with --resume.
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands, "train", run, "Learn a filter bank from high-resolution images.", _EXAMPLE
    )
    parser.add_argument("inputs", nargs="+", metavar="FILE|FOLDER", help="images or folders")
    parser.add_argument(
        "--scale", type=options.scale_value, required=True, metavar="S", help="factor, such as 2"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="BANK", help="bank to write")
    parser.add_argument(
        "--preset", choices=("default", "paper"), default="default", help="default: %(default)s"
    )
    parser.add_argument(
        "--degradation", default="standard", metavar="NAME", help=options.DEGRADATION_HELP
    )
    parser.add_argument("--resume", action="store_true", help="go on from a checkpoint")
    options.add_threads(parser)
    options.add_overwrite(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.training import TrainParameters, train

    batch = Batch.find(arguments.inputs)
    parameters = TrainParameters(
        scale=arguments.scale, preset=arguments.preset, degradation=arguments.degradation
    )
    report = train(
        batch.paths,
        arguments.out,
        parameters,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        progress=session.progress,
    )
    session.say(f"{arguments.out}: {report}")
    return batch.finish(len(batch.paths), session)
