"""``napari-mrisr info``: list the images and DICOM series in files and folders."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli import jobs, options
from napari_mrisr.cli.batch import exit_code
from napari_mrisr.cli.session import Session, error_line
from napari_mrisr.errors import MrisrError

if TYPE_CHECKING:
    from napari_mrisr.io.dicom.series import DicomSeries

_EXAMPLE = """\
examples:
  napari-mrisr info study/
  napari-mrisr info study.zip --json
  napari-mrisr upscale study/5_FLAIR flair.nii.gz --isotropic
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    summary = "List the images and DICOM series in files, folders, ZIP files and DICOMDIRs."
    parser = options.new_command(commands, "info", run, summary, _EXAMPLE)
    options.add_inputs(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per image or series"
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.io import find_volumes
    from napari_mrisr.io.dicom.sources import names_dicom
    from napari_mrisr.io.read import list_series

    errors: list[str] = []
    for entry in map(Path, arguments.inputs):
        try:
            found = find_volumes(entry, progress=session.progress)
            if any(map(names_dicom, found)):
                for series in list_series(entry, progress=session.progress):
                    _show(*_series(series), arguments.json, session)
            images = [path for path in found if not names_dicom(path)]
        except MrisrError as error:
            errors.append(str(error))
            continue
        for path in images:
            try:
                _show(*_image(path), arguments.json, session)
            except MrisrError as error:
                errors.append(str(error))
    session.progress.close()
    for line in errors:
        error_line(line)
    return exit_code(errors, False)


def _show(lines: list[str], facts: dict[str, Any], as_json: bool, session: Session) -> None:
    if as_json:
        session.emit(json.dumps(facts, ensure_ascii=False))
        return
    for line in lines:
        session.emit(line)


def _series(series: DicomSeries) -> tuple[list[str], dict[str, Any]]:
    """Describe a series, as lines and as facts for JSON."""
    facts: dict[str, Any] = {
        "input": str(series.path),
        "description": series.description,
        "modality": series.modality,
        "files": len(series.files),
    }
    line = f"{series.path}: {series.description}, {series.modality}, {len(series.files)} files"
    if series.problem:
        problem = series.problem.removeprefix(f"{series.path}: ").partition("; ")[0]
        facts["problem"] = problem
        return [f"{line}: cannot be read: {problem}"], facts
    stack = series.stacks[0]
    origin, sizes = series.origin(stack), " × ".join(f"{mm:.3g}" for mm in stack.spacing)
    facts |= {
        "shape": list(stack.shape),
        "voxel_size_mm": [round(mm, 6) for mm in stack.spacing],
        "slice_thickness_mm": origin.slice_thickness,
        "volumes": list(series.frames),
        "cautions": [caution.kind for caution in origin.cautions],
    }
    line += f", {jobs.times(stack.shape)} voxels of {sizes} mm"
    if origin.slice_thickness:
        line += f", slices {origin.slice_thickness:.3g} mm thick"
    lines = ["; ".join([line, *origin.acquisition])]
    if len(series.stacks) > 1:
        names = [f"--frame {i}: {name}" for i, name in enumerate(series.frames)]
        shown = names if len(names) <= 12 else [*names[:10], "…", names[-1]]
        lines.append(f"  {len(names)} volumes: {', '.join(shown)}")
    lines += [f"  caution: {caution.kind}: {caution.text}" for caution in origin.cautions]
    return lines, facts


def _image(path: Path) -> tuple[list[str], dict[str, Any]]:
    """Describe an image file, as a line and as facts for JSON."""
    scan = jobs.read_scan(path, None)
    text, facts = jobs.describe_grid(scan, None, scan.grid)
    return [f"{path}: {text}"], {"input": str(path), **facts}
