"""``napari-mrisr upscale``: super-resolve images, in memory or from and to disk."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli import complex_scans, dicom, jobs, options, trust
from napari_mrisr.cli.batch import Batch, run_files
from napari_mrisr.cli.jobs import FilePlan, FileResult, InputScan
from napari_mrisr.cli.session import Session
from napari_mrisr.core.progress import format_seconds
from napari_mrisr.core.scale import RealScale, scale_for_spacing, scale_label
from napari_mrisr.errors import (
    Cancelled,
    MemoryEstimateError,
    ParameterError,
    ScaleError,
    explain,
)

if TYPE_CHECKING:
    from napari_mrisr.core.volume import Volume
    from napari_mrisr.methods import Method
    from napari_mrisr.run.upscale import UpscaleParameters
    from napari_mrisr.streaming import StreamPlan, StreamRequest

_EXAMPLE = """\
examples:
  napari-mrisr upscale scan.nii.gz scan-2x.nii.gz
  napari-mrisr upscale thick.nii.gz iso.nii.gz --isotropic --method tricubic
  napari-mrisr upscale thick.nii.gz iso.nii.gz --isotropic --model mine.onnx
  napari-mrisr upscale sub-01.nii.gz sub-02.nii.gz results/ --spacing 0.5
  napari-mrisr upscale bids/ results/ --skip-existing --json > results.jsonl
  napari-mrisr upscale study/5_FLAIR results/ --isotropic --dicom
  napari-mrisr upscale large.nii.gz large-2x.ome.zarr --memory 2GB
  napari-mrisr upscale magnitude.nii.gz high.nii.gz --phase phase.nii.gz
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands, "upscale", run, "Super-resolve an image, several, or all in a folder.", _EXAMPLE
    )
    out_help = (
        "image to write; for several inputs a folder, in which sub-01_T1w.nii.gz "
        "becomes sub-01_desc-sr2x_T1w.nii.gz"
    )
    options.add_inputs(parser)
    parser.add_argument("out", metavar="OUT", help=out_help)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--scale",
        type=options.real_scale_value,
        metavar="FACTOR",
        default=(2, 2, 2),
        help=f"{options.REAL_SCALE_HELP} (default: 2)",
    )
    size.add_argument(
        "--spacing",
        type=options.spacing_value,
        metavar="MM",
        help="wanted voxel size in mm instead of a scale, such as 0.5, or 1x1x0.5 along R–L, "
        "A–P, S–I; axes that are finer already are kept",
    )
    size.add_argument(
        "--isotropic",
        action="store_true",
        help="bring the slices of a thick-slice scan to its in-plane voxel size, at most 8 times "
        "finer",
    )
    parser.add_argument(
        "--slice-thickness",
        type=float,
        metavar="MM",
        help="thickness of the slices, which is less than their distance if there are gaps "
        "(default: from the BIDS sidecar, else their distance)",
    )
    options.add_method(parser)
    parser.add_argument(
        "--dtype",
        choices=("float32", "int16"),
        default="float32",
        help="voxel type of the result; int16 halves the file and rounds intensities, the result "
        "line states by how much (default: %(default)s)",
    )
    trust.add_arguments(parser)
    dicom.add_arguments(parser)
    complex_scans.add_arguments(parser)
    parser.add_argument(
        "--balance-slices",
        action="store_true",
        help="first remove a difference in brightness between odd and even slices, as "
        "interleaved scans have it",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per file on standard output"
    )
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="compute from and to disk within this much memory, such as 2GB; OUT is .nii, "
        ".nii.gz or .ome.zarr (default: in memory if the volume fits)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume an unfinished run from and to disk; keep partial results if interrupted",
    )
    options.add_running(parser)
    options.add_reading(parser)
    options.add_existing(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    dicom.check_arguments(arguments)
    return run_files(arguments, session, _plan, _work)


def _plan(path: Path, arguments: argparse.Namespace, batch: Batch) -> FilePlan | None:
    """Check all that can be known before a voxel is loaded."""
    from napari_mrisr.core.slices import check_thickness
    from napari_mrisr.io import check_dtype, check_writable, output_path
    from napari_mrisr.io.formats import expansion_of
    from napari_mrisr.methods.network import check_magnitude

    phased = complex_scans.is_phased(path, arguments)
    frame = complex_scans.frame_of(path, arguments) if phased else arguments.frame
    scan = jobs.read_scan(path, frame, complex_voxels=phased)
    scale = _scale(scan, arguments)
    if arguments.dicom:
        out = dicom.series_folder(scan, Path(arguments.out), scale)
    else:
        out = output_path(path, arguments.out, scan.origin.from_ras(scale))
    beside = [*trust.files_of(out, arguments), *complex_scans.files_of(out, arguments)]
    plan = FilePlan(scan, out, scale, beside=tuple(beside), phased=phased)
    batch.claim(out, scan)
    if batch.skips(scan, [out, *plan.beside], arguments):
        return None
    if arguments.slice_thickness is not None:
        check_thickness(scan.grid, arguments.slice_thickness)
    _say_kept(scan, arguments, batch)
    parameters = _parameters(scale, arguments)
    plan = replace(plan, method=_method(scan, parameters, arguments))
    if phased:
        complex_scans.check(plan, arguments)
        return plan
    if plan.method is not None:
        check_magnitude(plan.method)
    plan = replace(plan, memory=_memory(plan, parameters, arguments))
    if plan.memory is not None:
        _check_streamed(plan, parameters, arguments)
        return plan
    trust.check(plan, arguments)
    if arguments.dicom:
        dicom.check(plan, arguments)
        return plan
    check_dtype(out, arguments.dtype)
    voxel_bytes = {"float32": 4, "int16": 2}[arguments.dtype]
    needed = voxel_bytes * math.prod(scan.grid.upsampled(scale).shape)
    # The size of a compressed file is not known before.
    known = needed if expansion_of(out) == 1 else None
    check_writable(out, overwrite=arguments.overwrite, needed_bytes=known)
    return plan


def _scale(scan: InputScan, arguments: argparse.Namespace) -> RealScale:
    """Return the scale in RAS order."""
    if arguments.isotropic:
        from napari_mrisr.run.upscale import isotropic_scale_of

        try:
            return isotropic_scale_of(scan.grid)
        except ScaleError as error:
            text = str(error).removeprefix("isotropic: ").replace("a scale or a spacing", "")
            found = text.partition("; ")[0]
            raise ScaleError(explain(scan.path, found, "give --scale or --spacing")) from error
    if arguments.spacing is None:
        return scan.origin.to_ras(arguments.scale)
    scale = scale_for_spacing(scan.grid.voxel_size, arguments.spacing)
    if max(scale) == 1:
        size = " × ".join(f"{mm:.3g}" for mm in scan.grid.voxel_size)
        found = f"its voxels of {size} mm (R–L, A–P, S–I) are not coarser than --spacing"
        raise ScaleError(explain(scan.path, found, "give a smaller --spacing"))
    return scale


def _say_kept(scan: InputScan, arguments: argparse.Namespace, batch: Batch) -> None:
    """Say which axes are finer than ``--spacing`` and therefore kept."""
    if arguments.spacing is None:
        return
    wanted = arguments.spacing if isinstance(arguments.spacing, tuple) else [arguments.spacing] * 3
    axes = zip(("R–L", "A–P", "S–I"), scan.grid.voxel_size, wanted, strict=True)
    kept = [f"{name} {have:.3g} mm" for name, have, want in axes if have < 0.999 * want]
    if kept:
        text = f"{scan.path.name}: kept {', '.join(kept)}, finer than --spacing already"
        batch.session.progress.message(text)


def _parameters(scale: RealScale, arguments: argparse.Namespace) -> UpscaleParameters:
    from napari_mrisr.methods import default_method
    from napari_mrisr.run.upscale import UpscaleParameters

    file = arguments.model or arguments.bank
    return UpscaleParameters(
        scale,
        arguments.method or default_method(scale, file),
        file,
        arguments.device,
        arguments.threads,
        arguments.slice_thickness,
    )


def _method(
    scan: InputScan, parameters: UpscaleParameters, arguments: argparse.Namespace
) -> Method:
    """Return the method; errors about its scale name the user's option and the file's axes."""
    from napari_mrisr.methods import available_scales
    from napari_mrisr.run.upscale import check_parameters

    try:
        return check_parameters(parameters)
    except ScaleError as error:
        wanted = scale_label(scan.origin.from_ras(parameters.scale))
        found = f"no filter bank for {wanted}"
        option = "--isotropic" if arguments.isotropic else "--spacing"
        if arguments.isotropic or arguments.spacing is not None:
            found = f"needs the scale {wanted}, for which there is no filter bank"
        else:
            option = "--scale"
        if parameters.method == "network":
            if arguments.model is not None:
                raise ScaleError(f"{scan.path}: {error}") from error
            found = f"{wanted}, but network makes one axis finer"
        scales = available_scales("hashed") or []
        bundled = ", ".join(scale_label(scale) for scale in scales) or "none"
        remedy = f"use --method tricubic, a bundled scale ({bundled}), or train a bank for --bank"
        raise ScaleError(explain(f"{scan.path}: {option}", found, remedy)) from error


def _memory(
    plan: FilePlan, parameters: UpscaleParameters, arguments: argparse.Namespace
) -> int | None:
    """Return the bytes for a run from and to disk; None for a run in memory.

    A run goes from and to disk if ``--memory`` asks for it, if OME-Zarr is read or
    written, and if the volume does not fit into memory and its format allows it.
    """
    from napari_mrisr.core.memory import free_memory
    from napari_mrisr.io.formats import is_zarr, suffix_of
    from napari_mrisr.run.upscale import check_memory
    from napari_mrisr.streaming import STREAMED, parse_memory

    if arguments.memory is not None:
        return parse_memory(arguments.memory)
    # Half, as others use this machine too.
    half = free_memory() // 2
    if arguments.resume or is_zarr(plan.scan.path) or is_zarr(plan.out):
        return half
    try:
        check_memory(plan.scan.grid, parameters)
    except MemoryEstimateError as error:
        if suffix_of(plan.out) in STREAMED and not trust.wanted(arguments):
            return half
        # The engine counts axes in RAS order, the user in the file's.
        shape = plan.scan.grid.upsampled(plan.scale).shape
        ordered = jobs.times(plan.scan.origin.from_ras(shape))
        text = str(error).replace(jobs.times(shape), ordered)
        raise MemoryEstimateError(f"{plan.scan.path}: {text}") from error
    return None


def _check_streamed(
    plan: FilePlan, parameters: UpscaleParameters, arguments: argparse.Namespace
) -> None:
    """Raise, before any work, if a run from and to disk is impossible."""
    from napari_mrisr.streaming import check

    options_given = {
        "--maps": arguments.maps,
        "--report": arguments.report,
        "--balance-slices": arguments.balance_slices,
        "--dtype int16": arguments.dtype != "float32",
        "--dicom": arguments.dicom,
    }
    for option, given in options_given.items():
        if given:
            found = "cannot be made from and to disk"
            remedy = f"drop {option}, or run without --memory on .nii.gz"
            raise ParameterError(explain(option, found, remedy))
    check(_request(plan, parameters, arguments))


def _request(
    plan: FilePlan, parameters: UpscaleParameters, arguments: argparse.Namespace
) -> StreamRequest:
    from napari_mrisr.streaming import StreamRequest

    assert plan.memory is not None
    return StreamRequest(
        plan.scan.path,
        plan.out,
        parameters,
        plan.memory,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        frame=arguments.frame,
        fill_nonfinite=arguments.fill_nonfinite,
    )


def _work(plan: FilePlan, arguments: argparse.Namespace, session: Session) -> FileResult:
    """Read, super-resolve and write one file."""
    start = time.monotonic()
    parameters = _parameters(plan.scale, arguments)
    if plan.phased:
        text, facts, cautions = complex_scans.work(plan, parameters, arguments, session)
    elif plan.memory is None:
        text, facts, cautions = _in_memory(plan, parameters, arguments, session)
    else:
        text, facts, cautions = _from_disk(plan, parameters, arguments, session)
    grid, grid_facts = jobs.describe_grid(
        plan.scan, plan.scale, plan.scan.grid.upsampled(plan.scale)
    )
    seconds = time.monotonic() - start
    slices, slice_facts = _slices(plan, arguments)
    facts = {**grid_facts, "method": parameters.method, **slice_facts, **facts}
    facts["seconds"] = round(seconds, 3)
    return FileResult(f"{grid}{slices}{text}, {format_seconds(seconds)}", facts, cautions)


def _slices(plan: FilePlan, arguments: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Return the slice thickness that was assumed, as text and as facts for JSON."""
    from napari_mrisr.core.slices import given_thickness, slices_of

    origin = plan.scan.origin
    if arguments.slice_thickness is not None:
        origin = given_thickness(origin, arguments.slice_thickness)
    slices = slices_of(plan.scan.grid, origin)
    if slices is None or plan.scale[slices.axis] == 1:
        return "", {}
    facts = {
        "slice_thickness_mm": round(slices.thickness, 6),
        "slice_distance_mm": round(slices.distance, 6),
        "slice_thickness_from": slices.source,
    }
    return f", {slices}", facts


_Outcome = tuple[str, dict[str, Any], list[str]]


def _in_memory(
    plan: FilePlan, parameters: UpscaleParameters, arguments: argparse.Namespace, session: Session
) -> _Outcome:
    from napari_mrisr.io import read_volume, write_volume
    from napari_mrisr.run.upscale import check_labels, check_parameters, run

    method = plan.method or check_parameters(parameters)
    with session.at_once():
        volume = read_volume(
            plan.scan.path,
            frame=arguments.frame,
            fill_nonfinite=arguments.fill_nonfinite,
            progress=session.progress,
        )
    check_labels(volume, parameters)
    if arguments.balance_slices:
        volume = _balanced(volume, session)
    found = trust.look_at(volume, method, session)
    result = run(method, volume, parameters, progress=session.progress)
    judged = found.judge(result, arguments, session) if trust.wanted(arguments) else None
    if arguments.dicom:
        note = dicom.write(result, plan.out, arguments, session)
    else:
        with session.writing(plan.out):
            note = write_volume(
                result, plan.out, overwrite=arguments.overwrite, dtype=arguments.dtype
            )
    facts = {"dtype": "int16" if arguments.dicom else arguments.dtype}
    facts |= {"rounding": note} if note else {}
    facts |= {
        key: result.history[key] for key in ("bank", "network", "device") if key in result.history
    }
    text = f", {note}" if note else ""
    if judged is not None:
        more_text, more = judged.write(plan, arguments, session)
        text += more_text
        facts |= more
    return text, facts, [caution.kind for caution in found.cautions]


def _balanced(volume: Volume, session: Session) -> Volume:
    """Balance the brightness of slices, and say by how much."""
    from napari_mrisr.core.progress import Progress
    from napari_mrisr.scan.interleaving import balance_slices

    balanced = balance_slices(volume, progress=Progress(session.token))
    unchanged = "slices do not alternate, nothing was changed"
    found = unchanged if balanced is volume else balanced.history["balanced"]
    session.progress.message(f"{session.progress.prefix}balanced brightness: {found}")
    return balanced


def _from_disk(
    plan: FilePlan, parameters: UpscaleParameters, arguments: argparse.Namespace, session: Session
) -> _Outcome:
    from napari_mrisr.cluster.runs import stream_on
    from napari_mrisr.streaming import stream

    assert plan.memory is not None
    if arguments.memory is None:
        text = f"computing from and to disk within {plan.memory / 1e9:.1f} GB"
        session.progress.message(f"{plan.scan.path.name}: {text} (--memory sets it)")
    request = _request(plan, parameters, arguments)
    cautions: list[str] = []

    def look(stream_plan: StreamPlan) -> None:
        shown = trust.look_at_streamed(stream_plan, plan, session)
        cautions.extend(caution.kind for caution in shown)

    try:
        if session.cluster is None:
            stream(request, session.progress, look)
        else:
            stream_on(session.cluster, request, session.progress, look)
    except (Cancelled, KeyboardInterrupt):
        if arguments.resume:
            session.progress.message(f"{plan.out}: partial results are kept; resume with --resume")
        raise
    return "", {"memory_bytes": plan.memory}, cautions
