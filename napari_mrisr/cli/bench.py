"""``napari-mrisr bench``: every method and task in one table and one figure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli import options
from napari_mrisr.cli.batch import Batch, exit_code
from napari_mrisr.cli.evaluate import task_names
from napari_mrisr.cli.session import Session, error_line

if TYPE_CHECKING:
    from napari_mrisr.evaluation.bench import BenchReport
    from napari_mrisr.evaluation.protocol import Protocol
    from napari_mrisr.evaluation.tasks.base import Task

_EXAMPLE = """\
example:
  napari-mrisr bench val/ --scale 2 --methods all --out bench-2x
  napari-mrisr bench val/ --isotropic --methods tricubic,hashed,network --out bench-thick
  napari-mrisr bench val/ --scale 2 --tasks picture,lesions --out bench-2x

Each image serves as the truth: it is degraded, super-resolved by every method and
compared. --isotropic degrades to slices 4 x as far apart, along each axis in turn;
--protocol takes any other. --tasks adds the numbers of evaluate --task. OUT receives
bench.md, bench.csv, bench.json and bench.png. The same command continues where it was
interrupted.
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    summary = "Measure all methods on images and write one table and one figure."
    parser = options.new_command(commands, "bench", run, summary, _EXAMPLE)
    options.add_inputs(parser)
    kind = parser.add_mutually_exclusive_group()
    options.add_scale(kind)
    kind.add_argument(
        "--isotropic", action="store_true", help="thick slices, the same as thick-slices:4"
    )
    kind.add_argument("--protocol", metavar="NAME", help="as of evaluate")
    parser.add_argument("--axis", metavar="AXIS", help="thick axis, as of evaluate")
    parser.add_argument(
        "--methods",
        type=options.names_value,
        default=("all",),
        metavar="NAME,...",
        help="methods to compare, or all that fit (default: all)",
    )
    tasks = parser.add_argument(
        "--tasks",
        type=options.names_value,
        default=("picture",),
        metavar="NAME,...",
        help="picture (PSNR and SSIM, always measured) and tasks of evaluate, or all "
        "(default: picture)",
    )
    options.complete_with(tasks, task_names)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder for the results"
    )
    options.add_metrics(parser)
    options.add_bank(parser, "filter bank of hashed (default: the bundled one)")
    options.add_model(parser)
    options.add_running(parser, dask=False)
    options.add_reading(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.evaluation.bench import run_bench
    from napari_mrisr.evaluation.experiment import EvaluateParameters

    parameters = EvaluateParameters(
        scales=(arguments.scale or (2, 2, 2),),
        methods=arguments.methods,
        protocol=_protocol(arguments),
        bank=arguments.bank,
        model=arguments.model,
        device=arguments.device,
        threads=arguments.threads,
        frame=arguments.frame,
        fill_nonfinite=arguments.fill_nonfinite,
        metrics=arguments.metrics,
    )
    batch = Batch.find(arguments.inputs, session)
    report = run_bench(
        batch.paths,
        parameters,
        arguments.out,
        tasks=_tasks(arguments.tasks),
        progress=session.progress,
    )
    session.progress.close()
    if report.rows:
        _draw(report, arguments.out)
        session.emit(report.to_markdown().rstrip())
    errors = [*batch.errors, *report.failures]
    for line in errors:
        error_line(line)
    return exit_code(errors, batch.unexpected)


def _protocol(arguments: argparse.Namespace) -> Protocol:
    from napari_mrisr.evaluation.protocol import get_protocol

    name = "thick-slices:4" if arguments.isotropic else arguments.protocol or "standard"
    return get_protocol(name, axis=arguments.axis)


def _tasks(names: Sequence[str]) -> list[Task[Any]]:
    from napari_mrisr.evaluation.bench import PICTURE
    from napari_mrisr.evaluation.tasks import TASKS, get_task

    wanted = [n for name in names for n in (TASKS if name == "all" else [name]) if n != PICTURE]
    return [get_task(name) for name in dict.fromkeys(wanted)]


def _draw(report: BenchReport, folder: Path) -> None:
    from napari_mrisr.evaluation.bench import GAIN, PICTURES, number_text
    from napari_mrisr.figures.bench import bench_figure, read_slices
    from napari_mrisr.figures.page import save_figure

    methods = report.methods()
    reference, results = read_slices(folder / PICTURES, methods)
    means = report.means()
    captions = {
        method: f"{numbers[GAIN].mean:+.2f} dB, {number_text(numbers['seconds'].mean)} s"
        for method, numbers in means.items()
        if GAIN in numbers
    }
    title = f"{report.rows[0].file}; gain over tricubic and seconds, means over all volumes"
    figure = bench_figure(reference, results, captions, title, table=report.table())
    save_figure(figure, folder / "bench.png")
