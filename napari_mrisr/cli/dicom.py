"""Results of ``upscale`` as DICOM series: one folder per series in OUT."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli.jobs import FilePlan, InputScan
from napari_mrisr.cli.session import Session
from napari_mrisr.core.scale import RealScale
from napari_mrisr.errors import OutputError, ParameterError, explain, install

if TYPE_CHECKING:
    from napari_mrisr.core.volume import Volume

_TITLES = {
    "experr": "expected error",
    "support": "training support",
    "consistency": "consistency",
    "report": "super-resolution report",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--dicom`` and ``--anonymize``."""
    parser.add_argument(
        "--dicom",
        action="store_true",
        help="write derived DICOM series, for DICOM input: OUT is a folder, each series a folder "
        "in it; maps become Parametric Maps, the report an Encapsulated PDF",
    )
    parser.add_argument(
        "--anonymize",
        action="store_true",
        help="with --dicom: remove the patient, replace UIDs and shift dates; faces stay in the "
        "voxels",
    )


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise for options that do not go with each other."""
    from napari_mrisr.io.formats import WRITABLE, is_zarr, suffix_of

    if not arguments.dicom:
        if arguments.anonymize:
            found = "is for DICOM; files of other formats contain no patient data"
            raise ParameterError(explain("--anonymize", found, "add --dicom"))
        return
    if suffix_of(arguments.out) in WRITABLE or is_zarr(arguments.out):
        found = f"{arguments.out} is no folder"
        raise ParameterError(explain("--dicom", found, "give a folder as OUT"))
    if arguments.dtype != "float32":
        raise ParameterError(explain("--dtype", "DICOM holds integers anyway", "drop --dtype"))
    if arguments.anonymize and arguments.dask is not None:
        found = "each worker would choose another pseudonym"
        raise ParameterError(explain("--anonymize", found, "drop --dask"))


def series_folder(scan: InputScan, out: Path, scale: RealScale) -> Path:
    """Return the folder of a result: ``study/5_FLAIR`` gives ``OUT/5_FLAIR_desc-sr2x``."""
    from napari_mrisr.io import output_path
    from napari_mrisr.io.formats import stem_of

    # A dot would begin a file type.
    name = re.sub(r"[^\w+-]+", "-", scan.path.name).strip("-") or "series"
    named = output_path(f"{name}.nii.gz", out / "series", scan.origin.from_ras(scale))
    return out / stem_of(named)


def check(plan: FilePlan, arguments: argparse.Namespace) -> None:
    """Raise, before any work, if the series of a result cannot be written."""
    if plan.scan.origin.suffix != ".dcm":
        found = f"{plan.scan.path} is no DICOM series, so its patient and study are unknown"
        raise ParameterError(explain("--dicom", found, "drop --dicom"))
    from napari_mrisr.io.read import need_dicom

    modality = need_dicom(plan.scan.path).find_series(plan.scan.path).modality
    if modality != "MR":
        found = f"{plan.scan.path} is of modality {modality or 'unknown'}, not MR"
        raise ParameterError(explain("--dicom", found, "drop --dicom"))
    try:
        import highdicom  # noqa: F401

        from napari_mrisr.io.dicom.write import check_dicom
    except ImportError as error:
        found = "DICOM needs the packages pydicom and highdicom"
        raise OutputError(explain("--dicom", found, install("dicom"))) from error
    voxels = math.prod(plan.scan.grid.upsampled(plan.scale).shape)
    for folder in (plan.out, *plan.beside):
        check_dicom(folder, overwrite=arguments.overwrite, voxels=voxels)


def write(result: Volume, out: Path, arguments: argparse.Namespace, session: Session) -> str:
    """Write a result; return a note about its rounding."""
    from napari_mrisr.io.dicom.write import write_dicom

    with session.at_once():
        return write_dicom(
            result,
            out,
            anonymize=arguments.anonymize,
            overwrite=arguments.overwrite,
            progress=session.progress,
        )


def write_map(
    volume: Volume,
    label: str,
    folders: tuple[Path, Path],
    arguments: argparse.Namespace,
    session: Session,
) -> None:
    """Write a map of a result; ``folders`` are its own and that of the result."""
    from napari_mrisr.io.dicom.companions import write_dicom_map

    with session.at_once():
        write_dicom_map(
            volume,
            *folders,
            _TITLES[label],
            place=list(_TITLES).index(label) + 1,
            overwrite=arguments.overwrite,
            progress=session.progress,
        )


def write_report(
    pdf: bytes, folders: tuple[Path, Path], arguments: argparse.Namespace, session: Session
) -> None:
    """Write the report on a result."""
    from napari_mrisr.io.dicom.companions import write_dicom_report

    with session.at_once():
        write_dicom_report(
            pdf,
            *folders,
            _TITLES["report"],
            place=len(_TITLES),
            overwrite=arguments.overwrite,
            progress=session.progress,
        )
