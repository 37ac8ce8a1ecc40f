"""Measure sharpened targets and census blending (Romano, Isidoro and Milanfar 2017).

    python scripts/raisr_table.py DATA                          as in docs/explanation/method.md

Banks for 2× are trained on the middle of the first volume of each source of ``DATA/train``, for
several amounts of sharpening, and tried on the middle of each volume of ``DATA/val``, with and
without blending; so is the bundled bank. PSNR is that of scripts/iterative_table.py; SSIM is taken
over the same voxels.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from iterative_table import computed, middle, psnr
from skimage.metrics import structural_similarity

from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.io import read_volume
from napari_mrisr.methods import get_method
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.training import train
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import VolumeSource

SCALE, SIGMA = (2, 2, 2), 1.0


def ssim(found: FloatArray, truth: FloatArray, rim: int) -> float:
    """Return the SSIM within a rim, Gaussian window."""
    inner = (slice(rim, -rim),) * 3
    settings = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1.0}
    return float(structural_similarity(found[inner], truth[inner], **settings))


def report(label: str, bank: str | None, tests: list[Volume]) -> None:
    """Print the rows of a bank."""
    cubic = get_method("tricubic", SCALE)
    for name, blending in (("hashed", "no"), ("hashed:blend", "yes")):
        method, gains = get_method(name, SCALE, bank), []
        for truth in tests:
            lr = degrade(truth, SCALE, "standard").normalized()
            reference = lr.window.to_unit(truth.data)
            before, after = computed(cubic, lr), computed(method, lr)
            gains.append([f(after, reference, 2) - f(before, reference, 2) for f in (psnr, ssim)])
        mean, least, most = (f(gains, axis=0) for f in (np.mean, np.min, np.max))
        cells = [
            f"{mean[n]:+.{digits}f} ({least[n]:+.{digits}f} to {most[n]:+.{digits}f})"
            for n, digits in enumerate((2, 4))
        ]
        print(f"| {label} | {blending} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=96, help="voxels of a training cube's axis")
    parser.add_argument("--test-side", type=int, default=64, help="of a cube to measure")
    parser.add_argument("--amounts", type=float, nargs="*", default=(0.0, 0.1, 0.3, 1.0))
    arguments = parser.parse_args()
    files = sorted((arguments.folder / "train").glob("*.nii.gz"))
    first = {path.name.partition("_")[0]: path for path in reversed(files)}.values()
    volumes = [middle(read_volume(path), arguments.side) for path in sorted(first)]
    tests = [
        middle(read_volume(path), arguments.test_side)
        for path in sorted((arguments.folder / "val").glob("*.nii.gz"))
    ]
    print(f"2×, sigma {SIGMA:g}: mean gain over tricubic on {len(tests)} cubes; least and most.\n")
    print("| sharpened by | blending | PSNR (dB) | SSIM |\n|---|---|---|---|")
    report("bundled", None, tests)
    for amount in arguments.amounts:
        parameters = TrainParameters(SCALE, names=False)
        if amount:
            parameters = replace(parameters, sharpen=(amount, SIGMA))
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "bank.safetensors"
            train([VolumeSource("cube", partial(lambda v: v, v)) for v in volumes], out, parameters)
            report(f"{amount:g}", str(out), tests)


if __name__ == "__main__":
    main()
