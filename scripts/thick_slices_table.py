"""Print the gains on simulated thick slices: scripts/thick_slices_table.py DATA [OPTIONS]

DATA holds val/. Slices are means over a boxcar as wide as their distance, along x (row
ax0, thick sagittal slices) or z (ax2, thick axial slices). Printed per factor, in dB inside
the head: PSNR of cubic B-spline interpolation along the slice axis (data range 1 after
clipping at the 99.9th percentile), and the gains over it of hashed without and with data
consistency.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import napari_mrisr as sr
from napari_mrisr.bank.model import bank_for
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.core.volume import Region
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.permuted import hashed_with
from napari_mrisr.training.sampling import Pair, make_pair, slabs_of

FACTORS = (2, 3, 4, 6)


def psnr(pair: Pair, image: np.ndarray) -> float:
    """Return the PSNR inside the head for a data range of 1."""
    error = np.clip(image, 0.0, 1.0)[pair.mask] - pair.truth[pair.mask]
    return float(-10.0 * np.log10(np.mean(error.astype(np.float64) ** 2)))


def run(method: sr.Method, pair: Pair, pool: ThreadPool) -> np.ndarray:
    """Return the whole result, pass by pass."""
    image = np.empty(pair.truth.shape, np.float32)
    passes: list[Callable[[np.ndarray, Region], np.ndarray]] = [
        lambda previous, box: method.compute(pair.lr, box)
    ]
    if hasattr(method, "passes"):
        passes = [
            lambda previous, box, n=n: method.compute_pass(n, pair.lr, previous, box)
            for n in range(method.passes)
        ]
    for step in passes:
        previous, image = image, np.empty_like(image)

        def slab(box: Region, step=step, previous=previous, image=image) -> None:
            image[box.slices] = step(previous, box)

        pool.each(slab, slabs_of(image.shape, method.scale[0]))
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--factor", type=int, nargs="*", default=FACTORS)
    parser.add_argument("--bank", help="instead of the bundled ones")
    parser.add_argument("--degradation", default="slice-profile:boxcar:1")
    arguments = parser.parse_args()
    pool = ThreadPool(processors())
    for factor in arguments.factor:
        rows = []
        print(f"\nfactor {factor}: cubic dB, hashed without / with data consistency, gain in dB")
        for path in sorted((arguments.data / "val").glob("*.nii.gz")):
            volume = sr.read_volume(path)
            for axis in (0, 2):
                scale = tuple(factor if a == axis else 1 for a in range(3))
                parameters = sr.TrainParameters(scale=scale, degradation=arguments.degradation)
                pair = make_pair(volume, parameters, pool=pool)
                bank = bank_for(scale, arguments.bank, any_order=True)
                plain = hashed_with(bank, scale)
                cubic = psnr(pair, run(sr.get_method("tricubic", scale), pair, pool))
                image = run(plain, pair, pool)
                gain = psnr(pair, image) - cubic
                method, whole = Consistent(plain, bank.degradation), Region.whole(image.shape)
                fixed = method.correct(pair.lr, image, whole.start, whole)
                rows.append((cubic, gain, psnr(pair, fixed) - cubic))
                name = path.name.removesuffix(".nii.gz").removesuffix("_T1w")
                print(f"{name + f' ax{axis}':28}", *(f"{n:6.2f}" for n in rows[-1]), flush=True)
        means, lowest = np.mean(rows, axis=0), np.min(rows, axis=0)
        print(f"{'mean':28}", *(f"{n:6.2f}" for n in means))
        print(f"{'lowest':28}", *(f"{n:6.2f}" for n in lowest))


if __name__ == "__main__":
    main()
