"""Peak memory and speed of an upscale from and to disk.

    python benchmarks/stream.py [--size 512] [--memory 2GB] [--method hashed] [--out .ome.zarr]

Writes an int16 NIfTI of SIZE³ voxels, the embedded phantom enlarged and repeated,
plane by plane; runs ``napari-mrisr upscale IN OUT --memory`` on it at 2x in a process
of its own; prints the kernel's record of that process's largest resident size,
seconds, and voxels a second. Takes the files away afterwards. Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from napari_mrisr.io.samples import phantom

ENLARGED = 2


def write_input(path: Path, size: int) -> None:
    """The phantom, each voxel repeated, with noise; tiled to ``size`` voxels an axis."""
    data = phantom().data
    rng = np.random.default_rng(0)
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((size, size, size))
    header.set_sform(np.diag([0.5, 0.5, 0.5, 1.0]), 1)
    header.set_slope_inter(float(data.max()) / 4000, 0)
    at = [np.arange(size) // ENLARGED % n for n in data.shape]
    with path.open("wb") as file:
        header.write_to(file)
        file.write(b"\0" * (int(header["vox_offset"]) - file.tell()))
        for k in at[2]:
            plane = data[:, :, k][np.ix_(at[0], at[1])] * (4000 / data.max())
            plane = plane + rng.normal(0, 40, plane.shape)
            file.write(plane.clip(0, 32000).astype("<i2").tobytes(order="F"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="voxels an axis of the input")
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--method", default="hashed")
    parser.add_argument("--out", default=".ome.zarr", help="suffix of the output")
    parser.add_argument("--folder", help="where the files go meanwhile")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mrisr-stream-", dir=given.folder) as folder:
        source, out = Path(folder, "large.nii"), Path(folder, f"out{given.out}")
        write_input(source, given.size)
        command = [sys.executable, "-m", "napari_mrisr", "upscale", str(source), str(out)]
        command += ["--memory", given.memory, "--method", given.method]
        start = time.perf_counter()
        child = subprocess.Popen(command)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            sys.exit(f"the run ended with {os.waitstatus_to_exitcode(status)}")
        files = [out] if out.is_file() else [p for p in out.rglob("*") if p.is_file()]
        written = sum(file.stat().st_size for file in files)
    voxels = (2 * given.size) ** 3
    print(
        f"{2 * given.size}^3 voxels by {given.method}, --memory {given.memory}, {given.out}: "
        f"peak {usage.ru_maxrss * 1024 / 1e9:.2f} GB, {seconds:.0f} s, "
        f"{voxels / seconds / 1e6:.2f} million voxels/s, {written / 1e9:.2f} GB written"
    )


if __name__ == "__main__":
    main()
