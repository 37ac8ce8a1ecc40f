"""``napari-mrisr demo``: degrade, super-resolve and compare the sample."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli import options
from napari_mrisr.cli.batch import output_folder
from napari_mrisr.cli.evaluate import draw
from napari_mrisr.cli.session import EXIT_GOOD, Session, no_viewer_because
from napari_mrisr.core.scale import Scale
from napari_mrisr.errors import OutputError, explain

if TYPE_CHECKING:
    from napari_mrisr.core.volume import Volume
    from napari_mrisr.evaluation.experiment import Comparison, EvaluateParameters

_SCALE: Scale = (2, 2, 2)
_METHODS = ("nearest", "tricubic", "hashed")
_EXAMPLE = """\
examples:
  napari-mrisr demo
  napari-mrisr demo --input my-scan.nii.gz --out my-demo --no-viewer
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands,
        "demo",
        run,
        "Degrade a sample scan, super-resolve it by three methods and compare.",
        _EXAMPLE,
    )
    parser.add_argument(
        "--out",
        type=Path,
        default="output",
        metavar="FOLDER",
        help="folder for images and figure (default: %(default)s)",
    )
    parser.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="high-resolution image to use instead of the sample",
    )
    parser.add_argument("--no-viewer", action="store_true", help="do not open napari")
    options.add_threads(parser)
    options.add_reading(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.evaluation.experiment import (
        EvaluateParameters,
        EvaluationCase,
        compare,
        rows_of,
    )
    from napari_mrisr.evaluation.tables import EvaluationReport
    from napari_mrisr.run.upscale import check_parameters

    parameters = EvaluateParameters(
        scales=(_SCALE,),
        methods=_METHODS,
        threads=arguments.threads,
        frame=arguments.frame,
        fill_nonfinite=arguments.fill_nonfinite,
    )
    for method in _METHODS:
        check_parameters(parameters.upscaling(method, _SCALE))
    with output_folder(arguments.out):
        _check_folder(arguments.out)
        truth, name = _truth(arguments, session)
        session.progress.begin(f"super-resolving {name} 2×", len(_METHODS))
        comparison = compare(truth, parameters, _SCALE, progress=session.progress)
        files = _write(comparison, parameters, name, arguments.out, session)
    rows = rows_of(comparison, name, EvaluationCase("2", (2, 2, 2)), parameters)
    report = EvaluationReport(parameters.protocol.as_dict(), rows)
    session.emit(report.summary_table())
    session.say("\nWrote " + ", ".join(str(path) for path in files))
    if not arguments.no_viewer:
        _show(comparison, session)
    return EXIT_GOOD


def _truth(arguments: argparse.Namespace, session: Session) -> tuple[Volume, str]:
    if arguments.input is None:
        from napari_mrisr.io.samples import phantom

        return phantom(), "phantom"
    from napari_mrisr.io import read_volume
    from napari_mrisr.io.formats import stem_of

    with session.at_once():
        volume = read_volume(
            arguments.input, frame=arguments.frame, fill_nonfinite=arguments.fill_nonfinite
        )
    return volume, stem_of(arguments.input)


def _check_folder(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            explain(folder, "folder cannot be written to", "choose another with --out")
        )


def _volumes(comparison: Comparison) -> dict[str, Volume]:
    """Return the volumes to write and show, by name, without the free text of their file."""
    results = {name: comparison.results[name] for name in _METHODS}
    named = {"low": comparison.low, "truth": comparison.truth, **results}
    return {
        name: replace(
            volume, origin=volume.origin and replace(volume.origin, name=f"{name}.nii.gz")
        )
        for name, volume in named.items()
    }


def _write(
    comparison: Comparison,
    parameters: EvaluateParameters,
    name: str,
    folder: Path,
    session: Session,
) -> list[Path]:
    """Write volumes and figure, replacing those of a previous run."""
    from napari_mrisr.io import write_volume

    files = []
    with session.at_once():
        for label, volume in _volumes(comparison).items():
            part = label if label in ("low", "truth") else f"{label}-2x"
            files.append(folder / f"{name}_{part}.nii.gz")
            write_volume(volume, files[-1], overwrite=True)
        files.append(folder / f"{name}_comparison.png")
        draw(comparison, parameters, f"{name}, 2×", files[-1])
    return files


def _show(comparison: Comparison, session: Session) -> None:
    """Open napari, or print why it cannot be opened."""
    why = no_viewer_because()
    if why:
        session.say(f"napari was not opened: {why}.")
        return
    from napari_mrisr.viewer.demo import open_demo

    session.end()
    open_demo(_volumes(comparison))
