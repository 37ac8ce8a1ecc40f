"""``napari-mrisr evaluate``: PSNR and SSIM of methods against high-resolution images."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli import clusters, options
from napari_mrisr.cli.batch import Batch, exit_code
from napari_mrisr.cli.session import Session, error_line
from napari_mrisr.errors import ParameterError, ScaleError, explain

if TYPE_CHECKING:
    from napari_mrisr.evaluation.experiment import Comparison, EvaluateParameters
    from napari_mrisr.evaluation.protocol import Protocol
    from napari_mrisr.evaluation.tables import EvaluationReport
    from napari_mrisr.evaluation.tasks.base import Task, TaskReport

_EXAMPLE = """\
example:
  napari-mrisr evaluate val/ --scales 2,3 --methods nearest,tricubic,hashed \\
      --json results.json --figure figure.png
  napari-mrisr evaluate val/ --protocol thick-slices:4:gaussian:1.2 --axis S-I
  napari-mrisr evaluate thick.nii.gz --leave-out 2
  napari-mrisr evaluate val/ --task lesions --methods tricubic,hashed,network
  napari-mrisr evaluate scan.nii.gz --lesions mask.nii.gz \\
      --protocol thick-slices:4

Each image is clipped at its 99.9th percentile, normalized to [0, 1], degraded,
super-resolved and compared with the original, over the field of view (full)
and inside the head (head). The protocol 'standard' degrades with anti-aliasing
and measures the SSIM with Wang's window and a data range of 1. 'paper-2021'
repeats the measurement of the 2021 paper. 'thick-slices' degrades one axis by a
factor with a slice profile (boxcar or gaussian) of a width in slice distances;
a width below 1 leaves gaps. --leave-out needs no high-resolution image: it
predicts every second slice of a scan from the others.
"""

_DEFAULT_METHODS = ("nearest", "tricubic", "hashed")


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands, "evaluate", run, "Measure methods against high-resolution images.", _EXAMPLE
    )
    options.add_inputs(parser)
    parser.add_argument(
        "--scales",
        type=options.scales_value,
        metavar="FACTOR,...",
        help="such as 2,3,4 or 2,1x1x4 in the order of the file's own axes (default: 2)",
    )
    parser.add_argument(
        "--methods",
        type=options.names_value,
        metavar="NAME,...",
        help="methods to compare, see upscale --help (default: nearest,tricubic,hashed; "
        "without hashed if it has no bank for the scale)",
    )
    kind = parser.add_mutually_exclusive_group()
    task = kind.add_argument(
        "--task",
        metavar="NAME",
        help="measure a task in place of PSNR and SSIM: lesions (contrast kept of lesions that "
        "are planted in the image) or tissue (volumes of fluid, gray and white matter)",
    )
    options.complete_with(task, task_names)
    kind.add_argument(
        "--lesions",
        type=Path,
        metavar="MASK",
        help="measure what methods keep of the lesions in a mask on the grid of the one image: "
        "gain, contrast and volume by size",
    )
    _add_protocol(parser)
    options.add_metrics(parser)
    options.add_bank(parser, "filter bank of hashed (default: the bundled one for each scale)")
    options.add_model(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write rows and summary as JSON")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write rows as CSV")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="draw the first image at the first scale, or the curves of --task or --lesions, "
        "as .png, .pdf, .svg or .tif",
    )
    options.add_running(parser)
    options.add_reading(parser)


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    protocol = parser.add_mutually_exclusive_group()
    protocol.add_argument(
        "--protocol",
        default="standard",
        metavar="NAME",
        help="standard, paper-2021 or thick-slices[:FACTOR[:PROFILE[:FWHM]]] (4, boxcar, 1), "
        "see below (default: %(default)s)",
    )
    protocol.add_argument(
        "--leave-out",
        type=int,
        choices=(2,),
        metavar="2",
        help="leave out every second slice and predict it, for scans without a truth",
    )
    parser.add_argument(
        "--axis",
        metavar="AXIS",
        help="axis of --protocol thick-slices (default: all) and --leave-out (default: the "
        "thickest): 0, 1 or 2 of the file's own axes, R-L, A-P, S-I, or all three one by one",
    )
    options.add_degradation(parser, default=None)
    parser.add_argument(
        "--leak",
        action=argparse.BooleanOptionalAction,
        help="set results to zero where the original is zero (default: the protocol's)",
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
    from napari_mrisr.evaluation.tables import times

    _check_outputs(arguments)
    parameters = EvaluateParameters(
        scales=arguments.scales or ((2, 2, 2),),
        methods=_DEFAULT_METHODS if arguments.methods is None else arguments.methods,
        protocol=_protocol(arguments),
        bank=arguments.bank,
        model=arguments.model,
        device=arguments.device,
        threads=arguments.threads,
        frame=arguments.frame,
        fill_nonfinite=arguments.fill_nonfinite,
        metrics=arguments.metrics,
    )
    if arguments.methods is None:
        parameters = _without_missing_bank(parameters, session)
    batch = Batch.find(arguments.inputs, session)
    if arguments.task is not None or arguments.lesions is not None:
        return _run_task(parameters, batch, arguments, session)
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
        # The volumes stay on the workers: the one to draw is computed again.
        first = [path for path in batch.paths if str(path) == report.rows[0].file]
        one = replace(parameters.protocol, axes=parameters.protocol.axes[:1])
        parameters = replace(parameters, scales=parameters.scales[:1], protocol=one)
        evaluate(first, parameters, on_comparison=on_comparison)
    return _finish(report, batch, arguments, session)


def task_names() -> list[str]:
    """Return the names of all tasks, for completion."""
    from napari_mrisr.evaluation.tasks import TASKS

    return list(TASKS)


def _run_task(
    parameters: EvaluateParameters, batch: Batch, arguments: argparse.Namespace, session: Session
) -> int:
    from napari_mrisr.evaluation.tasks.base import evaluate_task
    from napari_mrisr.figures.page import save_figure

    asked = "--task" if arguments.task is not None else "--lesions"
    for option, value in (("--dask", arguments.dask), ("--metrics", arguments.metrics)):
        if value:
            raise ParameterError(explain(option, f"has no effect on {asked}", "drop one of them"))
    task = _task(arguments, batch)
    report = evaluate_task(task, batch.paths, parameters, progress=session.progress)
    session.progress.close()
    if report.rows and arguments.figure is not None:
        protocol = parameters.protocol
        figure = task.figure(report.rows, [f"Protocol {protocol.name}: {protocol.describe()}."])
        save_figure(figure, arguments.figure)
    return _finish(report, batch, arguments, session)


def _task(arguments: argparse.Namespace, batch: Batch) -> Task[Any]:
    from napari_mrisr.evaluation.tasks import get_task
    from napari_mrisr.evaluation.tasks.real_lesions import RealLesionTask

    if arguments.task is not None:
        return get_task(arguments.task)
    if len(batch.paths) != 1:
        found = f"one mask for {len(batch.paths)} images"
        raise ParameterError(explain("--lesions", found, "give the one image it belongs to"))
    return RealLesionTask.on(arguments.lesions, batch.paths[0])


def _protocol(arguments: argparse.Namespace) -> Protocol:
    """Return the protocol; refuse options that have no effect on it."""
    from napari_mrisr.evaluation.protocol import get_protocol

    leave_out = arguments.leave_out is not None
    protocol = get_protocol(
        "leave-out:2" if leave_out else arguments.protocol,
        axis=arguments.axis,
        degradation=arguments.degradation,
        leak=arguments.leak,
        ssim_range=arguments.ssim_range,
    )
    if protocol.factor is not None and arguments.scales is not None:
        found = f"has no effect on protocol {protocol.name}"
        mend = "drop it" if leave_out else "use e.g. --protocol thick-slices:3"
        raise ParameterError(explain("--scales", found, mend))
    return protocol


def _without_missing_bank(parameters: EvaluateParameters, session: Session) -> EvaluateParameters:
    """Drop the method hashed if it has no bank for a scale, and say so."""
    from napari_mrisr.run.upscale import check_parameters

    factor = parameters.protocol.factor
    scales = parameters.scales if factor is None else ((1, 1, factor),)
    try:
        for scale in scales:
            check_parameters(parameters.upscaling("hashed", scale))
    except ScaleError as error:
        session.progress.message(f"hashed is left out: {error}")
        others = tuple(name for name in parameters.methods if name != "hashed")
        return replace(parameters, methods=others)
    return parameters


def _check_outputs(arguments: argparse.Namespace) -> None:
    from napari_mrisr.figures.page import check_figure_path

    for path in (arguments.json, arguments.csv, arguments.figure):
        if path is not None:
            options.check_report_path(path)
    if arguments.figure is not None:
        check_figure_path(arguments.figure)


def _finish(
    report: EvaluationReport | TaskReport[Any],
    batch: Batch,
    arguments: argparse.Namespace,
    session: Session,
) -> int:
    from napari_mrisr.io import write_text

    if report.rows:
        session.emit(report.summary_table())
    with session.at_once():
        if arguments.json is not None:
            write_text(arguments.json, report.to_json())
        if arguments.csv is not None:
            write_text(arguments.csv, report.to_csv())
    errors = [*batch.errors, *(failure.error for failure in report.failures)]
    for line in errors:
        error_line(line)
    return exit_code(errors, batch.unexpected or any(f.unexpected for f in report.failures))


def draw(comparison: Comparison, parameters: EvaluateParameters, title: str, path: Path) -> None:
    """Draw the original, the last two methods and their differences, PSNR in the titles."""
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
