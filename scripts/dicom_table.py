"""Compare every DICOM series below a folder with what dcm2niix makes of it.

    python scripts/dicom_table.py FOLDER

For each volume the table lists the largest difference of affines (mm) and of voxels. dcm2niix
scales Philips images to Philips' floating-point values; the script asks it for the displayed
values instead (``-p n``), which are those of the DICOM standard.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from dcm2niix import bin as dcm2niix

import napari_mrisr as sr
from napari_mrisr.io.header import open_scan


def converted(folder: Path, out: Path) -> list[tuple[sr.Volume, str]]:
    """Return the volumes that dcm2niix makes, frame by frame."""
    command = [dcm2niix, "-b", "n", "-z", "n", "-p", "n", "-f", "%s_%d_%e_%p", "-o", out, folder]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    volumes = []
    for file in sorted(out.glob("*.nii")):
        with open_scan(file, 0) as scan:
            shape = scan.image.shape
        frames = range(shape[3]) if len(shape) > 3 else [None]
        volumes += [(sr.read_volume(file, frame=frame), file.stem) for frame in frames]
    return volumes


def closest(volume: sr.Volume, others: list[tuple[sr.Volume, str]]) -> tuple[float, float]:
    """Return the differences from the volume of dcm2niix that is most alike: mm, and values."""
    found = []
    for other, _ in others:
        if other.grid.shape == volume.grid.shape:
            place = float(np.abs(other.grid.affine - volume.grid.affine).max())
            found.append((place, float(np.abs(other.data - volume.data).max())))
    return min(found, key=lambda pair: (pair[1], pair[0])) if found else (np.inf, np.inf)


def rows(folder: Path) -> list[str]:
    """Return one line of the table per series."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        theirs = converted(folder, Path(name))
        for series in sr.list_series(folder):
            start = f"| {folder.name} | {series.description} | {len(series.files)} "
            if series.problem:
                lines.append(f"{start}| refused: {series.problem.partition(': ')[2]} | | | | |")
                continue
            stack = series.stacks[0]
            pairs, top = [], 0.0
            for frame in range(len(series.stacks)):
                volume = sr.read_volume(series.path, frame=frame)
                pairs.append(closest(volume, theirs))
                top = max(top, float(np.abs(volume.data).max()))
            place, value = (max(pair[i] for pair in pairs) for i in range(2))
            shape = " × ".join(map(str, stack.shape))
            spacing = " × ".join(f"{mm:.3g}" for mm in stack.spacing)
            thick = "–" if stack.thickness is None else f"{stack.thickness:.3g}"
            same = "0" if value == 0 else f"{value:.2g} of {top:.4g}"
            lines.append(
                f"{start}| {shape} | {len(series.stacks)} | {spacing} | {thick} | {place:.1e} "
                f"| {same} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="its folders are compared one by one")
    folder = parser.parse_args().folder
    print(
        "| folder | series | files | voxels | volumes | spacing (mm) | thickness (mm) "
        "| affine differs by (mm) | voxels differ by |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        print("\n".join(rows(place)))


if __name__ == "__main__":
    main()
