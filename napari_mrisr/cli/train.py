"""``napari-mrisr train``: train a filter bank or a network."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli import clusters, options
from napari_mrisr.cli.batch import Batch
from napari_mrisr.cli.jobs import InputScan, read_scan
from napari_mrisr.cli.session import Session
from napari_mrisr.core.progress import format_seconds
from napari_mrisr.core.scale import Scale, format_scale
from napari_mrisr.errors import Cancelled, OutputError, ParameterError, ScaleError, explain

if TYPE_CHECKING:
    from napari_mrisr.core.threads import ThreadPool
    from napari_mrisr.training import TrainingReport, Watch
    from napari_mrisr.training.events import TrainEvent
    from napari_mrisr.training.executor import Executor
    from napari_mrisr.training.networks.run import NetworkReport
    from napari_mrisr.training.presets import TrainParameters

_EXAMPLE = """\
example:
  napari-mrisr train scans/ --scale 2 --out my-bank.safetensors
  napari-mrisr upscale low.nii.gz high.nii.gz --bank my-bank.safetensors
  napari-mrisr train scans/ --method network --out mine.onnx

Give images of high resolution; low-resolution images are simulated from them.
Ctrl-C keeps the sums of finished volumes beside the bank; --resume continues
from them, and also adds volumes to a finished bank. Of a network, Ctrl-C keeps
a usable file and a checkpoint, and --resume continues exactly.
"""
# Options of filter banks that a network has no use for, with their values if not given.
_OF_BANKS: dict[str, tuple[Any, str]] = {
    "scale": (None, "a network serves every slice factor"),
    "preset": (None, "a network has none"),
    "degradation": (None, "a network learns slices of any thickness"),
    "thin": ([], "use --thick-axes"),
    "sharpen": (None, "a network learns the volumes as they are"),
    "dask": (None, "networks are trained in one process"),
}
_OF_NETWORKS = ("kind", "steps", "start")


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands,
        "train",
        run,
        "Train a filter bank or a network on high-resolution images.",
        _EXAMPLE,
    )
    options.add_inputs(parser)
    parser.add_argument(
        "--method",
        choices=("hashed", "network"),
        default="hashed",
        help="hashed: filter bank for one scale; network: for slices of any thickness, or for "
        "2x to 4x, needs PyTorch (default: %(default)s)",
    )
    options.add_scale(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="file to write: .safetensors for a filter bank, .onnx for a network",
    )
    parser.add_argument(
        "--preset",
        choices=("default", "paper", "a-plus", "anr", "examples", "phase", "tensor"),
        metavar="PRESET",
        help="design of the filters: default; paper, as in the 2021 paper; a-plus, anr, examples, "
        "phase or tensor, which choose filters by anchors and need scikit-learn (default: "
        "default)",
    )
    options.add_degradation(parser, None, "standard")
    parser.add_argument(
        "--kind",
        choices=("thick-slices", "isotropic", "unrolled", "denoiser"),
        help="what a network is for: slices of any thickness, 2x, 3x and 4x of all axes, or the "
        "methods unrolled and plug-and-play (default: thick-slices)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="training steps of a network (default: 8000, with --start 1000)",
    )
    parser.add_argument(
        "--start",
        metavar="FILE|NAME",
        help="network of this kind to train further, such as thick-slices, from which unrolled "
        "starts too (default: a new one)",
    )
    parser.add_argument(
        "--thin",
        action="append",
        default=[],
        type=_thin_value,
        metavar="PATTERN=1x1x2",
        help="keep every n-th voxel of files whose name matches, to undo a scanner's interpolation",
    )
    parser.add_argument(
        "--sharpen",
        type=_sharpen_value,
        metavar="AMOUNT[:SIGMA]",
        help="filters learn to sharpen too: unsharp mask on the targets, such as 0.5:1, with "
        "sigma in high-resolution voxels (default: none; sigma 1)",
    )
    parser.add_argument(
        "--thick-axes",
        action="append",
        default=[],
        type=_axes_value,
        metavar="PATTERN=xyz",
        help="for thick slices: RAS axes of files whose name matches that are used as the slice "
        "axis in turn (default: all three if the voxels are isotropic within 20 %%, else that of "
        "the scale, or of a network all whose voxels are short)",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="CSV",
        help="table with the columns file and license, recorded in the result",
    )
    parser.add_argument(
        "--validate",
        nargs="+",
        default=[],
        metavar="IN",
        help="images on which to measure the gain: of a bank after each volume, in one axial slab "
        "each, of a network every 250 steps, in the middle",
    )
    parser.add_argument(
        "--no-names",
        action="store_true",
        help="record the images as volume 1, volume 2, ... (file names may identify patients)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue from a checkpoint or a finished training"
    )
    options.add_running(parser)
    options.add_overwrite(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.io import find_volumes
    from napari_mrisr.training import Watch
    from napari_mrisr.training.sources import TrainingFile

    if arguments.threads is not None and arguments.threads < 1:
        raise ParameterError(explain("--threads", str(arguments.threads), "give 1 or more"))
    _check_options(arguments)
    _check_out(arguments)
    batch = Batch.find(arguments.inputs, session)
    scans = []
    for path in batch.paths:
        with batch.each(path):
            scans.append(read_scan(path, None))
    if not scans:
        return batch.finish(0)
    checks = []
    if arguments.validate:
        checks = [read_scan(path, None) for path in find_volumes(arguments.validate)]
    kind = arguments.kind or "thick-slices"
    watch = Watch(partial(_say_event, session, kind), [TrainingFile(scan.path) for scan in checks])
    train = _train_network if arguments.method == "network" else _train_bank
    train(arguments, scans, checks, watch, session)
    return batch.finish(len(scans))


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options of the other method; set defaults."""
    from napari_mrisr.operators.degrade import get_degradation

    if arguments.method == "network":
        for name, (unset, remedy) in _OF_BANKS.items():
            if getattr(arguments, name) != unset:
                found = "does not apply to method network"
                raise ParameterError(explain(f"--{name}", found, remedy))
        return
    for name in _OF_NETWORKS:
        if getattr(arguments, name) is not None:
            found = "does not apply to filter banks"
            raise ParameterError(explain(f"--{name}", found, "use --method network"))
    if arguments.scale is None:
        found = "missing, a filter bank serves one"
        raise ParameterError(explain("--scale", found, "give one, such as 2 or 1x1x4"))
    arguments.preset = arguments.preset or "default"
    arguments.degradation = arguments.degradation or "standard"
    get_degradation(arguments.degradation)


def _train_network(
    arguments: argparse.Namespace,
    scans: list[InputScan],
    checks: list[InputScan],
    watch: Watch,
    session: Session,
) -> None:
    from napari_mrisr.training.networks.run import (
        FINE_TUNING_STEPS,
        STEPS,
        NetworkParameters,
        check_network_memory,
        network_checkpoint,
        network_memory,
        require_torch,
        train_network,
    )

    require_torch()
    steps = arguments.steps
    if steps is None:
        steps = FINE_TUNING_STEPS if arguments.start else STEPS
    parameters = NetworkParameters(
        steps,
        arguments.kind or "thick-slices",
        arguments.start or "",
        licenses=_licenses(arguments.manifest),
        names=not arguments.no_names,
        thick_axes=tuple(arguments.thick_axes),
    )
    need = network_memory([scan.grid.shape for scan in [*scans, *checks]])
    check_network_memory(need)
    session.say(f"needs about {need / 1e9:.1f} GB of memory")
    try:
        report = train_network(
            [scan.path for scan in scans],
            arguments.out,
            parameters,
            **_running(arguments, session, watch),
        )
    except Cancelled as stop:
        session.progress.close()
        if network_checkpoint(arguments.out).is_file():
            session.progress.message(f"{arguments.out}: {stop}; continue with --resume")
        raise
    _say_network(report, session)


def _running(arguments: argparse.Namespace, session: Session, watch: Watch) -> dict[str, Any]:
    """Return the options that both trainings take."""
    return {
        "resume": arguments.resume,
        "overwrite": arguments.overwrite,
        "progress": session.progress,
        "watch": watch,
        "threads": arguments.threads,
        "device": arguments.device,
    }


def _train_bank(
    arguments: argparse.Namespace,
    scans: list[InputScan],
    checks: list[InputScan],
    watch: Watch,
    session: Session,
) -> None:
    from napari_mrisr.training import train
    from napari_mrisr.training.presets import TrainParameters

    parameters = TrainParameters(
        scale=_scale(arguments.scale, [*scans, *checks]),
        preset=arguments.preset,
        degradation=arguments.degradation,
        licenses=_licenses(arguments.manifest),
        names=not arguments.no_names,
        thin=tuple(
            (pattern, _scale(step, [s for s in scans if fnmatch(s.path.name, pattern)] or scans))
            for pattern, step in arguments.thin
        ),
        thick_axes=tuple(arguments.thick_axes),
        sharpen=arguments.sharpen,
    )
    _say_memory(parameters, scans, arguments.threads, session)
    try:
        with clusters.connected(arguments, session):
            report = train(
                [scan.path for scan in scans],
                arguments.out,
                parameters,
                executor=_executor(arguments, session),
                **_running(arguments, session, watch),
            )
    except Cancelled:
        session.progress.close()
        session.progress.message("finished volumes are kept; continue with --resume")
        raise
    _say(arguments.out, report, session)


def _executor(
    arguments: argparse.Namespace, session: Session
) -> Callable[[ThreadPool], Executor] | None:
    """Return the executor of ``--dask``."""
    if session.cluster is None:
        return None
    from napari_mrisr.cluster.runs import OnCluster

    return partial(OnCluster, session.cluster, device=arguments.device)


def _thin_value(text: str) -> tuple[str, Scale]:
    """Parse a name pattern and a step per axis, for ``type=``."""
    pattern, _, step = text.rpartition("=")
    if not pattern:
        raise argparse.ArgumentTypeError(f"{text!r} is no PATTERN=STEP, such as '*T2w*=1x1x2'")
    return pattern, options.scale_value(step)


def _sharpen_value(text: str) -> tuple[float, float]:
    """Parse an amount and a sigma, for ``type=``."""
    amount, _, sigma = text.partition(":")
    try:
        return float(amount), float(sigma or 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no AMOUNT:SIGMA, such as 0.5:1") from None


def _axes_value(text: str) -> tuple[str, str]:
    """Parse a name pattern and axes, for ``type=``."""
    pattern, _, axes = text.rpartition("=")
    if not (pattern and axes and set(axes) <= set("xyz")):
        raise argparse.ArgumentTypeError(f"{text!r} is no PATTERN=AXES, such as '*T2w*=xy'")
    return pattern, axes


def _licenses(manifest: Path | None) -> dict[str, str]:
    """Read the license of each file name from a table; its column may be spelled ``licence``."""
    if manifest is None:
        return {}
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        message = explain(manifest, f"cannot be read ({error})", "give a CSV file")
        raise ParameterError(message) from error
    if rows and "file" not in rows[0]:
        found = f"has columns {', '.join(rows[0])}"
        raise ParameterError(explain(manifest, found, "name one of them file"))
    return {Path(row["file"]).name: row.get("license") or row.get("licence") or "" for row in rows}


def _check_out(arguments: argparse.Namespace) -> None:
    options.check_report_path(arguments.out)
    if arguments.out.exists() and not (arguments.overwrite or arguments.resume):
        mend = "choose another name, --overwrite or --resume"
        raise OutputError(explain(arguments.out, "exists already", mend))


def _scale(scale: Scale, scans: list[InputScan]) -> Scale:
    """Return the scale in RAS order, which must be the same for all scans."""
    found = {scan.origin.to_ras(scale): scan.path for scan in scans}
    if len(found) > 1:
        one, other, *_ = found.values()
        text = f"{format_scale(scale)} counts the files' own axes, but {one} and {other} differ"
        raise ScaleError(explain("--scale", text, "give files of one orientation"))
    return next(iter(found))


def _say_memory(
    parameters: TrainParameters, scans: list[InputScan], threads: int | None, session: Session
) -> None:
    """Print the memory that the training takes; refuse one that does not fit."""
    from napari_mrisr.core.threads import processors
    from napari_mrisr.training.cost import check_memory, estimate_training
    from napari_mrisr.training.presets import get_preset

    preset = get_preset(parameters.preset, parameters.scale, parameters.degradation)
    largest = max((scan.grid.shape for scan in scans), key=prod)
    need = estimate_training(preset, parameters.scale, largest, threads or processors())
    check_memory(need, preset.name)
    session.say(f"needs about {need.total / 1e9:.1f} GB of memory")


def _say_event(session: Session, kind: str, event: TrainEvent) -> None:
    """Print a line per point of the validation curve."""
    from napari_mrisr.training.events import GainMeasured, NetworkMeasured, NetworkStarted
    from napari_mrisr.training.networks.run import baseline_label, condition_label

    if isinstance(event, NetworkStarted):
        from_ = f", from step {event.step:,}" if event.step else ""
        session.progress.message(f"{event.steps:,} steps on {event.place}{from_}")
    if isinstance(event, NetworkMeasured):
        means = (
            f"{sum(g) / len(g):+.2f} at {condition_label(kind, f)}"
            for f, g in event.gains_db.items()
        )
        over = f"dB over {baseline_label(kind)}, inside the head"
        text = f"step {event.step:,}: {', '.join(means)}, {over}"
        session.progress.message(text)
    if isinstance(event, GainMeasured):
        each = ", ".join(f"{gain:+.2f}" for gain in event.gains_db)
        # Above the bar, which a line on standard output would end.
        session.progress.message(
            f"stage {event.stage}, {event.volumes} volumes: {event.mean_db:+.2f} dB over tricubic "
            f"({each}; {event.voxels:,} voxels of axial slabs, inside the head)"
        )


def _say_network(report: NetworkReport, session: Session) -> None:
    took = format_seconds(report.seconds)
    session.say(f"{report.path}: {report.steps:,} steps, trained in {took}")


def _say(out: Path, report: TrainingReport, session: Session) -> None:
    session.say(f"{out}: trained in {format_seconds(report.seconds)}")
    session.say(report.bank.describe())
    if report.samples:
        session.say(
            f"{report.samples:,} samples added, {report.samples_per_s:,.0f}/s, "
            f"{report.gflops:.0f} GFLOP/s, the symmetric half counted once "
            f"(this machine's sgemm: {report.sgemm_gflops:.0f})"
        )
