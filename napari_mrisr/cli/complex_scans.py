"""Complex scans for ``upscale``: complex NIfTI, or a magnitude and ``--phase``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli import trust
from napari_mrisr.cli.jobs import FilePlan
from napari_mrisr.cli.session import Session
from napari_mrisr.errors import ParameterError, explain

if TYPE_CHECKING:
    from napari_mrisr.run.upscale import UpscaleParameters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--phase``."""
    parser.add_argument(
        "--phase",
        metavar="FILE",
        help="phase of a magnitude image, in radians or scanner units; both are super-resolved, "
        "high.nii.gz gets high_phase.nii.gz in radians. Name the input itself for a DICOM series "
        "that holds both. Files of complex voxels need no option",
    )


def is_phased(path: Path, arguments: argparse.Namespace) -> bool:
    """Return True if an input is a complex scan."""
    from napari_mrisr.io.complex_scans import is_complex

    if arguments.phase is None:
        return is_complex(path)
    if len(arguments.inputs) > 1:
        found = f"one phase for {len(arguments.inputs)} inputs"
        raise ParameterError(explain("--phase", found, "give one magnitude"))
    return True


def frame_of(path: Path, arguments: argparse.Namespace) -> int | None:
    """Return the volume of the magnitude, in a DICOM series that holds its phase too."""
    from napari_mrisr.io.complex_scans import find_pair, is_same_series

    if arguments.phase is not None and is_same_series(path, Path(arguments.phase)):
        return find_pair(path, arguments.frame)[0]
    frame: int | None = arguments.frame
    return frame


def files_of(out: Path, arguments: argparse.Namespace) -> list[Path]:
    """List the files to write besides the magnitude."""
    from napari_mrisr.io.complex_scans import phase_path

    return [] if arguments.phase is None else [phase_path(out)]


def check(plan: FilePlan, arguments: argparse.Namespace) -> None:
    """Raise, before any work, if a complex scan cannot be super-resolved as asked."""
    from napari_mrisr.io import check_dtype, check_writable
    from napari_mrisr.io.complex_scans import check_complex

    given = {
        "--dicom": arguments.dicom,
        "--maps or --report": trust.wanted(arguments),
        "--memory or --resume": arguments.memory is not None or arguments.resume,
        "--balance-slices": arguments.balance_slices,
    }
    for option, wanted in given.items():
        if wanted:
            raise ParameterError(explain(option, "not for complex scans", f"drop {option}"))
    if arguments.phase is None:
        check_complex(plan.out)
        if arguments.dtype != "float32":
            found = "complex voxels are stored as complex64"
            raise ParameterError(explain("--dtype", found, "drop --dtype"))
    for path in (plan.out, *plan.beside):
        check_dtype(path, arguments.dtype)
        check_writable(path, overwrite=arguments.overwrite)


def work(
    plan: FilePlan, parameters: UpscaleParameters, arguments: argparse.Namespace, session: Session
) -> tuple[str, dict[str, Any], list[str]]:
    """Super-resolve a complex scan and write it; return text, facts and cautions."""
    from napari_mrisr.io import write_volume
    from napari_mrisr.io.complex_scans import read_complex, write_complex
    from napari_mrisr.run.complex_scans import run_complex
    from napari_mrisr.run.upscale import check_parameters

    method = plan.method or check_parameters(parameters)
    with session.at_once():
        scan = read_complex(
            plan.scan.path,
            arguments.phase,
            frame=arguments.frame,
            fill_nonfinite=arguments.fill_nonfinite,
            progress=session.progress,
        )
    found = trust.look_at(scan.magnitude, method, session)
    result = run_complex(method, scan, parameters, progress=session.progress)
    cautions = [caution.kind for caution in found.cautions]
    if not plan.beside:
        with session.writing(plan.out):
            write_complex(result, plan.out, overwrite=arguments.overwrite)
        return ", complex", {"dtype": "complex64"}, cautions
    for volume, path in zip(
        (result.magnitude, result.phase), (plan.out, *plan.beside), strict=True
    ):
        with session.writing(path):
            write_volume(volume, path, overwrite=arguments.overwrite, dtype=arguments.dtype)
    facts = {"dtype": arguments.dtype, "phase": str(plan.beside[0])}
    return f", phase in {plan.beside[0].name}", facts, cautions
