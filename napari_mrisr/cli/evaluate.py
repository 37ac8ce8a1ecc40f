"""``napari-mrisr evaluate``: PSNR and SSIM of methods on images taken as the truth."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli import clusters, options
from napari_mrisr.cli.batch import Batch
from napari_mrisr.cli.session import EXIT_GOOD, EXIT_USAGE, Session, error_line

if TYPE_CHECKING:
    from napari_mrisr.evaluation.experiment import Comparison, EvaluateParameters
    from napari_mrisr.evaluation.tables import EvaluationReport

_EXAMPLE = """\
example:
  napari-mrisr evaluate val/ --scales 2,3 --methods nearest,tricubic,hashed \\
      --json results.json --figure figure.png

Each image is clipped at its 99.9th percentile, normalized to [0, 1], degraded,
super-resolved and compared with itself over the field of view (full) and inside
the head (head). 'standard' is tricubic (cubic B-spline) with anti-aliased
degradation, no leak, SSIM range 1 and Wang's window. 'paper-2021' repeats how the
figures of the 2021 paper came to be.
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands, "evaluate", run, "Measure methods on images taken as the truth.", _EXAMPLE
    )
    parser.add_argument("inputs", nargs="+", metavar="FILE|FOLDER", help="images or folders")
    parser.add_argument(
        "--scales",
        type=options.scales_value,
        default="2",
        metavar="S,S",
        help="such as 2,3,4 or 2,1x1x4, counting the file's own axes (default: 2)",
    )
    parser.add_argument(
        "--methods",
        type=options.names_value,
        default="nearest,tricubic,hashed",
        metavar="M,M",
        help="default: %(default)s",
    )
    _add_protocol(parser)
    parser.add_argument("--bank", metavar="FILE|NAME", help="filter bank of hashed")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write rows and summary (replaced)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write rows (replaced)")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="draw the first image at the first scale: .png, .pdf, .svg or .tif (replaced)",
    )
    options.add_running(parser)
    options.add_dask(parser)
    options.add_reading(parser)


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--protocol", default="standard", help="standard or paper-2021 (default: %(default)s)"
    )
    parser.add_argument(
        "--degradation", metavar="NAME", help="in place of the protocol's: standard, kspace ..."
    )
    parser.add_argument(
        "--leak",
        action=argparse.BooleanOptionalAction,
        help="set results to zero where the truth is zero (default: the protocol's)",
    )
    parser.add_argument(
        "--ssim-range",
        type=float,
        choices=(1.0, 2.0),
        help="data range of the SSIM (default: the protocol's)",
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.cluster.runs import evaluate_on
    from napari_mrisr.evaluation.experiment import EvaluateParameters, evaluate
    from napari_mrisr.evaluation.protocol import get_protocol
    from napari_mrisr.evaluation.tables import times

    _check_outputs(arguments)
    parameters = EvaluateParameters(
        scales=arguments.scales,
        methods=arguments.methods,
        protocol=get_protocol(
            arguments.protocol,
            degradation=arguments.degradation,
            leak=arguments.leak,
            ssim_range=arguments.ssim_range,
        ),
        bank=arguments.bank,
        device=arguments.device,
        threads=arguments.threads,
        frame=arguments.frame,
        fill_nonfinite=arguments.fill_nonfinite,
    )
    batch = Batch.find(arguments.inputs)
    drawn: list[Path] = []

    def on_comparison(path: Path, scale: str, comparison: Comparison) -> None:
        if arguments.figure is not None and not drawn:
            drawn.append(path)
            draw(comparison, parameters, f"{path.name}, {times(scale)}", arguments.figure)

    with clusters.connected(arguments, session):
        if session.cluster is None:
            report = evaluate(
                batch.paths, parameters, progress=session.progress, on_comparison=on_comparison
            )
        else:
            report = evaluate_on(session.cluster, batch.paths, parameters, session.progress)
    if arguments.dask is not None and arguments.figure is not None and report.rows:
        # Volumes stay where they are computed: the one to draw is compared again.
        first = [path for path in batch.paths if str(path) == report.rows[0].file]
        evaluate(
            first, replace(parameters, scales=parameters.scales[:1]), on_comparison=on_comparison
        )
    return _finish(report, batch, arguments, session)


def _check_outputs(arguments: argparse.Namespace) -> None:
    from napari_mrisr.figures.page import check_figure_path

    for path in (arguments.json, arguments.csv, arguments.figure):
        if path is not None:
            options.check_report_path(path)
    if arguments.figure is not None:
        check_figure_path(arguments.figure)


def _finish(
    report: EvaluationReport, batch: Batch, arguments: argparse.Namespace, session: Session
) -> int:
    session.progress.close()
    if report.rows:
        print(report.summary_table(), flush=True)
    with session.at_once():
        if arguments.json is not None:
            options.write_report(arguments.json, report.to_json())
        if arguments.csv is not None:
            options.write_report(arguments.csv, report.to_csv())
    errors = [*batch.errors, *(failure.error for failure in report.failures)]
    for line in errors:
        error_line(line)
    return EXIT_USAGE if errors else EXIT_GOOD


def draw(comparison: Comparison, parameters: EvaluateParameters, title: str, path: Path) -> None:
    """Draw truth, the last two methods and their differences, PSNR in the titles."""
    from napari_mrisr.evaluation.figure import comparison_figure
    from napari_mrisr.figures.page import save_figure

    shown = parameters.methods[-2:]
    volumes = {"reference": comparison.truth, **{name: comparison.results[name] for name in shown}}
    found = {name: comparison.found[name]["head"] for name in shown}
    captions = {name: f"{one.psnr_db:.2f} dB / {one.ssim:.4f}" for name, one in found.items()}
    protocol = parameters.protocol
    notes = [
        "Below the titles: PSNR / SSIM inside the head.",
        f"Protocol {protocol.name}: {protocol.describe()}.",
    ]
    save_figure(comparison_figure(volumes, captions=captions, title=title, notes=notes), path)
